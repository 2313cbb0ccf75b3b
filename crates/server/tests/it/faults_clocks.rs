//! Two nodes whose clocks are five seconds apart.

use std::path::PathBuf;

use identity::Timestamp;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, open, send},
    faults::{done, eventually},
    faults_talk::messages,
    process::Server,
    recipes::succeed,
    several::{Cloud, followers::meet},
    streams::{Sse, post, thread},
};

/// Whoever is this much ahead is not far enough ahead for anybody to be refused.
const AHEAD: &str = "+5s";

/// The library that gives a process another clock.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let library = |folder: std::fs::DirEntry| folder.path().join("faketime/libfaketimeMT.so.1");
    let found = folders.map(library).find(|library| library.exists());
    found.expect(
        "libfaketime is installed: on Debian apt-get install libfaketime, or let `cargo xtask test` do so",
    )
}

/// Another node of the same installation, whose clock is ahead.
pub(crate) fn another_ahead(node: &Server) -> Server {
    let library = faketime().display().to_string();
    node.another_under(&[
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME", AHEAD),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ])
}

/// When an event was made, by the clock of its node.
async fn made_at(server: &Server, caller: &Caller, id: &str) -> i64 {
    let path = "/chat/threads/th_1/messages?limit=1000";
    let listed = succeed(server, caller, Request::new("GET", path)).await;
    let mut items = listed["items"].as_array().unwrap().iter();
    let event = items.find(|item| item["id"] == id).unwrap();
    let at: Timestamp = serde_json::from_value(event["ts"].clone()).unwrap();
    at.unix_ms()
}

async fn log_in(server: &Server) -> Value {
    let body = json!({"email": "ada@north.example", "password": "correct horse battery"});
    let login = Request::new("POST", "/auth/login").json(&body);
    succeed(server, &Caller::default(), login).await
}

async fn ticket(server: &Server, caller: &Caller) -> Request {
    let body = json!({"rail": "chat", "id": "th_1"});
    let made = Request::new("POST", "/realtime/tickets").json(&body);
    let made = succeed(server, caller, made).await;
    let ticket = made["ticket"].as_str().unwrap();
    Request::new("GET", format!("/sse/chat/th_1?ticket={ticket}"))
}

/// A ticket of one node opens a stream of another, once.
async fn a_ticket_opens_one_stream(one: &Server, two: &Server, ada: &Caller) {
    let ticket = ticket(one, ada).await;
    let context = ada.clone().but("authorization", None);
    assert_eq!(open(two, &context, &ticket).await.status(), 200);
    assert_eq!(open(one, &context, &ticket).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_whose_clocks_are_five_seconds_apart_are_one_installation() {
    let cloud = Cloud::start().await;
    let [here] = cloud.nodes("").await;
    let ahead = another_ahead(&here);
    let (ada, pairs) = (
        Caller::resident(&here, 0),
        [(&here, &ahead), (&ahead, &here)],
    );
    thread(&here, &ada, "th_1").await;
    let mut ids = post(&here, &ada, "th_1", &["here"]).await;
    ids.extend(post(&ahead, &ada, "th_1", &["ahead"]).await);
    let apart = made_at(&here, &ada, &ids[1]).await - made_at(&here, &ada, &ids[0]).await;
    assert!(apart >= 5000, "the clocks are {apart} ms apart");

    for (one, two) in pairs {
        // Tokens of one are good on the other at once, and sessions are ended on both.
        let signed_in = log_in(one).await;
        let token = signed_in["access_token"].as_str().unwrap();
        let grace = ada.clone().bearer(token);
        succeed(two, &grace, Request::new("GET", "/chat/threads")).await;
        let refresh = json!({"refresh_token": signed_in["refresh_token"]});
        let refresh = Request::new("POST", "/auth/refresh").json(&refresh);
        let nobody = Caller::default();
        let fresh = succeed(two, &nobody, refresh.clone()).await;
        let grace = ada.clone().bearer(fresh["access_token"].as_str().unwrap());
        succeed(one, &grace, Request::new("GET", "/chat/threads")).await;
        let again = send(one, &nobody, &refresh).await;
        assert_eq!(again.outcome(), (401, "unauthenticated".to_owned()));
        let ended = |reply: &Reply| reply.status == 401;
        let asks = Request::new("GET", "/chat/threads");
        eventually(two, &grace, &asks, ended).await;

        a_ticket_opens_one_stream(one, two, &ada).await;

        // What was done under a key on one is not done again on the other.
        let key = format!("k-{}", one.id());
        let keyed = ada.clone().and("idempotency-key", key);
        let path = "/chat/threads/th_1/messages";
        let message = Request::new("POST", path).json(&json!({"data": {"text": "once"}}));
        let first = succeed(one, &keyed, message.clone()).await;
        let second = succeed(two, &keyed, message).await;
        assert_eq!(
            (&second["id"], &second["duplicate"]),
            (&first["id"], &json!(true))
        );
        let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "once"}));
        let first = succeed(one, &keyed, card.clone()).await;
        assert_eq!(succeed(two, &keyed, card).await["id"], first["id"]);

        // A kill switch of one holds on the other with the next write.
        let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "held?"}));
        succeed(two, &ada, card.clone()).await;
        let switch = json!({"action": "nexus.cards.*", "reason": "a test"});
        let switch = Request::new("PUT", "/gates/kill-switches/k").json(&switch);
        succeed(one, &ada, switch.clone()).await;
        let held = send(two, &ada, &card).await;
        assert_eq!(held.outcome(), (503, "kill_switch_engaged".to_owned()));
        succeed(two, &ada, Request::new("DELETE", switch.path)).await;
        eventually(one, &ada, &card, done).await;
    }
    rates_are_those_of_one_clock(&here, &ahead).await;
    budgets_are_not_overspent(&here, &ahead, &ada).await;
    the_newest_observation_counts(&here, &ahead, &ada).await;
    heat_is_not_lost(&here, &ahead, &ada).await;
    meet([&here, &ahead], &ada).await;
    the_log_is_one_sequence(&here, &ahead, &ada).await;

    // A stream that changes between them misses nothing.
    let from = format!("/sse/chat/th_1?last_event_id={}", ids[0]);
    let all = messages(&here, &ada, "th_1").await;
    for server in [&here, &ahead] {
        let mut stream = Sse::open(server, &ada, &from).await;
        let heard = stream.messages(all.len() - 1).await;
        assert!(heard.iter().eq(all[1..].iter().map(|(id, _)| id)));
    }
}

