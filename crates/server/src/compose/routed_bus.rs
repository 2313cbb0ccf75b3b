//! The bus that the registry names, also when it begins to name another.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use control::RoutePlace;
use futures_util::{StreamExt, stream};
use store::{Bus, Heard, Hearing, StoreError, Topic};
use tokio::time::{Instant, sleep_until};

use super::{
    backend::Backend,
    router::{Router, named, of_stream},
};
use crate::needs::NODE_BUS;

/// How often a subscription looks whether it is on the bus that the registry names.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What nodes tell each other: of streams on the engine that has the stream's events, and everything else on one bus
/// for everyone.
pub(super) struct RoutedBus(pub(super) Arc<Router>);

async fn named_bus(router: &Router, topic: &Topic) -> Result<Arc<Backend>, StoreError> {
    let served = match topic.home() {
        None => {
            let everyone = RoutePlace::default();
            router.serve(named(NODE_BUS)?, &everyone).await?
        }
        home => {
            let (kind, home) = of_stream(home)?;
            router.serve_home(kind, &home).await?
        }
    };
    Ok(served.backend)
}

#[async_trait]
impl Bus for RoutedBus {
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError> {
        let backend = named_bus(&self.0, topic).await?;
        backend.publish(topic, message).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError> {
        let backend = named_bus(&self.0, topic).await?;
        let subscription = Subscription {
            hearing: backend.subscribe(topic).await?,
            backend,
            router: Arc::clone(&self.0),
            topic: topic.clone(),
            look_at: Instant::now() + LOOK_EVERY,
        };
        Ok(stream::unfold(subscription, |mut it| async move {
            let heard = it.next().await;
            Some((heard, it))
        })
        .boxed())
    }
}

struct Subscription {
    router: Arc<Router>,
    topic: Topic,
    backend: Arc<Backend>,
    hearing: Hearing,
    look_at: Instant,
}

impl Subscription {
    async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                Some(heard) = self.hearing.next() => return heard,
                () = sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + LOOK_EVERY;
                    if self.moves().await {
                        return Heard::Missed;
                    }
                }
            }
        }
    }

    /// Goes to the bus that the registry names now; says whether that is another.
    async fn moves(&mut self) -> bool {
        let Ok(named) = named_bus(&self.router, &self.topic).await else {
            return false;
        };
        if Arc::ptr_eq(&named, &self.backend) {
            return false;
        }
        let Ok(hearing) = named.subscribe(&self.topic).await else {
            return false;
        };
        (self.backend, self.hearing) = (named, hearing);
        true
    }
}
