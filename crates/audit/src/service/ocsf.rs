//! Records as OCSF events: JSON lines for those who collect events of many systems.
//!
//! They carry no proofs. Whoever doubts one asks for the receipt of its
//! `metadata.sequence`, or for an export with proofs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use identity::Scope;

use super::{Audit, LogId, ProofError, ReadError, logs::Log};
use crate::{Seq, ocsf::api_activity};

/// Records that are read at once.
const PAGE: usize = 500;

/// What is still to be written.
struct Rest {
    audit: Arc<Audit>,
    log: Arc<Log>,
    after: u64,
    to: u64,
}

impl Audit {
    /// The records `from` to `to` of the scope's log as OCSF events, one line of JSON each
    /// ([`api_activity`]); to the last record, when `to` is absent. Records that retention
    /// has removed are passed over.
    ///
    /// # Errors
    /// [`ProofError::NotFound`] when the log does not reach to `to`, and
    /// [`ProofError::Read`]; a failure after the first byte ends the stream early.
    pub async fn ocsf_export(
        self: &Arc<Self>,
        scope: &Scope,
        from: Seq,
        to: Option<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ReadError>>, ProofError> {
        let Some(log) = self.logs.find(&LogId::of(scope)).await? else {
            return match to {
                Some(1..) => Err(ProofError::NotFound),
                Some(0) | None => Ok(stream::empty().boxed()),
            };
        };
        let head = self.events.bounds(&log.records).await?.head;
        let to = to.unwrap_or(head);
        if to > head {
            return Err(ProofError::NotFound);
        }
        let rest = Rest {
            audit: Arc::clone(self),
            log,
            after: from.index(),
            to,
        };
        Ok(stream::try_unfold(rest, Rest::page).boxed())
    }
}

impl Rest {
    /// The next events, `None` after the last one.
    async fn page(mut self) -> Result<Option<(Bytes, Self)>, ReadError> {
        if self.after >= self.to {
            return Ok(None);
        }
        let entries = self.audit.entries_of(&self.log, self.after, PAGE).await?;
        if entries.is_empty() {
            return Err(self.audit.missing(&self.log, self.after + 1).await);
        }
        let mut lines = Vec::new();
        for entry in entries.iter().filter(|entry| entry.seq.get() <= self.to) {
            lines.extend(api_activity(entry).to_string().into_bytes());
            lines.push(b'\n');
        }
        self.after = entries.last().map_or(self.to, |last| last.seq.get());
        Ok(Some((lines.into(), self)))
    }
}
