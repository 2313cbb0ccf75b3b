//! Rails beside the threads': streams of another log, which are only followed.
//!
//! **Invariant:** such a stream resumes, ends, drains, is counted, limited and
//! recorded just as that of a thread is.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use identity::{Action, Role, Scope};
use store::{EventLog, StreamKey};

use crate::{
    Realtime, RealtimeError, RingLimits, SseQuery,
    hub::{From, Hub},
    meters::{Transport, TransportMeters},
    record::Followed,
    sse,
};

/// Few follow such a rail, and who falls out of the ring reads pages.
const RING: RingLimits = RingLimits {
    events: 256,
    bytes: 256 * 1024,
    bytes_all_topics: 32 * 1024 * 1024,
};

/// Lets members follow the streams of a log over SSE.
pub struct Rail {
    realtime: Arc<Realtime>,
    hub: Arc<Hub>,
    meters: Arc<TransportMeters>,
    opens: &'static str,
    closes: &'static str,
    role: Role,
}

impl Rail {
    /// A rail over `log`, whose bodies are JSON on one line and are told as they are.
    ///
    /// `A` is the action of following; a stream ends when its member has lost the role
    /// for it. `name` is the rail in metrics; under `closes` the end of a stream is recorded.
    #[must_use]
    pub fn new<A: Action>(
        realtime: &Arc<Realtime>,
        log: Arc<dyn EventLog>,
        name: &'static str,
        closes: &'static str,
    ) -> Self {
        Self {
            realtime: Arc::clone(realtime),
            hub: realtime.hub_over(log, RING),
            meters: TransportMeters::new(name, Transport::Sse),
            opens: A::NAME,
            closes,
            role: A::ROLE,
        }
    }

    /// Answers a request to follow `stream`, which the caller has located in `scope`.
    /// `target` is its path, which is recorded.
    ///
    /// # Errors
    /// [`RealtimeError::TooManyConnections`], [`RealtimeError::Draining`], [`RealtimeError::Store`].
    pub async fn follow(
        &self,
        scope: Scope,
        stream: &StreamKey,
        target: &str,
        req: &HttpRequest,
        query: &SseQuery,
    ) -> Result<HttpResponse, RealtimeError> {
        let from = query.from(req);
        let live = from == From::Live;
        let followed = Followed {
            opens: self.opens,
            closes: self.closes,
            role: self.role,
            target: target.to_owned(),
            meters: Arc::clone(&self.meters),
        };
        let subscribe = self.hub.subscribe(stream, from, Transport::Sse);
        let stream = self.realtime.open_with(scope, followed, subscribe).await?;
        Ok(sse::respond(stream, live))
    }
}
