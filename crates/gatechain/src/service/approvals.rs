//! Approvals are asked for, given, and refused.

use identity::{Scope, Timestamp, UserId};
use std::time::Duration;
use store::{Batch, DocKey, PageRequest, StoreError, Version};

use super::{Core, GateChain};
use crate::{
    Approval, ApprovalId, ApprovalRefused, ApprovalRequest, GateError, error::settled,
    id::random_id, pattern::covers, stored,
};

/// How long an approval is kept after it expired.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

impl GateChain {
    /// Asks for an approval, in the scope's user's name.
    ///
    /// How many must approve and for how long it holds is said by the locks that cover
    /// the action now; the locks that cover it when it is used count again.
    ///
    /// # Errors
    /// [`GateError::Invalid`], [`GateError::Unavailable`].
    pub async fn request_approval(
        &self,
        scope: &Scope,
        request: ApprovalRequest,
    ) -> Result<(ApprovalId, Approval), GateError> {
        request.check()?;
        let core = &self.core;
        let home = core.home(scope);
        let layers = core.layers(&home).await?;
        let target = request.target.as_ref().map(crate::TargetName::as_str);
        let rules = layers.snapshot().layers().flat_map(|(_, layer)| {
            let covering = layer.rows.strategy_locks().filter(|held| {
                let only = held.row.target.as_ref();
                covers(&held.row.action, only, &request.action, target)
            });
            covering.filter_map(|held| held.row.approval)
        });
        let rules: Vec<_> = rules.collect();
        let id = random_id(ApprovalId::PREFIX, &*core.entropy);
        let approval = Approval::requested(request, scope.user(), rules, core.clock.now());
        let key = DocKey::new(&home.approvals, id.as_str());
        let batch = Batch::new().expect_absent(&key);
        core.keep(batch, &key, &approval)
            .await?
            .ok_or_else(GateError::contended)?;
        let id = ApprovalId::parse(&id);
        let id = id.ok_or_else(|| GateError::Internal("an id that is none".to_owned()))?;
        Ok((id, approval))
    }

    /// One approval of the scope's tenant and environment.
    ///
    /// # Errors
    /// [`GateError::Unavailable`]; [`GateError::Internal`] when it is damaged.
    pub async fn approval(
        &self,
        scope: &Scope,
        id: &ApprovalId,
    ) -> Result<Option<Approval>, GateError> {
        let shown = self.core.shown(&self.core.home(scope), id).await?;
        Ok(shown.map(|shown| shown.value))
    }

    /// One page of the approvals of the scope's tenant and environment; damaged ones are left out.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    pub async fn approvals(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<store::Page<Option<(ApprovalId, Approval)>>, GateError> {
        let home = self.core.home(scope);
        let page = page.read(&*self.core.documents, &home.approvals).await?;
        page.try_map(|document| {
            let key = DocKey::new(&home.approvals, document.id.as_str());
            let value = stored::open(&key, &document.value).ok();
            Ok(ApprovalId::parse(&document.id).zip(value))
        })
    }

    /// Approves, in the scope's user's name.
    ///
    /// # Errors
    /// [`GateError::NotFound`], [`GateError::Approval`], [`GateError::Unavailable`].
    pub async fn approve(&self, scope: &Scope, id: &ApprovalId) -> Result<Approval, GateError> {
        self.core.say(scope, id, Approval::approve).await
    }

    /// Rejects, in the scope's user's name; that is final.
    ///
    /// # Errors
    /// As [`GateChain::approve`].
    pub async fn reject(&self, scope: &Scope, id: &ApprovalId) -> Result<Approval, GateError> {
        self.core.say(scope, id, Approval::reject).await
    }

    /// The time, by which an approval's state is told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }
}

type Say = fn(Approval, &UserId, Timestamp) -> Result<Approval, ApprovalRefused>;

impl Core {
    async fn say(&self, scope: &Scope, id: &ApprovalId, say: Say) -> Result<Approval, GateError> {
        let home = self.home(scope);
        for _ in 0..crate::CONTENTION_TRIES_MAX {
            let shown = self.shown(&home, id).await?;
            let shown = shown.ok_or(GateError::NotFound)?;
            let after = say(shown.value, scope.user(), self.clock.now())?;
            let batch = Batch::new().expect_version(&shown.key, shown.version);
            if self.keep(batch, &shown.key, &after).await?.is_some() {
                return Ok(after);
            }
        }
        Err(GateError::contended())
    }

    async fn keep(
        &self,
        batch: Batch,
        key: &DocKey,
        approval: &Approval,
    ) -> Result<Option<Version>, GateError> {
        let ends = Some(approval.expires_at.plus(KEPT));
        let batch = stored::put(batch, key, approval, ends).map_err(StoreError::Corrupt)?;
        settled(self.documents.commit(batch).await)
    }
}
