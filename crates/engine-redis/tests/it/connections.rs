//! Few connections, however many follow; and what is heard after one was lost.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::join_all};
use store::{Heard, StreamKey, Tail, Topic, contract::PATIENCE};
use tokio::time::timeout;

use crate::{
    faults::{event, healed},
    subject::{Engine, own},
};

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

async fn clients(engine: &Engine) -> usize {
    let list = engine.command(&words("CLIENT LIST")).await;
    let list: String = deadpool_redis::redis::from_redis_value(list).unwrap();
    list.lines().count()
}

async fn next(tail: &mut Tail) -> u64 {
    let item = timeout(PATIENCE, tail.next())
        .await
        .expect("an item in time");
    item.unwrap().unwrap()[0].cursor.seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_are_followed_over_a_few_connections() {
    const STREAMS: usize = 10_000;
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let streams: Vec<StreamKey> = (0..STREAMS)
        .map(|n| StreamKey::in_scope(&engine.scopes.one, "chat", &format!("th_{n}")))
        .collect();
    let mut tails = Vec::new();
    for chunk in streams.chunks(500) {
        let bounds = join_all(chunk.iter().map(|stream| log.bounds(stream))).await;
        for (stream, bounds) in chunk.iter().zip(bounds) {
            tails.push(log.tail(stream, bounds.unwrap().at_head()).await.unwrap());
        }
    }
    // Each has to begin to listen, and nothing is there yet.
    for tail in &mut tails {
        assert!(tail.next().now_or_never().is_none());
    }
    let event = event(&engine, "x");
    for chunk in streams.chunks(500) {
        let appends = chunk.iter().map(|stream| log.append(stream, event.clone()));
        for appended in join_all(appends).await {
            appended.unwrap();
        }
    }
    for tail in &mut tails {
        assert_eq!(next(tail).await, 1);
    }
    let open = clients(&engine).await;
    // Four lanes, the one that listens, and the one that counts.
    assert!(open <= 6, "{open} connections");
    drop(tails);
    let left = async || {
        let channels = engine.command(&words("PUBSUB CHANNELS")).await;
        let channels: Vec<String> = deadpool_redis::redis::from_redis_value(channels).unwrap();
        channels.is_empty().then_some(()).ok_or(())
    };
    healed(left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_whose_connection_is_cut_goes_on_by_itself() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = StreamKey::in_scope(&engine.scopes.one, "chat", "th_1");
    let head = log.bounds(&stream).await.unwrap().at_head();
    let mut tail = log.tail(&stream, head).await.unwrap();
    let other = engine.node().await.events();
    let mut expected = 0;
    for _ in 0..20 {
        expected += 1;
        other.append(&stream, event(&engine, "x")).await.unwrap();
        assert_eq!(next(&mut tail).await, expected);
        engine.command(&words("CLIENT KILL TYPE pubsub")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_the_bus_is_told_when_something_may_have_been_missed() {
    let engine = own(&[]).await;
    let topic = Topic::of_system(&engine.scopes.system, "changes");
    let (node, other) = (engine.handle().bus(), engine.node().await.bus());
    let mut hearing = node.subscribe(&topic).await.unwrap();
    let mut heard = async || timeout(PATIENCE, hearing.next()).await.unwrap().unwrap();
    other
        .publish(&topic, Bytes::from_static(b"one"))
        .await
        .unwrap();
    assert_eq!(heard().await, Heard::Message(Bytes::from_static(b"one")));
    engine.command(&words("CLIENT KILL TYPE pubsub")).await;
    assert_eq!(heard().await, Heard::Missed);
    other
        .publish(&topic, Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!(heard().await, Heard::Message(Bytes::from_static(b"two")));
    engine.server().kill();
    let lost = other.publish(&topic, Bytes::from_static(b"lost")).await;
    assert!(lost.is_err(), "{lost:?}");
    engine.server().revive();
    assert_eq!(heard().await, Heard::Missed);
    healed(async || other.publish(&topic, Bytes::from_static(b"three")).await).await;
    assert_eq!(heard().await, Heard::Message(Bytes::from_static(b"three")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_silent_is_noticed() {
    let engine = own(&[]).await;
    let topic = Topic::of_system(&engine.scopes.system, "changes");
    let bus = engine.handle().bus();
    let mut hearing = bus.subscribe(&topic).await.unwrap();
    engine.server().pause();
    tokio::time::sleep(Duration::from_secs(8)).await;
    engine.server().resume();
    let heard = timeout(PATIENCE, hearing.next()).await.unwrap();
    assert_eq!(heard, Some(Heard::Missed));
}
