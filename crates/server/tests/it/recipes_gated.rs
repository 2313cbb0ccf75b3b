//! Recipes of gates.

use identity::http::ManifestEntry;
use serde_json::{Value, json};

use crate::{
    client::Request,
    process::Server,
    recipes::{CANARY, Recipe, Victim, fresh, is_about_an_object, succeed},
};

/// An action that no other recipe does, so that its gates are nobody else's.
const ACTION: &str = "nexus.drill.create";

/// The body that a row of a kind is put with.
fn row_of(kind: &str) -> Value {
    match kind {
        "kill-switches" => json!({"action": ACTION, "reason": CANARY}),
        "firearms" => json!({"kind": "requirement", "action": ACTION}),
        "strategy-locks" => json!({"action": ACTION, "reason": CANARY}),
        "budgets" => {
            json!({"action": ACTION, "limit_micros": 10, "price_micros": 1, "window": "total"})
        }
        "kpis" => json!({"action": ACTION, "floor": 1.0, "max_age_s": 60}),
        "temperature" => json!({"action": ACTION, "ceiling": 10.0, "half_life_s": 60}),
        _ => panic!("no row of {kind}"),
    }
}

pub(crate) async fn gates_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
) -> Recipe {
    let kind = entry.path.split('/').nth(2).unwrap_or_default();
    match kind {
        "approvals" => approval_recipe(server, victim, entry).await,
        "explain" | "decisions" => Recipe {
            caller: victim.owner.clone(),
            request: match entry.method.as_str() {
                "POST" => Request::new("POST", entry.path).json(&json!({"action": ACTION})),
                method => Request::new(method, entry.path),
            },
            success: &[200],
        },
        _ => row_recipe(server, victim, entry, kind).await,
    }
}

async fn row_recipe(server: &Server, victim: &Victim, entry: &ManifestEntry, kind: &str) -> Recipe {
    let (caller, id) = (victim.owner.clone(), fresh("row"));
    let place = format!("/gates/{kind}/{id}");
    let method = entry.method.as_str();
    if is_about_an_object(entry.path) && method != "PUT" {
        let put = Request::new("PUT", &place).json(&row_of(kind));
        succeed(server, &caller, put).await;
    }
    let request = Request::new(method, entry.path.replace("{id}", &id));
    let (request, success): (_, &[u16]) = match (method, entry.path) {
        ("PUT", _) => (request.json(&row_of(kind)), &[201]),
        ("DELETE", _) => (request, &[204]),
        ("POST", path) if path.ends_with("/heat") => (request.json(&json!({"by": 1.0})), &[200]),
        ("POST", _) => (request.json(&json!({"value": 2.0})), &[200, 201]),
        _ => (request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}

async fn approval_recipe(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let owner = victim.owner.clone();
    let hash = "0".repeat(64);
    let asked = json!({"action": ACTION, "payload_sha256": hash});
    // Nobody approves what they asked for, so the second admin asks.
    let path = if is_about_an_object(entry.path) {
        let lock =
            json!({"action": ACTION, "reason": CANARY, "approval": {"quorum": 1, "ttl_s": 600}});
        let lock = Request::new("PUT", "/gates/strategy-locks/drill").json(&lock);
        succeed(server, &owner, lock).await;
        let ask = Request::new("POST", "/gates/approvals").json(&asked);
        let approval = succeed(server, &victim.second, ask).await;
        let id = approval["approval_id"].as_str().unwrap().to_owned();
        entry.path.replace("{id}", &id)
    } else {
        entry.path.to_owned()
    };
    let request = Request::new(entry.method.as_str(), path);
    let (request, success): (_, &[u16]) = match (entry.method.as_str(), entry.path) {
        ("POST", "/gates/approvals") => (request.json(&asked), &[201]),
        _ => (request, &[200]),
    };
    Recipe {
        caller: owner,
        request,
        success,
    }
}
