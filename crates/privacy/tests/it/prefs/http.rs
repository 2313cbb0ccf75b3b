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
    http::{EdgeState, Mounted, Routes, edge},
};
use serde_json::{Value, json};
use testkit::PROJECT;

use super::node::Node;

const OWN: &str = "/privacy/train-prefs";
const TENANT: &str = "/privacy/train-prefs/tenant";
const SYSTEM: &str = "/privacy/train-prefs/system";

fn of(user: &str) -> String {
    format!("/privacy/train-prefs/users/{user}")
}

fn mounted(recording: Recording) -> Mounted {
    let mut routes = Routes::new();
    tenantry_privacy::routes(&mut routes);
    routes.build(recording).unwrap()
}

/// An answer.
#[derive(Debug, PartialEq)]
struct Reply {
    status: u16,
    etag: Option<String>,
    body: Value,
}

impl Reply {
    fn is(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// What was decided, and on whose word.
    fn told(&self) -> (&str, &str) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default();
        (text("training"), text("source"))
    }
}

/// Someone with a role in a tenant.
struct Caller<'a> {
    node: &'a Node,
    user: &'static str,
    tenant: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

impl Node {
    fn caller(&self, tenant: &'static str, user: &'static str, role: Role) -> Caller<'_> {
        self.world.directory.set_role(tenant, user, role);
        Caller {
            node: self,
            user,
            tenant,
            headers: Vec::new(),
        }
    }
}

impl Caller<'_> {
    /// The same caller, sending one header more.
    fn sending(&self, name: &'static str, value: &'static str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name, value));
        Self { headers, ..*self }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&str>) -> Reply {
        let mut request = test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("x-request-id", "fixed"))
            .insert_header((
                "authorization",
                format!("Bearer {}", self.node.world.token(self.user)),
            ))
            .insert_header(("x-tenant-id", self.tenant))
            .insert_header(("x-env", "dev"))
            .insert_header(("x-project-id", PROJECT));
        for header in &self.headers {
            request = request.append_header(*header);
        }
        if let Some(body) = body {
            request = request
                .insert_header(("content-type", "application/json"))
                .set_payload(body.to_owned());
        }
        let (world, mounted) = (&self.node.world, mounted(self.node.recording.clone()));
        let entropy = world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(world.guard.clone()))
            .app_data(Data::from(self.node.prefs.clone()))
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let etag = response.headers().get(header::ETAG);
        let etag = etag.map(|tag| tag.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = test::read_body(response).await;
        Reply {
            status,
            etag,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, training: &str) -> Reply {
        let body = json!({"training": training}).to_string();
        self.call(Method::PUT, path, Some(&body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }
}

#[actix_web::test]
async fn a_preference_is_shown_with_what_each_level_says() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    let nothing = json!({"training": null, "source": "unknown", "version": 0, "updated_at": null});
    assert_eq!(
        owner.get(OWN).await.body,
        json!({
            "user_id": "u_owner", "purpose": "training",
            "training": "deny", "source": "unknown", "version": 0, "gpc": false,
            "levels": {"system": nothing, "tenant": nothing, "user": nothing}
        })
    );
    let put = owner.put(TENANT, "allow").await;
    let tenant = json!({"training": "allow", "source": "admin", "version": 1, "updated_at": "2026-01-01T00:00:00.000Z"});
    assert_eq!((put.status, &put.body), (200, &tenant));
    assert_eq!(put.etag.as_deref(), Some("\"1\""));
    assert_eq!(owner.get(OWN).await.told(), ("deny", "unknown"));
    let put = owner.put(&of("u_owner"), "allow").await;
    let user = json!({"training": "allow", "source": "user", "version": 1, "updated_at": "2026-01-01T00:00:00.000Z"});
    assert_eq!((put.status, &put.body), (200, &user));
    let shown = json!({
        "user_id": "u_owner", "purpose": "training",
        "training": "allow", "source": "user", "version": 2, "gpc": false,
        "levels": {"system": nothing, "tenant": tenant, "user": user}
    });
    assert_eq!(owner.get(OWN).await.body, shown);
    assert_eq!(owner.get(&of("u_owner")).await.body, shown);

    let operator = node.caller("t_system", "u_operator", Role::Admin);
    assert_eq!(operator.put(SYSTEM, "deny").await.status, 200);
    assert_eq!(owner.get(OWN).await.told(), ("deny", "operator"));
    assert_eq!(operator.delete(SYSTEM).await.status, 204);
    assert_eq!(owner.get(OWN).await.told(), ("allow", "user"));
    for path in [TENANT, &of("u_owner")] {
        assert_eq!(owner.delete(path).await.status, 204);
        assert_eq!(owner.delete(path).await.status, 204, "again is in order");
        assert_eq!(owner.get(OWN).await.told(), ("deny", "unknown"));
    }
}

#[actix_web::test]
async fn global_privacy_control_denies_its_request_and_is_not_stored() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    owner.put(TENANT, "allow").await;
    owner.put(&of("u_owner"), "allow").await;
    let private = owner.sending("sec-gpc", "1");
    for twice in [
        private.sending("sec-gpc", "0"),
        owner.sending("sec-gpc", "0").sending("sec-gpc", "1"),
        owner.sending("Sec-GPC", " 1 "),
    ] {
        let reply = twice.get(OWN).await;
        assert_eq!(reply.told(), ("deny", "gpc"));
        assert_eq!(reply.body["gpc"], json!(true));
        assert_eq!(reply.body["version"], json!(2));
    }
    for value in ["0", "true", "", "2", "11"] {
        let reply = owner.sending("sec-gpc", value).get(OWN).await;
        assert_eq!(reply.told(), ("allow", "user"), "{value:?}");
    }
    assert_eq!(private.get(&of("u_owner")).await.told(), ("deny", "gpc"));
    assert_eq!(owner.get(OWN).await.told(), ("allow", "user"), "not stored");
    // An admin's own signal says nothing of another member, who may be trained on.
    let ada = node.caller("t_a", "u_ada", Role::Member);
    ada.put(&of("u_ada"), "allow").await;
    assert_eq!(private.get(&of("u_ada")).await.told(), ("allow", "user"));
    // And it loosens nothing.
    owner.put(TENANT, "deny").await;
    assert_eq!(
        owner.sending("sec-gpc", "0").get(OWN).await.told(),
        ("deny", "admin")
    );
}

