//! A recorder that keeps what it is told.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use identity::{Conclusion, Deed, Outcome, Pending, Place, Recorded, Recorder, Recording};
use parking_lot::Mutex;
use tokio::sync::watch;

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A deed is about to be tried.
    Intent,
    /// A deed with an intent has ended.
    Outcome,
    /// A deed without an intent has ended.
    Note,
    /// An attempt was refused.
    Refused,
}

/// One thing that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the entry tells.
    pub kind: EntryKind,
    /// `t_a/dev`, or `system`.
    pub place: String,
    /// The user, as far as one is known.
    pub user: Option<String>,
    /// The action.
    pub action: &'static str,
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The id of the request.
    pub request_id: String,
    /// `done`, `refused role_forbidden`, `failed internal`, `unknown`; `None` for intents.
    pub outcome: Option<String>,
    /// What was made.
    pub created: Option<String>,
    /// What the handler added.
    pub details: Vec<(&'static str, String)>,
}

/// The whole entry but for the request's id, as one line.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        let user = self.user.as_deref().unwrap_or("nobody");
        let (place, method) = (&self.place, &self.method);
        write!(
            f,
            "{kind} {place} {user} {} {method} {}",
            self.action, self.target
        )?;
        if let Some(outcome) = &self.outcome {
            write!(f, ": {outcome}")?;
        }
        if let Some(created) = &self.created {
            write!(f, " -> {created}")?;
        }
        for (name, value) in &self.details {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl Entry {
    fn of(kind: EntryKind, deed: &Deed<'_>) -> Self {
        let (place, user) = match deed.place {
            Place::Tenant(seat) => (
                format!("{}/{}", seat.tenant(), seat.env().as_str()),
                Some(seat.user()),
            ),
            Place::System { user } => ("system".to_owned(), user),
        };
        Self {
            kind,
            place,
            user: user.map(ToString::to_string),
            action: deed.action,
            method: deed.method.to_owned(),
            target: deed.target.to_owned(),
            request_id: deed.ids.request_id.to_string(),
            outcome: None,
            created: None,
            details: Vec::new(),
        }
    }

    fn ended(mut self, conclusion: Conclusion<'_>) -> Self {
        self.outcome = Some(match conclusion.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Refused(code) => format!("refused {code}"),
            Outcome::Failed(code) => format!("failed {code}"),
        });
        self.created = conclusion.created.map(str::to_owned);
        let user = conclusion.remarks.user().map(ToString::to_string);
        self.user = user.or(self.user);
        let details = conclusion.remarks.details().iter();
        self.details = details
            .map(|(name, value)| (*name, value.to_string()))
            .collect();
        self
    }
}

/// Keeps what is recorded, in order.
#[derive(Default)]
pub struct MemoryRecorder {
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: Mutex<Vec<Entry>>,
    degraded: AtomicBool,
    held: watch::Sender<bool>,
}

impl Kept {
    async fn keep(&self, entry: Entry) -> Recorded {
        let mut held = self.held.subscribe();
        // The sender lives as long as `self` does.
        let _ = held.wait_for(|held| !held).await;
        let mut entries = self.entries.lock();
        entries.push(entry);
        if self.degraded.load(Ordering::SeqCst) {
            return Recorded::Degraded { why: "test" };
        }
        Recorded::Durable {
            seq: entries.len() as u64,
        }
    }
}

impl MemoryRecorder {
    /// A recorder, and the choice of it.
    #[must_use]
    pub fn recording() -> (Arc<Self>, Recording) {
        let recorder = Arc::new(Self::default());
        (recorder.clone(), Recording::To(recorder))
    }

    /// From now on nothing is durable.
    pub fn degrade(&self) {
        self.kept.degraded.store(true, Ordering::SeqCst);
    }

    /// From now on no record is made until [`MemoryRecorder::release`].
    pub fn hang(&self) {
        self.kept.held.send_replace(true);
    }

    /// Records are made again, also those that wait.
    pub fn release(&self) {
        self.kept.held.send_replace(false);
    }

    /// What was recorded so far; the `seq` of an entry is its place here, from 1.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.kept.entries.lock().clone()
    }

    /// What was recorded so far, an entry a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let entries = self.kept.entries.lock();
        entries.iter().map(ToString::to_string).collect()
    }
}

#[async_trait]
impl Recorder for MemoryRecorder {
    async fn intend(&self, deed: &Deed<'_>) -> Box<dyn Pending> {
        let _ = self.kept.keep(Entry::of(EntryKind::Intent, deed)).await;
        Box::new(MemoryPending {
            kept: Arc::clone(&self.kept),
            outcome: Some(Entry::of(EntryKind::Outcome, deed)),
        })
    }

    async fn note(&self, deed: &Deed<'_>, conclusion: Conclusion<'_>) -> Recorded {
        let entry = Entry::of(EntryKind::Note, deed).ended(conclusion);
        self.kept.keep(entry).await
    }

    fn refused(&self, deed: &Deed<'_>, code: &'static str) {
        let mut entry = Entry::of(EntryKind::Refused, deed);
        entry.outcome = Some(format!("refused {code}"));
        self.kept.entries.lock().push(entry);
    }
}

struct MemoryPending {
    kept: Arc<Kept>,
    outcome: Option<Entry>,
}

#[async_trait]
impl Pending for MemoryPending {
    async fn conclude(mut self: Box<Self>, conclusion: Conclusion<'_>) -> Recorded {
        match self.outcome.take() {
            Some(entry) => self.kept.keep(entry.ended(conclusion)).await,
            None => Recorded::Degraded { why: "concluded" },
        }
    }
}

impl Drop for MemoryPending {
    fn drop(&mut self) {
        if let Some(mut entry) = self.outcome.take() {
            entry.outcome = Some("unknown".to_owned());
            self.kept.entries.lock().push(entry);
        }
    }
}
