//! Who may call what, and in which order a call is refused.

use actix_web::http::Method;
use identity::Role;

use super::client::{Call, Server};
use crate::service::house::{event, put};
use identity::Env;

const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];

/// Every route of a tenant, a body that it takes, and the least role.
fn routes() -> [(Method, &'static str, Option<&'static str>, Role); 9] {
    let (admin, owner) = (Role::Admin, Role::Owner);
    [
        (Method::GET, "/audit/events", None, admin),
        (Method::GET, "/audit/events/1", None, admin),
        (Method::GET, "/audit/events/1/receipt", None, admin),
        (Method::POST, "/audit/export", Some("{}"), admin),
        (Method::POST, "/audit/training-export", Some("{}"), admin),
        (Method::GET, "/audit/hold", None, admin),
        (Method::PUT, "/audit/hold", None, owner),
        (Method::DELETE, "/audit/hold", None, owner),
        (
            Method::POST,
            "/audit/erasures",
            Some("{\"user_id\":\"u_gone\"}"),
            owner,
        ),
    ]
}

fn call(server: &Server, method: Method, path: &str, body: Option<&str>) -> Call {
    let call = server.call(method, path);
    match body {
        Some(body) => call.json(body),
        None => call,
    }
}

async fn recorded() -> Server {
    let server = Server::new().await;
    put(&server.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    put(&server.audit, event("t_b", Env::Dev, "u_1", 0)).await;
    server.audit.turn().await;
    server
}

#[actix_web::test]
async fn a_role_is_needed_and_enough() {
    let server = recorded().await;
    for (method, path, body, least) in routes() {
        for role in ROLES {
            let call = call(&server, method.clone(), path, body);
            let reply = server.send(server.by("t_a", "u_caller", role, call)).await;
            if role < least {
                let forbidden = (403, "role_forbidden".to_owned());
                assert_eq!(reply.is(), forbidden, "{method} {path} {role}");
            } else {
                assert!(reply.status < 300, "{method} {path} {role}: {reply:?}");
            }
        }
    }
}

/// The order of the contract: credential, context, tenant, role; only then what was sent.
#[actix_web::test]
async fn refusals_come_in_the_order_of_the_contract() {
    let server = recorded().await;
    let huge = format!("\"{}\"", "x".repeat(400 * 1024));
    for (method, path, body, _) in routes() {
        let path = path.replace("/1", "/no-seq");
        // Everything is wrong at once; then one thing after the other is put right.
        let wrong = call(&server, method.clone(), &path, body.map(|_| huge.as_str()));
        let wrong = wrong.with("x-tenant-id", "t_a").with("x-tenant-id", "t_b");
        let steps = [
            (wrong.clone(), (401, "unauthenticated")),
            (
                server.by("t_a", "u_viewer", Role::Viewer, wrong.clone()),
                (400, "context_invalid"),
            ),
            (
                server
                    .by(
                        "t_a",
                        "u_viewer",
                        Role::Viewer,
                        wrong.clone().without("x-tenant-id"),
                    )
                    .without("x-env"),
                (400, "context_missing"),
            ),
            (
                server
                    .by(
                        "t_b",
                        "u_stranger",
                        Role::Owner,
                        wrong.clone().without("x-tenant-id"),
                    )
                    .without("x-tenant-id")
                    .with("x-tenant-id", "t_a"),
                (403, "tenant_forbidden"),
            ),
            (
                server.by(
                    "t_a",
                    "u_viewer",
                    Role::Viewer,
                    wrong.without("x-tenant-id"),
                ),
                (403, "role_forbidden"),
            ),
        ];
        for (call, (status, code)) in steps {
            let reply = server.send(call).await;
            assert_eq!(reply.is(), (status, code.to_owned()), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn the_context_may_be_said_again_and_not_contradicted() {
    let server = recorded().await;
    for path in [
        "/audit/events?tenant_id=t_a&env=dev",
        "/audit/events?env=development",
    ] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    for path in [
        "/audit/events?tenant_id=t_b",
        "/audit/events?env=prod",
        "/audit/events/1/receipt?tenant_id=t_b",
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.is(), (400, "context_conflict".to_owned()), "{path}");
    }
    let body = Some("{\"tenant_id\":\"t_b\"}");
    let reply = server.owner(Method::POST, "/audit/export", body).await;
    assert_eq!(reply.is(), (400, "context_conflict".to_owned()));
}

#[actix_web::test]
async fn refused_attempts_are_on_record() {
    let server = recorded().await;
    let call = server.call(Method::GET, "/audit/events");
    for _ in 0..3 {
        let call = server.by("t_a", "u_viewer", Role::Viewer, call.clone());
        assert_eq!(server.send(call).await.status, 403);
    }
    server.audit.turn().await;
    let reply = server.get("/audit/events?action=audit.event.read").await;
    let body = reply.json();
    let items = body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["outcome"], "refused:role_forbidden");
    assert_eq!(items[0]["repeated"], 3);
    assert_eq!(items[0]["actor"]["id"], "u_viewer");
}
