//! The server under OpenFeature's own clients, as their packages are published.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::bootstrap,
    streams::Sse,
};

/// Where `cargo xtask test` installs what tests run around the server.
pub(crate) fn clients() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_tenantry"));
    let target = binary.ancestors().nth(2).expect("the target folder");
    target.join("clients")
}

/// A script beside this file.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// The flags that the scripts ask for, and the caller as whom they ask.
async fn settle(server: &Server) -> Caller {
    let caller = Caller::resident(server, 0);
    let operator = bootstrap(server).await;
    for (asks, path, flag) in [
        (&operator, "/flags/system/on", json!({"mode": "locked"})),
        (
            &operator,
            "/flags/system/team/colour",
            json!({"variants": {"warm": "red", "cold": "blue"}, "default_variant": "warm"}),
        ),
        (
            &caller,
            "/flags/team/colour",
            json!({"variants": {"warm": "red", "cold": "blue"}, "default_variant": "cold"}),
        ),
        (
            &caller,
            "/flags/count",
            json!({"variants": {"few": 3, "many": 300}, "default_variant": "few"}),
        ),
        (
            &caller,
            "/flags/ratio",
            json!({"variants": {"whole": 3.0, "half": 0.5}, "default_variant": "whole"}),
        ),
        (
            &caller,
            "/flags/shape",
            json!({"variants": {"square": {"sides": 4, "name": "square"}}, "default_variant": "square"}),
        ),
        (
            &caller,
            "/flags/pros",
            json!({"rules": [{"when": [{"attribute": "plan", "op": "in", "values": ["pro"]}]}]}),
        ),
        (
            &caller,
            "/flags/most",
            json!({"rules": [{"weights": [{"variant": "on", "weight": 1}]}]}),
        ),
        (&caller, "/flags/off", json!({"enabled": false})),
    ] {
        let reply = send(server, asks, &Request::new("PUT", path).json(&flag)).await;
        assert_eq!(reply.status, 201, "{path}: {}", reply.visible());
    }
    caller
}

