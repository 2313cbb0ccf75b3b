//! Permits: what a write needs, and what makes it stop when the gates have closed meanwhile.

use std::{sync::Arc, time::Duration};

use identity::{Recorded, Timestamp};
use smol_str::SmolStr;
use store::{Batch, CommitError, DocKey, Expect, StoreError, Version, Write};

use super::{
    Asker, Core, Credentials, Denied,
    admit::{Admission, ShownApproval},
};
use crate::{
    CONTENTION_TRIES_MAX, Mutation, approval::Approval, budget::Claim, databases::FenceCopy,
    layer::fence_key, rows::LicenceUses, stored,
};

/// How old a decision may be when its write begins; an older one is made again.
pub const PERMIT_AGE_MAX: Duration = Duration::from_secs(5);
/// Steps of a batch that a permit may need for itself.
pub const PERMIT_STEPS_MAX: usize = 80;
/// How long an approval that was used is kept.
const USED_KEPT: Duration = Duration::from_secs(90 * 86_400);

/// The states that the rows must still be in.
#[derive(Debug)]
pub(super) struct Fences {
    pub(super) system: Option<Version>,
    /// The copy of the system's fence that the write expects in place of it, in another database.
    pub(super) copied: Option<(Arc<FenceCopy>, Version)>,
    /// `None` for `t_system`, which has no rows beside the system's.
    pub(super) tenant: Option<Option<Version>>,
}

/// A counted licence that the write uses up by one.
pub(super) struct LicenceClaim {
    pub(super) key: DocKey,
    pub(super) version: Option<Version>,
    pub(super) used: u32,
}

/// All that the write brings along. Empty in shadow mode: then nothing is counted.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) fences: Option<Fences>,
    pub(super) licences: Vec<LicenceClaim>,
    pub(super) approval: Option<ShownApproval>,
    pub(super) payments: Vec<Claim>,
}

/// Proof that a mutation passed the gates: the only way to write it.
///
/// Made by [`GateChain::admit`](crate::GateChain::admit) alone, and used up by
/// [`Permit::commit`]. Dropped instead, it gives back what it reserved.
///
/// ```compile_fail
/// // It cannot be used twice.
/// fn twice<M>(permit: &tenantry_gatechain::Permit<M>) -> tenantry_gatechain::Permit<M>
/// where
///     M: tenantry_gatechain::Mutation,
/// {
///     permit.clone()
/// }
/// ```
#[must_use = "a permit that is dropped writes nothing"]
pub struct Permit<M: Mutation> {
    pub(super) core: Arc<Core>,
    asker: Asker,
    mutation: M,
    credentials: Credentials,
    pub(super) admission: Admission,
}

