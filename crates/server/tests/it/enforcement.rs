//! Who may take the gates' force away: operators, with a flag, and nobody for themselves.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    recipes::bootstrap,
};

async fn put(server: &Server, caller: &Caller, path: &str, body: &Value) {
    let reply = send(server, caller, &Request::new("PUT", path).json(body)).await;
    assert!(
        (200..300).contains(&reply.status),
        "{path}: {}",
        reply.visible()
    );
}

/// What becomes of a gated write.
async fn card(server: &Server, caller: &Caller) -> (u16, String) {
    let write = Request::new("POST", "/nexus/cards").json(&json!({"title": "A card"}));
    send(server, caller, &write).await.outcome()
}

#[tokio::test]
async fn only_operators_put_gates_into_shadow() {
    let server = Server::start();
    let (ada, operator) = (Caller::resident(&server, 0), bootstrap(&server).await);
    let (written, stopped) = (
        (201, String::new()),
        (503, "kill_switch_engaged".to_owned()),
    );
    assert_eq!(card(&server, &ada).await, written);
    let switch = json!({"action": "nexus.*", "reason": "an incident"});
    put(&server, &operator, "/gates/kill-switches/all", &switch).await;
    assert_eq!(card(&server, &ada).await, stopped);

    let says = |mode: &str| json!({"variants": {"shadow": "shadow", "enforce": "enforce"}, "default_variant": mode});
    let (own, everyone) = (
        "/flags/gates.enforce.cards",
        "/flags/system/gates.enforce.cards",
    );
    put(&server, &ada, own, &says("shadow")).await;
    assert_eq!(card(&server, &ada).await, stopped, "not for oneself");
    put(&server, &operator, everyone, &says("shadow")).await;
    assert_eq!(
        card(&server, &ada).await,
        stopped,
        "an override is the tenant's word"
    );
    put(&server, &ada, own, &says("enforce")).await;
    assert_eq!(card(&server, &ada).await, stopped, "which may enforce");
    let restored = send(&server, &ada, &Request::new("DELETE", own)).await;
    assert_eq!(restored.status, 204);
    assert_eq!(card(&server, &ada).await, written);
    put(&server, &operator, everyone, &says("enforce")).await;
    assert_eq!(card(&server, &ada).await, stopped);
}
