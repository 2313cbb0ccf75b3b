//! Streams over SSE.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{App, eventually},
    rails::{CANVAS, RAILS},
};

#[tokio::test]
async fn a_stream_starts_live_at_once_and_says_where() {
    for rail in RAILS {
        let app = App::on(rail).await;
        starts_live(&app).await;
    }
}

async fn starts_live(app: &App) {
    let alice = app.alice().await;
    let before = alice.say("1").await;
    let mut sse = alice.sse(None).await;
    assert_eq!(sse.header("content-type"), Some("text/event-stream"));
    assert_eq!(sse.header("cache-control"), Some("no-cache"));
    assert_eq!(sse.header("x-accel-buffering"), Some("no"));
    assert_eq!(sse.hello.comments, 1);
    assert!(sse.hello.retry.is_some());
    assert_eq!(sse.hello.id.as_deref(), Some(&*before));
    let after = alice.say("2").await;
    let message = sse.message().await;
    assert_eq!(
        (&message["id"], &message["data"]),
        (&json!(after), &json!(2))
    );
}

#[tokio::test]
async fn a_stream_resumes_after_its_cursor_and_goes_on_live() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(alice.say(&n.to_string()).await);
    }
    let mut sse = alice.sse(Some(&ids[9])).await;
    assert_eq!(sse.hello.id, None);
    assert_eq!(sse.ids(190).await, ids[10..]);
    let live = alice.say("1").await;
    assert_eq!(sse.ids(1).await, [live]);
}

#[tokio::test]
async fn the_header_wins_over_the_query_and_an_empty_one_is_none() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(alice.say(&n.to_string()).await);
    }
    let path = format!("{}?last_event_id={}", app.rail.sse(), ids[0]);
    let mut sse = crate::sse_client::Sse::open(alice.request("GET", &path)).await;
    assert_eq!(sse.ids(2).await, ids[1..]);
    // An EventSource that reconnects still has the query of its first connection.
    let again = alice.request("GET", &path).header("last-event-id", &ids[1]);
    let mut sse = crate::sse_client::Sse::open(again).await;
    assert_eq!(sse.ids(1).await, ids[2..]);
    let mut sse = alice.sse(Some("")).await;
    let live = alice.say("3").await;
    assert_eq!(sse.ids(1).await, [live]);
}

#[tokio::test]
async fn the_id_of_a_gap_resumes_without_another_gap() {
    let app = App::new().await;
    let alice = app.alice().await;
    let id = alice.say("1").await;
    let mut sse = alice.sse(Some("garbage")).await;
    let gap = sse.event().await.unwrap();
    assert_eq!(gap.event.as_deref(), Some("gap"));
    let mut resumed = alice.sse(gap.id.as_deref()).await;
    assert_eq!(resumed.ids(1).await, [id]);
}

#[tokio::test]
async fn a_comment_shows_that_the_stream_is_alive() {
    let app = App::with(|config| config.timings.heartbeat = Duration::from_millis(20)).await;
    let alice = app.alice().await;
    let mut sse = alice.sse(None).await;
    for _ in 0..3 {
        let block = sse.block().await.unwrap();
        assert_eq!((block.comments, block.data), (1, None));
    }
}

#[tokio::test]
async fn a_topic_ends_after_its_last_subscriber() {
    let app = App::with(|config| config.timings.linger = Duration::from_millis(50)).await;
    let alice = app.alice().await;
    let (first, second) = (alice.sse(None).await, alice.sse(None).await);
    assert_eq!((app.realtime.topics(), app.realtime.connections()), (1, 2));
    drop(first);
    // A write is what tells the server that a reader is gone.
    alice.say("1").await;
    drop(second);
    for n in 0..3 {
        alice.say(&n.to_string()).await;
    }
    eventually("the topic ends", || app.realtime.topics() == 0).await;
    assert_eq!(app.realtime.connections(), 0);
    let mut third = alice.sse(None).await;
    let id = alice.say("2").await;
    assert_eq!(third.ids(1).await, [id]);
}
