//! The routes behind the guard, as a client meets them.

use actix_web::{
    App,
    http::{Method, StatusCode},
    middleware::from_fn,
    test,
    web::Data,
};
use identity::{
    Recording,
    http::{EdgeState, Manifest, Mounted, Routes, edge},
};
use serde_json::{Value, json};

use crate::world::{BOOTSTRAP_KEY, Caller, PASSWORD, World};

/// The routes, without a way to call them.
pub fn manifest() -> Manifest {
    let reason = "the manifest alone is asked for";
    mounted(Recording::Nothing { reason }).manifest()
}

fn mounted(recording: Recording) -> Mounted {
    let mut routes = Routes::new();
    tenantry_control::routes(&mut routes);
    routes.build(recording).unwrap()
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Status and code, for tables.
    pub fn is(&self) -> (u16, &str) {
        (self.status.as_u16(), self.code())
    }
}

/// A request that is being put together.
pub struct Call<'a> {
    world: &'a World,
    request: test::TestRequest,
}

impl World {
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("x-request-id", "fixed"));
        Call {
            world: self,
            request,
        }
    }
}

impl Call<'_> {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.append_header((name, value));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn by(self, caller: &Caller) -> Self {
        self.bearer(&caller.token)
            .header("x-tenant-id", &caller.tenant)
            .header("x-env", "dev")
            .header("x-project-id", &caller.project)
    }

    pub fn text(mut self, body: &str) -> Self {
        self.request = self
            .request
            .insert_header(("content-type", "application/json"))
            .set_payload(body.to_owned());
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub async fn send(self) -> Reply {
        let mounted = mounted(Recording::To(self.world.recorder.clone()));
        let entropy = self.world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(self.world.guard.clone()))
            .app_data(Data::from(self.world.control.clone()))
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, self.request.to_request()).await;
        let status = response.status();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let bytes = test::read_body(response).await;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply {
            status,
            headers,
            text,
            body,
        }
    }
}

fn signup_body(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "tenant_name": "Ada's"})
}

