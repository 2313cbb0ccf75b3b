//! The search over HTTP: what was acknowledged is found, also after the process was killed, and
//! what is said in threads is found when their owners want it.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::{made, succeed},
};

async fn search(server: &Server, caller: &Caller, query: &str) -> Value {
    let request = Request::new("GET", format!("/nexus/search?{query}"));
    // The tests of a slow machine may outrun the index for a while; it says so.
    loop {
        let found = succeed(server, caller, request.clone()).await;
        if found["lag"]["state"] == "current" {
            return found;
        }
    }
}

fn titles(found: &Value) -> Vec<&str> {
    let items = found["items"].as_array().unwrap().iter();
    items.map(|item| item["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_acknowledged_is_found_after_a_kill() {
    let mut server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    for n in 0..20 {
        let card = json!({"title": format!("Zebra {n}"), "body": "<b>stripes</b>"});
        made(&server, &ada, "/nexus/cards", &card).await;
        if n % 5 == 0 {
            let found = search(&server, &ada, "q=zebra").await;
            assert_eq!(titles(&found).len(), (n + 1).min(20));
        }
        if n % 7 == 3 {
            server.kill_and_restart();
        }
    }
    let found = search(&server, &ada, "q=zeb&limit=100&kind=cards").await;
    assert_eq!(titles(&found).len(), 20);
    assert_eq!(found["next"], Value::Null);
    let found = search(&server, &ada, "q=stripes&limit=1").await;
    assert_eq!(
        found["items"][0]["highlights"]["body"],
        "b&gt;<mark>stripes</mark>&lt;/b"
    );
    let page = format!(
        "q=stripes&limit=7&after={}",
        found["next"].as_str().unwrap()
    );
    assert_eq!(titles(&search(&server, &ada, &page).await).len(), 7);
    assert_eq!(titles(&search(&server, &bob, "q=zebra").await).len(), 0);

    let index = succeed(&server, &ada, Request::new("POST", "/nexus/index")).await;
    assert_eq!(index["records"], 20);
    let state = succeed(&server, &ada, Request::new("GET", "/nexus/index")).await;
    assert_eq!(state["records"], 20);
    for (query, code) in [
        ("", "query_invalid"),
        ("q=", "query_invalid"),
        ("q=a&kind=users", "query_invalid"),
        ("q=a&limit=0", "query_invalid"),
        ("q=a&after=x", "query_invalid"),
    ] {
        let path = format!("/nexus/search?{query}");
        let refused = send(&server, &ada, &Request::new("GET", path)).await;
        assert_eq!(refused.outcome(), (400, code.to_owned()), "{query}");
    }
    let wild = "q=%22)%20OR%20title%3A*%20%5B%5D%5E~%00%20%7B%7D%20%2B%2D%20%5C";
    search(&server, &ada, wild).await;
}

#[tokio::test]
async fn what_is_said_in_a_thread_is_found_when_its_owner_wants_it() {
    let mut server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    let thread = json!({"thread_id": "th_zoo"});
    let thread = Request::new("POST", "/chat/threads").json(&thread);
    let shown = succeed(&server, &ada, thread).await;
    assert_eq!(shown["snippets"], false);
    say(&server, &ada, "the first zebra").await;
    let keep = |keep: bool| {
        let request = Request::new("PUT", "/chat/threads/th_zoo/snippets");
        request.json(&json!({ "keep": keep }))
    };
    let refused = send(&server, &bob, &keep(true)).await;
    assert_eq!(refused.code(), "thread_access_denied");
    let shown = succeed(&server, &ada, keep(true)).await;
    assert_eq!(shown["snippets"], true);
    let event = say(&server, &ada, "the second zebra, ask jane.doe@example.org").await;
    server.kill_and_restart();
    let found = search(&server, &ada, "q=zebra").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let hit = &found["items"][0];
    assert_eq!(
        (&hit["kind"], &hit["tags"]),
        (&json!("snippets"), &json!(["th_zoo", event]))
    );
    assert!(!found.to_string().contains("jane.doe"), "{found}");
    succeed(&server, &ada, keep(false)).await;
    say(&server, &ada, "the third zebra").await;
    let found = search(&server, &ada, "q=zebra").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let none = search(&server, &bob, "q=zebra").await;
    assert_eq!(none["items"], json!([]));
}

async fn say(server: &Server, caller: &Caller, text: &str) -> String {
    let message = json!({"data": {"text": text}});
    let message = Request::new("POST", "/chat/threads/th_zoo/messages").json(&message);
    let posted = succeed(server, caller, message).await;
    posted["id"].as_str().unwrap().to_owned()
}
