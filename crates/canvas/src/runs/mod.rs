//! Runs: an agent carries out a plan on a canvas, on behalf of a user, and a replay of it is kept.
//!
//! Start at [`Runs::start`]. A plan is a list of steps, each a batch of commands that is sent as the
//! batches of clients are: the client is the run, the batch is the number of the step. So a step is
//! carried out once, in the one order of the canvas, and in its chain of hashes.
//!
//! **Invariant:** a run ends. Whoever carries it out says that they are there; when they stop, whoever
//! looks next ends it as [`INTERRUPTED`], and what its steps did stays.
//!
//! **Invariant:** a run does nothing that its user may not do now: access is looked at again every two
//! seconds, the gates before a step when their decision is older than five, and before the replay is kept.

mod places;
mod plan;
mod run;
mod tell;
mod work;

use std::sync::Arc;

use gatechain::Permit;
use identity::{Clock, Guard, Recording, Scope};
use realtime::CanvasKey;
use store::{Batch, CommitError, Documents, Page, PageRequest, Version, Versioned};

pub use plan::{
    Heading, InvalidRunId, Plan, RUN_NAME_BYTES_MAX, RUN_STEPS_MAX, RUN_WAIT_MAX, RunId, RunOf,
    STEP_WAIT_MAX, SentStep,
};
pub use run::{Failed, INTERRUPTED, LEASE, Run};

use crate::{
    CanvasError, CanvasService, Exports,
    stored::{RECEIPT_LIFE, read, write},
};
use places::Places;
use run::{run_key, runs};
use work::Work;

/// How often a change of a record is tried again because others changed it.
const TRIES_MAX: usize = 8;

/// What the runs stand on.
pub struct RunsDeps {
    /// Keeps how far runs are.
    pub documents: Arc<dyn Documents>,
    /// What they change.
    pub canvases: Arc<CanvasService>,
    /// Keeps the replays.
    pub exports: Arc<Exports>,
    /// Knows whether their users may still act.
    pub guard: Arc<Guard>,
    /// Where their steps are recorded.
    pub recording: Recording,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// The runs of all canvases.
pub struct Runs {
    deps: RunsDeps,
    places: Arc<Places>,
}

impl Runs {
    /// Runs over `deps`.
    #[must_use]
    pub fn new(deps: RunsDeps) -> Self {
        Self {
            deps,
            places: Arc::default(),
        }
    }

    /// Begins a run, or finds it again when it was begun before; the flag says whether it is new.
    ///
    /// It goes on in a task of its own, which ends with it. What would be refused of its first step
    /// now is refused here, and then there is no run.
    ///
    /// # Errors
    /// [`CanvasError::IdempotencyConflict`] when the id stands for another run, [`CanvasError::Busy`], and
    /// as for [`CanvasService::submit`].
    pub async fn start(
        self: &Arc<Self>,
        scope: Scope,
        permit: Permit<RunOf>,
    ) -> Result<(Run, bool), CanvasError> {
        let RunOf { key, plan, .. } = permit.mutation().clone();
        if let Some(known) = self.find(&key, &plan.heading.run_id).await? {
            return again(known, &scope, &plan);
        }
        let place = self.places.take(scope.tenant()).ok_or(CanvasError::Busy)?;
        let first = plan.steps.first().ok_or(CanvasError::NotFound)?;
        self.deps.canvases.foresee(&key, &first.batch).await?;
        let run = Run::begin(&scope, &plan, self.deps.clock.now());
        let name = run_key(&key, &run.run_id);
        let batch = Batch::new().expect_absent(&name);
        let batch = batch.put_until(&name, write(&run)?, run.created_at.plus(RECEIPT_LIFE));
        let version = match self.deps.documents.commit(batch).await {
            Ok(version) => version,
            Err(CommitError::Conflict(_)) => {
                let known = self.find(&key, &run.run_id).await?;
                return again(known.ok_or(CanvasError::Contended)?, &scope, &plan);
            }
            Err(CommitError::Store(error)) => return Err(error.into()),
        };
        self.tell(&key, &run).await;
        let work = Work::new(Arc::clone(self), scope, permit, run.clone(), version, place);
        tokio::spawn(work.carry_out());
        Ok((run, true))
    }

