//! Recipes of records.

use identity::http::ManifestEntry;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Request},
    process::Server,
    recipes::{CANARY, Recipe, Victim, fresh, is_about_an_object, made, succeed},
    recipes_assets::{promise, stored},
};

/// The body that a new record of a kind is made with.
async fn body_of(server: &Server, caller: &Caller, kind: &str) -> Value {
    let name = format!("{} {CANARY}", fresh("record"));
    match kind {
        "cards" | "packs" => json!({"title": name}),
        "atoms" => json!({
            "asset_id": asset(server, caller).await, "operation": "extract", "content": name,
        }),
        "settings" => json!({"values": {"name": name}}),
        "runs" => json!({"name": name}),
        "memory" => json!({"session_id": fresh("session"), "text": name}),
        "maybes" => json!({"text": name}),
        "analytics-events" => json!({"events": [event(&name)]}),
        "page-content" | "seo" => json!({"page": fresh("/page"), "title": name}),
        _ => panic!("no record of {kind}: add a body, so that its routes are attacked"),
    }
}

fn event(name: &str) -> Value {
    json!({
        "name": "drill", "schema_version": 1, "properties": {"name": name},
        "consent": {"purposes": ["analytics"]},
    })
}

pub(crate) async fn nexus_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
) -> Recipe {
    let caller = victim.owner.clone();
    let kind = entry.path.split('/').nth(2).unwrap_or_default();
    if kind == "index" || kind == "search" {
        return search_recipe(caller, entry);
    }
    let list = format!("/nexus/{kind}");
    if kind == "settings" {
        // There is one for a place: the earlier recipe's makes room.
        let listed = succeed(server, &caller, Request::new("GET", &list)).await;
        for settings in listed["items"].as_array().unwrap() {
            let place = format!("{list}/{}", settings["id"].as_str().unwrap());
            succeed(server, &caller, Request::new("DELETE", place)).await;
        }
    }
    let body = body_of(server, &caller, kind).await;
    let mut path = entry.path.to_owned();
    if is_about_an_object(&path) {
        let id = match kind {
            "analytics-events" => appended(server, victim, &body).await,
            _ => made(server, &caller, &list, &body).await,
        };
        path = path.replace("{id}", &id);
        let place = format!("{list}/{id}");
        if path.ends_with("/restore") {
            succeed(server, &caller, Request::new("DELETE", place)).await;
        }
    }
    let request = Request::new(entry.method.as_str(), path);
    let acts = is_about_an_object(entry.path);
    let (caller, request, success): (_, _, &[u16]) = match entry.method.as_str() {
        "POST" if acts => (caller, request, &[200]),
        "POST" => (caller, request.json(&body), &[201]),
        "PUT" => (caller.and("if-match", "\"1\""), request.json(&body), &[200]),
        "PATCH" => (
            caller.and("if-match", "\"1\""),
            request.json(&json!({})),
            &[200],
        ),
        "DELETE" => (caller, request, &[204]),
        _ => (caller, request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}

fn search_recipe(caller: Caller, entry: &ManifestEntry) -> Recipe {
    let method = entry.method.as_str();
    let request = match entry.path {
        "/nexus/search" => Request::new(method, format!("/nexus/search?q={CANARY}")),
        path => Request::new(method, path),
    };
    Recipe {
        caller,
        request,
        success: if method == "POST" { &[202] } else { &[200] },
    }
}

/// Appends events, and returns the id of the first.
async fn appended(server: &Server, victim: &Victim, body: &Value) -> String {
    let append = Request::new("POST", "/nexus/analytics-events").json(body);
    let appended = succeed(server, &victim.owner, append).await;
    appended["ids"][0].as_str().unwrap().to_owned()
}

/// The id of a registered file.
pub(crate) async fn asset(server: &Server, caller: &Caller) -> String {
    let promise = promise("drill.txt");
    let stored = stored(server, caller, "/nexus/raw-storage", &promise).await;
    stored["asset_id"].as_str().unwrap().to_owned()
}
