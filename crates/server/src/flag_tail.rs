//! `/sse/flags`: tells clients to evaluate again, as OFREP's `refetchEvaluation` events.
//!
//! Flags know no streams and streams know no flags, so that they meet here. There is no
//! log of such events: what a tenant's flags are is compared with what was told last.
//!
//! **Invariant:** whoever follows is told of every change, or of a gap and the last change.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use async_trait::async_trait;
use bytes::Bytes;
use flags::{Configuration, Flags, FlagsError, Following};
use futures_util::{StreamExt, stream};
use identity::{
    Entropy, Problem, Scope,
    http::{Admitted, Object, Query, Routes},
};
use parking_lot::Mutex;
use realtime::{Rail, Realtime, SseQuery};
use serde_json::json;
use store::{
    AppendError, Appended, Bounds, Cursor, Epoch, EventLog, NewEvent, Read, StoreError,
    StoredEvent, StreamKey, Tail, TailError,
};
use utoipa::OpenApi;

identity::action!(
    /// Being told when flags have changed.
    FollowFlags, "flags.stream.open", Viewer
);
const CLOSE: &str = "flags.stream.close";
const RAIL: &str = "flags";
const PATH: &str = "/sse/flags";
/// Changes of one tenant that are kept for who was away for a moment.
const CHANGES_KEPT: usize = 16;
/// Tenants that are remembered though nobody follows them.
const TENANTS_KEPT: usize = 4096;

/// The flags of all tenants, to be followed.
pub(crate) struct FlagTail {
    flags: Arc<Flags>,
    logs: Arc<ChangeLogs>,
    rail: Rail,
}

impl FlagTail {
    /// A tail of `flags`, with the limits and the drain of `realtime`.
    pub(crate) fn new(flags: Arc<Flags>, realtime: &Arc<Realtime>, entropy: &dyn Entropy) -> Self {
        let mut epoch = [0; 4];
        entropy.fill(&mut epoch);
        let logs = Arc::new(ChangeLogs {
            // Never 0: that is nobody's life.
            epoch: Epoch(u32::from_le_bytes(epoch).max(1)),
            logs: Mutex::default(),
        });
        let rail = Rail::new::<FollowFlags>(realtime, logs.clone(), RAIL, CLOSE);
        Self { flags, logs, rail }
    }
}

/// What is told of one tenant and environment.
struct ChangeLog {
    /// Locked while it is compared, so that every change is told once.
    told: tokio::sync::Mutex<Told>,
}

struct Told {
    following: Following,
    last: Option<Configuration>,
    head: u64,
    events: VecDeque<Bytes>,
}

impl Told {
    /// Compares, and notes a change.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let now = self
            .following
            .configuration()
            .await
            .map_err(|error| unavailable(&error))?;
        if self.last.replace(now).is_some_and(|last| last != now) || self.head == 0 {
            let body = json!({"type": "refetchEvaluation", "etag": now.to_string()});
            self.head += 1;
            self.events.push_back(body.to_string().into());
            if self.events.len() > CHANGES_KEPT {
                self.events.pop_front();
            }
        }
        Ok(())
    }

    fn bounds(&self, epoch: Epoch) -> Bounds {
        Bounds {
            epoch,
            oldest: self.head + 1 - self.events.len() as u64,
            head: self.head,
        }
    }

    /// What comes after `after`, or the gap that is there.
    fn page(&self, epoch: Epoch, after: Option<Cursor>) -> Read {
        let bounds = self.bounds(epoch);
        let after = after.unwrap_or_else(|| bounds.before_oldest());
        if let Some(reason) = bounds.gap(after) {
            return Read::Gap { reason, bounds };
        }
        let events = (bounds.oldest..).zip(&self.events);
        let events = events.filter(|(seq, _)| *seq > after.seq);
        let events = events.map(|(seq, body)| StoredEvent {
            cursor: Cursor { epoch, seq },
            body: body.clone(),
        });
        Read::Page {
            events: events.collect(),
            bounds,
        }
    }
}

