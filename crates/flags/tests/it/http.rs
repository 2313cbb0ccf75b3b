//! The routes behind the guard, as a client meets them.

use actix_web::{
    App,
    http::{Method, header},
    middleware::from_fn,
    test,
    web::Data,
};
use identity::{
    Recording, Role,
    http::{EdgeState, JSON_BYTES_MAX, Mounted, Routes, edge},
};
use serde_json::{Value, json};
use tenantry_flags::LayerName::{System, Tenant};
use testkit::PROJECT;

use super::node::Node;

pub(super) const OFREP: &str = "/ofrep/v1/evaluate/flags";

fn mounted(recording: Recording) -> Mounted {
    let mut routes = Routes::new();
    tenantry_flags::routes(&mut routes);
    routes.build(recording).unwrap()
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Reply {
    fn is(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Status, and the error as OFREP names it.
    pub(super) fn ofrep(&self) -> (u16, &str) {
        assert!(self.body["errorDetails"].is_string(), "{self:?}");
        (
            self.status,
            self.body["errorCode"].as_str().unwrap_or_default(),
        )
    }
}

/// Someone with a role in a tenant.
pub(super) struct Caller<'a> {
    node: &'a Node,
    user: &'static str,
    tenant: &'static str,
    env: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Node {
    pub(super) fn caller(
        &self,
        tenant: &'static str,
        user: &'static str,
        role: Role,
    ) -> Caller<'_> {
        self.world.directory.set_role(tenant, user, role);
        Caller {
            node: self,
            user,
            tenant,
            env: "dev",
            headers: Vec::new(),
        }
    }

    pub(super) fn admin(&self) -> Caller<'_> {
        self.caller("t_a", "u_admin", Role::Admin)
    }

    fn operator(&self) -> Caller<'_> {
        self.caller("t_system", "u_op", Role::Admin)
    }
}

