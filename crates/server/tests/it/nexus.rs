//! Records over HTTP: what a client sends and is told, kind by kind.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, send},
    process::Server,
    recipes::{made, succeed},
    recipes_nexus::asset,
};

async fn post(server: &Server, caller: &Caller, path: &str, body: &Value) -> Reply {
    send(server, caller, &Request::new("POST", path).json(body)).await
}

async fn get(server: &Server, caller: &Caller, path: &str) -> Value {
    succeed(server, caller, Request::new("GET", path)).await
}

fn outcome(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// What the first error of a 422 points at.
fn pointer(reply: &Reply) -> String {
    assert_eq!(
        reply.outcome(),
        outcome(422, "validation_failed"),
        "{}",
        reply.text
    );
    let pointer = &reply.json()["errors"][0]["pointer"];
    pointer.as_str().unwrap().to_owned()
}

/// Sends a merge patch by its own media type.
async fn patch(server: &Server, caller: &Caller, place: &str, patch: &Value) -> (u16, Value) {
    let mut request = server
        .client
        .patch(format!("{}{place}", server.facts.url))
        .header("content-type", "application/merge-patch+json")
        .body(patch.to_string());
    for (name, value) in caller.headers() {
        request = request.header(name, value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names_for_those_who_know_the_revision() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let body = json!({"title": "One", "tags": ["a"], "body": "words"});
    let place = format!(
        "/nexus/cards/{}",
        made(&server, &ada, "/nexus/cards", &body).await
    );
    let change = json!({"title": "Two", "body": null});
    let (status, problem) = patch(&server, &ada, &place, &change).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (428, Some("precondition_required"))
    );
    let knowing = ada.clone().and("if-match", "\"1\"");
    for (wrong, place_of) in [
        (json!({"title": ""}), "/title"),
        (json!({"colour": "red"}), "/colour"),
        (json!({"revision": 7}), "/revision"),
    ] {
        let (status, problem) = patch(&server, &knowing, &place, &wrong).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!(place_of))
        );
    }
    // The names of the context may be there, and are no part of the record.
    let tenant = server.facts.tenants[0].as_str();
    let mut named = change.clone();
    named["tenant_id"] = json!(tenant);
    let (status, card) = patch(&server, &knowing, &place, &named).await;
    assert_eq!(
        (status, &card["title"], &card["body"]),
        (200, &json!("Two"), &json!(""))
    );
    assert_eq!(
        (&card["tags"], &card["revision"]),
        (&json!(["a"]), &json!(2))
    );
    let (status, problem) = patch(&server, &knowing, &place, &change).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (412, Some("precondition_failed"))
    );
    named["tenant_id"] = json!("t_other");
    let (status, problem) = patch(&server, &knowing, &place, &named).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (400, Some("context_conflict"))
    );
    // By the ordinary media type too.
    let plain = ada.clone().and("if-match", "\"2\"");
    let third = Request::new("PATCH", &place).json(&json!({"title": "Three"}));
    assert_eq!(send(&server, &plain, &third).await.status, 200);
}

#[tokio::test]
async fn a_patch_needs_the_approval_that_a_lock_asks_for() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let id = made(&server, &ada, "/nexus/runs", &json!({"name": "r"})).await;
    let lock = json!({"action": "nexus.runs.update", "reason": "r", "approval": {"quorum": 1, "ttl_s": 60}});
    let lock = Request::new("PUT", "/gates/strategy-locks/runs").json(&lock);
    succeed(&server, &ada, lock).await;
    let knowing = ada.clone().and("if-match", "\"1\"");
    let change = Request::new("PATCH", format!("/nexus/runs/{id}")).json(&json!({"name": "s"}));
    let refused = send(&server, &knowing, &change).await;
    assert_eq!(refused.outcome(), outcome(403, "approval_required"));
    let read = get(&server, &ada, &format!("/nexus/runs/{id}")).await;
    assert_eq!(read["name"], "r");
}

#[tokio::test]
async fn every_kind_stops_at_a_kill_switch_and_reading_goes_on() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let page = json!({"page": "/", "title": "t"});
    let page = made(&server, &ada, "/nexus/page-content", &page).await;
    let switch = json!({"action": "nexus.*", "reason": "drill"});
    let switch = Request::new("PUT", "/gates/kill-switches/all").json(&switch);
    succeed(&server, &ada, switch).await;
    let event = json!({"name": "e", "schema_version": 1, "consent": {"purposes": ["analytics"]}});
    for (kind, body) in [
        ("packs", json!({"title": "t"})),
        ("settings", json!({"values": {}})),
        ("runs", json!({"name": "r"})),
        ("memory", json!({"session_id": "s", "text": "t"})),
        ("maybes", json!({"text": "t"})),
        ("analytics-events", json!({"events": [event]})),
        ("page-content", json!({"page": "/2", "title": "t"})),
        ("seo", json!({"page": "/", "title": "t"})),
    ] {
        let list = format!("/nexus/{kind}");
        let refused = post(&server, &ada, &list, &body).await;
        assert_eq!(
            refused.outcome(),
            outcome(503, "kill_switch_engaged"),
            "{kind}"
        );
        get(&server, &ada, &list).await;
    }
    let publish = Request::new("POST", format!("/nexus/page-content/{page}/publish"));
    let refused = send(&server, &ada, &publish).await;
    assert_eq!(refused.outcome(), outcome(503, "kill_switch_engaged"));
}

