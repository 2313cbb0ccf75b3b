//! The ports by which nodes know of each other.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Operation;
use crate::{Bus, Hearing, StoreError, Topic};

/// `engine`, measured and traced. A subscription is measured until it is open.
#[must_use]
pub fn bus(port: Arc<dyn Bus>, engine: &'static str) -> Arc<dyn Bus> {
    let operation = |name| Operation::new(engine, "bus", name);
    Arc::new(ObservedBus {
        publish: operation("publish"),
        subscribe: operation("subscribe"),
        port,
    })
}

struct ObservedBus {
    port: Arc<dyn Bus>,
    publish: Operation,
    subscribe: Operation,
}

#[async_trait]
impl Bus for ObservedBus {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        let told = self.port.publish(topic, message);
        self.publish.observe(told).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        self.subscribe.observe(self.port.subscribe(topic)).await
    }
}
