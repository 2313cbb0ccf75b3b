//! The audit log of the real server: complete, found, proven, and honest about old copies.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use identity::http::Access;
use serde_json::{Value, json};

use crate::{
    backends::on_cloud,
    client::{Caller, Reply, Request, send},
    manifest::manifest,
    process::Server,
    recipes::{Recipe, Victim, bootstrap, recipe},
};

/// The place of a record, which its answer names.
fn seq_of(reply: &Reply) -> u64 {
    assert_eq!(reply.header("x-audit-status"), None, "{}", reply.visible());
    let seq = reply.header("x-audit-seq");
    let seq = seq.unwrap_or_else(|| panic!("x-audit-seq in {}", reply.visible()));
    seq.parse().unwrap()
}

async fn record(server: &Server, caller: &Caller, seq: u64) -> Value {
    let request = Request::new("GET", format!("/audit/events/{seq}"));
    let reply = send(server, caller, &request).await;
    assert_eq!(reply.status, 200, "{}", reply.visible());
    reply.json()
}

#[tokio::test]
async fn every_mutating_route_of_a_tenant_leaves_its_record() {
    let server = Server::start();
    let victim = Victim::settle(&server).await;
    let manifest = manifest();
    let routes: Vec<_> = manifest
        .entries()
        .iter()
        .filter(|entry| matches!(entry.access, Access::Tenant { .. }) && entry.record.mutates())
        .collect();
    assert!(
        routes.len() > 20,
        "the manifest is walked: {}",
        routes.len()
    );
    for entry in routes {
        let Recipe {
            caller, request, ..
        } = recipe(&server, &victim, entry).await;
        let reply = send(&server, &caller, &request).await;
        assert!(reply.status < 300, "{entry}: {}", reply.visible());
        let record = record(&server, &caller, seq_of(&reply)).await;
        assert_eq!(record["action"], entry.action(), "{entry}");
        assert_eq!(record["outcome"], "done", "{entry}");
        assert_eq!(record["metadata"]["method"], entry.method.as_str());
        assert_eq!(record["request_id"].as_str(), reply.header("x-request-id"));
        assert_eq!(record["trace_id"], record["request_id"]);
        assert!(record["actor"]["id"].is_string(), "{entry}: {record}");
    }
}

/// Every public or personal mutation, each with the answer that it gave.
async fn account_mutations(server: &Server) -> Vec<(&'static str, Reply)> {
    let nobody = Caller::default();
    let post = |path: &str, body: &Value| Request::new("POST", path).json(body);
    let credentials = json!({"email": "eve@example.org", "password": "correct horse battery"});
    let mut sign_up = credentials.clone();
    sign_up["tenant_name"] = json!("Eve Ltd");
    let mut replies = Vec::new();
    let signed_up = send(server, &nobody, &post("/auth/signup", &sign_up)).await;
    replies.push(("/auth/signup", signed_up));
    let signed_in = send(server, &nobody, &post("/auth/login", &credentials)).await;
    let refresh = json!({"refresh_token": signed_in.json()["refresh_token"]});
    replies.push(("/auth/login", signed_in));
    let refreshed = send(server, &nobody, &post("/auth/refresh", &refresh)).await;
    let access = refreshed.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    replies.push(("/auth/refresh", refreshed));
    let bearer = nobody.clone().bearer(&access);
    let signed_out = send(server, &bearer, &post("/auth/logout", &json!({}))).await;
    replies.push(("/auth/logout", signed_out));
    let key = nobody.and("x-bootstrap-key", server.facts.bootstrap_key.clone());
    let bootstrap = post(
        "/auth/bootstrap/tenants",
        &json!({"email": "operator@example.org", "password": "correct horse battery"}),
    );
    replies.push((
        "/auth/bootstrap/tenants",
        send(server, &key, &bootstrap).await,
    ));
    replies
}

