//! Tokens, keys and addresses of currencies, made by chance: none opens anything.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bech32::{hrp, segwit};
use sha2::{Digest as _, Sha256};

use super::chance::Chance;

fn bytes<const N: usize>(chance: &mut Chance) -> [u8; N] {
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        for (to, from) in chunk.iter_mut().zip(chance.next().to_le_bytes()) {
            *to = from;
        }
    }
    bytes
}

/// A signed token.
pub(super) fn jwt(chance: &mut Chance) -> String {
    let header = chance.pick(&[
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"typ":"JWT","alg":"RS256","kid":"2026-11"}"#,
        r#"{"alg":"EdDSA"}"#,
    ]);
    let claims = format!(
        r#"{{"sub":"{}","exp":1795300000}}"#,
        chance.below(1_000_000)
    );
    let signature = URL_SAFE_NO_PAD.encode(bytes::<32>(chance));
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}.{signature}", encode(header), encode(&claims))
}

/// A private key in PEM form.
pub(super) fn pem(chance: &mut Chance) -> String {
    let label = chance.pick(&[
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    ]);
    let lines: Vec<String> = (0..4)
        .map(|_| STANDARD.encode(bytes::<48>(chance)))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----",
        lines.join("\n")
    )
}

/// A key of a service; the forms are those that the services document.
pub(super) fn api_key(chance: &mut Chance) -> String {
    let (prefix, mark, size) = chance.pick(&[
        ("AKIA", "^", 16),
        ("ghp_", "~", 36),
        ("github_pat_", "~", 82),
        ("glpat-", "~", 20),
        ("xoxb-", "#", 12),
        ("sk_live_", "~", 24),
        ("AIza", "~", 35),
        ("sk-proj-", "~", 48),
        ("sk-ant-api03-", "~", 93),
        ("npm_", "~", 36),
        ("hf_", "~", 34),
        ("SG.", "", 0),
        ("SK", "%", 32),
        ("dop_v1_", "%", 64),
    ]);
    match prefix {
        "xoxb-" => chance.fill("xoxb-############-#############-~~~~^^^^~~~~^^^^~~~~~~~~"),
        "SG." => format!("SG.{}.{}", chance.repeat("~", 22), chance.repeat("^", 43)),
        prefix => format!("{prefix}{}", chance.repeat(mark, size)),
    }
}

/// An address of Bitcoin or Ethereum.
pub(super) fn crypto(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => segwit::encode_v0(hrp::BC, &bytes::<20>(chance)).unwrap_or_default(),
        1 => format!("0x{}", chance.repeat("%", 40)),
        2 => base58check(0, &bytes::<20>(chance)),
        _ => base58check(5, &bytes::<20>(chance)),
    }
}

/// Longest address, in characters.
const BASE58_MAX: usize = 35;

fn base58check(version: u8, hash: &[u8; 20]) -> String {
    let mut payload = vec![version];
    payload.extend(hash);
    let sum = Sha256::digest(Sha256::digest(&payload));
    payload.extend(sum.iter().take(4));
    let mut address = [0; BASE58_MAX];
    let size = bs58::encode(payload).onto(address.as_mut_slice());
    let written = address.iter().take(size.unwrap_or_default());
    written.map(|byte| char::from(*byte)).collect()
}
