//! Carrying a run out, in a task of its own.

use std::{sync::Arc, time::Duration};

use gatechain::Permit;
use identity::{Action, Problem, Scope, Timestamp};
use nexus::RunStatus;
use realtime::RealtimeError;
use store::{StoreError, Version};
use tokio::time::sleep;

use super::{Failed, LEASE, Run, RunOf, Runs, TRIES_MAX, places::Place, plan::Plan};
use crate::{Applied, CanvasError, CommandBatch, ReplayRange, RunAgent, exports::AboutRun};

/// How often a run that waits looks around.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked whether its user may still act.
const RECHECK_EVERY: Duration = Duration::from_secs(2);
/// How often its progress is stored.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// How often a step is sent again that was not carried out for want of a rate or of the store.
const SENT_MAX: usize = 20;
/// Longest wait between two of those.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Why a run does not go on.
enum Stop {
    /// It was called off.
    Cancelled,
    /// Someone else has ended it.
    Lost,
    /// A step was refused; what was done is kept.
    Failed(Box<Failed>),
    /// Its user may not go on, or the gates have closed; nothing is kept.
    Barred(Box<Failed>),
}

/// A run, and what it goes on with.
pub(super) struct Work {
    runs: Arc<Runs>,
    scope: Scope,
    permit: Permit<RunOf>,
    run: Run,
    /// Of the record as it was last seen.
    version: Version,
    rechecked: Timestamp,
    stored: Timestamp,
    _place: Place,
}

impl Work {
    pub(super) fn new(
        runs: Arc<Runs>,
        scope: Scope,
        permit: Permit<RunOf>,
        run: Run,
        version: Version,
        place: Place,
    ) -> Self {
        Self {
            runs,
            scope,
            permit,
            version,
            rechecked: run.created_at,
            stored: run.created_at,
            run,
            _place: place,
        }
    }

    /// Takes the steps, keeps the replay of what they did, and says how it ended.
    pub(super) async fn carry_out(mut self) {
        let plan = Arc::clone(&self.permit.mutation().plan);
        let (status, error, keeps) = match self.take_steps(&plan).await {
            Ok(()) => (RunStatus::Succeeded, None, true),
            Err(Stop::Cancelled) => (RunStatus::Cancelled, None, true),
            Err(Stop::Failed(error)) => (RunStatus::Failed, Some(*error), true),
            Err(Stop::Barred(error)) => (RunStatus::Failed, Some(*error), false),
            Err(Stop::Lost) => return,
        };
        if keeps && !self.run.revs.is_empty() {
            self.keep(status, error).await;
        } else {
            let Self {
                runs,
                scope,
                permit,
                run,
                version,
                ..
            } = self;
            let key = permit.mutation().key.clone();
            drop(permit);
            runs.finish(&scope, &key, run, version, status, error).await;
        }
    }

    async fn take_steps(&mut self, plan: &Plan) -> Result<(), Stop> {
        let heading = &plan.heading;
        let (mut base, mut epoch) = (heading.base_rev, heading.epoch);
        for step in &plan.steps {
            self.wait(step.after).await?;
            self.look_around().await?;
            let asked = self.permit.renew().await;
            asked.map_err(|refused| self.barred(&CanvasError::Artifact(refused.into()).into()))?;
            let batch = step.batch.by(&heading.agent, base, epoch);
            let applied = self.send(&batch).await?;
            (base, epoch) = (applied.rev, Some(applied.epoch));
            self.run.revs.push(applied.rev);
        }
        Ok(())
    }

    /// Sends a step until it is answered.
    async fn send(&mut self, batch: &CommandBatch) -> Result<Applied, Stop> {
        let key = self.permit.mutation().key.clone();
        let mut sent = 0;
        loop {
            sent += 1;
            let answer = self
                .runs
                .deps
                .canvases
                .submit(&self.scope, &key, batch)
                .await;
            let error = match answer {
                Ok(applied) => {
                    let (runs, scope) = (&self.runs, &self.scope);
                    runs.record_step(scope, &key, &self.run, Ok(&applied)).await;
                    return Ok(applied);
                }
                Err(error) => error,
            };
            match retry_after(&error) {
                Some(wait) if sent < SENT_MAX => self.wait(wait.min(RETRY_MAX)).await?,
                _ => {
                    let (runs, scope) = (&self.runs, &self.scope);
                    let (failed, code) = Failed::at(self.run.next_step(), error, scope.ids());
                    runs.record_step(scope, &key, &self.run, Err(code)).await;
                    return Err(Stop::Failed(Box::new(failed)));
                }
            }
        }
    }

    /// Waits, and looks around meanwhile.
    async fn wait(&mut self, mut left: Duration) -> Result<(), Stop> {
        while !left.is_zero() {
            let part = left.min(LOOK_EVERY);
            sleep(part).await;
            left -= part;
            if !left.is_zero() {
                self.look_around().await?;
            }
        }
        Ok(())
    }