#[tokio::test]
async fn every_mutating_route_without_a_tenant_is_found_in_the_systems_log() {
    let server = Server::start();
    let operator = bootstrap(&server).await.but("x-env", Some("prod"));
    let replies = account_mutations(&server).await;
    let tried: BTreeSet<&str> = replies.iter().map(|(path, _)| *path).collect();
    let manifest = manifest();
    let mutating: BTreeSet<&str> = manifest
        .entries()
        .iter()
        .filter(|entry| !matches!(entry.access, Access::Tenant { .. }) && entry.record.mutates())
        .map(|entry| entry.path)
        .collect();
    assert_eq!(tried, mutating);
    for (path, reply) in replies {
        assert!(reply.status < 300, "{path}: {}", reply.visible());
        let record = record(&server, &operator, seq_of(&reply)).await;
        assert_eq!(record["request_id"].as_str(), reply.header("x-request-id"));
        assert_eq!(record["outcome"], "done", "{path}");
        let text = record.to_string();
        for secret in ["example.org", "correct horse", &server.facts.bootstrap_key] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
    }
}

async fn checkpoint(server: &Server) -> String {
    let request = Request::new("GET", "/audit/checkpoint");
    send(server, &Caller::default(), &request).await.text
}

/// Waits for a checkpoint that covers the record, and returns the one of that moment.
async fn covered(server: &Server, caller: &Caller, seq: u64) -> String {
    let request = Request::new("GET", format!("/audit/events/{seq}/receipt"));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = send(server, caller, &request).await;
        // Where there may be other nodes, the one that led is given up after ten seconds.
        let waits = on_cloud() && reply.status == 503 && Instant::now() < deadline;
        if !waits {
            assert_eq!(reply.status, 200, "{}", reply.visible());
            return checkpoint(server).await;
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn over_an_old_copy_of_the_data_folder_nothing_is_signed() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    let first = seq_of(&register(&server, &ada, "th_1").await);
    let early = covered(&server, &ada, first).await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    server.replace_data(|data| copy_folder(data, &copy));
    let second = seq_of(&register(&server, &ada, "th_2").await);
    let late = covered(&server, &ada, second).await;
    assert_ne!(early, late);

    server.replace_data(|data| {
        std::fs::remove_dir_all(data).unwrap();
        copy_folder(&copy, data);
    });
    let ready = send(&server, &Caller::default(), &Request::new("GET", "/readyz")).await;
    let audit = &ready.json()["backends"]["audit"];
    assert_eq!((ready.status, &audit["status"]), (200, &json!("degraded")));
    assert!(
        audit["detail"].as_str().unwrap().contains("old copy"),
        "{audit}"
    );
    let done = register(&server, &ada, "th_2").await;
    assert_eq!(done.status, 201, "the deed is done");
    assert_eq!(done.header("x-audit-status"), Some("degraded"));
    assert_eq!(done.header("x-audit-seq"), None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(checkpoint(&server).await, early, "nothing newer was signed");
    let again = send(
        &server,
        &ada,
        &Request::new("GET", format!("/audit/events/{first}")),
    )
    .await;
    assert_eq!(again.status, 200, "what is there can be read");
}

#[tokio::test]
async fn records_are_found_by_what_they_say() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let by_action = "action=chat.thread.register";
    let before = found(&server, &ada, by_action).await.len();
    let mut last = 0;
    for round in 0..3 {
        last = seq_of(&register(&server, &ada, &format!("th_{round}")).await);
    }
    let record = record(&server, &ada, last).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (ts, trace) = (text(&record["ts"]), text(&record["trace_id"]));
    let actor = text(&record["actor"]["id"]);
    // In the index or not yet: the answer is the same. Each deed is an intent and an outcome.
    for covers in [false, true] {
        if covers {
            covered(&server, &ada, last).await;
        }
        for (asked, count) in [
            (format!("trace_id={trace}"), 2),
            (format!("actor={actor}&{by_action}"), before + 6),
            (format!("trace_id={trace}&from=2020-01-01T00:00:00Z"), 2),
            (format!("{by_action}&to=2020-01-01T00:00:00Z"), 0),
            ("actor=u_nobody".to_owned(), 0),
        ] {
            let found = found(&server, &ada, &asked).await;
            assert_eq!(found.len(), count, "{asked}: {found:?}");
            assert_eq!(found.last() == Some(&last), count > 0, "{asked}");
        }
        let now = format!("actor={actor}&from={ts}&to={ts}");
        assert!(found(&server, &ada, &now).await.contains(&last));
    }
}

/// The seqs of all records that a question finds, two at a time.
async fn found(server: &Server, caller: &Caller, asked: &str) -> Vec<u64> {
    let (mut found, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/audit/events?limit=2&after={after}&{asked}");
        let reply = send(server, caller, &Request::new("GET", path)).await;
        assert_eq!(reply.status, 200, "{}", reply.visible());
        let page = reply.json();
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["seq"].as_u64().unwrap()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return found,
        }
    }
}

