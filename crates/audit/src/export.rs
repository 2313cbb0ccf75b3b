//! An export: a range of one log as JSON lines that verify offline.
//!
//! A header with the evidence for the head comes first, so that a reader knows
//! what to expect before the first record. Then, per block of at most 256
//! records, the block's leaf hashes with a proof that the log has them, and the
//! records. A signed trailer covers every byte before it.
//!
//! **Invariant:** what [`ExportWriter`] writes, [`verify::export`](crate::verify::export) accepts,
//! if the proofs that it was given hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Evidence, Field, Hash, Opened, Opening, Origin, Seq, SignerError, Signers, unique};

/// What the `format` of an export says.
pub const EXPORT_FORMAT: &str = "tenantry-audit/export/v1";
/// Longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Most records in one block.
pub const BLOCK_RECORDS_MAX: usize = 256;

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// The first line.
    Header(Box<Header>),
    /// Before the records of a block.
    Block(Block),
    /// One record.
    Record(ExportedRecord),
    /// The last line.
    Trailer(Trailer),
}

/// The first line: what the export is of, and the evidence for the head of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`EXPORT_FORMAT`].
    pub format: String,
    /// The first record.
    pub from: Seq,
    /// The last record; `from - 1` if there is none.
    pub to: u64,
    /// The frontier of the log before the first record, which stands for all that came before.
    pub frontier: Vec<Hash>,
    /// From the head to the signed checkpoint.
    pub evidence: Evidence,
}

/// The leaf hashes of the records that follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The first record of the block.
    pub first: Seq,
    /// The leaf hashes, 1 to 256.
    pub hashes: Vec<Hash>,
    /// The consistency proof from the log after the block to the head.
    pub proof: Vec<Hash>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedRecord {
    /// Where it is in its log.
    pub seq: Seq,
    /// The leaf's text, verbatim.
    pub leaf: String,
    /// The personal values that the reader may see.
    #[serde(
        default,
        deserialize_with = "unique::entries",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub opened: BTreeMap<Field, Opening>,
    /// The personal values that nobody can see any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Field>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    /// How many records there are.
    pub records: u64,
    /// The SHA-256 of every byte before this line.
    pub sha256: Hash,
    /// [`Trailer::text`], signed.
    pub note: String,
}

impl Trailer {
    /// What is signed.
    pub(crate) fn text(origin: &Origin, records: u64, sha256: Hash) -> String {
        format!("{EXPORT_FORMAT}\n{origin}\n{records}\n{sha256}\n")
    }
}

impl Line {
    /// The line's bytes, with its newline.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).ok()?;
        bytes.push(b'\n');
        Some(bytes)
    }
}

/// Why an export cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A block or record does not follow the one before.
    #[error("record {0} was expected")]
    Order(u64),
    /// A leaf is no text.
    #[error("record {0} is not text")]
    Text(Seq),
    /// A line is too long.
    #[error("a line of the export is too long")]
    TooLong,
    /// It cannot be signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// Writes an export line by line, in bounded memory. Each method returns bytes to send.
pub struct ExportWriter {
    digest: Sha256,
    records: u64,
    next: u64,
    /// The record after the last block.
    block_end: u64,
    to: u64,
}

impl ExportWriter {
    /// The header: records `from` to `to`, `frontier` from
    /// [`Ask::Frontier`](crate::log::Ask::Frontier) at `from - 1`.
    ///
    /// # Errors
    /// [`ExportError::TooLong`].
    pub fn start(
        from: Seq,
        to: u64,
        frontier: Vec<Hash>,
        evidence: Evidence,
    ) -> Result<(Self, Vec<u8>), ExportError> {
        let mut writer = Self {
            digest: Sha256::new(),
            records: 0,
            next: from.get(),
            block_end: from.get(),
            to,
        };
        let header = Header {
            format: EXPORT_FORMAT.to_owned(),
            from,
            to,
            frontier,
            evidence,
        };
        let line = writer.line(&Line::Header(Box::new(header)))?;
        Ok((writer, line))
    }

    /// A block: the leaf hashes of the next records
    /// ([`Ask::Leaves`](crate::log::Ask::Leaves), at most [`BLOCK_RECORDS_MAX`]) and the consistency
    /// proof from the size after them to the head's.
    ///
    /// # Errors
    /// [`ExportError::Order`], [`ExportError::TooLong`].
    pub fn block(&mut self, hashes: Vec<Hash>, proof: Vec<Hash>) -> Result<Vec<u8>, ExportError> {
        let first = Seq::try_from(self.next).map_err(|_| ExportError::Order(self.next))?;
        let end = self.next + hashes.len() as u64;
        let fits = (1..=BLOCK_RECORDS_MAX).contains(&hashes.len()) && end <= self.to + 1;
        if !fits || self.next != self.block_end {
            return Err(ExportError::Order(self.next));
        }
        self.block_end = end;
        self.line(&Line::Block(Block {
            first,
            hashes,
            proof,
        }))
    }

    /// The next record of the block. `opened` holds what the reader may see.
    ///
    /// # Errors
    /// As [`ExportError`] says.
    pub fn record(
        &mut self,
        seq: Seq,
        leaf: Vec<u8>,
        opened: Opened,
    ) -> Result<Vec<u8>, ExportError> {
        if seq.get() != self.next || self.next >= self.block_end {
            return Err(ExportError::Order(self.next));
        }
        self.next += 1;
        self.records += 1;
        self.line(&Line::Record(ExportedRecord {
            seq,
            leaf: String::from_utf8(leaf).map_err(|_| ExportError::Text(seq))?,
            opened: opened.fields,
            erased: opened.erased,
        }))
    }

    /// The signed trailer.
    ///
    /// # Errors
    /// [`ExportError::Order`] when records are missing; [`ExportError::Signer`].
    pub fn finish(mut self, signers: &Signers) -> Result<Vec<u8>, ExportError> {
        if self.next != self.to + 1 {
            return Err(ExportError::Order(self.next));
        }
        let sha256 = Hash::from_bytes(self.digest.finalize_reset().into());
        let text = Trailer::text(signers.origin(), self.records, sha256);
        let trailer = Trailer {
            records: self.records,
            sha256,
            note: signers.sign_own(&text)?,
        };
        self.line(&Line::Trailer(trailer))
    }

    fn line(&mut self, line: &Line) -> Result<Vec<u8>, ExportError> {
        let bytes = line.encode().ok_or(ExportError::TooLong)?;
        if bytes.len() > LINE_BYTES_MAX {
            return Err(ExportError::TooLong);
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }
}
