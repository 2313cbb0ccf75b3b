//! Replays and pictures of canvases: made behind the gates, fetched from the store, checked by a stranger.

use canvas::replay::Replay;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, open, send},
    process::Server,
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
            items.any(|item| item["action"] == "canvas.replay" && item["outcome"] == outcome);
        assert!(said, "{trail}");
    }
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
