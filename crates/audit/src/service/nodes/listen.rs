//! Hearing which logs other nodes append to. What is heard is looked at when it is heard
//! and once more when the append must be over, because it is announced while it is under way.
//!
//! **Invariant:** an announcement is removed only when its append is over, so that whoever leads
//! next, and looks at every log, misses nothing.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use store::{Cursor, READ_EVENTS_MAX, Read, StoreError};
use tokio::time::Instant;

use super::{
    super::{Audit, LogId, append::APPEND_MAX},
    Nodes,
    announce::named,
};

/// When the append of what was announced is over, at the latest.
const GRACE: Duration = Duration::from_secs(5);
const _: () = assert!(GRACE.as_secs() > 2 * APPEND_MAX.as_secs());
/// Pages that are read in one round; the rest waits for the next.
const PAGES_MAX: usize = 64;
/// Logs that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 64;

/// How far the announcements were heard; from the oldest on, when nothing is known.
#[derive(Default)]
pub(super) struct Listening(Mutex<Option<Heard>>);

impl Listening {
    pub(super) fn begin_again(&self) {
        *self.0.lock() = None;
    }
}

struct Heard {
    cursor: Cursor,
    /// When what was heard so far was heard.
    at: VecDeque<(Instant, u64)>,
    /// When a log is to be looked at once more.
    due: HashMap<LogId, Instant>,
}

impl Heard {
    fn note(&mut self, log: &LogId, now: Instant) {
        self.due.insert(log.clone(), now + GRACE);
    }

    fn take_due(&mut self, now: Instant) -> BTreeSet<LogId> {
        let due = self.due.extract_if(|_, due| *due <= now);
        due.map(|(log, _)| log).collect()
    }

    /// Up to where the appends are over.
    fn take_over(&mut self, now: Instant) -> Option<u64> {
        let mut over = None;
        while let Some((at, seq)) = self.at.front()
            && *at + GRACE <= now
        {
            over = Some(*seq);
            self.at.pop_front();
        }
        over
    }
}

impl Audit {
    /// Marks the logs that other nodes have appended to. Part of a round of the node that leads.
    pub(in super::super) async fn listen(&self) {
        let Some(nodes) = &self.nodes else {
            return;
        };
        if let Err(error) = self.listen_to(nodes).await {
            tracing::warn!(%error, "what other nodes appended is integrated later");
        }
    }

    async fn listen_to(&self, nodes: &Nodes) -> Result<(), StoreError> {
        let stream = self.layout.changes();
        let taken = nodes.listening.0.lock().take();
        let mut heard = match taken {
            Some(heard) => heard,
            None => Heard {
                cursor: self.events.bounds(&stream).await?.before_oldest(),
                at: VecDeque::new(),
                due: HashMap::new(),
            },
        };
        let listened = self.hear_changes(&mut heard).await;
        let now = Instant::now();
        let over = heard.take_over(now);
        *nodes.listening.0.lock() = Some(heard);
        listened?;
        match over {
            Some(over) => self.events.trim(&stream, over).await,
            None => Ok(()),
        }
    }

    async fn hear_changes(&self, heard: &mut Heard) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut logs = heard.take_due(now);
        let read = self.read_changes(heard, &mut logs).await;
        let looks = stream::iter(logs).map(|log| async {
            let looked = self.look_at(&log).await;
            (log, looked)
        });
        let mut looks = looks.buffer_unordered(LOOKS_AT_ONCE);
        while let Some((log, looked)) = looks.next().await {
            if let Err(error) = looked {
                tracing::warn!(%log, %error, "a log is looked at later");
                heard.due.insert(log, now);
            }
        }
        read
    }

    async fn read_changes(
        &self,
        heard: &mut Heard,
        logs: &mut BTreeSet<LogId>,
    ) -> Result<(), StoreError> {
        let stream = self.layout.changes();
        for _ in 0..PAGES_MAX {
            let after = Some(heard.cursor);
            let read = self.events.read(&stream, after, READ_EVENTS_MAX).await?;
            let now = Instant::now();
            let events = match read {
                Read::Page { events, .. } => events,
                Read::Gap { reason, bounds } => {
                    tracing::warn!(?reason, "announcements are gone: all logs are looked at");
                    self.look_at_all().await?;
                    heard.cursor = bounds.before_oldest();
                    continue;
                }
            };
            let Some(last) = events.last() else {
                break;
            };
            heard.cursor = last.cursor;
            heard.at.push_back((now, last.cursor.seq));
            for log in events.iter().flat_map(|event| named(&event.body)) {
                heard.note(&log, now);
                logs.insert(log);
            }
        }
        Ok(())
    }

    /// Marks a log if it has more records than its tree, or fewer, which nothing explains.
    async fn look_at(&self, id: &LogId) -> Result<(), StoreError> {
        let Some(log) = self.logs.find(id).await? else {
            // Its first append did not begin.
            return Ok(());
        };
        if self.events.bounds(&log.records).await?.head != log.integrated() {
            self.logs.mark(&log);
        }
        Ok(())
    }

    async fn look_at_all(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let rows = self.list_heads(after).await?;
            let ids = rows.iter().map(|(_, head)| head.as_ref());
            let ids = ids.filter_map(|head| head.ok().map(|head| head.log.clone()));
            let ids: Vec<LogId> = ids.collect();
            let looks = stream::iter(ids).map(|id| async move { self.look_at(&id).await });
            let mut looks = looks.buffer_unordered(LOOKS_AT_ONCE);
            while let Some(looked) = looks.next().await {
                looked?;
            }
            after = rows.last().map(|(id, _)| id.clone());
            if after.is_none() || !self.stays().await {
                return Ok(());
            }
        }
    }
}