#[tokio::test]
async fn settings_resolve_for_the_surface_and_the_app_of_the_request() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let surface = made(&server, &ada, "/control/surfaces", &json!({"name": "Web"})).await;
    let app = made(&server, &ada, "/control/apps", &json!({"name": "Editor"})).await;
    let on_surface = ada.clone().and("x-surface-id", &surface);
    let on_both = on_surface.clone().and("x-app-id", &app);
    let list = "/nexus/settings";
    made(&server, &ada, list, &json!({"values": {"a": 1, "b": 1}})).await;
    made(&server, &on_surface, list, &json!({"values": {"b": 2}})).await;
    let by_name = json!({"surface_id": surface, "app_id": app, "values": {"c": 3}});
    made(&server, &ada, list, &by_name).await;
    for second in [
        post(&server, &ada, list, &json!({"values": {}})).await,
        post(&server, &on_surface, list, &json!({})).await,
        post(&server, &on_both, list, &json!({})).await,
    ] {
        assert_eq!(second.outcome(), outcome(409, "conflict"));
    }
    let effective = format!("{list}/effective");
    let all = json!({"a": 1, "b": 2, "c": 3});
    assert_eq!(get(&server, &on_both, &effective).await["values"], all);
    let asked = format!("{effective}?surface_id={surface}&app_id={app}");
    assert_eq!(get(&server, &ada, &asked).await["values"], all);
    let default = json!({"a": 1, "b": 1});
    assert_eq!(get(&server, &ada, &effective).await["values"], default);
    // What another header says is another context, and what is foreign is not there.
    let elsewhere = format!("{effective}?surface_id=s_other");
    let refused = send(&server, &on_surface, &Request::new("GET", &elsewhere)).await;
    assert_eq!(refused.outcome(), outcome(400, "context_conflict"));
    let bob = Caller::resident(&server, 1);
    let foreign = post(&server, &bob, list, &by_name).await;
    assert_eq!(pointer(&foreign), "/surface_id");
    assert_eq!(get(&server, &bob, &asked).await["values"], json!({}));
}

#[tokio::test]
async fn a_page_is_found_by_its_name_as_draft_and_as_published() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let list = "/nexus/page-content";
    let id = made(
        &server,
        &ada,
        list,
        &json!({"page": "/pricing", "title": "One"}),
    )
    .await;
    made(
        &server,
        &ada,
        list,
        &json!({"page": "/about", "title": "About"}),
    )
    .await;
    let place = format!("{list}/{id}");
    let published = format!("{place}?published=true");
    let nothing = send(&server, &ada, &Request::new("GET", &published)).await;
    assert_eq!(nothing.outcome(), outcome(404, "not_found"));
    let publish = Request::new("POST", format!("{place}/publish"));
    let stale = ada.clone().and("if-match", "\"9\"");
    let refused = send(&server, &stale, &publish).await;
    assert_eq!(refused.outcome(), outcome(412, "precondition_failed"));
    let knowing = ada.clone().and("if-match", "\"1\"");
    assert_eq!(succeed(&server, &knowing, publish).await["revision"], 2);
    let knowing = ada.clone().and("if-match", "\"2\"");
    let draft = json!({"page": "/pricing", "title": "Two"});
    succeed(&server, &knowing, Request::new("PUT", &place).json(&draft)).await;

    assert_eq!(get(&server, &ada, &place).await["title"], "Two");
    let shown = send(&server, &ada, &Request::new("GET", &published)).await;
    assert_eq!(
        (&shown.json()["title"], shown.header("etag")),
        (&json!("One"), Some("\"2\""))
    );
    let titles = async |query: &str| -> Vec<Value> {
        let listed = get(&server, &ada, &format!("{list}?{query}")).await;
        let items = listed["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .map(|item| item["title"].clone())
            .collect()
    };
    assert_eq!(titles("page=%2Fpricing").await, ["Two"]);
    assert_eq!(titles("page=%2Fpricing&published=true").await, ["One"]);
    assert_eq!(
        titles("page=%2Fabout&published=true").await,
        Vec::<Value>::new()
    );
    assert_eq!(titles("published=true").await, ["One"]);
    assert_eq!(titles("page=%2Fnowhere").await, Vec::<Value>::new());
    for wrong in ["page=", "page=%2F..", "page=%00", "published=perhaps"] {
        let listed = Request::new("GET", format!("{list}?{wrong}"));
        let refused = send(&server, &ada, &listed).await;
        assert_eq!(refused.outcome(), outcome(400, "query_invalid"), "{wrong}");
    }
}

