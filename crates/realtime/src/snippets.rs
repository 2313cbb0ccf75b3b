//! Snippets: messages of threads whose owners want them to be found again are handed over, once
//! they are durable.
//!
//! **Invariant:** a message is handed over only while its thread says so. Whatever comes of it,
//! the message was posted.

use async_trait::async_trait;
use identity::{Scope, ThreadId};
use serde_json::value::RawValue;
use store::{Appended, Cursor};

use crate::{Envelope, Message, Realtime, RealtimeError, RouteKey};

/// A message that is handed over.
#[derive(Debug)]
pub struct Said<'a> {
    /// The thread.
    pub thread: &'a ThreadId,
    /// Names the message in its thread: the same one may be handed over again.
    pub event: Cursor,
    /// What it says.
    pub data: &'a RawValue,
}

/// Takes messages over, and tells nobody what comes of it: it records that itself.
#[async_trait]
pub trait SnippetSink: Send + Sync {
    /// Takes over a message that the scope's user posted.
    async fn take(&self, scope: &Scope, said: Said<'_>);
}

impl Realtime {
    /// Appends an admitted message, and hands it over if its thread says so.
    pub(crate) async fn append(
        &self,
        scope: &Scope,
        route: &RouteKey,
        envelope: Envelope,
        message: &Message,
    ) -> Result<Appended, RealtimeError> {
        let (body, idempotency) = (envelope.body().clone(), envelope.idempotency());
        let appended = self.publisher.append(route, body, idempotency).await?;
        if let Some(thread) = route.snippets() {
            self.hand_over(scope, thread, message, appended.cursor)
                .await;
        }
        Ok(appended)
    }

    async fn hand_over(&self, scope: &Scope, thread: &ThreadId, message: &Message, event: Cursor) {
        let Some(sink) = self.snippets.get() else {
            return;
        };
        // A socket may have found the thread long ago.
        match self.registry.keeps_snippets(scope, thread).await {
            Ok(true) => {
                let data = message.data();
                let said = Said {
                    thread,
                    event,
                    data,
                };
                sink.take(scope, said).await;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a message is not handed over as a snippet"),
        }
    }
}
