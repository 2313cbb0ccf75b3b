//! A rail beside the threads': another log, followed in the same way.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use bytes::Bytes;
use identity::{
    Problem, Role, Scope, Timestamp,
    http::{Admitted, Object, Query, Routes},
};
use serde_json::{Value, json};
use store::{EventLog, NewEvent, StreamKey};
use tenantry_realtime::{Rail, SseQuery};
use testkit::MemoryEventLog;

use crate::{
    app::{App, Caller, eventually},
    rails::CHAT,
    sse_client::{Block, Sse},
};

identity::action!(FollowNews, "news.stream.open", Admin);
const NEWS: &str = "/sse/news";

struct Own;
impl Object for Own {
    const STREAM: Option<(&'static str, &'static str)> = Some(("news", ""));
    async fn locate(_: &Scope, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self)
    }
}

fn stream(scope: &Scope) -> StreamKey {
    StreamKey::in_scope(scope, "news", "all")
}

async fn follow(
    admitted: Admitted<FollowNews, (), Own>,
    query: Query<SseQuery>,
    req: HttpRequest,
    rail: Data<Rail>,
) -> Result<HttpResponse, Problem> {
    let stream = stream(&admitted.scope);
    let answer = rail.follow(admitted.scope, &stream, NEWS, &req, &query.0);
    Ok(answer.await?)
}

/// An application with a rail, its log, and an admin who may follow it.
struct News {
    app: App,
    log: Arc<MemoryEventLog>,
    stream: StreamKey,
}

impl News {
    async fn new() -> Self {
        let log = Arc::new(MemoryEventLog::default());
        let followed: Arc<dyn EventLog> = log.clone();
        let mount = |parts: &crate::app::Parts, routes: &mut Routes| {
            routes.tenant(Method::GET, NEWS, follow);
            let name = "news";
            Rail::new::<FollowNews>(&parts.realtime, followed, name, "news.stream.close")
        };
        let app = App::with_more(CHAT, quick, mount).await;
        let scope = app.world.scope("t_a", identity::Env::Dev, "u_writer").await;
        let stream = stream(&scope);
        Self { app, log, stream }
    }

    fn admin(&self) -> Caller<'_> {
        self.app.member("t_a", "u_admin", Role::Admin)
    }

    async fn tell(&self, body: Value) -> String {
        let event = NewEvent {
            body: Bytes::from(body.to_string()),
            at: Timestamp::from_unix_ms(0),
            idempotency: None,
        };
        let appended = self.log.append(&self.stream, event).await.unwrap();
        appended.cursor.to_string()
    }
}

fn quick(config: &mut tenantry_realtime::RealtimeConfig) {
    config.timings.recheck = Duration::from_millis(20);
    config.limits.connections_per_tenant = 2;
}

async fn open(caller: &Caller<'_>, cursor: Option<&str>) -> Sse {
    let request = caller.request("GET", NEWS);
    let request = match cursor {
        Some(cursor) => request.header("last-event-id", cursor),
        None => request,
    };
    Sse::open(request).await
}

async fn next(sse: &mut Sse) -> (String, Value) {
    let Block {
        id, event, data, ..
    } = sse.event().await.unwrap();
    assert_eq!(event.as_deref(), Some("message"));
    (id.unwrap(), serde_json::from_str(&data.unwrap()).unwrap())
}

#[tokio::test]
async fn bodies_are_told_as_they_are_live_and_again() {
    let news = News::new().await;
    let admin = news.admin();
    let mut live = open(&admin, None).await;
    let mut told = Vec::new();
    for n in 0..3 {
        let body = json!({"seq": n, "id": "its own"});
        told.push((news.tell(body.clone()).await, body));
        assert_eq!(next(&mut live).await, told[n]);
    }
    let mut again = open(&admin, Some(&told[0].0)).await;
    for event in &told[1..] {
        assert_eq!(next(&mut again).await, *event);
    }
    // Its places are those of all streams of the tenant.
    admin.get(NEWS).await.refused(429, "throttled");
    let carol = news.app.member("t_b", "u_carol", Role::Admin);
    let mut hers = open(&carol, Some("garbage")).await;
    assert_eq!(hers.event().await.unwrap().event.as_deref(), Some("gap"));
}

#[tokio::test]
async fn it_is_recorded_by_its_own_names_and_ends_with_the_role() {
    let news = News::new().await;
    let member = news.app.member("t_a", "u_member", Role::Member);
    member.get(NEWS).await.refused(403, "role_forbidden");
    let admin = news.admin();
    let mut sse = open(&admin, None).await;
    assert_eq!(sse.header("x-audit-seq"), Some("2"));
    // Still a member, but no admin any more.
    news.app.member("t_a", "u_admin", Role::Member);
    let end = sse.event().await.unwrap();
    assert_eq!(end.json(), json!({"reason": "access_revoked"}));
    drop(sse);
    let closed = || news.app.recorder.lines().len() == 3;
    eventually("the closing is recorded", closed).await;
    let deed = |user: &str, action: &str| format!("t_a/dev {user} news.stream.{action} GET {NEWS}");
    assert_eq!(
        news.app.recorder.lines(),
        [
            format!(
                "refused {}: refused role_forbidden",
                deed("u_member", "open")
            ),
            format!("note {}: done", deed("u_admin", "open")),
            format!(
                "note {}: done reason=access_revoked",
                deed("u_admin", "close")
            ),
        ]
    );
}

#[tokio::test]
async fn it_is_drained_with_all_others() {
    let news = News::new().await;
    let admin = news.admin();
    let mut sse = open(&admin, None).await;
    assert_eq!(news.app.realtime.topics(), 1);
    let realtime = news.app.realtime.clone();
    let drain = realtime.drain(Duration::ZERO, Duration::from_secs(10));
    let told = async {
        let told = sse.event().await.unwrap();
        drop(sse);
        told
    };
    let (open, told) = futures_util::future::join(drain, told).await;
    assert_eq!((open, told.event.as_deref()), (0, Some("drain")));
    admin.get(NEWS).await.refused(503, "draining");
}
