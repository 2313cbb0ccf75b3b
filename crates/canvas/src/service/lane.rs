//! Changes that wait for their canvas: a bounded line, and one task that empties it.
//!
//! **Invariant:** a canvas has a line while a task empties it, and no longer; that task takes changes
//! in the order in which they came.

use std::{collections::VecDeque, sync::Arc};

use identity::{RequestIds, Scope, UserId};
use parking_lot::Mutex;
use store::StoreError;
use tokio::sync::oneshot;
use tracing::Span;

use super::{Applied, Restore, Undoing, decide::Away, hot::Hot};
use crate::{CanvasError, CommandBatch, Identity, model::Digest, stored::Receipt};

/// Changes that wait for one canvas, at most, beside those that are being carried out.
pub(super) const WAITING_MAX: usize = 512;
/// Bytes of what was sent with them, about.
pub(super) const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A change that somebody wants.
#[derive(Debug)]
pub(super) enum Asked {
    Commands(CommandBatch),
    Undo(Undoing),
    Restore(Restore),
}

impl Asked {
    /// What it is known by.
    pub(super) fn identity(&self) -> &Identity {
        match self {
            Self::Commands(batch) => &batch.identity,
            Self::Undo(undoing) => &undoing.identity,
            Self::Restore(restore) => &restore.identity,
        }
    }

    /// What it is, so that another of the same name is told from it.
    pub(super) fn fingerprint(&self) -> Digest {
        match self {
            Self::Commands(batch) => batch.fingerprint,
            Self::Undo(undoing) => undoing.fingerprint(),
            Self::Restore(restore) => restore.fingerprint(),
        }
    }

    /// The revision that it was made for, if it is for one.
    pub(super) fn base_rev(&self) -> Option<u64> {
        match self {
            Self::Commands(batch) => Some(batch.base_rev),
            Self::Undo(_) | Self::Restore(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Commands(batch) => batch.bytes,
            Self::Undo(_) | Self::Restore(_) => 0,
        }
    }
}

/// Who wants it, and in which request.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) user: UserId,
    pub(super) ids: RequestIds,
}

impl Author {
    pub(super) fn of(scope: &Scope) -> Self {
        Self {
            user: scope.user().clone(),
            ids: scope.ids().clone(),
        }
    }
}

/// What became of a change.
#[derive(Debug)]
pub(super) enum Answer {
    Applied(Applied),
    /// It was carried out when it was sent before.
    Before(Receipt),
    /// Its client is not where the canvas is.
    Away(Away),
}

/// A change in the line.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) author: Author,
    pub(super) asked: Asked,
    /// Of the request, so that what is done for it is in its trace.
    pub(super) span: Span,
    answer: oneshot::Sender<Result<Answer, CanvasError>>,
}

/// What comes of it, if it comes.
pub(super) type Promise = oneshot::Receiver<Result<Answer, CanvasError>>;

impl Waiting {
    pub(super) fn new(author: Author, asked: Asked) -> (Self, Promise) {
        let (answer, promise) = oneshot::channel();
        let waiting = Self {
            author,
            asked,
            span: Span::current(),
            answer,
        };
        (waiting, promise)
    }

    /// Nobody waits for the answer any more.
    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    pub(super) fn answer(self, answer: Result<Answer, CanvasError>) {
        // Who has gone asks again, if it matters.
        let _ = self.answer.send(answer);
    }
}

/// Those who wait for one canvas; `None` while nobody empties it.
#[derive(Debug, Default)]
pub(super) struct Lane(Mutex<Option<Line>>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Line {
    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < WAITING_MAX && self.bytes + bytes <= WAITING_BYTES_MAX
    }

    fn drop_gone(&mut self) {
        self.waiting.retain(|waiting| !waiting.is_gone());
        self.bytes = self.waiting.iter().map(|one| one.asked.bytes()).sum();
    }
}

/// The right to empty the line of a canvas; there is one at a time.
///
/// When it is dropped before the line is empty, whoever waits there is answered that it failed.
pub(super) struct Shift {
    hot: Arc<Hot>,
    is_over: bool,
}

