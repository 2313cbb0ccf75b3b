//! Changes that are carried out together: each on the state that the one before it left, all made
//! durable in one batch of the store, with one write of the head.
//!
//! Each has its own revision, receipt and answer. What is refused is refused alone; since that may
//! depend on changes before it in the group, it is told when those are durable.
//!
//! **Invariant:** nobody is told of a revision before it is durable.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::join_all;
use realtime::CanvasKey;
use store::{CommitError, StoreError};
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};
use tracing::Instrument as _;

use super::{
    CanvasService,
    commit::Draft,
    decide::REBASE_MAX,
    hot::{Current, Hot},
    lane::{Answer, Asked, Shift, Waiting},
    stage::Stage,
    submit::heard,
};
use crate::{
    CanvasError,
    model::Digest,
    stored::{Receipt, receipt_key},
};

/// Changes of a group, at most.
const MEMBERS_MAX: usize = 96;
/// How often a group is tried again because another node was faster.
const TRIES_MAX: usize = 12;
/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(500);

type Verdict = Result<Answer, CanvasError>;

/// Verdicts on the first of those who wait.
struct Decided {
    stage: Stage,
    verdicts: Vec<Verdict>,
    /// The first so many do not depend on what is staged.
    settled: usize,
}

/// What became of a try.
struct Tried {
    /// Other nodes changed the canvas, too, since this one did.
    is_shared: bool,
    /// Another node was faster: so many were ready, and wait still. Others were answered.
    lost: usize,
}

impl CanvasService {
    /// Carries out the changes of a canvas that wait, and those that come meanwhile.
    pub(super) async fn empty(self, key: CanvasKey, mut shift: Shift) {
        let mut members = VecDeque::new();
        loop {
            shift.fill(&mut members, MEMBERS_MAX);
            if members.is_empty() && !shift.goes_on() {
                return;
            }
            self.carry_out(&key, &shift, &mut members).await;
        }
    }

    /// Carries out a group; again while other nodes are faster.
    async fn carry_out(&self, key: &CanvasKey, shift: &Shift, members: &mut VecDeque<Waiting>) {
        if let Some(until) = shift.hot().gives_way() {
            sleep_until(until).await;
        }
        let mut lost = 0;
        for tries in 0..TRIES_MAX {
            shift.fill(members, MEMBERS_MAX);
            let Some(first) = members.front() else { return };
            let (span, began) = (first.span.clone(), Instant::now());
            let tried = self.attempt(key, shift, members).instrument(span).await;
            if tried.lost == 0 {
                // Who has won lets others go first.
                if tried.is_shared {
                    shift.hot().give_way(self.pause(began));
                }
                return;
            }
            lost = tried.lost;
            // Who has lost for the first time does not wait.
            if tries > 0 {
                sleep_until(self.pause(began)).await;
            }
        }
        for member in members.drain(..lost.min(members.len())) {
            member.answer(Err(CanvasError::Contended));
        }
    }

    /// The end of a pause by chance, at most as long as what began then took.
    fn pause(&self, began: Instant) -> Instant {
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        let part = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        let now = Instant::now();
        now + (now - began).min(PAUSE_MAX).mul_f64(part)
    }

    async fn attempt(
        &self,
        key: &CanvasKey,
        shift: &Shift,
        members: &mut VecDeque<Waiting>,
    ) -> Tried {
        let hot = shift.hot();
        let _turn = hot.turn.lock().await;
        let known = hot.current().map(|known| known.version);
        let current = match self.fresh(key, hot).await {
            Ok(current) => current,
            Err(error) => {
                fail(members, usize::MAX, &error);
                return Tried {
                    is_shared: false,
                    lost: 0,
                };
            }
        };
        // Who came meanwhile goes with them.
        shift.fill(members, MEMBERS_MAX);
        let decided = self.decide_on(key, hot, &current, members).await;
        Tried {
            is_shared: known.is_some_and(|known| known != current.version),
            lost: self.make_durable(key, hot, members, decided).await,
        }
    }

    async fn decide_on(
        &self,
        key: &CanvasKey,
        hot: &Hot,
        current: &Arc<Current>,
        members: &VecDeque<Waiting>,
    ) -> Decided {
        let receipts = members
            .iter()
            .map(|member| self.receipt(&member.author.user, key, member.asked.identity()));
        let receipts = join_all(receipts).await;
        let was_due = self.snapshot_is_due(&current.head);
        let mut decided = Decided {
            stage: Stage::on(key, current),
            verdicts: Vec::with_capacity(members.len()),
            settled: 0,
        };
        let asked = members.iter().zip(&receipts);
        let new = asked.filter(|(_, receipt)| matches!(receipt, Ok(None)));
        let bases = new.filter_map(|(member, _)| member.asked.base_rev());
        // The oldest that can be put over what was missed; if that cannot be read, each tries itself.
        let near =
            bases.filter(|base| *base < current.head.rev && base + REBASE_MAX >= current.head.rev);
        if let Some(base) = near.min()
            && let Ok(Some(missed)) = self.missed(key, current, &[], base).await
        {
            decided.stage.know(missed);
        }
        for (member, receipt) in members.iter().zip(receipts) {
            if !decided.verdicts.is_empty() {
                // A group takes its time; others have theirs in between.
                yield_now().await;
            }
            let stage = &mut decided.stage;
            let answer = match receipt {
                Ok(receipt) => self.answer_to(key, hot, stage, member, receipt).await,
                Err(error) => Err(error),
            };
            let Some(verdict) = answer.transpose() else {
                break;
            };
            decided.verdicts.push(verdict);
            if stage.is_empty() {
                decided.settled += 1;
            }
            // Snapshots are no further apart for that.
            if stage.is_full() || (!was_due && self.snapshot_is_due(stage.head())) {
                break;
            }
        }
        decided
    }

