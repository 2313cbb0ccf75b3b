//! The chat rail hands messages to Nexus.

use async_trait::async_trait;
use identity::Scope;
use nexus::{NexusError, Snippets};
use realtime::{Said, SnippetSink};

/// Keeps what is said in threads that want it. The decision of the gates is its record.
pub(crate) struct Keeper(pub(crate) Snippets);

#[async_trait]
impl SnippetSink for Keeper {
    async fn take(&self, scope: &Scope, said: Said<'_>) {
        let event = said.event.to_string();
        match self.0.keep(scope, said.thread, &event, said.data).await {
            Ok(()) => {}
            Err(NexusError::Denied(denied)) => {
                tracing::debug!(%denied, event, "a message is not kept as a snippet");
            }
            Err(error) => tracing::warn!(%error, event, "a message is not kept as a snippet"),
        }
    }
}