impl Shift {
    /// Puts a change at the end of the line. Gives the right to empty it, if nobody has it.
    ///
    /// # Errors
    /// [`CanvasError::Crowded`] when as many wait as may.
    pub(super) fn join(hot: &Arc<Hot>, waiting: Waiting) -> Result<Option<Self>, CanvasError> {
        let mut line = hot.lane.0.lock();
        let is_first = line.is_none();
        let line = line.get_or_insert_default();
        let bytes = waiting.asked.bytes();
        if !line.has_room(bytes) {
            line.drop_gone();
        }
        if !line.has_room(bytes) {
            return Err(CanvasError::Crowded);
        }
        line.bytes += bytes;
        line.waiting.push_back(waiting);
        Ok(is_first.then(|| Self {
            hot: Arc::clone(hot),
            is_over: false,
        }))
    }

    pub(super) fn hot(&self) -> &Arc<Hot> {
        &self.hot
    }

    /// Lets in who waits for the longest time, until there are `many`; who has gone is left out.
    pub(super) fn fill(&self, members: &mut VecDeque<Waiting>, many: usize) {
        members.retain(|member| !member.is_gone());
        let mut line = self.hot.lane.0.lock();
        let Some(line) = line.as_mut() else { return };
        while members.len() < many {
            let Some(next) = line.waiting.pop_front() else {
                break;
            };
            line.bytes = line.bytes.saturating_sub(next.asked.bytes());
            if !next.is_gone() {
                members.push_back(next);
            }
        }
    }

    /// Whether somebody waits; if nobody does, the line is gone and the shift is over.
    pub(super) fn goes_on(&mut self) -> bool {
        let mut line = self.hot.lane.0.lock();
        if line.as_ref().is_some_and(|line| !line.waiting.is_empty()) {
            return true;
        }
        *line = None;
        self.is_over = true;
        false
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        if !self.is_over {
            *self.hot.lane.0.lock() = None;
        }
    }
}

/// What came of a change.
///
/// # Errors
/// What was answered; [`CanvasError::Store`] when nobody answers any more.
pub(super) async fn kept(promise: Promise) -> Result<Answer, CanvasError> {
    let lost = |_| StoreError::Unavailable("the change was not carried through".to_owned());
    promise.await.map_err(lost)?
}

#[cfg(test)]
mod tests {
    use identity::Entropy;

    use super::*;

    struct Same;

    impl Entropy for Same {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    fn waiting() -> (Waiting, Promise) {
        let author = Author {
            user: "u_1".parse().unwrap(),
            ids: RequestIds::from_headers(None, None, &Same),
        };
        let restore = Restore {
            identity: Identity {
                client_id: "c1".parse().unwrap(),
                batch_id: "b1".parse().unwrap(),
            },
            rev: 1,
        };
        Waiting::new(author, Asked::Restore(restore))
    }

    #[test]
    fn a_line_is_there_while_it_is_emptied_and_no_longer() {
        let hot = Arc::new(Hot::default());
        let (first, _kept) = waiting();
        let mut shift = Shift::join(&hot, first).unwrap().unwrap();
        let (second, gone) = waiting();
        assert!(
            Shift::join(&hot, second).unwrap().is_none(),
            "one empties it"
        );
        drop(gone);
        let mut members = VecDeque::new();
        assert!(shift.goes_on());
        shift.fill(&mut members, 96);
        assert_eq!(members.len(), 1, "who has gone is left out");
        assert!(!shift.goes_on() && hot.lane.0.lock().is_none());
        // The next shift is not ended by the end of this one.
        let (third, _kept) = waiting();
        let mut next = Shift::join(&hot, third).unwrap().unwrap();
        drop(shift);
        assert!(next.goes_on());
    }

    #[tokio::test]
    async fn who_waits_is_told_when_nobody_empties_the_line_any_more() {
        let hot = Arc::new(Hot::default());
        let (first, promise) = waiting();
        drop(Shift::join(&hot, first).unwrap());
        assert!(hot.lane.0.lock().is_none());
        let told = kept(promise).await;
        assert!(matches!(
            told,
            Err(CanvasError::Store(StoreError::Unavailable(_)))
        ));
    }
}
