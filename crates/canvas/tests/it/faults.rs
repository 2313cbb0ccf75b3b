//! Engines that fail, and nodes that stop between one step and the next.

use std::{sync::Arc, time::Duration};

use identity::Clock;
use serde_json::{Value, json};
use store::{
    AppendError, Appended, Bounds, Cursor, EventLog, NewEvent, Read, StoreError, StreamKey, Tail,
};
use tenantry_canvas::{CanvasError, Mode};

use crate::house::{House, batch};

/// A log that has forgotten every key by which it would know an event again.
struct Forgetful(Arc<dyn EventLog>);

#[async_trait::async_trait]
impl EventLog for Forgetful {
    async fn append(
        &self,
        stream: &StreamKey,
        mut event: NewEvent,
    ) -> Result<Appended, AppendError> {
        event.idempotency = None;
        self.0.append(stream, event).await
    }
    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.0.read(stream, after, limit).await
    }
    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.0.bounds(stream).await
    }
    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        self.0.tail(stream, after).await
    }
    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        self.0.trim(stream, up_to).await
    }
}

/// What was told, once all is told that can be.
async fn told(house: &House) -> Vec<Value> {
    // The log may be down.
    let _ = house.service.settle(&house.key).await;
    on_the_rail(house).await
}

async fn on_the_rail(house: &House) -> Vec<Value> {
    let read = house
        .ground
        .log
        .read(house.key.stream(), None, 1000)
        .await
        .unwrap();
    let Read::Page { events, .. } = read else {
        panic!("{read:?}")
    };
    events
        .iter()
        .map(|event| serde_json::from_slice(&event.body).unwrap())
        .collect()
}

fn revs(events: &[Value]) -> Vec<u64> {
    let revs = events.iter().map(|event| event["data"]["rev"].as_u64());
    revs.flatten().collect()
}

async fn told_revs(house: &House) -> Vec<u64> {
    revs(&told(house).await)
}

fn make(node: &str) -> (&'static str, Value) {
    ("node.create", json!({"node": node, "type": "t"}))
}

#[tokio::test]
async fn commits_are_told_in_envelopes_with_their_makers() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    let events = told(&house).await;
    let (event, ids) = (&events[0], house.scope.ids());
    assert_eq!(event["type"], "canvas.commit");
    assert_eq!(event["routing"]["canvas_id"], "cv_1");
    assert_eq!(event["routing"]["rail"], "canvas");
    assert_eq!(event["routing"]["tenant_id"], "t_a");
    assert_eq!(event["routing"]["actor"]["user_id"], "u_1");
    assert_eq!(event["meta"]["request_id"], ids.request_id.as_str());
    let commits = house.service.commits(&house.key, 0, 10).await.unwrap();
    assert_eq!(
        event["data"],
        serde_json::to_value(&commits.items[0]).unwrap()
    );
}

#[tokio::test]
async fn a_commit_too_large_for_an_event_is_announced() {
    let house = House::new().await;
    let text = "x".repeat(40_000);
    let commands: Vec<_> = (0..4)
        .map(|n| {
            (
                "node.create",
                json!({"node": format!("n{n}"), "type": "t", "props": {"text": text}}),
            )
        })
        .collect();
    let done = house
        .send(&batch("b1", 0, Mode::Strict, &commands))
        .await
        .unwrap();
    let events = told(&house).await;
    assert_eq!(events[0]["data"]["truncated"], true);
    assert_eq!(events[0]["data"]["state_hash"], done.state_hash.to_string());
    assert!(events[0]["data"].get("commands").is_none());
}

#[tokio::test]
async fn what_was_durable_and_not_told_is_told_at_the_next_access() {
    let mut house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    assert_eq!(told_revs(&house).await, [1]);
    house.log.set_down(true);
    house
        .send(&batch("b2", 1, Mode::Strict, &[make("b")]))
        .await
        .unwrap();
    house
        .send(&batch("b3", 2, Mode::Strict, &[make("c")]))
        .await
        .unwrap();
    // The node is gone, and with it the task that would have told; another reads the canvas.
    let gone = std::mem::replace(&mut house.service, house.ground.start());
    drop(gone);
    house.log.set_down(false);
    assert_eq!(revs(&on_the_rail(&house).await), [1]);
    let view = house.service.view(&house.key).await.unwrap();
    assert!(
        view.resume_id.unwrap().ends_with("-1"),
        "the rest is still to come"
    );
    eventually(&house, &[1, 2, 3]).await;
    // Nobody tells it again.
    let third = house.ground.start();
    third.view(&house.key).await.unwrap();
    third.settle(&house.key).await.unwrap();
    assert_eq!(told_revs(&house).await, [1, 2, 3]);
}

