//! Records as training data: those alone that their actors allow to be used.
//!
//! A row is written for a record whose actor allowed it when it was made **and**
//! allows it now. What cannot be asked any more (an erased actor, a system's
//! deed, a preference that cannot be read) is left out. A row holds no ids: who
//! named a thing may be someone else, who did not allow it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use identity::{Scope, UserId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Audit, Entry, LogId, ReadError, append::stripped, logs::Log, query::actor};
use crate::{Leaf, LeafActor, Phase, Seq};

/// Records that are read at once.
const PAGE: usize = 500;
/// How names of members end whose values name things.
const NAMES_A_THING: &str = "_id";

/// One record that may be used for training.
#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    seq: Seq,
    ts: String,
    action: String,
    role: Option<&'static str>,
    target: Option<String>,
    phase: &'static str,
    outcome: Option<String>,
    metadata: Map<String, Value>,
    /// On whose word it may be used.
    source: &'a str,
    version: u64,
}

/// The last line, by which a whole export is told from one that broke off.
#[derive(Serialize)]
struct End {
    kind: &'static str,
    rows: u64,
    left_out: u64,
}

/// An export that is being written.
struct TrainingExport {
    audit: Arc<Audit>,
    log: Arc<Log>,
    after: u64,
    to: u64,
    rows: u64,
    left_out: u64,
}

impl Audit {
    /// The records `from` to `to` of the scope's log that may be used for training, as
    /// JSON lines; to the last record, when `to` is absent.
    ///
    /// # Errors
    /// [`ReadError`] before the first byte; a failure later ends the stream early,
    /// without its last line `{"kind":"end",…}`.
    pub async fn training_export(
        self: &Arc<Self>,
        scope: &Scope,
        from: Seq,
        to: Option<Seq>,
    ) -> Result<BoxStream<'static, Result<Bytes, ReadError>>, ReadError> {
        let Some(log) = self.logs.find(&LogId::of(scope)).await? else {
            return Ok(stream::iter([Ok(end(0, 0))]).boxed());
        };
        let bounds = self.events.bounds(&log.records).await?;
        let export = TrainingExport {
            audit: Arc::clone(self),
            log,
            after: from.index(),
            to: to.map_or(bounds.head, |to| to.get().min(bounds.head)),
            rows: 0,
            left_out: 0,
        };
        let pages = stream::try_unfold(Some(export), |export| async {
            match export {
                Some(export) => export.page().await.map(Some),
                None => Ok(None),
            }
        });
        Ok(pages.boxed())
    }
}

impl TrainingExport {
    /// The rows of the next records, and what is left.
    async fn page(mut self) -> Result<(Bytes, Option<Self>), ReadError> {
        let entries = self.audit.entries_of(&self.log, self.after, PAGE).await?;
        let mut lines = Vec::new();
        let mut more = !entries.is_empty();
        for entry in entries {
            if entry.seq.get() > self.to {
                more = false;
                break;
            }
            self.after = entry.seq.get();
            match self.audit.row(&entry).await {
                Some(row) => {
                    self.rows += 1;
                    lines.extend(row);
                }
                None => self.left_out += 1,
            }
        }
        if more && self.after < self.to {
            return Ok((lines.into(), Some(self)));
        }
        lines.extend(end(self.rows, self.left_out));
        Ok((lines.into(), None))
    }
}

impl Audit {
    /// The line of a record, if it may be used. The only place that makes one.
    async fn row(&self, entry: &Entry) -> Option<Vec<u8>> {
        let LeafActor::User { role, .. } = &entry.leaf.actor else {
            return None;
        };
        let user: UserId = actor(entry)?.parse().ok()?;
        let then = &entry.leaf.training;
        let now = self.training.training(&entry.leaf.tenant, &user).await;
        if !(then.allowed && now.allowed) {
            return None;
        }
        let (phase, outcome) = match &entry.leaf.phase {
            Phase::Intent => ("intent", None),
            Phase::Outcome { outcome, .. } => ("outcome", Some(outcome)),
            Phase::Event(outcome) => ("event", Some(outcome)),
        };
        line(&Row {
            kind: "row",
            seq: entry.seq,
            ts: entry.leaf.time.to_string(),
            action: entry.leaf.action.to_string(),
            role: role.map(identity::Role::as_str),
            target: entry.leaf.target.as_ref().map(|one| one.kind.to_string()),
            phase,
            outcome: outcome.map(ToString::to_string),
            metadata: nameless(&entry.leaf),
            source: &now.source,
            version: now.version,
        })
    }
}

/// Metadata without personal data and without names of things.
fn nameless(leaf: &Leaf) -> Map<String, Value> {
    let kept = leaf.metadata.iter();
    let kept = kept.filter(|(name, _)| !name.ends_with(NAMES_A_THING));
    stripped(kept.map(|(n, v)| (n.clone(), v.clone())).collect())
}

fn end(rows: u64, left_out: u64) -> Bytes {
    let end = End {
        kind: "end",
        rows,
        left_out,
    };
    line(&end).unwrap_or_default().into()
}

fn line(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    Some(line)
}
