//! Intents that stay open for longer than any deed lasts: whoever should have concluded
//! them is gone, and the node that leads closes them.
//!
//! How long is measured by the node that leads, from when it saw them first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use parking_lot::Mutex;
use store::StoreError;
use tokio::time::Instant;

use super::super::{Audit, LogId, recover::OpenAuditError};

/// A deed is ended after 30 s, and its two records take 5 s each; the rest is for a node that
/// is slow, or whose spool waits for the store.
const OVERDUE_AFTER: Duration = Duration::from_secs(120);
/// Logs whose overdue intents are closed in one round.
const LOGS_MAX: usize = 64;

/// Since when intents are seen open.
#[derive(Default)]
pub(in super::super) struct Overdue(Mutex<HashMap<LogId, BTreeMap<u64, Instant>>>);

impl Overdue {
    /// Notes which intents of a log are open.
    pub(in super::super) fn see(&self, log: &LogId, open: &[u64]) {
        let mut logs = self.0.lock();
        if open.is_empty() {
            logs.remove(log);
            return;
        }
        let now = Instant::now();
        let seen = logs.entry(log.clone()).or_default();
        let open: BTreeSet<u64> = open.iter().copied().collect();
        seen.retain(|seq, _| open.contains(seq));
        for seq in open {
            seen.entry(seq).or_insert(now);
        }
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Those that are overdue; they are forgotten here, and seen anew if they stay open.
    fn take(&self) -> Vec<(LogId, BTreeSet<u64>)> {
        let mut logs = self.0.lock();
        let now = Instant::now();
        let is_late = |since: &Instant| now.duration_since(*since) >= OVERDUE_AFTER;
        let late = |seen: &BTreeMap<u64, Instant>| {
            let late = seen.iter().filter(|(_, since)| is_late(since));
            late.map(|(seq, _)| *seq).collect::<BTreeSet<u64>>()
        };
        let found: Vec<_> = logs
            .iter()
            .map(|(log, seen)| (log.clone(), late(seen)))
            .filter(|(_, late)| !late.is_empty())
            .take(LOGS_MAX)
            .collect();
        for (log, late) in &found {
            if let Some(seen) = logs.get_mut(log) {
                seen.retain(|seq, _| !late.contains(seq));
            }
        }
        found
    }

    fn put_back(&self, log: &LogId, late: &BTreeSet<u64>) {
        let mut logs = self.0.lock();
        let Some(since) = Instant::now().checked_sub(OVERDUE_AFTER) else {
            return;
        };
        let seen = logs.entry(log.clone()).or_default();
        seen.extend(late.iter().map(|seq| (*seq, since)));
    }
}

impl Audit {
    /// Closes what is overdue. Part of a round of the node that leads.
    pub(in super::super) async fn close_overdue(&self) {
        let Some(nodes) = &self.nodes else {
            return;
        };
        for (id, late) in nodes.overdue.take() {
            if let Err(error) = self.close_late(&id, &late).await {
                tracing::warn!(log = %id, %error, "intents are closed later");
                nodes.overdue.put_back(&id, &late);
            }
        }
    }

    async fn close_late(&self, id: &LogId, late: &BTreeSet<u64>) -> Result<(), StoreError> {
        let Some(log) = self.logs.find(id).await? else {
            return Ok(());
        };
        let spooled = self.spooled_ends().await;
        let spooled = spooled.map_err(|error| match error {
            OpenAuditError::Store(error) => error,
            other => StoreError::Unavailable(other.to_string()),
        })?;
        let ended = spooled.get(id).map_or(&[][..], Vec::as_slice);
        let head = self.head_of(&log).await?;
        let due = |seq: u64| late.contains(&seq) && !ended.contains(&seq);
        self.close_orphans(&log, head, due).await
    }
}