#[actix_web::test]
async fn its_support_is_declared_to_everyone() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    let declared = owner.get("/.well-known/gpc.json").await;
    assert_eq!(declared.status, 200);
    assert_eq!(declared.body["gpc"], json!(true));
    let day = declared.body["lastUpdate"].as_str().unwrap();
    let midnight: Result<identity::Timestamp, _> = format!("{day}T00:00:00Z").parse();
    assert!(midnight.is_ok(), "{day} is a date");
    assert_eq!(declared.body.as_object().unwrap().len(), 2);
}

#[actix_web::test]
async fn roles_are_told_apart_before_members_and_members_before_bodies() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    let viewer = node.caller("t_a", "u_viewer", Role::Viewer);
    let member = node.caller("t_a", "u_member", Role::Member);
    node.caller("t_b", "u_foreign", Role::Owner);
    assert_eq!(viewer.get(OWN).await.status, 200);
    assert_eq!(viewer.put(&of("u_viewer"), "deny").await.status, 200);
    assert_eq!(
        viewer.get(&of("u_viewer")).await.told(),
        ("deny", "unknown")
    );
    let forbidden = (403, "role_forbidden");
    for nobody in [&viewer, &member] {
        assert_eq!(nobody.put(TENANT, "deny").await.is(), forbidden);
        assert_eq!(nobody.delete(TENANT).await.is(), forbidden);
        for user in ["u_owner", "u_foreign", "u_nobody", "garbage"] {
            assert_eq!(nobody.get(&of(user)).await.is(), forbidden, "{user}");
            assert_eq!(nobody.put(&of(user), "deny").await.is(), forbidden);
            assert_eq!(nobody.delete(&of(user)).await.is(), forbidden);
        }
    }
    assert_eq!(owner.put(SYSTEM, "deny").await.is(), forbidden);
    assert_eq!(owner.delete(SYSTEM).await.is(), forbidden);

    let unknown = owner.get(&of("u_nobody")).await;
    assert_eq!(unknown.is(), (404, "not_found"));
    for user in ["u_foreign", "u_nobody", "garbage", "%00"] {
        assert_eq!(owner.get(&of(user)).await, unknown, "{user}");
        let put = owner.call(Method::PUT, &of(user), Some("not json")).await;
        assert_eq!(put, unknown, "{user}");
        assert_eq!(owner.delete(&of(user)).await, unknown, "{user}");
    }
    assert_eq!(
        owner.put(&of("u_viewer"), "deny").await.told(),
        ("deny", "user")
    );
}