/// Runs a script and reads its answers.
fn run(server: &Server, caller: &Caller, mut command: Command) -> Vec<Value> {
    let headers: Vec<_> = caller.headers().iter().collect();
    command
        .env("SERVER", &server.facts.url)
        .env("HEADERS", json!(headers).to_string())
        .env("CLIENTS", clients())
        .env("NO_PROXY", "127.0.0.1,localhost");
    let done = command.output().unwrap_or_else(|error| {
        let program = command.get_program();
        panic!(
            "{}: {error}; `cargo xtask test` installs what it needs",
            program.display()
        )
    });
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "`cargo xtask test` installs the clients in {}: {said}",
        clients().display()
    );
    let lines = String::from_utf8(done.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What every client must be told.
fn evaluations() -> Vec<Value> {
    vec![
        json!(["boolean", true, "on", "STATIC", "system", null]),
        json!(["string", "blue", "cold", "STATIC", "tenant", null]),
        json!(["encoded key", "blue", "cold", "STATIC", "tenant", null]),
        json!(["integer", 3, "few", "STATIC", "tenant", null]),
        json!(["float", 3.0, "whole", "STATIC", "tenant", null]),
        json!(["object", {"sides": 4, "name": "square"}, "square", "STATIC", "tenant", null]),
        json!(["rule", true, "on", "TARGETING_MATCH", "tenant", null]),
        json!(["no rule", false, "off", "DEFAULT", "tenant", null]),
        json!(["rollout", true, "on", "SPLIT", "tenant", null]),
        json!(["disabled", false, "off", "DISABLED", "tenant", null]),
        json!([
            "wrong type",
            "fallback",
            null,
            "ERROR",
            null,
            "TYPE_MISMATCH"
        ]),
        json!(["unknown flag", true, null, "ERROR", null, "FLAG_NOT_FOUND"]),
        json!([
            "no targeting key",
            true,
            null,
            "ERROR",
            null,
            "TARGETING_KEY_MISSING"
        ]),
        json!([
            "invalid context",
            false,
            null,
            "ERROR",
            null,
            "INVALID_CONTEXT"
        ]),
        json!(["invalid key", true, null, "ERROR", null, "GENERAL"]),
        json!(["unreadable body", false, null, "ERROR", null, "PARSE_ERROR"]),
        json!(["wrong token", false, null, "ERROR", null, "GENERAL"]),
        json!(["no tenant", false, null, "ERROR", null, "GENERAL"]),
    ]
}

/// Numbers as JavaScript prints them: 3.0 is 3.
fn as_javascript(answers: Vec<Value>) -> Vec<Value> {
    let plain = |answer: Value| match answer[0].as_str() {
        Some("float") => json!(["float", 3, "whole", "STATIC", "tenant", null]),
        _ => answer,
    };
    answers.into_iter().map(plain).collect()
}

#[tokio::test]
async fn the_javascript_client_is_told_every_type_error_and_304() {
    let server = Server::start();
    let caller = settle(&server).await;
    let mut command = Command::new("node");
    command.arg(script("ofrep.cjs"));
    let keys = json!([
        "count",
        "most",
        "off",
        "on",
        "pros",
        "ratio",
        "shape",
        "team/colour"
    ]);
    let mut expected = as_javascript(evaluations());
    expected.extend([
        json!(["bulk", 200, keys, null, null, null]),
        json!(["bulk again", 304, null, null, null, null]),
        json!(["bulk, another attribute", 200, keys, null, null, null]),
        json!([
            "bulk, invalid context",
            400,
            null,
            "INVALID_CONTEXT",
            null,
            null
        ]),
    ]);
    assert_eq!(run(&server, &caller, command), expected);
}

#[tokio::test]
async fn the_python_client_is_told_every_type_and_error() {
    let server = Server::start();
    let caller = settle(&server).await;
    let mut command = Command::new(clients().join("python/bin/python3"));
    command.arg(script("ofrep.py"));
    assert_eq!(run(&server, &caller, command), evaluations());
}

#[tokio::test]
async fn who_follows_is_told_to_ask_again_and_resumes() {
    let server = Server::start();
    let (ada, operator) = (Caller::resident(&server, 0), bootstrap(&server).await);
    let mut tail = Sse::open(&server, &ada, "/sse/flags").await;
    let mut seen = Vec::new();
    for (caller, path) in [(&ada, "/flags/a"), (&operator, "/flags/system/b")] {
        let put = Request::new("PUT", path).json(&json!({}));
        assert_eq!(send(&server, caller, &put).await.status, 201);
        let event = tail.next().await.expect("the stream goes on");
        assert_eq!(event.event, "message");
        assert_eq!(event.json()["type"], "refetchEvaluation");
        seen.push(event);
    }
    assert_ne!(seen[0].json()["etag"], seen[1].json()["etag"]);
    let cursor = seen[0].id.as_deref().unwrap();
    let mut resumed = Sse::open(
        &server,
        &ada.clone().and("last-event-id", cursor),
        "/sse/flags",
    )
    .await;
    let missed = resumed.next().await.expect("the stream goes on");
    assert_eq!((&missed.id, missed.json()), (&seen[1].id, seen[1].json()));
}

#[tokio::test]
async fn flags_outlive_a_kill() {
    let mut server = Server::start();
    let (ada, operator) = (Caller::resident(&server, 0), bootstrap(&server).await);
    for (caller, path) in [(&operator, "/flags/system/a"), (&ada, "/flags/b")] {
        let put = Request::new("PUT", path).json(&json!({}));
        assert_eq!(send(&server, caller, &put).await.status, 201);
    }
    let ask = Request::new("POST", "/ofrep/v1/evaluate/flags").json(&json!({"context": {}}));
    let before = send(&server, &ada, &ask).await;
    server.kill_and_restart();
    let after = send(&server, &ada, &ask).await;
    assert_eq!((after.status, after.json()), (200, before.json()));
    assert_eq!(after.header("etag"), before.header("etag"));
    let layers: Vec<_> = after.json()["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| (flag["key"].clone(), flag["metadata"]["layer"].clone()))
        .collect();
    assert_eq!(
        layers,
        [(json!("a"), json!("system")), (json!("b"), json!("tenant"))]
    );
}