/// Twenty failures at once, and one more every three seconds: by whose clock does not matter.
async fn rates_are_those_of_one_clock(here: &Server, ahead: &Server) {
    let body = json!({"email": "ada@north.example", "password": "a wrong password"});
    let login = Request::new("POST", "/auth/login").json(&body);
    let (began, mut wrong) = (tokio::time::Instant::now(), 0);
    for server in [here, ahead].into_iter().cycle().take(40) {
        let reply = send(server, &Caller::default(), &login).await;
        assert!([401, 429].contains(&reply.status), "{reply:?}");
        wrong += u64::from(reply.status == 401);
    }
    let allowed = 20 + began.elapsed().as_secs() / 3 + 1;
    assert!(wrong <= allowed, "{wrong} of {allowed}");
}

/// Twenty who want to spend what is enough for ten, on both nodes in turn.
async fn budgets_are_not_overspent(here: &Server, ahead: &Server, ada: &Caller) {
    let budget = json!({
        "action": "nexus.maybes.*", "window": "day", "price_micros": 10, "limit_micros": 100,
    });
    let budget = Request::new("PUT", "/gates/budgets/b").json(&budget);
    succeed(here, ada, budget.clone()).await;
    let maybe = Request::new("POST", "/nexus/maybes").json(&json!({"text": "affordable?"}));
    let mut spent = 0;
    for server in [here, ahead].into_iter().cycle().take(20) {
        let reply = send(server, ada, &maybe).await;
        let over = reply.outcome() == (402, "budget_exceeded".to_owned());
        assert!(over || done(&reply), "{reply:?}");
        spent += u64::from(done(&reply));
    }
    assert!((1..=10).contains(&spent), "{spent} were afforded");
    let shown = Request::new("GET", budget.path);
    eventually(here, ada, &shown, |reply| {
        reply.json()["spent_micros"] == spent * 10
    })
    .await;
}

