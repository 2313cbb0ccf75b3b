//! Replays and pictures of canvases: made behind the gates, fetched from the store, checked by a stranger.

use std::{fs, path::Path};

use canvas::replay::Replay;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, open, send},
    process::{Server, tenantry},
    recipes::succeed,
};

async fn post(server: &Server, caller: &Caller, path: &str, body: &Value) -> Reply {
    send(server, caller, &Request::new("POST", path).json(body)).await
}

/// A canvas of three commits; the hash of its last.
async fn edited(server: &Server, caller: &Caller, id: &str) -> String {
    let made = Request::new("POST", "/canvas").json(&json!({ "canvas_id": id }));
    succeed(server, caller, made).await;
    for rev in 0..3 {
        let commands = json!({"base_rev": rev, "client_id": "c", "batch_id": format!("b{rev}"), "commands": [
            {"cmd_id": "1", "kind": "node.create", "args": {"node": format!("n{rev}"), "type": "note"}}]});
        let path = format!("/canvas/{id}/commands");
        succeed(server, caller, Request::new("POST", path).json(&commands)).await;
    }
    let commits = Request::new("GET", format!("/canvas/{id}/commits?after=2"));
    let commits = succeed(server, caller, commits).await;
    commits["items"][0]["commit_hash"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_replay_is_an_artifact_of_its_canvas_that_a_stranger_can_check() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let commit = edited(&server, &ada, "cv_1").await;
    let made = post(&server, &ada, "/canvas/cv_1/replays", &json!({})).await;
    assert_eq!(made.status, 201, "{}", made.visible());
    let artifact = made.json();
    assert_eq!(artifact["kind"], "canvas_replay");
    assert_eq!(artifact["parent_canvas_id"], "cv_1");
    assert_eq!(
        (&artifact["meta"]["from_rev"], &artifact["meta"]["to_rev"]),
        (&json!(0), &json!(3))
    );
    let place = made.header("location").unwrap().to_owned();
    assert_eq!(
        succeed(&server, &ada, Request::new("GET", &place)).await,
        artifact
    );
    let listed = Request::new("GET", "/artifacts?parent=cv_1");
    assert_eq!(
        succeed(&server, &ada, listed).await["items"],
        json!([artifact])
    );

    let content = open(
        &server,
        &ada,
        &Request::new("GET", format!("{place}/content")),
    )
    .await;
    let bytes = content.bytes().await.unwrap();
    let replay = Replay::open(&bytes).unwrap();
    assert_eq!(
        artifact["meta"]["manifest_hash"],
        replay.manifest_hash().to_string()
    );
    assert_eq!(
        replay.verify().unwrap().commit.unwrap().hash().to_string(),
        commit
    );

    // Made again it is another artifact with the same bytes.
    let again = post(
        &server,
        &ada,
        "/canvas/cv_1/replays",
        &json!({"from_rev": 0, "to_rev": 3}),
    )
    .await;
    let again = again.json();
    assert_eq!(again["sha256"], artifact["sha256"]);
    assert_ne!(again["asset_id"], artifact["asset_id"]);
    // What was asked is about the canvas, what came of it about the artifact.
    let asset = artifact["asset_id"].as_str().unwrap();
    for (path, outcome) in [
        ("/canvas/cv_1/audit".to_owned(), Value::Null),
        (format!("/audit/events?target={asset}"), json!("done")),
    ] {
        let trail = succeed(&server, &ada, Request::new("GET", path)).await;
        let mut items = trail["items"].as_array().unwrap().iter();
        let said =
            items.find(|item| item["action"] == "canvas.replay" && item["outcome"] == outcome);
        let said = said.unwrap_or_else(|| panic!("{trail}"));
        if outcome == "done" {
            assert_eq!(said["metadata"]["canvas_id"], "cv_1", "it names both");
        }
    }
}

/// What `tenantry canvas verify` says of a file.
fn verify(file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = tenantry();
    let output = command
        .args(["canvas", "verify"])
        .arg(file)
        .args(more)
        .output();
    let output = output.unwrap();
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// The run, once it is over.
async fn ended(server: &Server, caller: &Caller, path: &str) -> Value {
    loop {
        let run = succeed(server, caller, Request::new("GET", path)).await;
        if !["queued", "running"].contains(&run["status"].as_str().unwrap()) {
            return run;
        }
        tokio::task::yield_now().await;
    }
}

/// The replay of revisions 3 to 5 of `cv_1` is good; with one bit changed, or under another hash, it is not.
fn is_checked_without_a_server(mut bytes: Vec<u8>, manifest: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.replay");
    fs::write(&file, &bytes).unwrap();
    let (code, said) = verify(&file, &["--manifest", manifest]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("verified: revisions 3 to 5 of cv_1"),
        "{said}"
    );
    let (code, said) = verify(&file, &["--manifest", &"0".repeat(64)]);
    assert!(code == Some(1) && said.contains("REFUSED"), "{said}");
    let segment = Replay::open(&bytes).unwrap().segments()[0].offset;
    bytes[segment] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let (code, said) = verify(&file, &[]);
    assert!(
        code == Some(1) && said.contains("the revisions 3 to 5 were changed"),
        "{said}"
    );
}

#[tokio::test]
async fn a_run_of_an_agent_is_a_replay_that_is_checked_without_a_server() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    edited(&server, &ada, "cv_1").await;
    let make = |node: &str, after_ms| json!({"after_ms": after_ms, "commands": [{"cmd_id": "1", "kind": "node.create", "args": {"node": node, "type": "note"}}]});
    let run = json!({"run_id": "rn_1", "name": "tidy up", "agent": "layout.bot", "base_rev": 3, "steps": [make("a", 0), make("b", 20)]});
    let begun = post(&server, &ada, "/canvas/cv_1/runs", &run).await;
    assert_eq!(begun.status, 201, "{}", begun.visible());
    assert_eq!(begun.header("location"), Some("/canvas/cv_1/runs/rn_1"));
    let run_again = post(&server, &ada, "/canvas/cv_1/runs", &run).await;
    assert_eq!(run_again.status, 200, "{}", run_again.visible());
    let ended = ended(&server, &ada, "/canvas/cv_1/runs/rn_1").await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(
        ended["steps"],
        json!([{"status": "succeeded", "rev": 4}, {"status": "succeeded", "rev": 5}])
    );
    let listed = Request::new("GET", "/canvas/cv_1/runs");
    assert_eq!(
        succeed(&server, &ada, listed).await["items"],
        json!([ended])
    );
    let over = post(&server, &ada, "/canvas/cv_1/runs/rn_1/cancel", &json!({})).await;
    assert_eq!((over.status, over.json()), (200, ended.clone()));

    let place = format!("/artifacts/{}", ended["asset_id"].as_str().unwrap());
    let artifact = succeed(&server, &ada, Request::new("GET", &place)).await;
    assert_eq!(
        (
            &artifact["parent_canvas_id"],
            &artifact["meta"]["run_id"],
            &artifact["meta"]["from_rev"]
        ),
        (&json!("cv_1"), &json!("rn_1"), &json!(3))
    );
    let content = Request::new("GET", format!("{place}/content"));
    let content = open(&server, &ada, &content).await;
    let bytes = content.bytes().await.unwrap().to_vec();
    let manifest = artifact["meta"]["manifest_hash"].as_str().unwrap();
    is_checked_without_a_server(bytes, manifest);

    let trail = Request::new("GET", "/canvas/cv_1/audit?limit=1000");
    let trail = succeed(&server, &ada, trail).await;
    let of_run: Vec<(&str, &Value)> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["metadata"]["run_id"] == "rn_1" && item["action"] != "canvas.run")
        .map(|item| (item["action"].as_str().unwrap(), &item["metadata"]["agent"]))
        .collect();
    let bot = json!("layout.bot");
    assert_eq!(
        of_run,
        [
            ("canvas.command", &bot),
            ("canvas.command", &bot),
            ("canvas.run.end", &bot)
        ]
    );
}

