//! Recipes of the canvas routes.

use identity::http::ManifestEntry;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Request},
    process::Server,
    recipes::{CANARY, Recipe, Victim, fresh, succeed},
};

/// The canvas of the victim.
const CANVAS: &str = "cv_victim";
/// A run on it.
const RUN: &str = "rn_victim";

/// Makes the victim's canvas, with a node in it.
pub(crate) async fn settle(server: &Server, owner: &Caller) {
    let canvas = json!({"canvas_id": CANVAS, "title": CANARY});
    let made = Request::new("POST", "/canvas").json(&canvas);
    succeed(server, owner, made).await;
    let commands = json!({"base_rev": 0, "client_id": "settler", "batch_id": "first", "commands": [
        {"cmd_id": "1", "kind": "node.create", "args": {"node": "n1", "type": "note", "props": {"text": CANARY}}}]});
    let path = format!("/canvas/{CANVAS}/commands");
    succeed(server, owner, Request::new("POST", path).json(&commands)).await;
    let path = format!("/canvas/{CANVAS}/runs");
    succeed(server, owner, Request::new("POST", path).json(&run(RUN))).await;
    while !all_ended(server, owner).await {
        tokio::task::yield_now().await;
    }
}

/// Whether the runs on the canvas have ended, which go on after they were answered.
pub(crate) async fn all_ended(server: &Server, owner: &Caller) -> bool {
    let path = format!("/canvas/{CANVAS}/runs");
    let runs = succeed(server, owner, Request::new("GET", &path)).await;
    let mut runs = runs["items"].as_array().unwrap().iter();
    runs.all(|run| run["status"] != "running")
}

/// A run that makes a node, called as the run is.
fn run(id: &str) -> Value {
    json!({"run_id": id, "name": CANARY, "agent": "bot", "base_rev": 1, "mode": "rebase", "steps": [
        {"commands": [{"cmd_id": "1", "kind": "node.create", "args": {"node": id, "type": "note"}}]}]})
}

/// A request of the owner that succeeds.
pub(crate) async fn canvas_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
) -> Recipe {
    let method = entry.method.as_str();
    let path = entry
        .path
        .replace("{canvas_id}", CANVAS)
        .replace("{run_id}", RUN)
        .replace("{rev}", "1");
    let request = Request::new(method, path);
    let batch = fresh("batch");
    let (request, success): (_, &[u16]) = match (method, entry.path) {
        ("GET", _) => (request, &[200]),
        ("POST", "/canvas") => {
            let id = format!("cv_{}", fresh("made"));
            (
                request.json(&json!({"canvas_id": id, "title": CANARY})),
                &[201],
            )
        }
        ("POST", "/canvas/{canvas_id}/commands") => {
            let body = json!({"base_rev": 1, "client_id": "c", "batch_id": batch, "mode": "rebase", "commands": [
                {"cmd_id": "1", "kind": "node.create", "args": {"node": batch, "type": "note"}}]});
            (request.json(&body), &[200])
        }
        ("POST", "/canvas/{canvas_id}/undo") => {
            // A batch of its own, which is then there to be undone.
            let id = format!("cv_{}", fresh("undo"));
            let made = Request::new("POST", "/canvas").json(&json!({"canvas_id": id}));
            succeed(server, &victim.owner, made).await;
            let body = json!({"base_rev": 0, "client_id": "c", "batch_id": "one", "commands": [
                {"cmd_id": "1", "kind": "node.create", "args": {"node": "n", "type": "note"}}]});
            let sent = Request::new("POST", format!("/canvas/{id}/commands")).json(&body);
            succeed(server, &victim.owner, sent).await;
            let undo = json!({"client_id": "c", "batch_id": "two", "undo": "one"});
            let request = Request::new("POST", format!("/canvas/{id}/undo"));
            (request.json(&undo), &[200])
        }
        ("POST", "/canvas/{canvas_id}/restore") => {
            // Another epoch would refuse the commands of the other recipes.
            let id = format!("cv_{}", fresh("restore"));
            let made = Request::new("POST", "/canvas").json(&json!({"canvas_id": id}));
            succeed(server, &victim.owner, made).await;
            let restore = json!({"client_id": "c", "batch_id": batch, "rev": 0});
            let request = Request::new("POST", format!("/canvas/{id}/restore"));
            (request.json(&restore), &[200])
        }
        ("POST", "/canvas/{canvas_id}/runs") => {
            all_ended(server, &victim.owner).await;
            let id = format!("rn_{}", fresh("run"));
            (request.json(&run(&id)), &[201])
        }
        ("POST", "/canvas/{canvas_id}/runs/{run_id}/cancel") => (request, &[200]),
        ("POST", "/canvas/{canvas_id}/replays") => (request.json(&json!({"to_rev": 1})), &[201]),
        ("POST", "/canvas/{canvas_id}/previews") => (request.json(&json!({"rev": 1})), &[201]),
        _ => panic!("no recipe for {entry}: add one, so that the route is attacked"),
    };
    Recipe {
        caller: victim.owner.clone(),
        request,
        success,
    }
}
