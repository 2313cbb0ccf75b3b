//! Operators' licences that are counted, for a tenant in another database: their count is in everyone's.
//!
//! No batch has both the count and the write. So the use is counted first, fenced like the write, and given back
//! when the write was not done. What is not known to be undone stays counted: a licence is never used more often
//! than it says, and after a crash between the two once less.

use store::{Batch, CommitError, DocKey, StoreError, Version};

use super::{
    Core, Permit,
    permit::{LicenceClaim, expect},
};
use crate::{Mutation, layer::fence_key, rows::LicenceUses, stored};

impl<M: Mutation> Permit<M> {
    /// Whether a licence's count is in another database than the write.
    pub(super) fn is_away(&self, licence: &LicenceClaim) -> bool {
        let claims = &self.admission.claims;
        let elsewhere = claims.fences.as_ref();
        let elsewhere = elsewhere.is_some_and(|fences| fences.copied.is_some());
        elsewhere && licence.key.partition == self.core.system_rows
    }

    /// Counts the uses of licences whose count is in everyone's database; `None` when something that was decided
    /// on has changed.
    pub(super) async fn charge(&self) -> Result<Option<Charged>, StoreError> {
        let claims = &self.admission.claims;
        let away = claims.licences.iter().filter(|claim| self.is_away(claim));
        let counts: Vec<(DocKey, u32)> =
            away.map(|claim| (claim.key.clone(), claim.used)).collect();
        let (Some(fences), false) = (&claims.fences, counts.is_empty()) else {
            return Ok(Some(Charged::default()));
        };
        let key = fence_key(&self.core.system_rows);
        let mut batch = expect(Batch::new(), &key, fences.system);
        for claim in claims.licences.iter().filter(|claim| self.is_away(claim)) {
            batch = expect(batch, &claim.key, claim.version);
            batch = counted(batch, &claim.key, claim.used.saturating_add(1))?;
        }
        match self.core.documents.commit(batch).await {
            Ok(version) => Ok(Some(Charged { version, counts })),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

/// Uses that were counted for a write.
pub(super) struct Charged {
    /// The state that all counts were put into.
    version: Version,
    /// Each with how often the licence was used before.
    counts: Vec<(DocKey, u32)>,
}

impl Default for Charged {
    fn default() -> Self {
        Self {
            version: Version(0),
            counts: Vec::new(),
        }
    }
}

impl Core {
    /// Takes back uses that were counted for a write that was not done, unless others counted theirs since.
    pub(super) async fn give_back(&self, charged: Charged) {
        if charged.counts.is_empty() {
            return;
        }
        let batch = charged
            .counts
            .iter()
            .try_fold(Batch::new(), |batch, (key, used)| {
                counted(batch.expect_version(key, charged.version), key, *used)
            });
        let given_back = match batch {
            Ok(batch) => self.documents.commit(batch).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = given_back {
            tracing::warn!(%error, "a use of a licence stays counted, though nothing was written");
        }
    }
}

fn counted(batch: Batch, key: &DocKey, used: u32) -> Result<Batch, StoreError> {
    stored::put(batch, key, &LicenceUses { used }, None).map_err(StoreError::Corrupt)
}