    /// Whether the run was called off or ended by others, and its user may still act; says that it goes on.
    async fn look_around(&mut self) -> Result<(), Stop> {
        let key = &self.permit.mutation().key;
        let found = self.runs.read(key, &self.run.run_id).await;
        let found = found.map_err(|error| self.failed(error))?;
        let found = found.filter(|found| !found.value.status.is_final());
        let found = found.ok_or(Stop::Lost)?;
        self.version = found.version;
        if found.value.cancel_requested {
            self.run.cancel_requested = true;
            return Err(Stop::Cancelled);
        }
        let now = self.runs.deps.clock.now();
        if now.since(self.rechecked) >= RECHECK_EVERY {
            let checked = self
                .runs
                .deps
                .guard
                .recheck(&self.scope, RunAgent::ROLE)
                .await;
            checked.map_err(|refusal| self.barred(&refusal.into()))?;
            self.rechecked = now;
        }
        if now.since(self.stored) >= STORE_EVERY {
            self.run.alive_until = now.plus(LEASE);
            let put = self.runs.put(key, &self.run, self.version).await;
            // If it was changed meanwhile, the next look shows how.
            if let Some(version) = put.map_err(|error| self.failed(error))? {
                self.version = version;
                self.stored = now;
            }
        }
        Ok(())
    }

    fn failed(&self, error: CanvasError) -> Stop {
        let (failed, _) = Failed::at(self.run.next_step(), error, self.scope.ids());
        Stop::Failed(Box::new(failed))
    }

    fn barred(&self, problem: &Problem) -> Stop {
        let failed = Failed::of(self.run.next_step(), problem, self.scope.ids());
        Stop::Barred(Box::new(failed))
    }

    /// Keeps the replay of what was done, and ends the run.
    async fn keep(self, status: RunStatus, error: Option<Failed>) {
        let Self {
            runs,
            scope,
            permit,
            mut run,
            version,
            ..
        } = self;
        let key = permit.mutation().key.clone();
        // Making a replay takes its time, and others may be made first.
        run.alive_until = runs.deps.clock.now().plus(LEASE);
        let version = match runs.put(&key, &run, version).await {
            Ok(Some(version)) => version,
            _ => version,
        };
        let range = ReplayRange {
            from_rev: run.revs.first().map(|first| first - 1),
            to_rev: run.revs.last().copied(),
        };
        let about = AboutRun {
            run_id: &run.run_id,
            agent: &run.agent,
        };
        let kept = runs
            .deps
            .exports
            .keep_replay_of(&scope, permit, &key, range, &about)
            .await;
        let (status, error) = match kept {
            Ok(asset) => {
                run.asset_id = Some(asset.id);
                (status, error)
            }
            // What it did is done, and what it was to give is not there.
            Err(why) if status == RunStatus::Succeeded => {
                let (failed, _) = Failed::at(None, why, scope.ids());
                (RunStatus::Failed, Some(failed))
            }
            Err(why) => {
                tracing::warn!(error = %why, run = %run.run_id, "no replay of a run was kept");
                (status, error)
            }
        };
        runs.finish(&scope, &key, run, version, status, error).await;
    }
}

impl Runs {
    /// Stores how a run ended, tells of it and records it.
    async fn finish(
        &self,
        scope: &Scope,
        key: &realtime::CanvasKey,
        mut run: Run,
        mut version: Version,
        status: RunStatus,
        error: Option<Failed>,
    ) {
        run.end(status, error, self.deps.clock.now());
        for _ in 0..TRIES_MAX {
            match self.put(key, &run, version).await {
                Ok(Some(_)) => {
                    self.tell(key, &run).await;
                    return self.record_end(scope, key, &run).await;
                }
                // It was called off after its last step, or was held for abandoned.
                Ok(None) => match self.read(key, &run.run_id).await {
                    Ok(Some(found)) if !found.value.status.is_final() => {
                        run.cancel_requested = found.value.cancel_requested;
                        version = found.version;
                    }
                    _ => break,
                },
                Err(error) => {
                    tracing::warn!(%error, run = %run.run_id, "the end of a run waits to be stored");
                    sleep(LOOK_EVERY).await;
                }
            }
        }
        // Whoever looks next finds that nobody carries it out.
        tracing::error!(run = %run.run_id, "the end of a run was not stored");
    }
}

/// When to send a step again that was not carried out; `None` when that would be in vain.
fn retry_after(error: &CanvasError) -> Option<Duration> {
    match error {
        CanvasError::Realtime(RealtimeError::Throttled(exhausted)) => {
            Some(exhausted.verdict.retry_after.max(LOOK_EVERY))
        }
        CanvasError::Contended
        | CanvasError::Crowded
        | CanvasError::Store(StoreError::Unavailable(_))
        | CanvasError::Realtime(RealtimeError::Store(StoreError::Unavailable(_))) => {
            Some(LOOK_EVERY)
        }
        _ => None,
    }
}
