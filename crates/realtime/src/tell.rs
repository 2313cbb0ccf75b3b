//! What the server itself tells on a canvas's rail: commits, artifacts.
//!
//! **Invariant:** what was durable before a stream of a canvas is opened, and was not told yet, is told
//! before.

use std::sync::Weak;

use async_trait::async_trait;
use identity::{Scope, Timestamp, UserId};
use serde_json::value::RawValue;
use store::{Appended, Idempotency, StoreError};

use crate::{CanvasKey, Canvases, Realtime, RealtimeError, envelope::Sealing};

/// Something that is told on a canvas's rail, on behalf of who did it: that may be
/// another than who tells it, when a server stopped between the two.
#[derive(Debug)]
pub struct Told<'a> {
    /// Such as `canvas.commit`.
    pub kind: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: &'a UserId,
    /// In which request.
    pub request_id: &'a str,
    /// In which trace.
    pub traceparent: &'a str,
    /// What happened: JSON on one line.
    pub data: &'a RawValue,
    /// Tells the same thing once, however often it is told.
    pub idempotency: Idempotency,
}

/// Tells what is durable and was not told, because a server stopped in between.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Tells what is there to be told of the canvas. What cannot be told now is told later.
    async fn tell(&self, key: &CanvasKey);
}

impl Realtime {
    /// The registry of canvases.
    #[must_use]
    pub fn canvases(&self) -> &Canvases {
        &self.canvases
    }

    /// From now on `backlog` is told of before a canvas's stream is opened; the first one stays.
    pub fn tell_before_opening(&self, backlog: Weak<dyn Backlog>) {
        self.backlog.get_or_init(|| backlog);
    }

    /// Waits until the backlog of a canvas is told.
    pub(crate) async fn settle(&self, key: &CanvasKey) {
        if let Some(backlog) = self.backlog.get().and_then(Weak::upgrade) {
            backlog.tell(key).await;
        }
    }

    /// Takes a change of `bytes` from the tenant's rates, as a message is: before it is made.
    ///
    /// # Errors
    /// [`RealtimeError::Throttled`], [`RealtimeError::Store`].
    pub async fn admit(&self, scope: &Scope, bytes: usize) -> Result<(), RealtimeError> {
        self.limits.admit(scope, bytes).await
    }

    /// Tells something on a canvas's rail; durable when this returns.
    ///
    /// # Errors
    /// [`RealtimeError::IdempotencyConflict`], [`RealtimeError::Store`].
    pub async fn tell(&self, key: &CanvasKey, told: &Told<'_>) -> Result<Appended, RealtimeError> {
        let sealing = Sealing {
            route: key.route(),
            kind: told.kind,
            at: told.at,
            actor: told.actor,
            request_id: told.request_id,
            traceparent: told.traceparent,
            data: told.data,
        };
        let body = sealing
            .seal()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let idempotency = Some(told.idempotency);
        self.publisher.append(key.route(), body, idempotency).await
    }
}