    /// What is to be answered to a member; `None` when it has to wait for what is staged.
    async fn answer_to(
        &self,
        key: &CanvasKey,
        hot: &Hot,
        stage: &mut Stage,
        member: &Waiting,
        receipt: Option<Receipt>,
    ) -> Result<Option<Answer>, CanvasError> {
        let Waiting { author, asked, .. } = member;
        if let Some(receipt) = receipt {
            same(&receipt.fingerprint, asked)?;
            return Ok(Some(Answer::Before(receipt)));
        }
        let name = receipt_key(key, &author.user, asked.identity());
        if let Some((fingerprint, applied)) = stage.done_before(&name) {
            same(&fingerprint, asked)?;
            return Ok(Some(Answer::Applied(applied)));
        }
        match heard(hot, stage.head()) {
            Err(_) if !stage.is_empty() => return Ok(None),
            heard => heard?,
        }
        let draft = match asked {
            Asked::Commands(batch) => {
                let decided = self.decide(key, stage.current(), stage.last(), batch);
                match decided.await? {
                    Ok(next) => Draft::of_commands(batch, next),
                    Err(away) => return Ok(Some(Answer::Away(away))),
                }
            }
            Asked::Undo(undoing) => {
                if stage.holds(&receipt_key(key, &author.user, &undoing.target())) {
                    return Ok(None);
                }
                self.draft_undo(key, &author.user, stage.current(), undoing)
                    .await?
            }
            Asked::Restore(_) if !stage.is_empty() => return Ok(None),
            Asked::Restore(restore) => self.draft_restore(key, stage.current(), restore).await?,
        };
        let applied = stage.add(author, name, draft, self.clock.now())?;
        Ok(applied.map(Answer::Applied))
    }

    /// Commits what is staged and answers everybody on whom was decided; if another node was faster,
    /// those alone who do not depend on it, and says how many others there are.
    async fn make_durable(
        &self,
        key: &CanvasKey,
        hot: &Arc<Hot>,
        members: &mut VecDeque<Waiting>,
        decided: Decided,
    ) -> usize {
        let Decided {
            stage,
            mut verdicts,
            settled,
        } = decided;
        let staged = verdicts.split_off(settled);
        answer(members, verdicts);
        if stage.is_empty() {
            return 0;
        }
        let count = staged.len();
        let (batch, mut next) = match stage.finish(&hot.telling) {
            Ok(finished) => finished,
            Err(error) => {
                fail(members, count, &error);
                return 0;
            }
        };
        match self.documents.commit(batch).await {
            Ok(version) => {
                next.version = Some(version);
                next.stored_floor = next.head.floor;
                // Known before it is told: who tells finds it here.
                hot.set(&Arc::new(next.clone()));
                self.teller.wake(key, hot);
                answer(members, staged);
                self.tidy(key, hot, next).await;
                0
            }
            Err(CommitError::Conflict(_)) => count,
            Err(CommitError::Store(error)) => {
                // It may have been applied all the same.
                hot.forget();
                fail(members, count, &error.into());
                0
            }
        }
    }

    /// Makes a snapshot if one is due, and lets go of old commits then.
    async fn tidy(&self, key: &CanvasKey, hot: &Hot, mut next: Current) {
        if !self.snapshot_if_due(key, &mut next).await {
            return;
        }
        // Nothing is let go of before it was told.
        if self.teller.told(key, hot).await {
            self.compact(key, &mut next).await;
        }
        hot.set(&Arc::new(next));
    }
}

/// # Errors
/// [`CanvasError::IdempotencyConflict`] when the name of a change stands for another.
fn same(known: &Digest, asked: &Asked) -> Result<(), CanvasError> {
    if *known == asked.fingerprint() {
        return Ok(());
    }
    Err(CanvasError::IdempotencyConflict)
}

/// Answers the first of those who wait.
fn answer(members: &mut VecDeque<Waiting>, verdicts: Vec<Verdict>) {
    let first = members.drain(..verdicts.len().min(members.len()));
    for (member, verdict) in first.zip(verdicts) {
        member.answer(verdict);
    }
}

/// Tells the first `count` of those who wait that nothing came of it, for the same reason.
fn fail(members: &mut VecDeque<Waiting>, count: usize, error: &CanvasError) {
    for member in members.drain(..count.min(members.len())) {
        let error = match error {
            CanvasError::Store(error) => error.clone(),
            other => StoreError::Unavailable(other.to_string()),
        };
        member.answer(Err(error.into()));
    }
}
