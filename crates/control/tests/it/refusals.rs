//! The order of refusals, on every tenant route of the control plane.

use identity::{Realm, Role, http::Access};

use crate::{
    http::{Call, Reply, manifest},
    world::{Caller, World},
};

/// The routes of the manifest, with ids that nobody has.
fn tenant_routes() -> Vec<(String, String, Role, Realm)> {
    let manifest = manifest();
    let routes = manifest
        .entries()
        .iter()
        .filter_map(|entry| match entry.access {
            Access::Tenant { role, realm, .. } => {
                let path = entry
                    .path
                    .replace("{user_id}", "u_unknown")
                    .replace("{id}", "zz_unknown");
                Some((entry.method.to_string(), path, role, realm))
            }
            Access::Account { .. } | Access::Public { .. } => None,
        });
    routes.collect()
}

fn context<'a>(call: Call<'a>, caller: &Caller) -> Call<'a> {
    call.header("x-tenant-id", &caller.tenant)
        .header("x-env", "dev")
        .header("x-project-id", &caller.project)
}

/// Everything that is wrong is wrong at once; each step puts one thing right.
#[actix_web::test]
async fn every_tenant_route_refuses_in_the_order_of_the_contract() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let bob = world.sign_up("bob").await;
    let foreign_tenant = ada.at(&bob);
    let mut foreign_project = ada.clone();
    foreign_project.project = bob.project.clone();
    let routes = tenant_routes();
    assert!(routes.len() > 25, "{}", routes.len());
    for (method, path, _, realm) in routes {
        let call = || world.call(&method, &path).text("{");
        let none = call().header("x-env", "moon").send().await;
        assert_eq!(none.is(), (401, "unauthenticated"), "{method} {path}");
        let context_missing = call().bearer(&ada.token).send().await;
        assert_eq!(
            context_missing.is(),
            (400, "context_missing"),
            "{method} {path}"
        );
        let invalid = context(call().bearer(&ada.token), &foreign_tenant);
        let invalid = invalid.header("x-env", "prod").send().await;
        assert_eq!(invalid.is(), (400, "context_invalid"), "{method} {path}");
        let foreign = call().by(&foreign_tenant).send().await;
        assert_eq!(foreign.is(), (403, "tenant_forbidden"), "{method} {path}");
        let project = call().by(&foreign_project).send().await;
        assert_eq!(project.is(), (400, "unknown_project"), "{method} {path}");
        if realm == Realm::System {
            let member = call().by(&ada).send().await;
            assert_eq!(member.is(), (403, "role_forbidden"), "{method} {path}");
        }
        let caller = if realm == Realm::System {
            &operator
        } else {
            &ada
        };
        let admitted = call().by(caller).send().await;
        let about_a_record = path.contains("unknown");
        if about_a_record {
            assert_eq!(admitted.is(), (404, "not_found"), "{method} {path}");
        } else if ["POST", "PUT", "PATCH"].contains(&method.as_str()) && !path.ends_with("check") {
            assert_eq!(admitted.is(), (400, "body_invalid"), "{method} {path}");
        } else {
            assert_eq!(admitted.status, 200, "{method} {path}");
        }
    }
}

/// Roles that lack the action are refused before any record is looked for.
#[actix_web::test]
async fn the_role_comes_before_the_record() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let eve = world.join("eve", &ada, Role::Viewer).await;
    let admin_only = tenant_routes()
        .into_iter()
        .filter(|(_, _, role, realm)| *role > Role::Viewer && *realm == Realm::Tenant);
    for (method, path, ..) in admin_only {
        let refused = world.call(&method, &path).by(&eve).text("{").send().await;
        assert_eq!(refused.is(), (403, "role_forbidden"), "{method} {path}");
    }
}

#[actix_web::test]
async fn foreign_unknown_and_malformed_ids_are_refused_alike() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    for (kind, unknown) in [
        ("projects", "p_unknown"),
        ("surfaces", "s_unknown"),
        ("apps", "a_unknown"),
    ] {
        let list = format!("/control/{kind}");
        let made = world
            .call("POST", &list)
            .by(&bob)
            .text(r#"{"name":"canary"}"#)
            .send()
            .await;
        let foreign = made.body["id"].as_str().unwrap().to_owned();
        let owner = world
            .call("GET", &format!("{list}/{foreign}"))
            .by(&bob)
            .send()
            .await;
        assert_eq!(owner.status, 200, "the owner may");
        for method in ["GET", "PATCH", "DELETE"] {
            let mut replies: Vec<Reply> = Vec::new();
            for id in [foreign.as_str(), unknown, "garbage", "%00"] {
                let call = world.call(method, &format!("{list}/{id}")).by(&ada);
                replies.push(call.text(r#"{"name":"x"}"#).send().await);
            }
            for reply in &replies {
                assert_eq!(reply.is(), (404, "not_found"), "{method} {kind}");
                assert_eq!(reply.text, replies[0].text);
                assert!(!reply.text.contains("canary"));
            }
        }
        let after = world
            .call("GET", &format!("{list}/{foreign}"))
            .by(&bob)
            .send()
            .await;
        assert_eq!(after.body, owner.body, "nothing was changed");
    }
    let member = format!("/control/members/{}", bob.user);
    for method in ["PATCH", "DELETE"] {
        let call = world
            .call(method, &member)
            .by(&ada)
            .text(r#"{"role":"viewer"}"#);
        assert_eq!(call.send().await.is(), (404, "not_found"));
    }
}

#[actix_web::test]
async fn without_the_store_everything_is_503() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    world.documents.set_down(true);
    for (method, path, ..) in tenant_routes() {
        let reply = world.call(&method, &path).by(&ada).text("{").send().await;
        assert_eq!(reply.is(), (503, "backend_unavailable"), "{method} {path}");
    }
    let body = r#"{"email":"ada@example.com","password":"correct horse battery"}"#;
    let reply = world.call("POST", "/auth/login").text(body).send().await;
    assert_eq!(reply.is(), (503, "backend_unavailable"));
    assert!(!reply.text.contains("made to fail"));
}