#[actix_web::test]
async fn a_body_says_allow_or_deny_and_nothing_else() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    for path in [TENANT, &of("u_owner")] {
        for (body, answer) in [
            ("", (400, "body_invalid")),
            ("{}", (422, "validation_failed")),
            (r#"{"training":"maybe"}"#, (422, "validation_failed")),
            (r#"{"training":"Allow"}"#, (422, "validation_failed")),
            (r#"{"training":true}"#, (422, "validation_failed")),
            (r#"{"training":null}"#, (422, "validation_failed")),
            (
                r#"{"training":"allow","for":"ever"}"#,
                (422, "validation_failed"),
            ),
            (
                r#"{"training":"deny","training":"allow"}"#,
                (422, "validation_failed"),
            ),
            (
                r#"{"training":"allow","tenant_id":"t_b"}"#,
                (400, "context_conflict"),
            ),
            (r#"{"training":"allow""#, (400, "body_invalid")),
        ] {
            let reply = owner.call(Method::PUT, path, Some(body)).await;
            assert_eq!(reply.is(), answer, "{body} at {path}");
        }
    }
    assert_eq!(owner.get(OWN).await.body["version"], json!(0));
}

#[actix_web::test]
async fn if_match_names_the_version_that_may_be_changed() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    let operator = node.caller("t_system", "u_operator", Role::Admin);
    let stale = (412, "precondition_failed");
    for (caller, path) in [
        (&owner, TENANT),
        (&owner, &of("u_owner")),
        (&operator, SYSTEM),
    ] {
        assert_eq!(
            caller.sending("if-match", "*").put(path, "deny").await.is(),
            stale
        );
        let first = caller.sending("if-match", "\"0\"").put(path, "deny").await;
        assert_eq!((first.status, first.etag.as_deref()), (200, Some("\"1\"")));
        for other in ["\"0\"", "\"2\"", "W/\"1\"", "1", "\"x\""] {
            let late = caller.sending("if-match", other);
            assert_eq!(late.put(path, "allow").await.is(), stale, "{other}");
            assert_eq!(late.delete(path).await.is(), stale, "{other}");
        }
        let several = caller.sending("if-match", "\"7\", \"1\"");
        assert_eq!(
            several.put(path, "allow").await.etag.as_deref(),
            Some("\"2\"")
        );
        let known = caller.sending("if-match", "\"2\"");
        assert_eq!(known.delete(path).await.status, 204);
        assert_eq!(known.put(path, "allow").await.is(), stale);
    }
}

#[actix_web::test]
async fn without_its_store_a_preference_reads_as_denied_and_cannot_be_changed() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    node.documents.set_down(true);
    let unreadable =
        json!({"training": null, "source": "unreadable", "version": 0, "updated_at": null});
    assert_eq!(
        owner.get(OWN).await.body,
        json!({
            "user_id": "u_owner", "purpose": "training",
            "training": "deny", "source": "unreadable", "version": 0, "gpc": false,
            "levels": {"system": unreadable, "tenant": unreadable, "user": unreadable}
        })
    );
    assert_eq!(
        owner.put(TENANT, "deny").await.is(),
        (503, "backend_unavailable")
    );
    assert_eq!(
        owner.delete(&of("u_owner")).await.is(),
        (503, "backend_unavailable")
    );
}

#[actix_web::test]
async fn the_record_says_who_said_what_about_whom_and_which_version_it_made() {
    let node = Node::new();
    let owner = node.caller("t_a", "u_owner", Role::Owner);
    let ada = node.caller("t_a", "u_ada", Role::Viewer);
    ada.put(&of("u_ada"), "deny").await;
    owner.put(&of("u_ada"), "allow").await;
    owner.put(TENANT, "allow").await;
    ada.delete(&of("u_ada")).await;
    ada.put(TENANT, "deny").await;
    ada.get(OWN).await;
    let lines = node.recorder.lines();
    let outcomes = lines.iter().filter(|line| !line.starts_with("intent"));
    let who = |user: &str, rest: &str| format!("t_a/dev {user} privacy.train_prefs.{rest}");
    let (ada, owner) = (|rest| who("u_ada", rest), |rest| who("u_owner", rest));
    assert_eq!(
        outcomes.cloned().collect::<Vec<_>>(),
        [
            format!(
                "outcome {}: done training=deny version=1",
                ada("set_user PUT /privacy/train-prefs/users/u_ada")
            ),
            format!(
                "outcome {}: done training=allow version=2",
                owner("set_user PUT /privacy/train-prefs/users/u_ada")
            ),
            format!(
                "outcome {}: done training=allow version=1",
                owner("set_tenant PUT /privacy/train-prefs/tenant")
            ),
            format!(
                "outcome {}: done version=3",
                ada("withdraw_user DELETE /privacy/train-prefs/users/u_ada")
            ),
            format!(
                "refused {}: refused role_forbidden",
                ada("set_tenant PUT /privacy/train-prefs/tenant")
            ),
        ]
    );
}
