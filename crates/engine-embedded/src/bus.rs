//! The port [`Bus`]: within this process, which is the only node that its folder has.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use store::{BACKLOG_MESSAGES_MAX, Bus, Heard, Hearing, StoreError, Topic, within_message_limit};
use tokio::sync::broadcast::{self, error::RecvError};

/// Topics by name; there are as many as code names.
#[derive(Default)]
pub(crate) struct EmbeddedBus {
    topics: Mutex<HashMap<Topic, Arc<broadcast::Sender<Bytes>>>>,
}

impl EmbeddedBus {
    fn topic(&self, topic: &Topic) -> Arc<broadcast::Sender<Bytes>> {
        let mut topics = self.topics.lock();
        let sender = topics
            .entry(topic.clone())
            .or_insert_with(|| Arc::new(broadcast::channel(BACKLOG_MESSAGES_MAX).0));
        Arc::clone(sender)
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        within_message_limit(&message)?;
        // Nobody has to listen.
        let _ = self.topic(topic).send(message);
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        let sender = self.topic(topic);
        let told = (sender.subscribe(), sender);
        Ok(stream::unfold(told, |(mut told, sender)| async move {
            let heard = match told.recv().await {
                Ok(message) => Heard::Message(message),
                Err(RecvError::Lagged(_)) => Heard::Missed,
                // The subscription holds a sender, so this does not come.
                Err(RecvError::Closed) => return None,
            };
            Some((heard, (told, sender)))
        })
        .boxed())
    }
}
