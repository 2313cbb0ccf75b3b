//! Redis dies, stands still, is cut off from one of two nodes, forgets everything, and is full.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Way;
use tokio::time::Instant;

use crate::{
    client::{Caller, Reply, Request, open, send},
    faults::{Follower, Nodes, Plant, away, done, eventually, redis, stranger},
    faults_talk::{Talk, messages},
    process::Server,
    recipes::succeed,
    several::{figure, until_more},
    streams::{Sse, post, thread},
};

/// How long it stands still.
const PAUSED: Duration = Duration::from_secs(10);
/// What waits for a Redis that stands still is answered in less: it is asked twice, for the rate and for the event.
const ANSWERED_MAX: Duration = Duration::from_secs(12);
/// Calls that are refused without asking it.
const AT_ONCE: &str = r#"tenantry_backend_refusals_total{backend="redis",why="down"}"#;

fn message(thread: &str, text: &str) -> Request {
    let path = format!("/chat/threads/{thread}/messages");
    Request::new("POST", path).json(&json!({"data": {"text": text}}))
}

fn card(title: &str) -> Request {
    Request::new("POST", "/nexus/cards").json(&json!({ "title": title }))
}

/// A thread that nobody follows: whoever wants to must ask Redis.
const QUIET: &str = "th_quiet";

/// Everything that needs Redis.
fn needing(thread: &str) -> [Request; 4] {
    let ticket = json!({"rail": "chat", "id": thread});
    let credentials = json!({"email": "ada@north.example", "password": "correct horse battery"});
    [
        message(thread, "refused"),
        Request::new("POST", "/realtime/tickets").json(&ticket),
        Request::new("GET", format!("/sse/chat/{thread}")),
        Request::new("POST", "/auth/login").json(&credentials),
    ]
}

/// While there is no Redis: what is refused, how soon, and what goes on. The trace of a deed that is recorded later.
async fn without(server: &Server, caller: &Caller) -> String {
    for request in needing(QUIET) {
        let asked = Instant::now();
        let refused = send(server, caller, &request).await;
        assert!(away(&refused), "{request:?}: {refused:?}");
        let took = asked.elapsed();
        assert!(took < ANSWERED_MAX, "{request:?} took {took:?}");
    }
    let made = send(server, caller, &card("made without Redis")).await;
    assert!(done(&made), "{made:?}");
    assert_eq!(made.header("x-audit-status"), Some("degraded"));
    made.header("x-request-id").unwrap().to_owned()
}

/// Waits until the card that was made is in the audit log: no record of it is there twice, and it was done. The place of
/// the last.
pub(crate) async fn recorded(server: &Server, caller: &Caller, trace: &str) -> u64 {
    let asked = format!("/audit/events?action=nexus.cards.create&trace_id={trace}");
    let asked = Request::new("GET", asked);
    let records = |reply: &Reply| -> Vec<Value> {
        let records = reply.json()["items"].as_array().cloned();
        records.unwrap_or_default()
    };
    let ends = |reply: &Reply| records(reply).iter().any(|one| one["outcome"] == "done");
    let found = records(&eventually(server, caller, &asked, ends).await);
    // What waited in the spool is an intent, the event that tells how it went, and the end of the intent.
    let phases: Vec<&Value> = found.iter().map(|one| &one["phase"]).collect();
    let once = phases
        .iter()
        .all(|phase| phases.iter().filter(|other| *other == phase).count() == 1);
    assert!(once, "{found:?}");
    found.last().unwrap()["seq"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_dies_stands_still_and_is_cut_off_and_what_was_acknowledged_is_heard_once() {
    let plant = Plant::start().await;
    let [one, two] = plant.cloud.nodes("").await;
    let both = [&one, &two];
    let (ada, bob) = (Caller::resident(&one, 0), stranger(&one).await);
    thread(&one, &ada, QUIET).await;
    let talks = [
        Talk::begin(&both, &ada, "north").await,
        Talk::begin(&both, &bob, "south").await,
    ];

    plant.cloud.redis.kill();
    for talk in &talks {
        talk.writer.until_refused().await;
    }
    let mut traces = vec![without(&one, &ada).await];
    plant.cloud.redis.revive();
    for talk in &talks {
        talk.writer.until_on().await;
    }

    let (pause, at_once) = (Instant::now() + PAUSED, figure(&two, AT_ONCE).await);
    plant.cloud.redis.pause();
    for talk in &talks {
        talk.writer.until_refused().await;
    }
    traces.push(without(&two, &ada).await);
    until_more(&two, AT_ONCE, at_once).await;
    tokio::time::sleep_until(pause).await;
    plant.cloud.redis.resume();
    for talk in &talks {
        talk.writer.until_on().await;
    }
    for trace in traces {
        recorded(&one, &ada, &trace).await;
    }

    // One node is cut off, by resets and by silence; the other one goes on.
    for (round, way) in [Way::Cut, Way::Silent].into_iter().enumerate() {
        plant.redis.set_for(two.id(), way);
        let (lost, stream) = (message("th_talk", "lost"), format!("/sse/chat/{QUIET}"));
        // Refused, so it is not counted among what must be heard; nor may it be heard.
        eventually(&two, &bob, &lost, away).await;
        let refused = open(&two, &ada, &Request::new("GET", &stream)).await;
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
        // Through all of it they stayed open.
        assert_eq!(talk.opened(), [1, 1]);
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
        let [_, ticket, _, login] = needing("th_1");
        let refused = send(server, &ada, &ticket).await;
        assert!(away(&refused), "{refused:?}");
        // Rates are kept still.
        succeed(server, &Caller::default(), login).await;
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