fn unavailable(error: &FlagsError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// What is told of all tenants, as an event log that is only read.
struct ChangeLogs {
    epoch: Epoch,
    logs: Mutex<HashMap<StreamKey, Arc<ChangeLog>>>,
}

impl ChangeLogs {
    /// The stream of the scope's flags, which can be followed from now on.
    fn open(&self, flags: &Arc<Flags>, scope: &Scope) -> StreamKey {
        let stream = StreamKey::in_scope(scope, RAIL, "changes");
        let mut logs = self.logs.lock();
        if logs.len() > TENANTS_KEPT && !logs.contains_key(&stream) {
            logs.retain(|_, log| Arc::strong_count(log) > 1);
        }
        logs.entry(stream.clone()).or_insert_with(|| {
            let told = Told {
                following: flags.follow(scope),
                last: None,
                head: 0,
                events: VecDeque::new(),
            };
            Arc::new(ChangeLog {
                told: tokio::sync::Mutex::new(told),
            })
        });
        stream
    }

    fn find(&self, stream: &StreamKey) -> Result<Arc<ChangeLog>, StoreError> {
        let found = self.logs.lock().get(stream).cloned();
        // Forgotten between two steps of one request: the client tries again.
        found.ok_or_else(|| StoreError::Unavailable(format!("{stream} is followed no more")))
    }
}

fn read_only() -> StoreError {
    StoreError::ReadOnly("changes of flags are told here, and made elsewhere".to_owned())
}

#[async_trait]
impl EventLog for ChangeLogs {
    async fn append(&self, _: &StreamKey, _: NewEvent) -> Result<Appended, AppendError> {
        Err(read_only().into())
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        _: usize,
    ) -> Result<Read, StoreError> {
        let log = self.find(stream)?;
        let mut told = log.told.lock().await;
        told.compare().await?;
        Ok(told.page(self.epoch, after))
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        let log = self.find(stream)?;
        let mut told = log.told.lock().await;
        told.compare().await?;
        Ok(told.bounds(self.epoch))
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        let log = self.find(stream)?;
        let waiter = log.told.lock().await.following.clone();
        let follower = Follower {
            epoch: self.epoch,
            log,
            waiter,
            at: after,
        };
        let batches = stream::try_unfold(follower, |mut follower| async {
            let events = follower.next().await?;
            Ok(Some((events, follower)))
        });
        Ok(batches.boxed())
    }

    async fn trim(&self, _: &StreamKey, _: u64) -> Result<(), StoreError> {
        Err(read_only())
    }
}

/// Follows the flags of one tenant and environment.
struct Follower {
    epoch: Epoch,
    log: Arc<ChangeLog>,
    waiter: Following,
    at: Cursor,
}

impl Follower {
    async fn next(&mut self) -> Result<Vec<StoredEvent>, TailError> {
        loop {
            let page = {
                let mut told = self.log.told.lock().await;
                told.compare().await?;
                told.page(self.epoch, Some(self.at))
            };
            match page {
                Read::Gap { reason, bounds } => return Err(TailError::Gap(reason, bounds)),
                Read::Page { events, .. } => {
                    if let Some(last) = events.last() {
                        self.at = last.cursor;
                        return Ok(events);
                    }
                }
            }
            self.waiter.wait().await;
        }
    }
}

/// Mounts the route; the application needs `Data<FlagTail>`.
pub(crate) fn routes(routes: &mut Routes) {
    routes.tenant(Method::GET, PATH, follow);
}

/// The flags of the scope: every tenant and environment has some. Their stream is one of
/// those for which tickets are taken, and none is given yet.
struct OwnFlags;

impl Object for OwnFlags {
    const STREAM: Option<(&'static str, &'static str)> = Some((RAIL, ""));

    async fn locate(_: &Scope, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Tells when flags may evaluate to something else than before.
#[utoipa::path(get, path = PATH, tag = "flags",
    params(("Last-Event-ID" = Option<String>, Header), ("last_event_id" = Option<String>, Query)),
    responses((status = 200, content_type = "text/event-stream",
        description = "`message` events with OFREP's `refetchEvaluation`; `gap`, `drain` and `unauthorized` events"),
        (status = 429, description = "Too many streams are open"), (status = 503, description = "The server is stopping")))]
async fn follow(
    admitted: Admitted<FollowFlags, (), OwnFlags>,
    query: Query<SseQuery>,
    req: HttpRequest,
    tail: Data<FlagTail>,
) -> Result<HttpResponse, Problem> {
    let stream = tail.logs.open(&tail.flags, &admitted.scope);
    let Query(query) = query;
    let answer = tail
        .rail
        .follow(admitted.scope, &stream, PATH, &req, &query);
    Ok(answer.await?)
}

#[derive(OpenApi)]
#[openapi(paths(follow))]
struct Api;

/// Describes the route.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
