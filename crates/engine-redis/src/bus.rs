//! The port [`Bus`] on Redis' own publishing and subscribing.
//!
//! **Invariant:** a message goes to who is connected at that moment. Who was not hears `Missed`
//! once they are again, before anything that is told from then on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_redis::redis;
use futures_util::{StreamExt as _, stream};
use store::{Bus, Heard, Hearing, StoreError, Topic, within_message_limit};
use tokio::{sync::broadcast::error::RecvError, time::timeout};

use crate::{
    error::Fault,
    lanes::{COMMAND_WAIT_MAX, Lanes, Question},
    listener::Listener,
    names::Names,
};

pub(crate) struct RedisBus {
    lanes: Arc<Lanes>,
    names: Names,
    listener: Arc<Listener>,
}

impl RedisBus {
    pub(crate) fn new(lanes: &Arc<Lanes>, names: &Names, listener: &Arc<Listener>) -> Self {
        Self {
            lanes: Arc::clone(lanes),
            names: names.clone(),
            listener: Arc::clone(listener),
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        within_message_limit(&message)?;
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&*self.names.topic(topic)).arg(&*message);
        self.lanes.once(Question::Command(&publish)).await?;
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        let channel = self.names.topic(topic);
        let (mut place, told) = self.listener.subscribe(&channel, topic.backlog());
        let late = |_| Fault::late(self.lanes.place()).error;
        timeout(COMMAND_WAIT_MAX, place.live())
            .await
            .map_err(late)?;
        Ok(
            stream::unfold((place, told), |(place, mut told)| async move {
                let heard = match told.recv().await {
                    Ok(heard) => heard,
                    Err(RecvError::Lagged(_)) => Heard::Missed,
                    // The ear is there as long as its place.
                    Err(RecvError::Closed) => return None,
                };
                Some((heard, (place, told)))
            })
            .boxed(),
        )
    }
}
