//! The live tail of the audit log, as an administrator's client follows it.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, send},
    process::Server,
    recipes::Victim,
    streams::Sse,
};

const TAIL: &str = "/sse/audit";

async fn register(server: &Server, caller: &Caller, thread: &str) -> Reply {
    let body = json!({"thread_id": thread});
    let reply = send(
        server,
        caller,
        &Request::new("POST", "/chat/threads").json(&body),
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
    reply
}

/// The next records with their cursors, up to and with the one that `stop` takes.
async fn follow(tail: &mut Sse, stop: impl Fn(&Value) -> bool) -> Vec<(String, Value)> {
    let mut records = Vec::new();
    loop {
        let event = tail.next().await.expect("the stream goes on");
        assert_eq!(event.event, "message", "{event:?}");
        let record = event.json();
        records.push((event.id.expect("a record has a cursor"), record.clone()));
        if stop(&record) {
            return records;
        }
    }
}

async fn listed(server: &Server, caller: &Caller, after: u64, limit: usize) -> Value {
    let path = format!("/audit/events?after={after}&limit={limit}");
    let mut page = send(server, caller, &Request::new("GET", path))
        .await
        .json();
    page["items"].take()
}

#[tokio::test]
async fn the_log_is_followed_and_resumed_without_loss_or_repetition() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    let mut tail = Sse::open(&server, &ada, TAIL).await;
    let mut his = Sse::open(&server, &bob, TAIL).await;
    let mut last = String::new();
    for n in 0..5 {
        let answer = register(&server, &ada, &format!("th_ada{n}")).await;
        last = answer.header("x-audit-seq").unwrap().to_owned();
        register(&server, &bob, &format!("th_bob{n}")).await;
    }
    let last: u64 = last.parse().unwrap();
    let records = follow(&mut tail, |record| record["seq"] == last).await;
    // A stream begins with the record of its own opening.
    assert_eq!(records[0].1["action"], "audit.stream.open");
    let first = records[0].1["seq"].as_u64().unwrap();
    let told: Vec<Value> = records.iter().map(|(_, record)| record.clone()).collect();
    assert_eq!(told.len() as u64, last + 1 - first);
    assert_eq!(
        Value::from(told),
        listed(&server, &ada, first - 1, records.len()).await
    );
    for (at, (cursor, _)) in records.iter().enumerate() {
        let rest = &records[at + 1..];
        let header = ada.clone().and("last-event-id", cursor.as_str());
        let mut by_header = Sse::open(&server, &header, TAIL).await;
        let query = format!("{TAIL}?last_event_id={cursor}");
        let mut by_query = Sse::open(&server, &ada, &query).await;
        for resumed in [&mut by_header, &mut by_query] {
            for expected in rest {
                let event = resumed.next().await.expect("the stream goes on");
                assert_eq!(
                    (event.id.as_ref().unwrap(), event.json()),
                    (&expected.0, expected.1.clone())
                );
            }
        }
    }
    // What follows is the opening of the streams that resumed: nothing comes twice.
    let next = follow(&mut tail, |_| true).await;
    assert_eq!(next[0].1["seq"], last + 1);
    // The other tenant's stream told of the other tenant alone.
    let known = follow(&mut his, |record| record["target"]["id"] == "th_bob4").await;
    let tenant = &server.facts.tenants[1];
    assert!(
        known
            .iter()
            .all(|(_, record)| record["tenant_id"] == **tenant)
    );
}

#[tokio::test]
async fn a_cursor_that_cannot_be_honoured_is_one_gap_and_then_everything() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let seq = register(&server, &ada, "th_1").await;
    let seq: u64 = seq.header("x-audit-seq").unwrap().parse().unwrap();
    let mut begin = Sse::open(&server, &ada, &format!("{TAIL}?last_event_id=x")).await;
    let gap = begin.next().await.unwrap();
    assert_eq!(
        (&*gap.event, &gap.json()["reason"]),
        ("gap", &json!("malformed"))
    );
    let records = follow(&mut begin, |record| record["seq"] == seq).await;
    assert_eq!(records.len() as u64, seq);
    let (epoch, _) = records[0].0.split_once('-').unwrap();
    let other = if epoch == "1" { "2-1" } else { "1-1" };
    for (cursor, reason) in [
        (format!("{epoch}-999"), "future"),
        (other.to_owned(), "unknown_epoch"),
    ] {
        let caller = ada.clone().and("last-event-id", cursor);
        let mut tail = Sse::open(&server, &caller, TAIL).await;
        let gap = tail.next().await.unwrap();
        assert_eq!(
            (&*gap.event, &gap.json()["reason"]),
            ("gap", &json!(reason))
        );
        assert_eq!(
            follow(&mut tail, |record| record["seq"] == seq).await,
            records
        );
    }
    // Another environment has another log.
    let staging = ada.clone().but("x-env", Some("staging"));
    let mut tail = Sse::open(&server, &staging, &format!("{TAIL}?last_event_id=x")).await;
    assert_eq!(tail.next().await.unwrap().event, "gap");
    let first = follow(&mut tail, |_| true).await;
    assert_eq!(
        (&first[0].1["seq"], &first[0].1["env"]),
        (&json!(1), &json!("staging"))
    );
}

#[tokio::test]
async fn only_who_may_read_the_log_may_follow_it() {
    let server = Server::start();
    let victim = Victim::settle(&server).await;
    let viewer = victim.owner.clone().bearer(&victim.viewer_token);
    let refused = send(&server, &viewer, &Request::new("GET", TAIL)).await;
    assert_eq!(refused.outcome(), (403, "role_forbidden".to_owned()));
    let foreign = victim.owner.clone().bearer(&victim.attacker_token);
    let refused = send(&server, &foreign, &Request::new("GET", TAIL)).await;
    assert_eq!(refused.outcome(), (403, "tenant_forbidden".to_owned()));
    let ticket = format!("{TAIL}?ticket=none");
    let refused = send(&server, &Caller::default(), &Request::new("GET", ticket)).await;
    assert_eq!(refused.outcome(), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn an_erasure_ends_the_stream_and_what_it_erased_is_not_told_again() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let mut tail = Sse::open(&server, &ada, TAIL).await;
    let opened = follow(&mut tail, |_| true).await.remove(0);
    let user = opened.1["actor"]["id"].clone();
    assert!(user.is_string(), "{opened:?}");
    let erase = Request::new("POST", "/audit/erasures").json(&json!({"user_id": user}));
    assert_eq!(send(&server, &ada, &erase).await.status, 201);
    while let Some(event) = tail.next().await {
        assert_eq!(event.event, "message");
    }
    let (epoch, seq) = opened.0.split_once('-').unwrap();
    let before = format!("{epoch}-{}", seq.parse::<u64>().unwrap() - 1);
    let caller = ada.clone().and("last-event-id", before);
    let mut tail = Sse::open(&server, &caller, TAIL).await;
    let again = follow(&mut tail, |_| true).await.remove(0);
    assert_eq!(again.0, opened.0);
    assert_eq!(again.1["actor"].get("id"), None, "{again:?}");
}