    /// A run, if there is one.
    ///
    /// # Errors
    /// [`CanvasError::Store`].
    pub async fn find(&self, key: &CanvasKey, id: &RunId) -> Result<Option<Run>, CanvasError> {
        match self.read(key, id).await? {
            Some(found) => Ok(Some(self.settled(key, found).await?)),
            None => Ok(None),
        }
    }

    /// The runs of a canvas, by their ids.
    ///
    /// # Errors
    /// [`CanvasError::Store`].
    pub async fn list(
        &self,
        key: &CanvasKey,
        page: &PageRequest,
    ) -> Result<Page<Run>, CanvasError> {
        let prefix = runs(key);
        let documents = &*self.deps.documents;
        let mut page = page
            .read_prefixed(documents, &prefix.partition, &prefix.id)
            .await?;
        let mut settled = Vec::with_capacity(page.items.len());
        for document in &page.items {
            let found = Versioned {
                value: read(document)?,
                version: document.version,
            };
            settled.push(self.settled(key, found).await?);
        }
        let mut settled = settled.into_iter();
        page.items.truncate(settled.len());
        page.try_map(|document| {
            settled
                .next()
                .ok_or_else(|| CanvasError::damaged(document.id))
        })
    }

    /// Calls a run off: it ends before its next step, or stays as it ended.
    ///
    /// # Errors
    /// [`CanvasError::NotFound`], [`CanvasError::Contended`], [`CanvasError::Store`].
    pub async fn cancel(&self, key: &CanvasKey, id: &RunId) -> Result<Run, CanvasError> {
        for _ in 0..TRIES_MAX {
            let found = self.read(key, id).await?.ok_or(CanvasError::NotFound)?;
            let run = self.settled(key, found.clone()).await?;
            if run.status.is_final() || run.cancel_requested {
                return Ok(run);
            }
            let called_off = Run {
                cancel_requested: true,
                ..run
            };
            if let Some(_version) = self.put(key, &called_off, found.version).await? {
                return Ok(called_off);
            }
        }
        Err(CanvasError::Contended)
    }

    async fn read(
        &self,
        key: &CanvasKey,
        id: &RunId,
    ) -> Result<Option<Versioned<Run>>, CanvasError> {
        let found = self.deps.documents.get(&run_key(key, id)).await?;
        let found = found.map(|document| {
            Ok(Versioned {
                value: read(&document)?,
                version: document.version,
            })
        });
        found.transpose()
    }

    /// The run, which is ended here if whoever carried it out has stopped.
    async fn settled(&self, key: &CanvasKey, found: Versioned<Run>) -> Result<Run, CanvasError> {
        let Versioned { mut value, version } = found;
        let now = self.deps.clock.now();
        if !value.is_abandoned(now) {
            return Ok(value);
        }
        value.give_up(now);
        match self.put(key, &value, version).await? {
            Some(_) => {
                tracing::warn!(run = %value.run_id, "a run was abandoned");
                self.tell(key, &value).await;
                Ok(value)
            }
            // Someone else looked, or it goes on after all.
            None => {
                let found = self.read(key, &value.run_id).await?;
                Ok(found.ok_or(CanvasError::NotFound)?.value)
            }
        }
    }

    /// Stores a run that was read in this version; `None` when it was changed meanwhile.
    async fn put(
        &self,
        key: &CanvasKey,
        run: &Run,
        version: Version,
    ) -> Result<Option<Version>, CanvasError> {
        let name = run_key(key, &run.run_id);
        let batch = Batch::new().expect_version(&name, version);
        let batch = batch.put_until(&name, write(run)?, run.created_at.plus(RECEIPT_LIFE));
        match self.deps.documents.commit(batch).await {
            Ok(version) => Ok(Some(version)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// The run as it is, for who asks for it again.
fn again(known: Run, scope: &Scope, plan: &Plan) -> Result<(Run, bool), CanvasError> {
    if known.is_of(scope, plan) {
        return Ok((known, false));
    }
    Err(CanvasError::IdempotencyConflict)
}
