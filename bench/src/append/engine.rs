//! An engine as an [`Appender`]: per-stream order, and an idempotency key each.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use engine_embedded::Embedded;
use identity::Clock;
use store::{EventLog, Idempotency, NewEvent, StreamKey};

use super::{Appender, EVENT_BYTES};
use crate::ambient::{SystemClock, SystemEntropy};

/// Streams of one log.
pub(super) struct Streams {
    log: Arc<dyn EventLog>,
    keys: Vec<StreamKey>,
    body: Bytes,
}

impl Streams {
    /// Streams of the embedded engine over `folder`.
    pub(super) async fn open(folder: &Path, streams: usize) -> Result<Self> {
        let engine = Embedded::open(folder, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
        Self::over(engine.events(), streams).await
    }

    /// Streams of any engine.
    pub(super) async fn over(log: Arc<dyn EventLog>, streams: usize) -> Result<Self> {
        let scope = crate::scope::of_one_tenant().await?;
        let key = |at| StreamKey::in_scope(&scope, "chat", &format!("th_{at}"));
        Ok(Self {
            log,
            keys: (0..streams).map(key).collect(),
            body: Bytes::from(vec![b'x'; EVENT_BYTES]),
        })
    }
}

#[async_trait]
impl Appender for Streams {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        // With more streams than writers, each writer goes over its own share.
        let share = (self.keys.len() / 64).max(1);
        let at = (writer * share + (n as usize % share)) % self.keys.len();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(writer as u64).to_be_bytes());
        key[8..].copy_from_slice(&n.to_be_bytes());
        let event = NewEvent {
            body: self.body.clone(),
            at: SystemClock.now(),
            idempotency: Some(Idempotency {
                key,
                fingerprint: key,
            }),
        };
        let stream = self.keys.get(at).context("a stream for each writer")?;
        self.log.append(stream, event).await?;
        Ok(())
    }
}
