//! What waits in the spool is tried again, each log's records in their order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use store::StoreError;

use super::{Audit, LogId, append::Ready, integrate::checked, spool::Waiting};
use crate::{Leaf, Outcome, Phase};

/// How long the store may take to show that it answers again.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Logs that a store may fail to take in one round before the others wait for the next.
const FAILURES_MAX: usize = 16;

/// What the records that waited say of deeds, as far as it matters to their intents.
#[derive(Default)]
struct Deeds {
    /// Intents that are in the log now.
    intents: Vec<(LogId, u64, Leaf)>,
    /// How deeds ended, by request and action.
    ends: HashMap<(LogId, String, String), Outcome>,
}

impl Deeds {
    fn note(&mut self, waiting: &Waiting, leaf: Leaf, seq: Option<u64>) {
        let log = waiting.log.clone();
        match (&leaf.phase, seq) {
            (Phase::Intent, Some(seq)) => self.intents.push((log, seq, leaf)),
            (Phase::Event(outcome), _) => {
                let outcome = outcome.clone();
                self.ends.insert(deed(log, &leaf), outcome);
            }
            (Phase::Intent | Phase::Outcome { .. }, _) => {}
        }
    }
}

fn deed(log: LogId, leaf: &Leaf) -> (LogId, String, String) {
    (log, leaf.request_id.to_string(), leaf.action.to_string())
}

impl Audit {
    /// Tries again what waits, each log's records in their order.
    pub(super) async fn retry_spooled(&self) {
        if self.spool.len() == 0 || !self.store_answers().await {
            return;
        }
        let spool = Arc::clone(&self.spool);
        let Ok(Ok(waiting)) = tokio::task::spawn_blocking(move || spool.waiting()).await else {
            tracing::error!("the spool cannot be read");
            return;
        };
        let mut stuck = HashSet::new();
        let mut failures = 0;
        let mut deeds = Deeds::default();
        let mut recorded = Vec::with_capacity(waiting.len());
        for one in waiting {
            let seq = if stuck.contains(&one.log) || failures >= FAILURES_MAX {
                None
            } else {
                let retried = self.retry(&one).await;
                failures += usize::from(matches!(&retried, Err(StoreError::Unavailable(_))));
                retried.ok()
            };
            recorded.push(seq.is_some());
            let body = Bytes::from(one.body.clone());
            if let Ok((_, leaf)) = checked(&one.log, &body) {
                deeds.note(&one, leaf, seq);
            }
            if seq.is_none() {
                stuck.insert(one.log);
            }
        }
        if !recorded.contains(&true) {
            return;
        }
        let spool = Arc::clone(&self.spool);
        let forgotten = tokio::task::spawn_blocking(move || spool.forget(&recorded)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::error!(%error, "the spool could not be shortened");
        }
        self.close_intents(deeds).await;
    }

    /// An intent that waited is concluded by an event, since nobody knew its seq; so
    /// it is closed here. One that is missed is closed when the log is opened next.
    async fn close_intents(&self, deeds: Deeds) {
        let mut by_log: HashMap<LogId, BTreeMap<u64, (Leaf, Option<Outcome>)>> = HashMap::new();
        for (log, seq, leaf) in deeds.intents {
            let outcome = deeds.ends.get(&deed(log.clone(), &leaf)).cloned();
            by_log.entry(log).or_default().insert(seq, (leaf, outcome));
        }
        for (id, intents) in by_log {
            let closed = async {
                let log = self.logs.open(&id).await?;
                self.close_spooled(&log, intents).await
            };
            if let Err(error) = closed.await {
                tracing::warn!(log = %id, %error, "intents stay open until the log is opened again");
            }
        }
    }

    /// Whether it is worth reading the spool, which may be large.
    async fn store_answers(&self) -> bool {
        let owner = self.layout.owner();
        let asked = tokio::time::timeout(ANSWER_MAX, self.documents.get(&owner));
        matches!(asked.await, Ok(Ok(_)))
    }

    /// The seq of a record that is where it belongs now.
    async fn retry(&self, waiting: &Waiting) -> Result<u64, StoreError> {
        let moved = async {
            if !waiting.keys.is_empty() {
                let tenant = &waiting.log.tenant;
                self.subjects.store_spooled(tenant, &waiting.keys).await?;
            }
            let ready = Ready::of_body(&waiting.log, waiting.body.clone().into());
            let ready = ready.map_err(|why| StoreError::Corrupt(why.to_string()))?;
            self.append(&waiting.log, ready).await
        };
        let moved = moved.await;
        if let Err(error) = &moved {
            tracing::warn!(log = %waiting.log, %error, "an audit record still waits");
        }
        moved
    }
}