#[tokio::test]
async fn a_session_of_memory_is_listed_page_by_page() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    for n in 0..5 {
        for session in ["one", "two"] {
            let body = json!({"session_id": session, "text": format!("{session} {n}")});
            made(&server, &ada, "/nexus/memory", &body).await;
        }
    }
    let mut path = Some("/nexus/memory?session_id=one&limit=2".to_owned());
    let mut texts = Vec::new();
    while let Some(at) = path {
        let page = send(&server, &ada, &Request::new("GET", &at)).await;
        let json = page.json();
        let items = json["items"].as_array().unwrap();
        texts.extend(
            items
                .iter()
                .map(|item| item["text"].as_str().unwrap().to_owned()),
        );
        path = page.header("link").map(|link| {
            let (address, _) = link.split_once(">; rel=\"next\"").unwrap();
            address.trim_start_matches('<').to_owned()
        });
    }
    assert_eq!(texts, ["one 0", "one 1", "one 2", "one 3", "one 4"]);
    let refused = send(
        &server,
        &ada,
        &Request::new("GET", "/nexus/memory?session_id=a%2Fb"),
    )
    .await;
    assert_eq!(refused.outcome(), outcome(400, "query_invalid"));
}

#[tokio::test]
async fn events_are_appended_with_consent_and_never_changed() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let list = "/nexus/analytics-events";
    let event =
        json!({"name": "page.viewed", "schema_version": 2, "consent": {"purposes": ["analytics"]}});
    let batch = json!({"events": [event, event]});
    let keyed = ada.clone().and("idempotency-key", "batch-1");
    let first = post(&server, &keyed, list, &batch).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = post(&server, &keyed, list, &batch).await.json();
    assert_eq!(
        (&again["ids"], &again["duplicate"]),
        (&first.json()["ids"], &json!(true))
    );
    let mut silent = event.clone();
    silent["consent"]["purposes"] = json!(["ads"]);
    let refused = post(&server, &ada, list, &json!({"events": [event, silent]})).await;
    assert_eq!(pointer(&refused), "/events/1/consent/purposes");
    let unknown = json!({"events": [{"name": "e", "schema_version": 1, "ip": "::1",
        "consent": {"purposes": ["analytics"]}}]});
    assert_eq!(
        pointer(&post(&server, &ada, list, &unknown).await),
        "/events/0/ip"
    );
    assert_eq!(
        get(&server, &ada, list).await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let id = first.json()["ids"][0].as_str().unwrap().to_owned();
    for method in ["PUT", "PATCH"] {
        let change = Request::new(method, format!("{list}/{id}")).json(&event);
        let refused = send(&server, &ada, &change).await;
        assert_eq!(refused.outcome(), outcome(405, "method_not_allowed"));
    }
}

#[tokio::test]
async fn an_atom_names_an_asset_that_was_registered_here() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    let id = asset(&server, &ada).await;
    let atom = json!({"asset_id": id, "operation": "extract.text", "content": "words"});
    let made = post(&server, &ada, "/nexus/atoms", &atom).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let foreign = post(&server, &bob, "/nexus/atoms", &atom).await;
    assert_eq!(pointer(&foreign), "/asset_id");
    let promise = json!({"filename": "a.txt", "content_type": "text/plain", "size": 1});
    let promised = Request::new("POST", "/nexus/raw-storage/presign").json(&promise);
    let promised = succeed(&server, &ada, promised).await;
    let early = json!({"asset_id": promised["asset_id"], "operation": "o", "content": "c"});
    let refused = post(&server, &ada, "/nexus/atoms", &early).await;
    assert_eq!(
        pointer(&refused),
        "/asset_id",
        "what was promised only is not there"
    );
}

#[tokio::test]
async fn what_is_too_deep_too_large_or_too_many_is_told_clearly() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"name\":\"r\",\"input\":{{\"a\":{open}{close}}}}}")
    };
    let raw = async |path: &str, body: String| {
        let mut request = Request::new("POST", path);
        request.body = Some(body);
        send(&server, &ada, &request).await.outcome()
    };
    let runs = "/nexus/runs";
    assert_eq!(raw(runs, nested(20)).await, outcome(201, ""));
    assert_eq!(
        raw(runs, nested(100)).await,
        outcome(422, "validation_failed")
    );
    assert_eq!(
        raw(runs, nested(10_000)).await,
        outcome(400, "body_invalid")
    );
    let huge = |number: &str| format!("{{\"name\":\"r\",\"input\":{{\"a\":{number}}}}}");
    assert_eq!(raw(runs, huge("1e400")).await, outcome(400, "body_invalid"));
    assert_eq!(
        raw(runs, huge("12345678901234567890123")).await,
        outcome(201, "")
    );
    let nul = "{\"name\":\"a\\u0000b\"}".to_owned();
    assert_eq!(raw(runs, nul).await, outcome(422, "validation_failed"));
    let tags: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let tags = json!({"title": "t", "tags": tags}).to_string();
    assert_eq!(
        raw("/nexus/packs", tags).await,
        outcome(422, "validation_failed")
    );
    let large = json!({"text": "x".repeat(300 * 1024)}).to_string();
    assert_eq!(
        raw("/nexus/maybes", large).await,
        outcome(413, "body_too_large")
    );
}
