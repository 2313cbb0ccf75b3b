//! What holds on either transport.

use std::time::Duration;

use identity::Role;
use serde_json::{Value, json};

use crate::{
    app::{App, Caller, eventually, shifted},
    rails::{RAILS, Rail},
    sse_client::Sse,
    ws_client::Ws,
};

/// The transports, as paths name them.
pub(crate) const TRANSPORTS: [&str; 2] = ["sse", "ws"];

/// An open stream of the rail's first object.
pub(crate) enum Stream {
    Sse(Sse),
    Ws(Box<Ws>),
}

impl Stream {
    pub(crate) async fn open(transport: &str, caller: &Caller<'_>, cursor: Option<&str>) -> Self {
        match transport {
            "sse" => Self::Sse(caller.sse(cursor).await),
            _ => Self::Ws(Box::new(caller.ws(cursor).await.0)),
        }
    }

    /// The next cursors, and nothing but events between.
    async fn ids(&mut self, count: usize) -> Vec<String> {
        match self {
            Self::Sse(sse) => sse.ids(count).await,
            Self::Ws(ws) => ws.ids(count).await,
        }
    }

    /// The next event.
    async fn message(&mut self) -> Value {
        match self {
            Self::Sse(sse) => sse.message().await,
            Self::Ws(ws) => ws.op("event").await["event"].take(),
        }
    }

    /// What is told of a gap, which must come next.
    async fn gap(&mut self) -> Value {
        match self {
            Self::Sse(sse) => {
                let gap = sse.event().await.expect("a gap");
                assert_eq!(gap.event.as_deref(), Some("gap"));
                gap.json()
            }
            Self::Ws(ws) => {
                let mut gap = ws.json().await;
                assert_eq!(gap.as_object_mut().unwrap().remove("op").unwrap(), "gap");
                gap
            }
        }
    }

    /// Follows the stream until the server ends it; says how, in the words of SSE.
    pub(crate) async fn end(&mut self) -> &'static str {
        match self {
            Self::Sse(sse) => {
                let mut last = None;
                while let Some(event) = sse.event().await {
                    last = Some(event);
                }
                let last = last.expect("a farewell");
                match (last.event.as_deref(), &last.json()["reason"]) {
                    (Some("drain"), _) => "drain",
                    (Some("unauthorized"), Value::String(reason)) => match &**reason {
                        "token_ended" => "token_ended",
                        _ => "access_revoked",
                    },
                    _ => panic!("no farewell: {last:?}"),
                }
            }
            Self::Ws(ws) => match ws.closed().await {
                1012 => "drain",
                4401 => "token_ended",
                4403 => "access_revoked",
                code => panic!("closed with {code}"),
            },
        }
    }
}

/// Posts `count` messages to the rail's first object and returns their cursors.
async fn said(alice: &Caller<'_>, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(alice.say(&n.to_string()).await);
    }
    ids
}

/// Every rail with every transport.
fn streams() -> impl Iterator<Item = (Rail, &'static str)> {
    RAILS
        .into_iter()
        .flat_map(|rail| TRANSPORTS.map(|transport| (rail, transport)))
}

#[tokio::test]
async fn each_cursor_that_cannot_be_honoured_is_one_gap() {
    for rail in RAILS {
        gaps(&App::on(rail).await).await;
    }
}

async fn gaps(app: &App) {
    let alice = app.alice().await;
    let ids = said(&alice, 6).await;
    app.trim(3).await;
    let future = shifted(&ids[5], 1000);
    for (cursor, reason) in [
        (&*ids[0], "evicted"),
        (&*future, "future"),
        ("1-4", "unknown_epoch"),
        ("garbage", "malformed"),
    ] {
        let gap = json!({"reason": reason, "requested": cursor, "oldest": ids[3], "head": ids[5]});
        for transport in TRANSPORTS {
            let mut stream = Stream::open(transport, &alice, Some(cursor)).await;
            assert_eq!(stream.gap().await, gap);
            assert_eq!(stream.ids(3).await, ids[3..], "{cursor}");
        }
    }
    let mut streams = Vec::new();
    for transport in TRANSPORTS {
        let mut stream = Stream::open(transport, &alice, Some("garbage")).await;
        stream.gap().await;
        assert_eq!(stream.ids(3).await, ids[3..]);
        streams.push(stream);
    }
    let live = alice.say("9").await;
    for mut stream in streams {
        assert_eq!(stream.ids(1).await, [&*live]);
    }
}

#[tokio::test]
async fn one_cursor_resumes_on_either_transport() {
    for rail in RAILS {
        let app = App::on(rail).await;
        let alice = app.alice().await;
        let ids = said(&alice, 30).await;
        for (at, transport) in [(0, "sse"), (10, "ws"), (20, "sse")] {
            let mut stream = Stream::open(transport, &alice, Some(&ids[at])).await;
            let count = 10.min(29 - at);
            assert_eq!(stream.ids(count).await, ids[at + 1..at + 1 + count]);
        }
    }
}

#[tokio::test]
async fn a_removed_member_and_an_ended_token_end_the_stream() {
    for (rail, transport) in streams() {
        let quick = |config: &mut tenantry_realtime::RealtimeConfig| {
            config.timings.recheck = Duration::from_millis(20);
        };
        let app = App::on_with(rail, quick).await;
        let alice = app.alice().await;
        let bob = app.member("t_a", "u_bob", Role::Viewer);
        let mut hers = Stream::open(transport, &alice, None).await;
        let mut his = Stream::open(transport, &bob, None).await;
        app.world.directory.remove("t_a", "u_bob");
        assert_eq!(his.end().await, "access_revoked");
        // Hers went on until her token ended.
        let id = alice.say("1").await;
        assert_eq!(hers.ids(1).await, [id]);
        app.world.clock.advance(Duration::from_secs(901));
        assert_eq!(hers.end().await, "token_ended");
        drop((hers, his));
        let closed = || app.realtime.connections() == 0;
        eventually("all places are given back", closed).await;
    }
}

#[tokio::test]
async fn tenants_with_the_same_names_do_not_meet() {
    for (rail, transport) in streams() {
        let app = App::on(rail).await;
        let alice = app.alice().await;
        let bob = app.member("t_b", "u_bob", Role::Member);
        bob.register(rail.one).await;
        let mut hers = Stream::open(transport, &alice, None).await;
        let mut his = Stream::open(transport, &bob, None).await;
        alice.say("\"hers\"").await;
        bob.say("\"his\"").await;
        assert_eq!(hers.message().await["data"], "hers");
        assert_eq!(his.message().await["data"], "his");
    }
}
