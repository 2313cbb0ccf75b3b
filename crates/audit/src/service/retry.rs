//! What waits in the spool is tried again, each log's records in their order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{Audit, LogId, integrate::checked, spool::Waiting};
use crate::{Leaf, Outcome, Phase};

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
        if self.spool.len() == 0 {
            return;
        }
        let spool = Arc::clone(&self.spool);
        let Ok(Ok(waiting)) = tokio::task::spawn_blocking(move || spool.waiting()).await else {
            tracing::error!("the spool cannot be read");
            return;
        };
        let mut stuck = HashSet::new();
        let mut deeds = Deeds::default();
        let mut recorded = Vec::with_capacity(waiting.len());
        for one in waiting {
            let seq = if stuck.contains(&one.log) {
                None
            } else {
                self.retry(&one).await
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

    /// The seq of a record that is where it belongs now.
    async fn retry(&self, waiting: &Waiting) -> Option<u64> {
        if !waiting.keys.is_empty() {
            let stored = self.subjects.store(&waiting.log.tenant, &waiting.keys);
            if let Err(error) = stored.await {
                tracing::warn!(%error, "a subject's key still waits");
                return None;
            }
        }
        let body = Bytes::from(waiting.body.clone());
        match self.append(&waiting.log, body).await {
            Ok(seq) => Some(seq),
            Err(error) => {
                tracing::warn!(%error, "an audit record still waits");
                None
            }
        }
    }
}
