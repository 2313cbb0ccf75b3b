//! From the signed checkpoint down to the head of a tenant's log.

use super::VerifyError;
use crate::{
    Anchored, Checkpoint, Continuity, Epoch, Evidence, Head, Trust,
    head::binding,
    log::{verify_consistency, verify_inclusion},
};

/// Checks the chain from the signed checkpoint to the head: signature, continuity with
/// the checkpoint that is `known` (see [`Trust::checkpoint`]), epoch, head, tenant.
///
/// # Errors
/// As [`VerifyError`] says.
pub fn evidence(
    evidence: &Evidence,
    trust: &Trust,
    known: Option<&Checkpoint>,
) -> Result<Anchored, VerifyError> {
    let checkpoint = trust
        .checkpoint(&evidence.checkpoint)
        .map_err(VerifyError::Checkpoint)?;
    let continuity = continuity(evidence, &checkpoint, known)?;
    let epoch = epoch(evidence, &checkpoint)?;
    let head = head(evidence, &epoch)?;
    tenant(evidence, &head, trust)?;
    Ok(Anchored {
        head,
        epoch,
        checkpoint,
        continuity,
    })
}

fn continuity(
    evidence: &Evidence,
    found: &Checkpoint,
    known: Option<&Checkpoint>,
) -> Result<Continuity, VerifyError> {
    let Some(known) = known else {
        return Ok(Continuity::FirstSeen);
    };
    if found.size < known.size {
        return Err(VerifyError::Replayed {
            found: found.size,
            known: known.size,
        });
    }
    let forked = VerifyError::Forked { size: found.size };
    if found.size == known.size {
        let same = found.root == known.root;
        return same.then_some(Continuity::Same).ok_or(forked);
    }
    match &evidence.since {
        Some(since) if since.size == known.size => {
            let (old, new) = (known, found);
            verify_consistency(old.size, old.root, new.size, new.root, &since.proof)
                .map(|()| Continuity::Extends)
                .map_err(|_| forked)
        }
        _ => Ok(Continuity::NotShown),
    }
}

fn epoch(evidence: &Evidence, checkpoint: &Checkpoint) -> Result<Epoch, VerifyError> {
    let epoch = Epoch::parse(evidence.epoch.leaf.as_bytes())
        .map_err(|error| VerifyError::Malformed(error.to_string()))?;
    verify_inclusion(
        epoch.leaf_hash(),
        epoch.number - 1,
        checkpoint.size,
        checkpoint.root,
        &evidence.epoch.proof,
    )
    .map_err(|_| VerifyError::Epoch {
        number: epoch.number,
    })?;
    Ok(epoch)
}

fn head(evidence: &Evidence, epoch: &Epoch) -> Result<Head, VerifyError> {
    let head = Head::parse(evidence.head.leaf.as_bytes())
        .map_err(|error| VerifyError::Malformed(error.to_string()))?;
    verify_inclusion(
        head.leaf_hash(),
        head.slot,
        epoch.slots,
        epoch.heads,
        &evidence.head.proof,
    )
    .map_err(|_| VerifyError::Head {
        slot: head.slot,
        epoch: epoch.number,
    })?;
    Ok(head)
}

fn tenant(evidence: &Evidence, head: &Head, trust: &Trust) -> Result<(), VerifyError> {
    let Evidence { tenant, env, .. } = evidence;
    let expected = binding(&evidence.salt, tenant, *env);
    let what = if head.binding != expected {
        "its binding is another one"
    } else if trust
        .tenant
        .as_ref()
        .is_some_and(|trusted| trusted != tenant)
    {
        "the trust file names another tenant"
    } else if trust.env.is_some_and(|trusted| trusted != *env) {
        "the trust file names another environment"
    } else if trust.slot.is_some_and(|trusted| trusted != head.slot) {
        "the trust file names another slot"
    } else {
        return Ok(());
    };
    Err(VerifyError::Tenant {
        slot: head.slot,
        what,
    })
}
