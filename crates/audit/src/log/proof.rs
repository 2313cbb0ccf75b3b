//! Checking proofs, as any verifier of RFC 6962 would.

use tlog_tiles::{check_record, check_tree};

use crate::{Hash, LOG_SIZE_MAX};

/// Longest proof, in hashes: no tree is higher.
pub const PROOF_HASHES_MAX: usize = 64;

/// A proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
pub struct InvalidProof;

/// Checks that leaf `index` of the tree with `size` leaves and `root` has `leaf_hash`.
///
/// # Errors
/// [`InvalidProof`].
pub fn verify_inclusion(
    leaf_hash: Hash,
    index: u64,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), InvalidProof> {
    if size > LOG_SIZE_MAX {
        return Err(InvalidProof);
    }
    let proof = bounded(proof)?;
    check_record(&proof, size, root.into(), index, leaf_hash.into()).map_err(|_| InvalidProof)
}

/// Checks that the tree with `size` leaves and `root` begins with the one of `old` leaves
/// and `old_root`. Every tree begins with the empty one.
///
/// # Errors
/// [`InvalidProof`].
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), InvalidProof> {
    if size > LOG_SIZE_MAX || old > size {
        return Err(InvalidProof);
    }
    if old == 0 {
        let nothing = proof.is_empty() && old_root == Hash::EMPTY;
        let empty = size > 0 || root == Hash::EMPTY;
        return if nothing && empty {
            Ok(())
        } else {
            Err(InvalidProof)
        };
    }
    let proof = bounded(proof)?;
    check_tree(&proof, size, root.into(), old, old_root.into()).map_err(|_| InvalidProof)
}

fn bounded(proof: &[Hash]) -> Result<Vec<tlog_tiles::Hash>, InvalidProof> {
    if proof.len() > PROOF_HASHES_MAX {
        return Err(InvalidProof);
    }
    Ok(proof.iter().copied().map(tlog_tiles::Hash::from).collect())
}
