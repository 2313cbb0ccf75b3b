//! One record and its proofs.

use std::collections::BTreeMap;

use super::{RecordFault, VerifyError, evidence};
use crate::{
    Anchored, Checkpoint, Evidence, Field, Hash, Leaf, OpenError, Opening, Receipt, Seq, Trust,
    log::verify_inclusion,
    receipt::{RECEIPT_BYTES_MAX, RECEIPT_FORMAT},
    seal::check_openings,
};

/// A record that is in its tenant's log.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedRecord {
    /// Where it is.
    pub seq: Seq,
    /// What it says.
    pub leaf: Leaf,
    /// The personal values that came with it, each the recorded one.
    pub opened: BTreeMap<Field, Opening>,
    /// The head, epoch and checkpoint that it is under.
    pub anchored: Anchored,
}

/// Reads a receipt.
///
/// # Errors
/// [`VerifyError::Malformed`].
pub fn parse_receipt(json: &[u8]) -> Result<Receipt, VerifyError> {
    let malformed = |why: &str| VerifyError::Malformed(why.to_owned());
    if json.len() > RECEIPT_BYTES_MAX {
        return Err(malformed("it is too large"));
    }
    let receipt: Receipt =
        serde_json::from_slice(json).map_err(|error| malformed(&error.to_string()))?;
    if receipt.format != RECEIPT_FORMAT {
        return Err(malformed("its format is unknown"));
    }
    Ok(receipt)
}

/// Checks a receipt against `trust`, and against a newer checkpoint if one is `known`.
///
/// # Errors
/// As [`VerifyError`] says.
pub fn receipt(
    receipt: &Receipt,
    trust: &Trust,
    known: Option<&Checkpoint>,
) -> Result<VerifiedRecord, VerifyError> {
    let anchored = evidence(&receipt.evidence, trust, known)?;
    let head = &anchored.head;
    let bytes = receipt.leaf.as_bytes();
    let at = |fault: RecordFault| VerifyError::Record {
        seq: receipt.seq,
        fault,
    };
    verify_inclusion(
        Hash::of_leaf(bytes),
        receipt.seq.index(),
        head.size,
        head.root,
        &receipt.proof,
    )
    .map_err(|_| at(RecordFault::NotInLog))?;
    let leaf = content(bytes, &receipt.opened, &receipt.evidence).map_err(at)?;
    Ok(VerifiedRecord {
        seq: receipt.seq,
        leaf,
        opened: receipt.opened.clone(),
        anchored,
    })
}

/// Reads a leaf that the log has, and checks whose it is and what is shown of it.
pub(super) fn content(
    bytes: &[u8],
    opened: &BTreeMap<Field, Opening>,
    evidence: &Evidence,
) -> Result<Leaf, RecordFault> {
    let leaf = Leaf::parse(bytes).map_err(OpenError::from)?;
    if leaf.tenant != evidence.tenant || leaf.env != evidence.env {
        return Err(RecordFault::Foreign);
    }
    check_openings(&leaf, opened)?;
    Ok(leaf)
}
