//! What a verifier trusts beforehand: an origin, its public keys, and, for one
//! tenant, which one it is and where its head stands.

use identity::{Env, TenantId};
use serde::{Deserialize, Serialize};
use signed_note::{Note, NoteError, StandardVerifier, Verifier, VerifierList};

use crate::{Checkpoint, Origin, checkpoint::NOTE_BYTES_MAX};

/// Most keys in a trust file.
pub const TRUSTED_KEYS_MAX: usize = 16;

/// The trust file, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    /// Whose log.
    pub origin: String,
    /// Its public keys, old ones included: `<origin>+<id>+<key>`.
    pub keys: Vec<String>,
    /// The tenant that receipts and exports must be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The environment that they must be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Env>,
    /// The slot of that tenant and environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
}

/// Why a trust file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is no trust file.
    #[error("not a trust file: {0}")]
    Malformed(String),
    /// A key is malformed, of another origin, or given twice.
    #[error("not a key of the origin: {0}")]
    Key(String),
}

/// Why a signed note is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefused {
    /// It is no signed note.
    #[error("it is not a signed note")]
    Malformed,
    /// None of the trusted keys has signed it.
    #[error("no trusted key has signed it")]
    Unsigned,
    /// A signature of a trusted key does not hold.
    #[error("its signature does not hold")]
    Signature,
    /// It is of another origin, or no checkpoint.
    #[error("it is not a checkpoint of the trusted origin")]
    Origin,
}

/// What a verifier trusts.
pub struct Trust {
    origin: Origin,
    keys: VerifierList,
    /// The tenant that receipts and exports must be of.
    pub tenant: Option<TenantId>,
    /// The environment that they must be of.
    pub env: Option<Env>,
    /// The slot of that tenant and environment.
    pub slot: Option<u64>,
}

impl Trust {
    /// Reads a trust file.
    ///
    /// # Errors
    /// As [`TrustError`] says.
    pub fn parse(json: &[u8]) -> Result<Self, TrustError> {
        let file: TrustFile = serde_json::from_slice(json)
            .map_err(|error| TrustError::Malformed(error.to_string()))?;
        Self::new(file)
    }

    /// Takes a trust file's content.
    ///
    /// # Errors
    /// As [`TrustError`] says.
    pub fn new(file: TrustFile) -> Result<Self, TrustError> {
        let malformed = |why: &str| TrustError::Malformed(why.to_owned());
        let origin: Origin = file.origin.parse().map_err(|_| malformed("origin"))?;
        if !(1..=TRUSTED_KEYS_MAX).contains(&file.keys.len()) {
            return Err(malformed("1 to 16 keys are needed"));
        }
        let mut keys: Vec<Box<dyn Verifier>> = Vec::new();
        for text in file.keys {
            let key = StandardVerifier::new(&text)
                .ok()
                .filter(|key| key.name() == origin.as_str())
                .filter(|key| keys.iter().all(|other| other.key_id() != key.key_id()))
                .ok_or(TrustError::Key(text))?;
            keys.push(Box::new(key));
        }
        Ok(Self {
            origin,
            keys: VerifierList::new(keys),
            tenant: file.tenant,
            env: file.env,
            slot: file.slot,
        })
    }

    /// Whose log is trusted.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The checkpoint in a signed note, if a trusted key has signed it.
    ///
    /// # Errors
    /// As [`NoteRefused`] says.
    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, NoteRefused> {
        let text = self.signed_text(note)?;
        Checkpoint::parse(text.as_bytes())
            .ok()
            .filter(|checkpoint| checkpoint.origin == self.origin)
            .ok_or(NoteRefused::Origin)
    }

    /// The text of a signed note, if a trusted key has signed it.
    pub(crate) fn signed_text(&self, note: &str) -> Result<String, NoteRefused> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteRefused::Malformed);
        }
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| NoteRefused::Malformed)?;
        note.verify(&self.keys).map_err(|error| match error {
            NoteError::UnverifiedNote => NoteRefused::Unsigned,
            NoteError::InvalidSignature { .. } => NoteRefused::Signature,
            _ => NoteRefused::Malformed,
        })?;
        String::from_utf8(note.text().to_vec()).map_err(|_| NoteRefused::Malformed)
    }
}
