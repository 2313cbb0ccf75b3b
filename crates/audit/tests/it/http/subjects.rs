//! Erasure and legal hold.

use actix_web::http::Method;
use identity::Env;
use serde_json::json;

use super::client::Server;
use crate::service::house::{all, endings, event, put};

const ERASURES: &str = "/audit/erasures";
const HOLD: &str = "/audit/hold";

async fn erase(server: &Server, user: &str) -> super::client::Reply {
    let body = json!({ "user_id": user }).to_string();
    server.owner(Method::POST, ERASURES, Some(&body)).await
}

#[actix_web::test]
async fn an_erasure_says_what_it_destroyed_and_is_on_record() {
    let server = Server::new().await;
    put(&server.audit, event("t_a", Env::Dev, "u_gone", 0)).await;
    let reply = erase(&server, "u_gone").await;
    assert_eq!((reply.status, &reply.json()["destroyed"]), (201, &json!(1)));
    assert!(reply.header("x-audit-seq").is_some());
    let seq = reply.json()["seq"].as_u64().unwrap();
    let told = server.get(&format!("/audit/events/{seq}")).await.json();
    assert_eq!(told["action"], "subject.erased");
    assert_eq!(told["metadata"]["destroyed"], 1);
    let shown = server.get("/audit/events/1").await.json();
    assert_eq!(shown["actor"], json!({"kind": "user", "role": "admin"}));
    assert!(shown["erased"].as_array().unwrap().len() >= 2);
    let listed = server.get("/audit/events").await;
    assert!(!String::from_utf8(listed.body).unwrap().contains("u_gone"));
    let again = erase(&server, "u_gone").await;
    assert_eq!((again.status, &again.json()["destroyed"]), (201, &json!(0)));
    let scope = server.house.scope("t_a", Env::Dev).await;
    endings(&all(&server.audit, &scope).await);
}

#[actix_web::test]
async fn a_hold_is_set_shown_and_lifted_and_forbids_erasure() {
    let server = Server::new().await;
    put(&server.audit, event("t_a", Env::Dev, "u_gone", 0)).await;
    assert_eq!(server.get(HOLD).await.json(), json!({"held": false}));
    for _ in 0..2 {
        let put = server.owner(Method::PUT, HOLD, None).await;
        assert_eq!((put.status, put.json()), (200, json!({"held": true})));
        assert_eq!(server.get(HOLD).await.json(), json!({"held": true}));
    }
    let refused = erase(&server, "u_gone").await;
    assert_eq!(refused.is(), (409, "legal_hold".to_owned()));
    for _ in 0..2 {
        assert_eq!(server.owner(Method::DELETE, HOLD, None).await.status, 204);
    }
    assert_eq!(erase(&server, "u_gone").await.status, 201);
    // All of it is on record, with how it ended.
    let scope = server.house.scope("t_a", Env::Dev).await;
    let entries = all(&server.audit, &scope).await;
    let of = |action: &str, outcome: &str| {
        let found = entries
            .iter()
            .filter(|one| one.leaf.action.as_str() == action);
        found
            .filter(|one| match &one.leaf.phase {
                tenantry_audit::Phase::Outcome { outcome: how, .. } => how.to_string() == outcome,
                _ => false,
            })
            .count()
    };
    assert_eq!(of("audit.hold.set", "done"), 4);
    assert_eq!(of("audit.subject.erase", "refused:legal_hold"), 1);
    assert_eq!(of("audit.subject.erase", "done"), 1);
}

#[actix_web::test]
async fn what_is_no_erasure_is_refused() {
    let server = Server::new().await;
    for (body, status, code) in [
        ("{}", 422, "validation_failed"),
        ("{\"user_id\":\"nobody\"}", 422, "validation_failed"),
        (
            "{\"user_id\":\"u_a\",\"why\":\"asked\"}",
            422,
            "validation_failed",
        ),
        ("{\"user_id\":[\"u_a\"]}", 422, "validation_failed"),
        ("", 422, "validation_failed"),
        ("nonsense", 400, "body_invalid"),
    ] {
        let reply = server.owner(Method::POST, ERASURES, Some(body)).await;
        assert_eq!(reply.is(), (status, code.to_owned()), "{body}");
    }
}