/// Waits until just these commits are on the rail, without having them told.
async fn eventually(house: &House, wanted: &[u64]) {
    for _ in 0..2000 {
        if revs(&on_the_rail(house).await) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never told: {wanted:?}");
}

#[tokio::test]
async fn a_commit_is_told_by_itself_also_when_the_log_was_away_for_a_while() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    eventually(&house, &[1]).await;
    house.log.set_down(true);
    for rev in 1..4 {
        let next = [make(&format!("n{rev}"))];
        let next = batch(&format!("c{rev}"), rev, Mode::Strict, &next);
        house.send(&next).await.unwrap();
    }
    // Its telling has failed by now.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    house.log.set_down(false);
    eventually(&house, &[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn what_a_node_left_untold_is_told_before_a_stream_opens() {
    let mut house = House::new().await;
    house.log.set_down(true);
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    drop(std::mem::replace(&mut house.service, house.ground.start()));
    house.log.set_down(false);
    assert_eq!(revs(&on_the_rail(&house).await), [0; 0]);
    // What opening one asks for, on a node where the canvas is not in memory.
    house.service.settle(&house.key).await.unwrap();
    assert_eq!(revs(&on_the_rail(&house).await), [1]);
}

#[tokio::test]
async fn a_commit_is_not_told_again_when_the_log_has_forgotten_its_key() {
    let mut house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    house
        .send(&batch("b2", 1, Mode::Strict, &[make("b")]))
        .await
        .unwrap();
    assert_eq!(told_revs(&house).await, [1, 2]);
    // Since then tools have said much.
    let read = house.log.bounds(house.key.stream()).await.unwrap();
    for _ in 0..2500 {
        let event = NewEvent {
            body: r#"{"type":"tool.event","data":{"rev":7}}"#.into(),
            at: house.ground.world.clock.now(),
            idempotency: None,
        };
        house.log.append(house.key.stream(), event).await.unwrap();
    }
    house.ground.log = Arc::new(Forgetful(house.log.clone()));
    house
        .ground
        .world
        .clock
        .advance(Duration::from_secs(30 * 24 * 3600));
    let other = house.ground.start();
    other.view(&house.key).await.unwrap();
    other.settle(&house.key).await.unwrap();
    let after = house.log.bounds(house.key.stream()).await.unwrap();
    assert_eq!(after.head, read.head + 2500, "something was told again");
}

#[tokio::test]
async fn changes_wait_when_too_many_commits_wait_to_be_told() {
    let house = House::new().await;
    house.log.set_down(true);
    let mut rev = 0;
    loop {
        let next = batch(
            &format!("b{rev}"),
            rev,
            Mode::Strict,
            &[make(&format!("n{rev}"))],
        );
        match house.send(&next).await {
            Ok(done) => rev = done.rev,
            Err(CanvasError::Store(_)) => break,
            Err(other) => panic!("{other:?}"),
        }
        assert!(rev < 1000);
    }
    house.log.set_down(false);
    let next = batch("more", rev, Mode::Strict, &[make("more")]);
    house.send(&next).await.unwrap();
    assert_eq!(told_revs(&house).await, (1..=rev + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_that_fails_changes_nothing_and_the_batch_can_be_sent_again() {
    let house = House::new().await;
    house
        .send(&batch("b1", 0, Mode::Strict, &[make("a")]))
        .await
        .unwrap();
    let next = batch("b2", 1, Mode::Strict, &[make("b")]);
    // The head, the receipt, the commit: whichever call fails.
    for failing in 1..=3 {
        house.documents.fail_next(failing);
        let refused = house.send(&next).await;
        assert!(matches!(refused, Err(CanvasError::Store(_))), "{refused:?}");
        house.documents.fail_next(0);
        assert_eq!(house.service.view(&house.key).await.unwrap().rev, 1);
    }
    let done = house.send(&next).await.unwrap();
    assert_eq!((done.rev, done.duplicate), (2, false));
}

#[tokio::test]
async fn two_nodes_at_once_lose_nothing_and_do_nothing_twice() {
    let house = House::new().await;
    let nodes = [house.ground.start(), house.ground.start()];
    let mut sends = Vec::new();
    for n in 0..40 {
        let batch = batch(&format!("b{n}"), 0, Mode::Rebase, &[make(&format!("n{n}"))]);
        for service in &nodes {
            let batch = batch.clone();
            let (scope, key) = (&house.scope, &house.key);
            sends.push(async move {
                loop {
                    match service.submit(scope, key, &batch).await {
                        Err(CanvasError::Contended) => {}
                        other => return other.unwrap(),
                    }
                }
            });
        }
    }
    let done = futures_util::future::join_all(sends).await;
    let mut first: Vec<u64> = done
        .iter()
        .filter(|d| !d.duplicate)
        .map(|d| d.rev)
        .collect();
    first.sort_unstable();
    assert_eq!(first, (1..=40).collect::<Vec<_>>());
    assert_eq!(told_revs(&house).await, (1..=40).collect::<Vec<_>>());
    for pair in done.chunks(2) {
        assert_eq!(
            (pair[0].rev, pair[0].state_hash),
            (pair[1].rev, pair[1].state_hash)
        );
    }
}
