//! Addresses of Bitcoin (Base58Check, Bech32, Bech32m) and Ethereum (EIP-55).

use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use super::{kind::Kind, scanner::Match, window::Window};

/// Shortest and longest address with Base58Check, in characters.
const BASE58_MIN: usize = 26;
const BASE58_MAX: usize = 35;
/// Version, hash and check of an address with Base58Check, in bytes.
const BASE58_BYTES: usize = 25;
/// Pay to public key hash, and pay to script hash.
const VERSIONS: [u8; 2] = [0x00, 0x05];
/// Longest address with Bech32 (BIP 173).
const BECH32_MAX: usize = 90;
const ETHEREUM_DIGITS: usize = 40;

/// The address that begins at `at`.
pub(super) fn find(window: &Window<'_>, at: usize) -> Option<Match> {
    let size = match window.at(at)? {
        b'0' => ethereum(window, at),
        b'1' | b'3' => base58(window, at),
        b'b' | b'B' | b't' | b'T' => bech32(window, at),
        _ => None,
    }?;
    Some(Match::new(Kind::Crypto, at, at + size))
}

/// The word at `at`, if it has at most `most` bytes.
fn word<'a>(window: &Window<'a>, at: usize, most: usize) -> Option<&'a str> {
    let size = window.run(at, most + 1, |b| b.is_ascii_alphanumeric());
    (size <= most).then(|| window.slice(at, at + size))
}

fn base58(window: &Window<'_>, at: usize) -> Option<usize> {
    let word = word(window, at, BASE58_MAX).filter(|word| word.len() >= BASE58_MIN)?;
    let mut bytes = [0; BASE58_BYTES];
    let size = bs58::decode(word).onto(&mut bytes).ok()?;
    let (payload, check) = bytes.split_last_chunk::<4>()?;
    let sum = Sha256::digest(Sha256::digest(payload));
    let known = VERSIONS.contains(payload.first()?);
    (size == BASE58_BYTES && known && sum.starts_with(check)).then_some(word.len())
}

fn bech32(window: &Window<'_>, at: usize) -> Option<usize> {
    let known = ["bc1", "BC1", "tb1", "TB1"];
    if !known
        .iter()
        .any(|hrp| window.starts_with(at, hrp.as_bytes()))
    {
        return None;
    }
    let word = word(window, at, BECH32_MAX)?;
    bech32::segwit::decode(word).ok().map(|_| word.len())
}

/// `0x` and 40 digits; where the case of letters is mixed, it is a check.
fn ethereum(window: &Window<'_>, at: usize) -> Option<usize> {
    let digits = word(window, at, 2 + ETHEREUM_DIGITS)?.strip_prefix("0x")?;
    let whole = digits.len() == ETHEREUM_DIGITS;
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    (whole && hex && passes_eip55(digits)).then_some(2 + ETHEREUM_DIGITS)
}

fn passes_eip55(digits: &str) -> bool {
    let lower = digits.to_ascii_lowercase();
    if digits == lower || digits == digits.to_ascii_uppercase() {
        return true;
    }
    let hash = Keccak256::digest(&lower);
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.bytes().zip(nibbles).all(|(digit, nibble)| {
        !digit.is_ascii_alphabetic() || digit.is_ascii_uppercase() == (nibble >= 8)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind::Crypto, tests::check};

    #[test]
    fn addresses_are_found() {
        for address in [
            // The genesis block, BIP 16, BIP 173, BIP 350, EIP-55.
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            check(address, &[(Crypto, address)]);
            check(&format!("pay to {address}."), &[(Crypto, address)]);
        }
    }

    #[test]
    fn bad_checks_and_hashes_are_left() {
        for text in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
            "0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
            "02c04db8d1f0f4a1b3a2d0e5c4b3a29180706050",
        ] {
            check(text, &[]);
        }
    }
}
