//! Firestore is away, slow, breaks off in its answers, and has many who write the same document.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::Way;

use crate::{
    client::{Caller, Reply, Request, send},
    faults::{PATIENCE, Plant, away, done, eventually},
    process::Server,
    recipes::succeed,
    streams::{Sse, post, thread},
};

const WRITERS: usize = 64;
/// Cards that each writer makes under one fault.
const CARDS: usize = 3;
const PRICE: usize = 1000;
/// How many of the spenders the budget is enough for.
const AFFORDED: usize = 40;

fn get(path: &str) -> Request {
    Request::new("GET", path)
}

/// Every title of the tenant's cards, in the order of the list.
async fn titles(server: &Server, caller: &Caller) -> Vec<String> {
    let (mut titles, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/nexus/cards?limit=1000{after}");
        let page = succeed(server, caller, get(&path)).await;
        let items = page["items"].as_array().unwrap().iter();
        titles.extend(items.map(|item| item["title"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return titles,
        }
    }
}

/// Makes cards until each is acknowledged; how often one was refused, because something is away.
async fn cards(server: &Server, caller: &Caller, name: &str) -> usize {
    let mut refused = 0;
    for n in 0..CARDS {
        let title = format!("{name} {n}");
        let card = Request::new("POST", "/nexus/cards").json(&json!({ "title": title }));
        let keyed = caller
            .clone()
            .and("idempotency-key", title.replace(' ', "-"));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let reply = send(server, &keyed, &card).await;
            if done(&reply) {
                break;
            }
            assert!(away(&reply), "{reply:?}");
            assert!(tokio::time::Instant::now() < deadline, "{title}: {reply:?}");
            refused += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn firestore_is_away_or_slow_or_breaks_off_and_each_card_is_made_once() {
    let plant = Plant::start().await;
    let [one, two] = plant.cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    let mut expected = BTreeSet::new();
    for (name, way) in [
        ("cut", Way::Cut),
        ("silent", Way::Silent),
        ("broken off", Way::Half(0)),
        ("slow", Way::Slow(Duration::from_millis(300))),
    ] {
        let names: Vec<String> = (0..4).map(|writer| format!("{name} {writer}")).collect();
        let writers = names.iter().zip([&one, &two].into_iter().cycle());
        let writers = join_all(writers.map(|(name, server)| cards(server, &ada, name)));
        plant.firestore.set(way);
        let heals = async {
            if !matches!(way, Way::Slow(_)) {
                // It is noticed, whatever the writers make of it: they may be served by a try that comes late enough.
                for server in [&one, &two] {
                    eventually(server, &ada, &get("/nexus/cards"), away).await;
                }
                plant.firestore.set(Way::Open);
            }
        };
        let (refused, ()) = tokio::join!(writers, heals);
        let refused: usize = refused.into_iter().sum();
        // What is slow is not refused.
        if matches!(way, Way::Slow(_)) {
            assert_eq!(refused, 0);
        }
        plant.firestore.set(Way::Open);
        let made = names
            .iter()
            .flat_map(|name| (0..CARDS).map(move |n| format!("{name} {n}")));
        expected.extend(made);
        for server in [&one, &two] {
            let titles = titles(server, &ada).await;
            let once: BTreeSet<String> = titles.iter().cloned().collect();
            assert_eq!(once.len(), titles.len(), "{name}: {titles:?}");
            assert_eq!(once, expected, "{name}");
        }
    }
}

/// What waits for a store that does not answer is refused in less: each call ends after 12 s, and there may be two.
const ANSWERED_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_firestore_streams_are_told_to_come_back_and_nothing_is_let_through() {
    let plant = Plant::start().await;
    let [server] = plant.cloud.nodes("").await;
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    for way in [Way::Silent, Way::Cut] {
        let mut stream = Sse::open(&server, &ada, "/sse/chat/th_1").await;
        let last = post(&server, &ada, "th_1", &["before"]).await.remove(0);
        assert_eq!(stream.messages(1).await, std::slice::from_ref(&last));
        plant.firestore.set(way);
        // It is not known any more who is a member, and access is never assumed.
        let told = tokio::time::timeout(PATIENCE, stream.read()).await.unwrap();
        assert_eq!(told.unwrap().event, "drain", "{way:?}");
        assert_eq!(stream.next().await, None, "{way:?}");
        let message = json!({"data": {"text": "refused"}});
        let message = Request::new("POST", "/chat/threads/th_1/messages").json(&message);
        for request in [get("/nexus/cards"), get("/sse/chat/th_1"), message] {
            let asked = tokio::time::Instant::now();
            let refused = send(&server, &ada, &request).await;
            assert!(away(&refused), "{way:?}: {request:?}: {refused:?}");
            let took = asked.elapsed();
            assert!(took < ANSWERED_MAX, "{way:?}: {request:?} took {took:?}");
        }
        succeed(&server, &Caller::default(), get("/healthz")).await;

        plant.firestore.set(Way::Open);
        eventually(&server, &ada, &get("/nexus/cards"), done).await;
        let back = format!("/sse/chat/th_1?last_event_id={last}");
        let mut stream = Sse::open(&server, &ada, &back).await;
        let after = post(&server, &ada, "th_1", &["after"]).await;
        assert_eq!(stream.messages(1).await, after, "{way:?}");
    }
}

/// Whether somebody who is one of many is told to come again: the head moved, or there is too much to do.
fn crowded(reply: &Reply) -> bool {
    let code = reply.code();
    match reply.status {
        409 => code == "rev_mismatch",
        429 | 503 => reply.header("retry-after").is_some(),
        _ => false,
    }
}

/// Adds a node to the canvas; the revision that did.
async fn edit(server: &Server, caller: &Caller, writer: usize) -> u64 {
    let commands = json!({
        "base_rev": 0, "client_id": format!("c{writer}"), "batch_id": "b", "mode": "rebase",
        "commands": [{
            "cmd_id": "1", "kind": "node.create",
            "args": {"node": format!("n{writer}"), "type": "note"},
        }],
    });
    let request = Request::new("POST", "/canvas/cv_1/commands").json(&commands);
    let reply = eventually(server, caller, &request, |reply| {
        assert!(done(reply) || crowded(reply), "{reply:?}");
        done(reply)
    });
    reply.await.json()["rev"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_writers_on_two_nodes_none_is_lost_none_counts_twice_and_none_overspends() {
    let plant = Plant::start().await;
    let [one, two] = plant.cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    let both = [&one, &two];
    let canvas = Request::new("POST", "/canvas").json(&json!({"canvas_id": "cv_1"}));
    succeed(&one, &ada, canvas).await;
    let mut told = Sse::open(&two, &ada, "/sse/canvas/cv_1").await;
    let writers = (0..WRITERS).map(|writer| edit(both[writer % 2], &ada, writer));
    let revisions: BTreeSet<u64> = join_all(writers).await.into_iter().collect();
    let all: Vec<u64> = (1..=WRITERS as u64).collect();
    assert!(revisions.into_iter().eq(all.iter().copied()));
    for server in both {
        let now = succeed(server, &ada, get("/canvas/cv_1")).await;
        assert_eq!(now["rev"], WRITERS);
        let state = now["state"].to_string();
        for writer in 0..WRITERS {
            assert!(
                state.contains(&format!("\"n{writer}\"")),
                "{writer}: {state}"
            );
        }
        let log = get("/canvas/cv_1/commits?after=0&limit=1000");
        let log = succeed(server, &ada, log).await;
        let commits = log["items"].as_array().unwrap().iter();
        let commits: Vec<&Value> = commits.map(|commit| &commit["rev"]).collect();
        assert_eq!(json!(commits), json!(all));
    }
    for rev in &all {
        let event = told.next().await.unwrap().json();
        assert_eq!(event["data"]["rev"], *rev, "{event}");
    }

    let budget = json!({
        "action": "nexus.cards.*", "window": "total", "price_micros": PRICE,
        "limit_micros": PRICE * AFFORDED,
    });
    let budget = Request::new("PUT", "/gates/budgets/b").json(&budget);
    succeed(&one, &ada, budget).await;
    let spend = async |spender: usize| {
        let card = json!({"title": format!("by {spender}")});
        let card = Request::new("POST", "/nexus/cards").json(&card);
        let reply = eventually(both[spender % 2], &ada, &card, |reply| {
            let over = reply.outcome() == (402, "budget_exceeded".to_owned());
            assert!(over || done(reply) || crowded(reply), "{reply:?}");
            over || done(reply)
        });
        done(&reply.await)
    };
    let spent = join_all((0..WRITERS).map(spend)).await;
    let spent = spent.into_iter().filter(|spent| *spent).count();
    assert!((1..=AFFORDED).contains(&spent), "{spent} were afforded");
    assert_eq!(titles(&two, &ada).await.len(), spent);
    // Slices that were lent and not spent come back.
    let budget = get("/gates/budgets/b");
    eventually(&one, &ada, &budget, |reply| {
        let budget = reply.json();
        let micros = budget["spent_micros"].as_u64().unwrap();
        assert!(micros <= (PRICE * AFFORDED) as u64, "{budget}");
        micros == (PRICE * spent) as u64
    })
    .await;
}