#[actix_web::test]
async fn signing_up_logging_in_refreshing_and_out() {
    let world = World::new().await;
    let body = signup_body("ada@example.com");
    let made = world.call("POST", "/auth/signup").json(&body).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    for pointer in [
        "/user/id",
        "/user/email",
        "/tenant/id",
        "/tenant/name",
        "/tenant/mode",
        "/project/id",
        "/project/name",
        "/access_token",
        "/refresh_token",
        "/token_type",
    ] {
        assert!(made.body.pointer(pointer).unwrap().is_string(), "{pointer}");
    }
    assert_eq!(made.body["expires_in"], 900);
    assert_eq!(made.body["tenant"]["mode"], "saas");
    let again = world.call("POST", "/auth/signup").json(&body).send().await;
    assert_eq!(again.is(), (409, "conflict"));

    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let login = world.call("POST", "/auth/login").json(&body).send().await;
    assert_eq!(login.status, 200);
    let membership = json!({"tenant_id": made.body["tenant"]["id"], "role": "owner",
        "default_project_id": made.body["project"]["id"]});
    assert_eq!(login.body["memberships"], json!([membership]));
    let token = login.body["access_token"].as_str().unwrap();
    let me = world.call("GET", "/auth/me").bearer(token).send().await;
    assert_eq!(me.body["user"], made.body["user"]);
    assert_eq!(me.body["memberships"], login.body["memberships"]);

    let body = json!({"refresh_token": login.body["refresh_token"]});
    let refreshed = world.call("POST", "/auth/refresh").json(&body).send().await;
    assert_eq!(refreshed.status, 200);
    let token = refreshed.body["access_token"].as_str().unwrap();
    let out = world
        .call("POST", "/auth/logout")
        .bearer(token)
        .send()
        .await;
    assert_eq!(out.status, 204);
    let me = world.call("GET", "/auth/me").bearer(token).send().await;
    assert_eq!(me.is(), (401, "unauthenticated"));
    let reused = world.call("POST", "/auth/refresh").json(&body).send().await;
    assert_eq!(reused.is(), (401, "unauthenticated"));
    assert!(
        reused
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
}

#[actix_web::test]
async fn wrong_password_and_unknown_address_get_one_identical_body() {
    let world = World::new().await;
    world.sign_up("ada").await;
    let login = async |email: &str| {
        let body = json!({"email": email, "password": "wrong password"});
        world.call("POST", "/auth/login").json(&body).send().await
    };
    let (known, unknown) = (
        login("ada@example.com").await,
        login("bob@example.com").await,
    );
    assert_eq!(known.is(), (401, "unauthenticated"));
    assert_eq!(known.text, unknown.text);
    for _ in 0..19 {
        login("ada@example.com").await;
    }
    let throttled = login("ada@example.com").await;
    assert_eq!(throttled.is(), (429, "throttled"));
    assert_eq!(throttled.header("retry-after"), Some("3"));
    assert_eq!(
        throttled.header("ratelimit-policy"),
        Some("\"login-failures\";q=20;w=60")
    );
    assert_eq!(
        throttled.header("ratelimit"),
        Some("\"login-failures\";r=0;t=3")
    );
}

#[actix_web::test]
async fn what_is_sent_is_checked() {
    let world = World::new().await;
    for (path, body, expect) in [
        ("/auth/signup", "{", (400, "body_invalid")),
        ("/auth/signup", "{}", (422, "validation_failed")),
        (
            "/auth/signup",
            r#"{"email":"x","password":"12345678","tenant_name":"T"}"#,
            (422, "validation_failed"),
        ),
        (
            "/auth/signup",
            r#"{"email":"a@b.cd","password":"1234567","tenant_name":"T"}"#,
            (422, "validation_failed"),
        ),
        (
            "/auth/signup",
            r#"{"email":"a@b.cd","password":"12345678","tenant_name":""}"#,
            (422, "validation_failed"),
        ),
        (
            "/auth/signup",
            r#"{"email":"a@b.cd","password":"12345678","tenant_name":"a\u0007"}"#,
            (422, "validation_failed"),
        ),
        (
            "/auth/signup",
            r#"{"email":"a@b.cd","password":"12345678","tenant_name":"T","x":1}"#,
            (422, "validation_failed"),
        ),
        ("/auth/login", "{}", (422, "validation_failed")),
        (
            "/auth/refresh",
            r#"{"refresh_token":"x"}"#,
            (401, "unauthenticated"),
        ),
    ] {
        let reply = world.call("POST", path).text(body).send().await;
        assert_eq!(reply.is(), expect, "{path} {body}");
    }
}

#[actix_web::test]
async fn bootstrap_table() {
    let world = World::new().await;
    let path = "/auth/bootstrap/tenants";
    let body = json!({"email": "root@example.com", "password": PASSWORD});
    let refused = (401, "unauthenticated");
    let none = world.call("POST", path).json(&body).send().await;
    assert_eq!(none.is(), refused);
    let unread = world
        .call("POST", path)
        .header("x-bootstrap-key", "wrong")
        .text("{")
        .send()
        .await;
    assert_eq!(unread.is(), refused, "the key comes before the body");
    let twice = world
        .call("POST", path)
        .header("x-bootstrap-key", BOOTSTRAP_KEY);
    let twice = twice
        .header("x-bootstrap-key", BOOTSTRAP_KEY)
        .json(&body)
        .send()
        .await;
    assert_eq!(twice.is(), refused);

    let call = || {
        world
            .call("POST", path)
            .header("x-bootstrap-key", BOOTSTRAP_KEY)
    };
    assert_eq!(call().text("{").send().await.is(), (400, "body_invalid"));
    let made = call().json(&body).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(made.body["tenants"][0]["id"], "t_system");
    assert!(
        made.body["tenants"][0]["default_project_id"]
            .as_str()
            .unwrap()
            .starts_with("p_")
    );
    let again = call().json(&body).send().await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, made.body);
    let other = json!({"email": "other@example.com", "password": PASSWORD});
    assert_eq!(
        call().json(&other).send().await.is(),
        (409, "already_bootstrapped")
    );
    let wrong = json!({"email": "root@example.com", "password": "another password"});
    assert_eq!(call().json(&wrong).send().await.is(), refused);
}

