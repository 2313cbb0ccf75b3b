//! A bus in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use store::{BACKLOG_MESSAGES_MAX, Bus, Heard, Hearing, StoreError, Topic, within_message_limit};
use tokio::sync::broadcast::{self, error::RecvError};

/// A [`Bus`] that lives as long as this value and whoever is subscribed.
#[derive(Default)]
pub struct MemoryBus {
    topics: Mutex<HashMap<Topic, broadcast::Sender<Bytes>>>,
}

impl MemoryBus {
    fn topic(&self, topic: &Topic) -> broadcast::Sender<Bytes> {
        let mut topics = self.topics.lock();
        let sender = topics
            .entry(topic.clone())
            .or_insert_with(|| broadcast::channel(BACKLOG_MESSAGES_MAX).0);
        sender.clone()
    }
}

#[async_trait]
impl Bus for MemoryBus {
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
                // The sender is here, so it is not gone.
                Err(RecvError::Closed) => return None,
            };
            Some((heard, (told, sender)))
        })
        .boxed())
    }
}