async fn register(server: &Server, caller: &Caller, id: &str) -> Reply {
    let body = json!({"thread_id": id});
    send(
        server,
        caller,
        &Request::new("POST", "/chat/threads").json(&body),
    )
    .await
}

#[tokio::test]
async fn the_log_goes_on_after_a_kill_and_its_proofs_are_consistent() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    let mut known: Option<u64> = None;
    for round in 0..3 {
        let seq = seq_of(&register(&server, &ada, &format!("th_{round}")).await);
        let note = covered(&server, &ada, seq).await;
        let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
        if let Some(known) = known {
            assert!(size > known);
            let request = Request::new("GET", format!("/audit/events/1/receipt?since={known}"));
            let receipt = send(&server, &ada, &request).await;
            assert_eq!(receipt.status, 200, "{}", receipt.visible());
        }
        known = Some(size);
        server.kill_and_restart();
    }
}

#[tokio::test]
async fn a_record_says_whether_it_may_be_used_for_training_and_the_export_obeys() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let allow = json!({"training": "allow"});
    let shown = send(&server, &ada, &Request::new("GET", "/privacy/train-prefs")).await;
    let own = format!(
        "/privacy/train-prefs/users/{}",
        shown.json()["user_id"].as_str().unwrap()
    );
    let allowed = |seq| {
        let (server, ada) = (&server, &ada);
        async move { record(server, ada, seq).await["training"].clone() }
    };
    let before = seq_of(&register(&server, &ada, "th_before").await);
    assert_eq!(
        allowed(before).await["allowed"],
        false,
        "nobody said anything"
    );
    for path in ["/privacy/train-prefs/tenant", own.as_str()] {
        let said = send(&server, &ada, &Request::new("PUT", path).json(&allow)).await;
        assert_eq!(said.status, 200, "{}", said.visible());
    }
    let after = seq_of(&register(&server, &ada, "th_after").await);
    assert_eq!(allowed(after).await["allowed"], true);
    let private = ada.clone().and("sec-gpc", "1");
    let hidden = seq_of(&register(&server, &private, "th_private").await);
    assert_eq!(allowed(hidden).await["source"], "gpc");

    let export = Request::new("POST", "/audit/training-export").json(&json!({}));
    let text = send(&server, &ada, &export).await.text;
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seqs: Vec<u64> = rows.iter().filter_map(|row| row["seq"].as_u64()).collect();
    assert!(seqs.contains(&after) && !seqs.contains(&before) && !seqs.contains(&hidden));
    for name in ["th_after", "th_before", "th_private", "example"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let deny = Request::new("PUT", own.as_str()).json(&json!({"training": "deny"}));
    assert_eq!(send(&server, &ada, &deny).await.status, 200);
    let text = send(&server, &ada, &export).await.text;
    assert_eq!(text.lines().count(), 1, "taken back: {text}");
}
