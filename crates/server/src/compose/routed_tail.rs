//! A tail, for as long as its stream is served where the tail began.
//!
//! **Invariant:** after a row was switched, no tail waits at the old place for events that come at the new one. It
//! ends with an error, and whoever tails again from the last event seen is at the new place.

use std::sync::Arc;

use control::FRESH_MAX;
use futures_util::{StreamExt as _, stream};
use store::{StoreError, StoredEvent, StreamKey, Tail, TailError};
use tokio::time::{Instant, sleep_until};

use super::{
    backend::Backend,
    router::{Router, of_stream},
};

struct Follower {
    router: Arc<Router>,
    stream: StreamKey,
    backend: Arc<Backend>,
    tail: Tail,
    /// When it is asked next whether the stream is still there.
    asks_at: Instant,
    ended: bool,
}

/// The tail, until the stream is elsewhere.
pub(super) fn follow(
    router: &Arc<Router>,
    stream: StreamKey,
    backend: Arc<Backend>,
    tail: Tail,
) -> Tail {
    let follower = Follower {
        router: Arc::clone(router),
        stream,
        backend,
        tail,
        asks_at: Instant::now() + FRESH_MAX,
        ended: false,
    };
    stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let item = follower.next().await?;
        follower.ended = item.is_err();
        Some((item, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Vec<StoredEvent>, TailError>> {
        loop {
            tokio::select! {
                // A stream on which much happens is asked about as well.
                biased;
                () = sleep_until(self.asks_at) => {
                    self.asks_at = Instant::now() + FRESH_MAX;
                    if is_elsewhere(&self.router, &self.stream, &self.backend).await {
                        let why = format!("{} is served elsewhere now", self.stream.rail());
                        return Some(Err(StoreError::Unavailable(why).into()));
                    }
                }
                item = self.tail.next() => return item,
            }
        }
    }
}

/// Whether another backend serves the stream now; while nobody knows, the tail goes on.
async fn is_elsewhere(router: &Router, stream: &StreamKey, backend: &Arc<Backend>) -> bool {
    let Ok((kind, home)) = of_stream(stream.home()) else {
        return false;
    };
    let served = router.serve_home(kind, &home).await;
    served.is_ok_and(|served| !Arc::ptr_eq(&served.backend, backend))
}
