//! A receipt: one record, with everything that shows it to be in its log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Evidence, Field, Hash, Opening, Seq, unique};

/// What the `format` of a receipt says.
pub const RECEIPT_FORMAT: &str = "tenantry-audit/receipt/v1";
/// Largest receipt that is read, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 256 * 1024;

/// One record and its proofs, as JSON. Check it with [`verify::receipt`](crate::verify::receipt).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: String,
    /// Where the record is in its log.
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
    /// The inclusion proof of the leaf in the log at the head's size.
    pub proof: Vec<Hash>,
    /// From the head to the signed checkpoint.
    pub evidence: Evidence,
}

impl Receipt {
    /// Puts a receipt together. `leaf` is the leaf's text, verbatim; `proof` its
    /// inclusion proof in the log at the size of the evidence's head.
    #[must_use]
    pub fn new(seq: Seq, leaf: String, proof: Vec<Hash>, evidence: Evidence) -> Self {
        Self {
            format: RECEIPT_FORMAT.to_owned(),
            seq,
            leaf,
            opened: BTreeMap::new(),
            proof,
            evidence,
        }
    }
}