#[actix_web::test]
async fn records_carry_etags_and_honour_if_match() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let name = |name: &str| json!({"name": name});
    let made = world
        .call("POST", "/control/projects")
        .by(&ada)
        .json(&name("One"))
        .send()
        .await;
    assert_eq!(made.status, 201);
    let etag = made.header("etag").unwrap().to_owned();
    let path = format!("/control/projects/{}", made.body["id"].as_str().unwrap());
    let read = world.call("GET", &path).by(&ada).send().await;
    assert_eq!(
        (read.header("etag"), &read.body),
        (Some(etag.as_str()), &made.body)
    );
    let patch = async |tag: Option<&str>, to: &str| {
        let call = world.call("PATCH", &path).by(&ada).json(&name(to));
        let call = match tag {
            Some(tag) => call.header("if-match", tag),
            None => call,
        };
        call.send().await
    };
    let renamed = patch(Some(&etag), "Two").await;
    assert_eq!(renamed.status, 200);
    assert_ne!(renamed.header("etag"), Some(etag.as_str()));
    for stale in [etag.as_str(), "\"0\"", "W/\"1\"", "garbage"] {
        assert_eq!(
            patch(Some(stale), "X").await.is(),
            (412, "precondition_failed"),
            "{stale}"
        );
    }
    assert_eq!(patch(None, "Three").await.status, 200);
    assert_eq!(patch(Some("*"), "Four").await.status, 200);
    let stale = world
        .call("DELETE", &path)
        .by(&ada)
        .header("if-match", &etag)
        .send()
        .await;
    assert_eq!(stale.is(), (412, "precondition_failed"));
    assert_eq!(
        world.call("DELETE", &path).by(&ada).send().await.status,
        204
    );
    assert_eq!(
        world.call("GET", &path).by(&ada).send().await.is(),
        (404, "not_found")
    );
}

#[actix_web::test]
async fn lists_are_paged() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    for n in 0..4 {
        let body = json!({"name": format!("P{n}")});
        world
            .call("POST", "/control/projects")
            .by(&ada)
            .json(&body)
            .send()
            .await;
    }
    let (mut seen, mut path) = (Vec::new(), "/control/projects?limit=2".to_owned());
    loop {
        let page = world.call("GET", &path).by(&ada).send().await;
        assert_eq!(page.status, 200);
        seen.extend(
            page.body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].to_string()),
        );
        match page.body["next"].as_str() {
            Some(next) => path = format!("/control/projects?limit=2&after={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &sorted), (5, &seen));
    for bad in ["limit=0", "limit=x", "limit=-1", "after=!"] {
        let reply = world
            .call("GET", &format!("/control/projects?{bad}"))
            .by(&ada)
            .send()
            .await;
        assert_eq!(reply.is(), (400, "query_invalid"), "{bad}");
    }
}

#[actix_web::test]
async fn members_over_http() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.sign_up("bob").await;
    let add = async |body: Value| {
        world
            .call("POST", "/control/members")
            .by(&ada)
            .json(&body)
            .send()
            .await
    };
    let added = add(json!({"email": bob.email, "role": "viewer"})).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.body["status"], "active");
    assert_eq!(added.body["user_id"], bob.user.as_str());
    assert_eq!(
        add(json!({"user_id": bob.user, "role": "viewer"}))
            .await
            .is(),
        (409, "conflict")
    );
    let invited = add(json!({"email": "new@example.com", "role": "member"})).await;
    assert_eq!(
        (invited.status.as_u16(), &invited.body["status"]),
        (201, &json!("invited"))
    );
    assert_eq!(invited.body.get("user_id"), None);
    for wrong in [
        json!({"role": "viewer"}),
        json!({"email": "a@b.cd", "user_id": "u_1", "role": "viewer"}),
        json!({"email": "a@b.cd", "role": "king"}),
        json!({"user_id": "t_1", "role": "viewer"}),
    ] {
        assert_eq!(add(wrong).await.is(), (422, "validation_failed"));
    }
    let list = world.call("GET", "/control/members").by(&ada).send().await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 3);
    let path = format!("/control/members/{}", ada.user);
    let last = world.call("DELETE", &path).by(&ada).send().await;
    assert_eq!(last.is(), (409, "last_owner"));
    let invitation = format!("/control/members/{}", invited.body["id"].as_str().unwrap());
    assert_eq!(
        world
            .call("DELETE", &invitation)
            .by(&ada)
            .send()
            .await
            .status,
        204
    );

    let viewer = bob.at(&ada);
    let own = format!("/control/members/{}", bob.user);
    for (method, path) in [
        ("GET", "/control/members"),
        ("POST", "/control/members"),
        ("PATCH", own.as_str()),
        ("DELETE", &path),
        ("DELETE", "/control/members/u_unknown"),
        ("DELETE", "/control/members/garbage"),
    ] {
        let refused = world.call(method, path).by(&viewer).text("{").send().await;
        assert_eq!(refused.is(), (403, "role_forbidden"), "{method} {path}");
    }
    assert_eq!(
        world.call("DELETE", &own).by(&viewer).send().await.status,
        204
    );
    let gone = world
        .call("GET", "/control/projects")
        .by(&viewer)
        .send()
        .await;
    assert_eq!(gone.is(), (403, "tenant_forbidden"));
}