/// Every record is in the log once, in one order for both.
async fn the_log_is_one_sequence(here: &Server, ahead: &Server, ada: &Caller) {
    let listed = Request::new("GET", "/audit/events?limit=1000");
    for (one, two) in [(here, ahead), (ahead, here)] {
        let switch = json!({"action": "nexus.x", "reason": "recorded"});
        let switch =
            Request::new("PUT", format!("/gates/kill-switches/s{}", one.id())).json(&switch);
        let recorded = send(one, ada, &switch).await;
        let seq: u64 = recorded.header("x-audit-seq").unwrap().parse().unwrap();
        let sequence = |reply: &Reply| -> Vec<u64> {
            let items = reply.json()["items"].as_array().unwrap().clone();
            items
                .iter()
                .map(|item| item["seq"].as_u64().unwrap())
                .collect()
        };
        let there = eventually(two, ada, &listed, |reply| sequence(reply).contains(&seq)).await;
        let there = sequence(&there);
        let first = there[0];
        let expected: Vec<u64> = (first..first + there.len() as u64).collect();
        assert_eq!(there, expected);
    }
}

/// What is observed now is newer than what a node observed before whose clock is ahead.
async fn the_newest_observation_counts(here: &Server, ahead: &Server, ada: &Caller) {
    let row = json!({"action": "nexus.packs.*", "floor": 10.0, "max_age_s": 600});
    let row = Request::new("PUT", "/gates/kpis/k").json(&row);
    succeed(here, ada, row.clone()).await;
    let observe = |value: f64| {
        Request::new("POST", "/gates/kpis/k/observations").json(&json!({ "value": value }))
    };
    let pack = Request::new("POST", "/nexus/packs").json(&json!({"title": "measured"}));
    let below = |reply: &Reply| reply.outcome() == (409, "kpi_below_floor".to_owned());
    for (one, two) in [(ahead, here), (here, ahead)] {
        succeed(one, ada, observe(20.0)).await;
        let fallen = succeed(two, ada, observe(5.0)).await;
        assert_eq!(fallen["value"], 5.0, "{fallen}");
        for node in [one, two] {
            eventually(node, ada, &pack, below).await;
        }
    }
    succeed(here, ada, observe(20.0)).await;
    for node in [here, ahead] {
        eventually(node, ada, &pack, done).await;
    }
    succeed(here, ada, Request::new("DELETE", row.path)).await;
}

/// What is heated on both in turn cools with the time that passes, and not by what the clocks are apart.
async fn heat_is_not_lost(here: &Server, ahead: &Server, ada: &Caller) {
    const TIMES: u8 = 40;
    const HALF_LIFE_S: u8 = 20;
    let row = json!({"action": "nexus.runs.*", "ceiling": 1000.0, "half_life_s": HALF_LIFE_S});
    succeed(
        here,
        ada,
        Request::new("PUT", "/gates/temperature/t").json(&row),
    )
    .await;
    let heat = Request::new("POST", "/gates/temperature/t/heat").json(&json!({"by": 1.0}));
    let (began, mut score) = (tokio::time::Instant::now(), 0.0);
    for node in [ahead, here].into_iter().cycle().take(TIMES.into()) {
        score = succeed(node, ada, heat.clone()).await["score"]
            .as_f64()
            .unwrap();
    }
    let half_lives = began.elapsed().as_secs_f64() / f64::from(HALF_LIFE_S);
    let left = f64::from(TIMES) * (-half_lives).exp2();
    assert!(
        score >= left && score <= f64::from(TIMES),
        "{score} of {left}"
    );
}
