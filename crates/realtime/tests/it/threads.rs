//! Threads, messages and history over HTTP.

use identity::Role;
use serde_json::{Value, json};

use crate::{
    app::{App, Caller, seq, shifted},
    rails::{RAILS, Rail},
};

#[tokio::test]
async fn a_thread_is_registered_once() {
    let app = App::new().await;
    let alice = app.member("t_a", "u_alice", Role::Member);
    let body = r#"{"thread_id":"th_1","title":"One"}"#;
    let first = alice.post_json("/chat/threads", body).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.json()["created_by"], "u_alice");
    assert_eq!(first.json()["created_at"], "2026-01-01T00:00:00.000Z");
    let again = alice.post_json("/chat/threads", body).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    let untitled = alice
        .post_json("/chat/threads", r#"{"thread_id":"th_1"}"#)
        .await;
    assert_eq!((untitled.status, untitled.json()), (200, first.json()));
    alice
        .post_json("/chat/threads", r#"{"thread_id":"th_1","title":"Two"}"#)
        .await
        .refused(409, "conflict");
    assert_eq!(alice.get("/chat/threads/th_1").await.json(), first.json());
    let made = alice.post_json("/chat/threads", "{}").await;
    assert_eq!(made.status, 201);
    assert!(
        made.json()["thread_id"]
            .as_str()
            .unwrap()
            .starts_with("th_")
    );
}

#[tokio::test]
async fn threads_are_listed_in_pages() {
    let app = App::new().await;
    let alice = app.alice().await;
    for thread in ["th_2", "th_3"] {
        alice.register(thread).await;
    }
    let bob = app.member("t_b", "u_bob", Role::Owner);
    bob.register("th_foreign").await;
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["thread_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let page = alice.get("/chat/threads?limit=2").await.json();
    assert_eq!(names(&page), ["th_1", "th_2"]);
    assert_eq!(page["next"], "th_2");
    let page = alice.get("/chat/threads?limit=2&after=th_2").await.json();
    assert_eq!(names(&page), ["th_3"]);
    assert_eq!(page["next"], Value::Null);
    alice
        .get("/chat/threads?limit=0")
        .await
        .refused(400, "query_invalid");
    alice
        .get("/chat/threads?limit=x")
        .await
        .refused(400, "query_invalid");
}

#[tokio::test]
async fn what_is_foreign_unknown_or_malformed_is_refused_alike() {
    for rail in RAILS {
        let app = App::on(rail).await;
        let alice = app.alice().await;
        let bob = app.member("t_b", "u_bob", Role::Owner);
        bob.register(rail.other).await;
        let mut staging = alice.clone();
        staging.env = "staging".to_owned();
        let nobodys = format!("{}_nobodys", &rail.one[..2]);
        let mut bodies = Vec::new();
        for (caller, id) in [
            (&alice, rail.other),
            (&alice, &nobodys),
            (&alice, "nonsense"),
            (&staging, rail.one),
            (&bob, rail.one),
        ] {
            bodies.extend(refusals(rail, caller, id).await);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
    }
}

/// What each route of the rail answers about an object that is not the caller's.
async fn refusals(rail: Rail, caller: &Caller<'_>, id: &str) -> Vec<String> {
    let name = rail.name;
    let mut routes = vec![
        ("POST", format!("/sse/{name}/{id}")),
        ("GET", format!("/sse/{name}/{id}")),
        ("GET", format!("/ws/{name}/{id}")),
    ];
    if name == "chat" {
        routes.extend([
            ("GET", format!("/chat/threads/{id}")),
            ("GET", format!("/chat/threads/{id}/messages")),
            ("POST", format!("/chat/threads/{id}/messages")),
        ]);
    }
    let mut bodies = Vec::new();
    for (method, path) in routes {
        // The id would otherwise differ from answer to answer. No body is read before this.
        let request = caller.request(method, &path).header("x-request-id", "r");
        let answer = request.send().await;
        answer.refused(403, rail.denied);
        bodies.push(answer.body);
    }
    let ticket = format!(r#"{{"rail":"{name}","id":"{id}"}}"#);
    let answer = caller.post_json("/realtime/tickets", &ticket).await;
    answer.refused(403, rail.denied);
    bodies
}

#[tokio::test]
async fn an_envelope_says_who_where_and_when() {
    let app = App::new().await;
    let alice = app.alice().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let posted = alice
        .request("POST", "/chat/threads/th_1/messages")
        .header("x-request-id", "req-1")
        .header("traceparent", trace)
        .json("{\"data\":{\"b\":1.50,\n \"a\":[null]}}")
        .send()
        .await;
    assert_eq!(posted.status, 201);
    assert_eq!(posted.json(), json!({"id": "3f9a-1", "duplicate": false}));
    let page = alice.get("/chat/threads/th_1/messages").await;
    // To the byte, but for the line end that SSE could not carry.
    let envelope = concat!(
        r#"{"id":"3f9a-1","type":"chat.message","ts":"2026-01-01T00:00:00.000Z","#,
        r#""routing":{"tenant_id":"t_a","env":"dev","project_id":"p_default","rail":"chat","#,
        r#""thread_id":"th_1","actor":{"user_id":"u_alice"}},"#,
        r#""meta":{"request_id":"req-1","trace_id":"req-1","#,
        r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"#,
        r#""data":{"b":1.50,  "a":[null]}}"#,
    );
    assert_eq!(
        page.body,
        format!(r#"{{"items":[{envelope}],"next":null}}"#)
    );
}

#[tokio::test]
async fn an_idempotency_key_posts_once() {
    let app = App::new().await;
    let alice = app.alice().await;
    let post = async |key: &str, body: &str| {
        let request = alice.request("POST", "/sse/chat/th_1");
        request
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
    };
    let first = post("k", r#"{"data":1}"#).await;
    assert_eq!(first.json()["duplicate"], false);
    let again = post("k", r#"{"data":1}"#).await;
    assert_eq!(again.status, 201);
    assert_eq!(
        again.json(),
        json!({"id": first.json()["id"], "duplicate": true})
    );
    post("k", r#"{"data":2}"#)
        .await
        .refused(422, "idempotency_conflict");
    post("k", r#"{"data":1,"type":"a.b"}"#)
        .await
        .refused(422, "idempotency_conflict");
    for bad in ["", "a b", &"k".repeat(256)] {
        post(bad, r#"{"data":1}"#)
            .await
            .refused(400, "header_invalid");
    }
    // The key is the user's own: another user's message is another message.
    let carol = app.member("t_a", "u_carol", Role::Member);
    let request = carol.request("POST", "/sse/chat/th_1");
    let other = request.header("idempotency-key", "k").json(r#"{"data":2}"#);
    assert_eq!(other.send().await.json()["duplicate"], false);
}

#[tokio::test]
async fn wrong_messages_are_refused() {
    let app = App::new().await;
    let alice = app.alice().await;
    let path = "/chat/threads/th_1/messages";
    for (body, status, code) in [
        ("{", 400, "body_invalid"),
        ("{}", 422, "validation_failed"),
        (r#"{"data":1,"type":"Big"}"#, 422, "validation_failed"),
        (r#"{"data":1,"colour":2}"#, 422, "validation_failed"),
        (r#"{"data":1,"tenant_id":"t_b"}"#, 400, "context_conflict"),
    ] {
        alice.post_json(path, body).await.refused(status, code);
    }
    let large = format!("{{\"data\":\"{}\"}}", "x".repeat(64 * 1024));
    alice
        .post_json(path, &large)
        .await
        .refused(413, "body_too_large");
    assert_eq!(alice.post_json(path, r#"{"data":null}"#).await.status, 201);
    let viewer = app.member("t_a", "u_viewer", Role::Viewer);
    viewer
        .post_json(path, r#"{"data":1}"#)
        .await
        .refused(403, "role_forbidden");
}

#[tokio::test]
async fn history_is_read_in_pages_and_tells_of_gaps() {
    let app = App::new().await;
    let alice = app.alice().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(alice.say(&n.to_string()).await);
    }
    let read = async |query: String| {
        let path = format!("/chat/threads/th_1/messages{query}");
        alice.get(&path).await.json()
    };
    let data = |page: &Value| -> Vec<u64> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["data"].as_u64().unwrap()).collect()
    };
    let page = read("?limit=2".to_owned()).await;
    assert_eq!((data(&page), &page["next"]), (vec![0, 1], &json!(ids[1])));
    let page = read(format!("?limit=3&after={}", ids[1])).await;
    assert_eq!((data(&page), &page["next"]), (vec![2, 3, 4], &Value::Null));
    let page = read(format!("?after={}", shifted(&ids[4], 1))).await;
    assert_eq!(page["gap"]["reason"], "future");
    assert_eq!(data(&page).len(), 5);
    let page = read("?after=1-1".to_owned()).await;
    assert_eq!(page["gap"]["reason"], "unknown_epoch");
    app.trim(2).await;
    let page = read(format!("?after={}", ids[0])).await;
    let gap = json!({"reason": "evicted", "requested": ids[0], "oldest": ids[2], "head": ids[4]});
    assert_eq!((data(&page), &page["gap"]), (vec![2, 3, 4], &gap));
    alice
        .get("/chat/threads/th_1/messages?after=x")
        .await
        .refused(400, "query_invalid");
    assert_eq!(seq(&ids[4]), 5);
}

#[tokio::test]
async fn the_description_names_every_route() {
    let described = serde_json::to_value(tenantry_realtime::openapi()).unwrap();
    let mut routes = identity::http::Routes::new();
    tenantry_realtime::routes(&mut routes);
    let recording = identity::Recording::Nothing {
        reason: "the manifest alone is asked for",
    };
    for entry in routes.build(recording).unwrap().manifest().entries() {
        let method = entry.method.as_str().to_lowercase();
        let pointer = entry.path.replace('/', "~1");
        let found = described.pointer(&format!("/paths/{pointer}/{method}"));
        assert!(found.is_some(), "{entry} is not described");
    }
}
