//! A bus within one process, for engines that one process has to itself.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, Receiver, error::RecvError};

use crate::{Bus, Heard, Hearing, StoreError, Topic, within_message_limit};

type Topics = Arc<Mutex<HashMap<Topic, broadcast::Sender<Bytes>>>>;

/// A [`Bus`] whose subscribers are in this process. Topics that nobody is subscribed to take no memory.
#[derive(Default)]
pub struct LocalBus {
    topics: Topics,
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        within_message_limit(&message)?;
        if let Some(topic) = self.topics.lock().get(topic) {
            // Somebody is subscribed, or was a moment ago.
            let _ = topic.send(message);
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        let mut topics = self.topics.lock();
        let sender = topics
            .entry(topic.clone())
            .or_insert_with(|| broadcast::channel(topic.backlog()).0);
        let subscription = Subscription {
            told: Some(sender.subscribe()),
            topic: topic.clone(),
            topics: Arc::clone(&self.topics),
        };
        Ok(stream::unfold(subscription, |mut subscription| async {
            let heard = match subscription.told.as_mut()?.recv().await {
                Ok(message) => Heard::Message(message),
                Err(RecvError::Lagged(_)) => Heard::Missed,
                // The topic is there as long as somebody is subscribed.
                Err(RecvError::Closed) => return None,
            };
            Some((heard, subscription))
        })
        .boxed())
    }
}

struct Subscription {
    /// There until this is dropped.
    told: Option<Receiver<Bytes>>,
    topic: Topic,
    topics: Topics,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        self.told = None;
        let deserted = |topic: &broadcast::Sender<_>| topic.receiver_count() == 0;
        if topics.get(&self.topic).is_some_and(deserted) {
            topics.remove(&self.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use identity::SystemAuthority;

    use super::*;

    #[tokio::test]
    async fn a_topic_is_there_while_somebody_is_subscribed() {
        let bus = LocalBus::default();
        let topic = Topic::of_system(&SystemAuthority::assume(), "a");
        bus.publish(&topic, Bytes::from_static(b"nobody"))
            .await
            .unwrap();
        assert_eq!(bus.topics.lock().len(), 0);
        let (first, second) = (bus.subscribe(&topic).await, bus.subscribe(&topic).await);
        drop(first);
        bus.publish(&topic, Bytes::from_static(b"one"))
            .await
            .unwrap();
        let mut second = second.unwrap();
        assert_eq!(
            second.next().await,
            Some(Heard::Message(Bytes::from_static(b"one")))
        );
        drop(second);
        assert_eq!(bus.topics.lock().len(), 0);
    }
}
