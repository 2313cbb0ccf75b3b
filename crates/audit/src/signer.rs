//! Keys that sign checkpoints and exports.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use identity::Entropy;
use signed_note::{Note, Signer as _, StandardSigner, key_id};
use zeroize::Zeroizing;

use crate::{
    Checkpoint, Origin,
    checkpoint::{NOTE_BYTES_MAX, OWN_TEXTS},
};

/// Length of an Ed25519 seed, in bytes.
const SEED_BYTES: usize = 32;
/// The algorithm's number in signed notes.
const ED25519: u8 = 1;
/// What the secret text of a key begins with.
const NOTE_KEY: &str = "PRIVATE+KEY+";
/// Most keys that sign at once.
pub const SIGNERS_MAX: usize = 4;

/// Why a key or a signature cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The secret is neither a note key nor a seed.
    #[error("the signing key must be a PRIVATE+KEY+… text or 32 bytes in base64")]
    Malformed,
    /// The key was made for another origin.
    #[error("the signing key is of another origin")]
    Origin,
    /// No key, more than four, or one twice.
    #[error("1 to {SIGNERS_MAX} different keys sign")]
    Count,
    /// The text cannot be signed.
    #[error("the text cannot be signed")]
    Text,
}

/// The keys that sign for an origin: one, or during a rotation the old and the new one.
///
/// A note carries a signature of each. A verifier accepts a note that one of the
/// keys it trusts has signed; so a new key signs beside the old one until every
/// trust file has it, and old checkpoints keep verifying with the old key.
pub struct Signers {
    origin: Origin,
    keys: Vec<StandardSigner>,
    verifier_keys: Vec<String>,
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signers")
            .field("origin", &self.origin)
            .field("verifier_keys", &self.verifier_keys)
            .finish_non_exhaustive()
    }
}

impl Signers {
    /// Keys from their secrets: each a `PRIVATE+KEY+<origin>+<id>+<key>` text as Go's
    /// and C2SP's tools make it, or a seed of 32 bytes in base64. Space around it is ignored.
    ///
    /// # Errors
    /// As [`SignerError`] says.
    pub fn from_secrets(origin: Origin, secrets: &[&[u8]]) -> Result<Self, SignerError> {
        let mut signers = Self {
            origin,
            keys: Vec::new(),
            verifier_keys: Vec::new(),
        };
        for secret in secrets {
            signers.add(secret)?;
        }
        if !(1..=SIGNERS_MAX).contains(&signers.keys.len()) {
            return Err(SignerError::Count);
        }
        Ok(signers)
    }

    fn add(&mut self, secret: &[u8]) -> Result<(), SignerError> {
        let text = std::str::from_utf8(secret).map_err(|_| SignerError::Malformed)?;
        let seed = seed(&self.origin, text.trim())?;
        let (skey, verifier_key) = note_key(&self.origin, &seed)?;
        let signer = StandardSigner::new(&skey).map_err(|_| SignerError::Malformed)?;
        if self.verifier_keys.contains(&verifier_key) {
            return Err(SignerError::Count);
        }
        self.keys.push(signer);
        self.verifier_keys.push(verifier_key);
        Ok(())
    }

    /// Whose log they sign.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The public keys, `<origin>+<id>+<key>`, for trust files.
    #[must_use]
    pub fn verifier_keys(&self) -> &[String] {
        &self.verifier_keys
    }

    /// Signs a checkpoint of this origin.
    ///
    /// # Errors
    /// [`SignerError::Origin`], [`SignerError::Text`].
    pub fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Result<String, SignerError> {
        if checkpoint.origin != self.origin {
            return Err(SignerError::Origin);
        }
        self.sign(&checkpoint.text())
    }

    /// Signs one of our other texts, which begin so that none can be taken for a checkpoint.
    pub(crate) fn sign_own(&self, text: &str) -> Result<String, SignerError> {
        if !text.starts_with(OWN_TEXTS) {
            return Err(SignerError::Text);
        }
        self.sign(text)
    }

    fn sign(&self, text: &str) -> Result<String, SignerError> {
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| SignerError::Text)?;
        let keys: Vec<&dyn signed_note::Signer> = self
            .keys
            .iter()
            .map(|key| key as &dyn signed_note::Signer)
            .collect();
        note.add_sigs(&keys).map_err(|_| SignerError::Text)?;
        String::from_utf8(note.to_bytes())
            .ok()
            .filter(|signed| signed.len() <= NOTE_BYTES_MAX)
            .ok_or(SignerError::Text)
    }
}

/// A new secret for [`Signers::from_secrets`], in the form that C2SP's tools use.
///
/// # Errors
/// [`SignerError::Malformed`] if the cipher library refuses.
pub fn generate_secret(
    origin: &Origin,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<String>, SignerError> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    entropy.fill(&mut *seed);
    note_key(origin, &seed).map(|(secret, _)| secret)
}

/// Whose signatures a secret of [`generate_secret`] makes: its text says so.
///
/// # Errors
/// [`SignerError::Malformed`] for anything else, a bare seed included.
pub fn origin_of_secret(secret: &str) -> Result<Origin, SignerError> {
    let key = StandardSigner::new(secret.trim()).map_err(|_| SignerError::Malformed)?;
    key.name().parse().map_err(|_| SignerError::Malformed)
}

/// The seed in a secret.
fn seed(origin: &Origin, secret: &str) -> Result<Zeroizing<[u8; SEED_BYTES]>, SignerError> {
    let mut encoded = secret;
    if secret.starts_with(NOTE_KEY) {
        let key = StandardSigner::new(secret).map_err(|_| SignerError::Malformed)?;
        if key.name() != origin.as_str() {
            return Err(SignerError::Origin);
        }
        // The last part is base64, which has plus signs of its own.
        encoded = secret.splitn(5, '+').nth(4).unwrap_or_default();
    }
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| SignerError::Malformed)?;
    let bytes = match bytes.split_first() {
        Some((&ED25519, seed)) if seed.len() == SEED_BYTES => seed,
        _ => &bytes,
    };
    bytes
        .try_into()
        .map(Zeroizing::new)
        .map_err(|_| SignerError::Malformed)
}

/// The note key and the verifier key of a seed.
fn note_key(
    origin: &Origin,
    seed: &[u8; SEED_BYTES],
) -> Result<(Zeroizing<String>, String), SignerError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SignerError::Malformed)?;
    let public = [&[ED25519], pair.public_key().as_ref()].concat();
    let secret = Zeroizing::new([&[ED25519], seed.as_slice()].concat());
    let id = key_id(origin.as_str(), &public);
    let secret = Zeroizing::new(BASE64_STANDARD.encode(&*secret));
    Ok((
        Zeroizing::new(format!("{NOTE_KEY}{origin}+{id:08x}+{}", *secret)),
        format!("{origin}+{id:08x}+{}", BASE64_STANDARD.encode(public)),
    ))
}