impl Caller<'_> {
    /// The same caller, sending one header more.
    pub(super) fn sending(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name, value.into()));
        Self { headers, ..*self }
    }

    pub(super) async fn raw(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Reply {
        let token = self.node.world.token(self.user);
        let mut request = test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("authorization", format!("Bearer {token}")))
            .insert_header(("x-tenant-id", self.tenant))
            .insert_header(("x-env", self.env))
            .insert_header(("x-project-id", PROJECT))
            .insert_header(("x-request-id", "fixed"));
        for (name, value) in &self.headers {
            request = request.append_header((*name, value.as_str()));
        }
        if let Some(body) = body {
            request = request
                .insert_header(("content-type", "application/json"))
                .set_payload(body);
        }
        let (world, mounted) = (&self.node.world, mounted(self.node.recording.clone()));
        let entropy = world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(world.guard.clone()))
            .app_data(Data::from(self.node.flags.clone()))
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let (etag, retry_after) = (text(header::ETAG), text(header::RETRY_AFTER));
        let status = response.status().as_u16();
        let body = test::read_body(response).await;
        Reply {
            status,
            etag,
            retry_after,
            text: String::from_utf8(body.to_vec()).unwrap(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.raw(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        self.raw(Method::PUT, path, Some(body.to_string().into_bytes()))
            .await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.raw(Method::DELETE, path, None).await
    }

    pub(super) async fn ask(&self, path: &str, context: &Value) -> Reply {
        let body = json!({ "context": context }).to_string().into_bytes();
        self.raw(Method::POST, path, Some(body)).await
    }

    pub(super) async fn one(&self, key: &str, context: &Value) -> Reply {
        self.ask(&format!("{OFREP}/{key}"), context).await
    }

    pub(super) async fn all(&self, context: &Value) -> Reply {
        self.ask(OFREP, context).await
    }
}

#[actix_web::test]
async fn a_flag_is_made_read_replaced_and_deleted() {
    let node = Node::new().await;
    let admin = node.admin();
    let made = admin.put("/flags/f", &json!({"description": "one"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        made.body,
        json!({"key": "f", "layer": "tenant", "description": "one", "enabled": true, "revision": 1,
            "created_at": "2026-01-01T00:00:00.000Z", "changed_at": "2026-01-01T00:00:00.000Z",
            "changed_by": "u_admin"})
    );
    let read = admin.get("/flags/f").await;
    assert_eq!(
        (read.status, &read.body, &read.etag),
        (200, &made.body, &made.etag)
    );
    let tag = made.etag.unwrap();
    let current = admin.sending("if-match", tag);
    assert_eq!(current.put("/flags/f", &json!({})).await.status, 200);
    assert_eq!(
        current.put("/flags/f", &json!({})).await.is(),
        (412, "precondition_failed")
    );
    assert_eq!(
        current.delete("/flags/f").await.is(),
        (412, "precondition_failed")
    );
    assert_eq!(admin.delete("/flags/f").await.status, 204);
    assert_eq!(admin.delete("/flags/f").await.is(), (404, "not_found"));
    assert_eq!(admin.get("/flags/f").await.is(), (404, "not_found"));
}

#[actix_web::test]
async fn every_change_is_on_record_with_its_digests() {
    let node = Node::new().await;
    let (admin, operator) = (node.admin(), node.operator());
    admin.put("/flags/f", &json!({})).await;
    admin.put("/flags/f", &json!({"enabled": false})).await;
    admin.delete("/flags/f").await;
    operator
        .put("/flags/system/s", &json!({"mode": "locked"}))
        .await;
    let entries = node.recorder.entries();
    let done: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.details.is_empty())
        .collect();
    let told: Vec<_> = done
        .iter()
        .map(|entry| (entry.place.as_str(), entry.action, entry.target.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("t_a/dev", "flags.put", "/flags/f"),
            ("t_a/dev", "flags.put", "/flags/f"),
            ("t_a/dev", "flags.delete", "/flags/f"),
            ("t_system/dev", "flags.system.put", "/flags/system/s"),
        ]
    );
    let detail = |at: usize, name: &str| {
        let found = done[at].details.iter().find(|(its, _)| *its == name);
        found.unwrap().1.clone()
    };
    assert_eq!(
        (detail(0, "flag"), detail(0, "layer"), detail(3, "layer")),
        ("f".into(), "tenant".into(), "system".into())
    );
    assert_eq!(
        (detail(0, "before_sha256"), detail(2, "after_sha256")),
        ("none".into(), "none".into())
    );
    assert_eq!(detail(0, "after_sha256"), detail(1, "before_sha256"));
    assert_eq!(detail(1, "after_sha256"), detail(2, "before_sha256"));
    assert_eq!(detail(0, "after_sha256").len(), 64);
    assert_eq!(
        (detail(0, "revision"), detail(2, "revision")),
        ("1".into(), "3".into())
    );
    let history = admin.get("/flags/history/f?limit=2").await;
    let next = history.body["next"].as_str().unwrap();
    let rest = admin.get(&format!("/flags/history/f?after={next}")).await;
    assert_eq!(history.body["items"][1]["after"], json!({"enabled": false}));
    assert_eq!(rest.body["items"][0]["before"], json!({"enabled": false}));
    assert_eq!(rest.body["items"][0]["after"], Value::Null);
    let of_system = operator.get("/flags/history/system/s").await;
    assert_eq!(of_system.body["items"][0]["after"]["mode"], "locked");
    assert_eq!(
        admin.get("/flags/history/system/s").await.is(),
        (403, "role_forbidden")
    );
}

#[actix_web::test]
async fn an_operator_sets_a_flag_for_everyone_in_one_request() {
    let node = Node::new().await;
    let (admin, operator) = (node.admin(), node.operator());
    let set = operator
        .put("/flags/system/new", &json!({"mode": "locked"}))
        .await;
    assert_eq!(set.status, 201);
    let listed = admin.get("/flags").await;
    assert_eq!(
        listed.body,
        json!({"next": null, "items": [{"key": "new", "layer": "system", "mode": "locked",
            "overridden": false, "type": "boolean", "description": "", "value": true,
            "variant": "on", "reason": "STATIC", "error": null}]})
    );
    let refused = admin.put("/flags/new", &json!({"enabled": false})).await;
    assert_eq!(refused.is(), (403, "flag_locked"));
    for path in ["/flags/system/new", "/flags/system/other"] {
        assert_eq!(
            admin.put(path, &json!({})).await.is(),
            (403, "role_forbidden")
        );
        assert_eq!(admin.get(path).await.is(), (403, "role_forbidden"));
        assert_eq!(admin.delete(path).await.is(), (403, "role_forbidden"));
    }
    assert_eq!(operator.delete("/flags/system/new").await.status, 204);
    assert_eq!(admin.get("/flags").await.body["items"], json!([]));
}

#[actix_web::test]
async fn the_list_comes_in_pages() {
    let node = Node::new().await;
    for key in ["c", "a", "d/x"] {
        node.put(Tenant, key, &json!({})).await;
    }
    node.put(System, "b", &json!({})).await;
    node.put(System, "c", &json!({"enabled": false})).await;
    let viewer = node.caller("t_a", "u_viewer", Role::Viewer);
    let (mut path, mut seen) = ("/flags?limit=3".to_owned(), Vec::new());
    loop {
        let page = viewer.get(&path).await.body;
        for item in page["items"].as_array().unwrap() {
            seen.push(format!(
                "{} {}",
                item["key"].as_str().unwrap(),
                item["layer"].as_str().unwrap()
            ));
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/flags?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a tenant", "b system", "c tenant", "d/x tenant"]);
    for bad in ["limit=0", "after=!", "after=YSBi", "limit=x"] {
        assert_eq!(
            viewer.get(&format!("/flags?{bad}")).await.is(),
            (400, "query_invalid")
        );
    }
    assert_eq!(viewer.get("/flags/a").await.is(), (403, "role_forbidden"));
    assert_eq!(
        viewer.get("/flags/stale").await.is(),
        (403, "role_forbidden")
    );
    assert_eq!(
        node.admin().get("/flags/stale").await.body,
        json!({"items": [], "next": null})
    );
}

#[actix_web::test]
async fn keys_and_definitions_of_any_shape_get_a_clear_answer() {
    let node = Node::new().await;
    let admin = node.admin();
    let long = format!("/flags/{}", "k".repeat(129));
    for path in [
        &long,
        "/flags/a%20b",
        "/flags/-a",
        "/flags/a//b",
        "/flags/%C3%A4",
        "/flags/stale/a",
        "/flags/system%2Fa",
        "/flags/a%00b",
        "/flags/a%252Fb",
    ] {
        let refused = admin.put(path, &json!({})).await;
        assert_eq!(refused.is(), (422, "validation_failed"), "{path}");
        assert_eq!(refused.body["errors"][0]["pointer"], "/key");
    }
    for body in ["{", "nul", "\u{1}", "{\"enabled\":tru}"] {
        let refused = admin.raw(Method::PUT, "/flags/f", Some(body.into())).await;
        assert_eq!(refused.is(), (400, "body_invalid"), "{body}");
    }
    let deep = format!(
        "{{\"variants\":{{\"a\":{}1{}}}}}",
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    assert_eq!(
        admin
            .raw(Method::PUT, "/flags/f", Some(deep.into()))
            .await
            .is(),
        (400, "body_invalid")
    );
    for body in [
        json!([]),
        json!(1),
        json!({"enabld": true}),
        json!({"enabled": "yes"}),
        json!({"rules": [{"when": [{"attribute": "a", "op": "like"}]}]}),
        json!({"rules": [{"colour": 1}]}),
        json!({"rules": [[]]}),
        json!({"prerequisites": [["a"]]}),
        json!({"variants": {"a": 1}}),
    ] {
        assert_eq!(
            admin.put("/flags/f", &body).await.is(),
            (422, "validation_failed"),
            "{body}"
        );
    }
    let large = json!({"variants": {"a": "v".repeat(33 * 1024)}, "default_variant": "a"});
    assert_eq!(
        admin.put("/flags/f", &large).await.is(),
        (413, "body_too_large")
    );
    let huge = json!({"description": "d".repeat(JSON_BYTES_MAX)});
    assert_eq!(
        admin.put("/flags/f", &huge).await.is(),
        (413, "body_too_large")
    );
    assert_eq!(node.flags.snapshot(&node.admin).await.unwrap().keys(), []);
}