#[actix_web::test]
async fn operators_over_http() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let tenant = format!("/control/tenants/{}", ada.tenant);
    let suspend = json!({"state": "suspended"});
    let done = world
        .call("PATCH", &tenant)
        .by(&operator)
        .json(&suspend)
        .send()
        .await;
    assert_eq!(
        (done.status.as_u16(), &done.body["state"]),
        (200, &json!("suspended"))
    );
    let refused = world.call("GET", "/control/projects").by(&ada).send().await;
    assert_eq!(refused.is(), (403, "tenant_forbidden"));
    let system = "/control/tenants/t_system";
    let refused = world
        .call("PATCH", system)
        .by(&operator)
        .json(&suspend)
        .send()
        .await;
    assert_eq!(refused.is(), (409, "conflict"));
    let list = world
        .call("GET", "/control/tenants")
        .by(&operator)
        .send()
        .await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2);

    let body = json!({"id": "own", "title": "Own"});
    let made = world
        .call("POST", "/control/modes")
        .by(&operator)
        .json(&body)
        .send()
        .await;
    assert_eq!(made.status, 201);
    let put = json!({"title": "Renamed", "description": "d"});
    let put = world
        .call("PUT", "/control/modes/own")
        .by(&operator)
        .json(&put)
        .send()
        .await;
    assert_eq!(
        (put.status.as_u16(), &put.body["title"]),
        (200, &json!("Renamed"))
    );
    let gone = world
        .call("DELETE", "/control/modes/own")
        .by(&operator)
        .send()
        .await;
    assert_eq!(gone.status, 204);
    let used = world
        .call("DELETE", "/control/modes/saas")
        .by(&operator)
        .send()
        .await;
    assert_eq!(used.is(), (409, "conflict"));
}

#[actix_web::test]
async fn the_registry_over_http() {
    let world = World::new().await;
    let operator = world.operator().await;
    let body = json!({"resource_kind": "documents", "tenant": "*", "env": "prod",
        "backend": "memory", "config": {"a": 1}, "secrets": {"key": "env:UNSET"}});
    let made = world
        .call("POST", "/control/routes")
        .by(&operator)
        .json(&body)
        .send()
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        (&made.body["tenant"], &made.body["env"]),
        (&json!("*"), &json!("prod"))
    );
    let again = world
        .call("POST", "/control/routes")
        .by(&operator)
        .json(&body)
        .send()
        .await;
    assert_eq!(again.is(), (409, "conflict"));
    let check = world
        .call("POST", "/control/routes/check")
        .by(&operator)
        .send()
        .await;
    assert_eq!(
        (check.status.as_u16(), &check.body["ok"]),
        (200, &json!(false))
    );
    let first = json!({"resource_kind": "documents", "tenant": "*", "env": "prod",
        "problem": "key: the secret env:UNSET is not set"});
    assert_eq!(check.body["problems"][0], first);
    let path = format!("/control/routes/{}", made.body["id"].as_str().unwrap());
    let put = json!({"backend": "memory"});
    let put = world
        .call("PUT", &path)
        .by(&operator)
        .json(&put)
        .send()
        .await;
    assert_eq!(
        (put.status.as_u16(), &put.body["secrets"]),
        (200, &json!({}))
    );
    assert_eq!(
        world
            .call("DELETE", &path)
            .by(&operator)
            .send()
            .await
            .status,
        204
    );
    for bad in [
        json!({"resource_kind": "Documents", "backend": "memory"}),
        json!({"resource_kind": "documents", "tenant": "x", "backend": "memory"}),
        json!({"resource_kind": "documents", "env": "moon", "backend": "memory"}),
        json!({"resource_kind": "documents", "backend": "memory", "secrets": {"k": "plain"}}),
        json!({"resource_kind": "documents", "backend": "memory", "config": []}),
    ] {
        let reply = world
            .call("POST", "/control/routes")
            .by(&operator)
            .json(&bad)
            .send()
            .await;
        assert_eq!(reply.is(), (422, "validation_failed"), "{bad}");
        assert!(!reply.text.contains("plain"), "{}", reply.text);
    }
}

#[actix_web::test]
async fn the_document_and_the_manifest_name_the_same_routes() {
    let document = serde_json::to_value(tenantry_control::openapi()).unwrap();
    let mut described = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let manifest = manifest();
    let entries = manifest.entries().iter();
    let mut served: Vec<_> = entries
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
    // Every reference of the document leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