/// A write that was done.
#[derive(Debug)]
pub struct Committed<M> {
    /// What was written.
    pub mutation: M,
    /// The state that everything in the batch is in now.
    pub version: Version,
    /// Names the decision on the audit log.
    pub decision_id: SmolStr,
    /// Whether the decision is on record.
    pub recorded: Recorded,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitRefused {
    /// The gates have closed meanwhile.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// A document of the write is not in the state that the batch expects; the
    /// first such one. The permit is used up; what it reserved has gone back.
    #[error("the document {} is not in the expected state", .0.id)]
    Conflict(DocKey),
    /// The batch writes into another tenant or environment than the permit is for.
    #[error("a permit of one tenant does not write what is another's")]
    Foreign,
    /// The store failed. After `Unavailable` the write may nevertheless have been done.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<M: Mutation> Permit<M> {
    pub(super) fn new(
        core: Arc<Core>,
        asker: Asker,
        mutation: M,
        credentials: Credentials,
        admission: Admission,
    ) -> Self {
        Self {
            core,
            asker,
            mutation,
            credentials,
            admission,
        }
    }

    /// What may be written.
    #[must_use]
    pub fn mutation(&self) -> &M {
        &self.mutation
    }

    /// Names the decision on the audit log.
    #[must_use]
    pub fn decision_id(&self) -> &str {
        &self.admission.decision.id
    }

    /// Whether the gates refused, and are not enforced yet.
    #[must_use]
    pub fn is_shadowed(&self) -> bool {
        !self.admission.decision.allows()
    }

    /// Asks the gates again if the decision is older than [`PERMIT_AGE_MAX`]: for work that takes long
    /// before it is written, and is to stop when they close.
    ///
    /// # Errors
    /// [`CommitRefused::Denied`]; then the permit is good for nothing but being dropped.
    pub async fn renew(&mut self) -> Result<(), CommitRefused> {
        if self.is_old() {
            self.decide_again().await?;
        }
        Ok(())
    }

    /// Writes `batch`, if the gates still stand as they were; if they changed, they are asked again.
    ///
    /// The batch is committed whole together with what it costs, the licences and the
    /// approval that it uses. It has at most 400 - [`PERMIT_STEPS_MAX`] steps of its own.
    ///
    /// # Errors
    /// [`CommitRefused`]; nothing was written, but for an unavailable store.
    pub async fn commit(mut self, batch: Batch) -> Result<Committed<M>, CommitRefused> {
        self.check_home(&batch)?;
        let version = self.settle(&batch).await?;
        Ok(Committed {
            version,
            recorded: self.admission.recorded().await,
            decision_id: self.admission.decision.id,
            mutation: self.mutation,
        })
    }

    async fn settle(&mut self, batch: &Batch) -> Result<Version, CommitRefused> {
        for _ in 0..CONTENTION_TRIES_MAX {
            if self.is_old() {
                self.decide_again().await?;
            }
            // A decision is on record before what was decided on is done.
            if let Recorded::Degraded { why } = self.admission.recorded().await {
                let decision = self.decision_id();
                tracing::warn!(decision, why, "the record of a decision is degraded");
            }
            if let Some(version) = self.attempt(batch).await? {
                return Ok(version);
            }
            self.core.forget(&self.asker.home);
            self.decide_again().await?;
        }
        let why = "too many concurrent changes of the gates";
        Err(StoreError::Unavailable(why.to_owned()).into())
    }

    /// `None` when something that was decided on has changed.
    async fn attempt(&mut self, batch: &Batch) -> Result<Option<Version>, CommitRefused> {
        let now = self.core.clock.now();
        let whole = self.with_claims(batch, now)?;
        let Some(charged) = self.charge().await? else {
            return Ok(None);
        };
        let outcome = self.core.documents.commit(whole).await;
        let nothing_done = matches!(
            outcome,
            Err(CommitError::Conflict(_) | CommitError::Store(StoreError::Limit(_)))
        );
        if nothing_done {
            self.core.give_back(charged).await;
        }
        let mut claims = std::mem::take(&mut self.admission.claims);
        match outcome {
            Ok(version) => {
                if !claims.licences.is_empty() {
                    // They were used: what is remembered of them is not true any more.
                    self.core.forget(&self.asker.home);
                }
                let payments = claims.payments.drain(..);
                payments.for_each(|claim| claim.settle(version, now));
                Ok(Some(version))
            }
            Err(CommitError::Conflict(key)) => {
                let ours = self.is_ours(&key);
                let copied = claims.fences.and_then(|fences| fences.copied);
                if let Some((copy, version)) = copied.filter(|(copy, _)| copy.key == key) {
                    copy.forget(version);
                }
                for claim in claims.payments.drain(..) {
                    // The others go back to where they were reserved.
                    if claim.key() == Some(&key) {
                        claim.abandon();
                    }
                }
                if ours {
                    Ok(None)
                } else {
                    Err(CommitRefused::Conflict(key))
                }
            }
            // Nothing was done: what was reserved goes back.
            Err(CommitError::Store(error @ StoreError::Limit(_))) => Err(error.into()),
            Err(CommitError::Store(error)) => {
                // It may be that the tenant is in another database now.
                self.core.fresh.forget(&self.asker.home.own);
                claims.payments.drain(..).for_each(Claim::abandon);
                Err(error.into())
            }
        }
    }

    /// The batch, behind what must still hold and with what it uses up.
    fn with_claims(&self, batch: &Batch, now: Timestamp) -> Result<Batch, StoreError> {
        let (claims, home) = (&self.admission.claims, &self.asker.home);
        let mut whole = Batch::new();
        // Ours come first: of several reasons the gates' is told.
        if let Some(fences) = &claims.fences {
            whole = match &fences.copied {
                Some((copy, version)) => whole.expect_version(&copy.key, *version),
                None => expect(whole, &fence_key(&self.core.system_rows), fences.system),
            };
            if let Some(tenant) = fences.tenant {
                whole = expect(whole, &fence_key(&home.rows), tenant);
            }
        }
        // Those that are in another database were used up already.
        for licence in claims
            .licences
            .iter()
            .filter(|licence| !self.is_away(licence))
        {
            let used = licence.used.saturating_add(1);
            whole = expect(whole, &licence.key, licence.version);
            whole = put(whole, &licence.key, &LicenceUses { used }, None)?;
        }
        if let Some(approval) = &claims.approval {
            let used_by = Some(self.admission.decision.id.clone());
            let used = Approval {
                used_by,
                ..approval.value.clone()
            };
            whole = whole.expect_version(&approval.key, approval.version);
            whole = put(whole, &approval.key, &used, Some(now.plus(USED_KEPT)))?;
        }
        for claim in &claims.payments {
            whole = claim.pay(whole).map_err(StoreError::Corrupt)?;
        }
        Ok(appended(whole, batch))
    }

    /// Whether a document belongs to the gates, and not to the write.
    fn is_ours(&self, key: &DocKey) -> bool {
        let home = &self.asker.home;
        let gates = [
            &self.core.system_rows,
            &self.core.copies_at,
            &home.rows,
            &home.budgets,
            &home.approvals,
        ];
        gates.contains(&&key.partition)
    }

    fn check_home(&self, batch: &Batch) -> Result<(), CommitRefused> {
        let prefix = self.asker.home.prefix.as_str();
        let at_home =
            |key: &DocKey| key.partition.as_str().starts_with(prefix) && !self.is_ours(key);
        if batch.writes().iter().all(|(key, _)| at_home(key)) {
            return Ok(());
        }
        tracing::error!("a write under a permit was meant for another place");
        Err(CommitRefused::Foreign)
    }

    fn is_old(&self) -> bool {
        let decided_at = self.admission.decision.at;
        let now = self.core.clock.now();
        now < decided_at || now.since(decided_at) > PERMIT_AGE_MAX
    }

    async fn decide_again(&mut self) -> Result<(), CommitRefused> {
        let mode = self.admission.decision.mode;
        // What was reserved goes back before it is reserved again.
        self.admission.claims = Claims::default();
        let admission = Core::decide(
            &self.core,
            &self.asker,
            &self.mutation,
            &self.credentials,
            mode,
        );
        self.admission = admission.await.map_err(CommitRefused::Denied)?;
        Ok(())
    }
}

pub(super) fn expect(batch: Batch, key: &DocKey, version: Option<Version>) -> Batch {
    match version {
        Some(version) => batch.expect_version(key, version),
        None => batch.expect_absent(key),
    }
}

fn put<T: serde::Serialize>(
    batch: Batch,
    key: &DocKey,
    value: &T,
    ends: Option<Timestamp>,
) -> Result<Batch, StoreError> {
    stored::put(batch, key, value, ends).map_err(StoreError::Corrupt)
}

/// `first`, and then all of `second`.
fn appended(first: Batch, second: &Batch) -> Batch {
    let mut whole = first;
    for (key, expected) in second.expectations() {
        whole = match expected {
            Expect::Absent => whole.expect_absent(key),
            Expect::Version(version) => whole.expect_version(key, *version),
        };
    }
    for (key, write) in second.writes() {
        whole = match write {
            Write::Put {
                value,
                expires_at: None,
            } => whole.put(key, value.clone()),
            Write::Put {
                value,
                expires_at: Some(end),
            } => whole.put_until(key, value.clone(), *end),
            Write::Delete => whole.delete(key),
        };
    }
    whole
}