#[tokio::test]
async fn a_picture_is_an_artifact_of_its_canvas() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    edited(&server, &ada, "cv_1").await;
    let made = post(&server, &ada, "/canvas/cv_1/previews", &json!({"rev": 2})).await;
    assert_eq!(made.status, 201, "{}", made.visible());
    let artifact = made.json();
    assert_eq!(
        (&artifact["parent_canvas_id"], &artifact["content_type"]),
        (&json!("cv_1"), &json!("image/svg+xml"))
    );
    let place = made.header("location").unwrap().to_owned();
    let content = send(
        &server,
        &ada,
        &Request::new("GET", format!("{place}/content")),
    )
    .await;
    assert!(content.text.contains("note n1") && !content.text.contains("note n2"));
    let head = post(&server, &ada, "/canvas/cv_1/previews", &json!({})).await;
    assert_eq!(head.json()["meta"]["rev"], 3);
    let unknown = post(&server, &ada, "/canvas/cv_1/previews", &json!({"rev": 4})).await;
    assert_eq!(unknown.outcome(), (404, "not_found".to_owned()));
    let switch = json!({"action": "canvas.*", "reason": "drill"});
    let switch = Request::new("PUT", "/gates/kill-switches/all").json(&switch);
    succeed(&server, &ada, switch).await;
    let stopped = post(&server, &ada, "/canvas/cv_1/previews", &json!({})).await;
    assert_eq!(stopped.outcome(), (503, "kill_switch_engaged".to_owned()));
}

#[tokio::test]
async fn no_replay_is_made_of_what_is_not_there_or_not_ones_own_or_stopped() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    edited(&server, &ada, "cv_1").await;
    for (body, answer) in [
        (json!({"to_rev": 4}), (404, "not_found")),
        (
            json!({"from_rev": 2, "to_rev": 1}),
            (422, "validation_failed"),
        ),
        (json!({"from_rev": -1}), (422, "validation_failed")),
        (json!({"rev": 1}), (422, "validation_failed")),
    ] {
        let refused = post(&server, &ada, "/canvas/cv_1/replays", &body).await;
        assert_eq!(refused.outcome(), (answer.0, answer.1.to_owned()), "{body}");
    }
    let alike = |reply: &Reply| {
        let mut body = reply.json();
        body["request_id"] = Value::Null;
        body["trace_id"] = Value::Null;
        (reply.status, body)
    };
    let foreign = post(&server, &bob, "/canvas/cv_1/replays", &json!({})).await;
    let unknown = post(&server, &bob, "/canvas/cv_2/replays", &json!({})).await;
    assert_eq!(foreign.outcome(), (403, "canvas_access_denied".to_owned()));
    assert_eq!(alike(&foreign), alike(&unknown));

    let switch = json!({"action": "canvas.replay", "reason": "drill"});
    let switch = Request::new("PUT", "/gates/kill-switches/all").json(&switch);
    succeed(&server, &ada, switch).await;
    let stopped = post(&server, &ada, "/canvas/cv_1/replays", &json!({})).await;
    assert_eq!(stopped.outcome(), (503, "kill_switch_engaged".to_owned()));
    let artifacts = Request::new("GET", "/artifacts");
    assert_eq!(succeed(&server, &ada, artifacts).await["items"], json!([]));
}
