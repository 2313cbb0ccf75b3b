//! Redis dies, stands still, is cut off from one of two nodes, forgets everything, and is full.

use std::time::Duration;

use serde_json::json;
use testkit::Way;

use crate::{
    client::{Caller, Request, open, send},
    faults::{Follower, Nodes, Plant, away, done, eventually, redis, stranger},
    faults_talk::{Talk, messages},
    recipes::succeed,
    streams::{Sse, post, thread},
};

/// How long it stands still.
const PAUSED: Duration = Duration::from_secs(10);

fn message(thread: &str, text: &str) -> Request {
    let path = format!("/chat/threads/{thread}/messages");
    Request::new("POST", path).json(&json!({"data": {"text": text}}))
}

fn card(title: &str) -> Request {
    Request::new("POST", "/nexus/cards").json(&json!({ "title": title }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_dies_stands_still_and_is_cut_off_and_what_was_acknowledged_is_heard_once() {
    let plant = Plant::start().await;
    let [one, two] = plant.cloud.nodes("").await;
    let both = [&one, &two];
    let (ada, bob) = (Caller::resident(&one, 0), stranger(&one).await);
    let talks = [
        Talk::begin(&both, &ada, "north").await,
        Talk::begin(&both, &bob, "south").await,
    ];

    plant.cloud.redis.kill();
    for talk in &talks {
        talk.writer.until_refused().await;
    }
    plant.cloud.redis.revive();
    for talk in &talks {
        talk.writer.until_on().await;
    }

    plant.cloud.redis.pause();
    for talk in &talks {
        talk.writer.until_refused().await;
    }
    tokio::time::sleep(PAUSED).await;
    plant.cloud.redis.resume();
    for talk in &talks {
        talk.writer.until_on().await;
    }

    // One node is cut off, by resets and by silence; the other one goes on.
    for (round, way) in [Way::Cut, Way::Silent].into_iter().enumerate() {
        plant.redis.set_for(two.id(), way);
        let (lost, stream) = (message("th_talk", "lost"), "/sse/chat/th_talk");
        // Refused, so it is not counted among what must be heard; nor may it be heard.
        eventually(&two, &bob, &lost, away).await;
        let refused = open(&two, &ada, &Request::new("GET", stream)).await;
        assert_eq!(refused.status(), 503, "{way:?}");
        assert!(refused.headers().contains_key("retry-after"), "{way:?}");
        for talk in &talks {
            talk.writer.until_on().await;
        }
        // Nothing of what goes around by Redis is needed for a kill switch to hold.
        let place = format!("/gates/kill-switches/r{round}");
        let switch = json!({"action": "nexus.cards.*", "reason": "a test"});
        eventually(&two, &ada, &card("before"), done).await;
        let switch = Request::new("PUT", &place).json(&switch);
        succeed(&one, &ada, switch).await;
        let held = send(&two, &ada, &card("after")).await;
        assert_eq!(held.outcome(), (503, "kill_switch_engaged".to_owned()));
        succeed(&one, &ada, Request::new("DELETE", place)).await;
        plant.redis.set(Way::Open);
        eventually(&two, &ada, &card("healed"), done).await;
    }
    for talk in talks {
        talk.writer.until_on().await;
        talk.end(&both).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_forgot_is_told_of_once_and_a_full_one_refuses_whole() {
    let plant = Plant::start().await;
    let [one, two] = plant.cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let first = post(&one, &ada, "th_1", &["a", "b", "c"]).await;
    let followers = [
        Follower::start(&Nodes::of(&[&one]), &ada, "th_1", &first[0]).await,
        Follower::start(&Nodes::of(&[&two]), &ada, "th_1", &first[0]).await,
    ];
    for follower in &followers {
        follower.hears(2).await;
    }

    plant.cloud.redis.lose_everything();
    plant.cloud.redis.revive();
    let again = eventually(&one, &ada, &message("th_1", "d"), done).await;
    let fourth = again.json()["id"].as_str().unwrap().to_owned();
    eventually(&two, &ada, &message("th_1", "e"), done).await;
    for follower in &followers {
        follower.hears(4).await;
        let heard = follower.heard();
        assert_eq!(heard.gaps, ["unknown_epoch"]);
        let texts = heard.messages.iter().map(|(_, text)| text.as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["b", "c", "d", "e"]);
    }
    // Who was away is told the same.
    for server in [&one, &two] {
        let resumed = format!("/sse/chat/th_1?last_event_id={}", first[2]);
        let mut back = Sse::open(server, &ada, &resumed).await;
        let gap = back.next().await.unwrap();
        assert_eq!(gap.event, "gap");
        assert_eq!(gap.json()["reason"], "unknown_epoch");
        assert_eq!(back.messages(1).await, std::slice::from_ref(&fourth));
    }

    let before = messages(&one, &ada, "th_1").await;
    assert_eq!(
        redis(&plant.cloud.redis, "CONFIG SET maxmemory 1").await,
        "+OK"
    );
    for server in [&one, &two] {
        for _ in 0..3 {
            let refused = send(server, &ada, &message("th_1", "full")).await;
            assert!(away(&refused), "{refused:?}");
        }
        assert_eq!(messages(server, &ada, "th_1").await, before);
        let resumed = format!("/sse/chat/th_1?last_event_id={fourth}");
        let mut reads = Sse::open(server, &ada, &resumed).await;
        assert_eq!(reads.messages(1).await, [before[1].0.clone()]);
    }
    assert_eq!(
        redis(&plant.cloud.redis, "CONFIG SET maxmemory 0").await,
        "+OK"
    );
    for (server, text) in [(&one, "f"), (&two, "g")] {
        eventually(server, &ada, &message("th_1", text), done).await;
    }
    for follower in &followers {
        let heard = follower.hears(6).await;
        let texts = heard.iter().map(|(_, text)| text.as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["b", "c", "d", "e", "f", "g"]);
        assert_eq!(follower.heard().gaps.len(), 1);
    }
}
