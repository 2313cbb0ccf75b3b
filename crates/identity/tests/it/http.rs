//! The guard on actix-web: order, ids, problems, bodies, methods.

use actix_web::{
    App, HttpResponse,
    dev::ServiceResponse,
    http::{Method, StatusCode},
    middleware::from_fn,
    test,
    web::Data,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tenantry_identity::{
    Code, Problem, Recording, Role, Scope,
    http::{
        Admitted, EdgeState, Json, Mounted, Object, Public, PublicReason, Query, RecordRule,
        Routes, SignedIn, edge,
    },
};
use testkit::{PROJECT, World};

tenantry_identity::action!(Write, "test.write", Member);
tenantry_identity::account_action!(WhoAmI, "test.whoami");

struct Because;
impl PublicReason for Because {
    const REASON: &'static str = "a test";
    const ACTION: &'static str = "test.open";
}

/// Knows one record, `known`.
struct Record;
impl Object for Record {
    async fn locate(_: &Scope, req: &actix_web::HttpRequest) -> Result<Self, Problem> {
        if req.match_info().get("id") == Some("known") {
            Ok(Self)
        } else {
            Err(Problem::not_found())
        }
    }
}

#[derive(Deserialize)]
struct Note {
    text: String,
}
#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

async fn write(admitted: Admitted<Write, Json<Note>, Record>, page: Query<Page>) -> HttpResponse {
    let Admitted {
        scope,
        body: Json(note),
        ..
    } = admitted;
    HttpResponse::Ok()
        .json(json!({"tenant": scope.tenant().as_str(), "text": note.text, "limit": page.0.limit}))
}
async fn whoami(SignedIn { account, .. }: SignedIn<WhoAmI>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"user": account.user().as_str()}))
}
async fn open(_: Public<Because>) -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::Throttled, "slow down")
        .retry_after(std::time::Duration::from_millis(1200)))
}

fn mounted() -> Mounted {
    let mut routes = Routes::new();
    routes.tenant(Method::PUT, "/records/{id}", write);
    routes.account(Method::GET, "/me", whoami);
    routes.public(Method::GET, "/open", open);
    routes.build(unrecorded()).unwrap()
}

fn unrecorded() -> Recording {
    Recording::Nothing {
        reason: "these tests look at the answers alone",
    }
}

struct Reply {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

async fn read(response: ServiceResponse) -> Reply {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
        .collect();
    let bytes = test::read_body(response).await;
    Reply {
        status,
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

async fn send(world: &World, request: test::TestRequest) -> Reply {
    let mounted = mounted();
    let edge_state = Data::new(EdgeState {
        entropy: world.entropy.clone(),
    });
    let app = App::new()
        .app_data(edge_state)
        .app_data(Data::from(Arc::clone(&world.guard)))
        .configure(|config| mounted.configure(config))
        .wrap(from_fn(edge));
    let app = test::init_service(app).await;
    read(test::call_service(&app, request.to_request()).await).await
}

fn world() -> World {
    let world = World::new();
    world.directory.set_role("t_a", "u_a", Role::Member);
    world
}

fn put(world: &World, id: &str) -> test::TestRequest {
    test::TestRequest::put()
        .uri(&format!("/records/{id}"))
        .insert_header(("authorization", format!("Bearer {}", world.token("u_a"))))
        .insert_header(("x-tenant-id", "t_a"))
        .insert_header(("x-env", "DEV"))
        .insert_header(("x-project-id", PROJECT))
}

#[actix_web::test]
async fn an_admitted_request_reaches_the_handler() {
    let world = world();
    let reply = send(&world, put(&world, "known").set_json(json!({"text": "hi"}))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.body,
        json!({"tenant": "t_a", "text": "hi", "limit": null})
    );
}

#[actix_web::test]
async fn the_object_is_refused_before_the_body_and_the_body_before_the_query() {
    let world = world();
    let reply = send(&world, put(&world, "unknown").set_payload("{")).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (404, "not_found"));
    let reply = send(
        &world,
        put(&world, "known")
            .uri("/records/known?limit=x")
            .set_payload("{"),
    )
    .await;
    assert_eq!((reply.status.as_u16(), reply.code()), (400, "body_invalid"));
    let reply = send(
        &world,
        put(&world, "known")
            .uri("/records/known?limit=x")
            .set_json(json!({"text": "a"})),
    )
    .await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (400, "query_invalid")
    );
}

#[actix_web::test]
async fn a_huge_body_of_a_stranger_is_a_401_and_of_a_member_a_413() {
    let world = world();
    let huge = "x".repeat(300 * 1024);
    let reply = send(
        &world,
        test::TestRequest::put()
            .uri("/records/known")
            .set_payload(huge.clone()),
    )
    .await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (401, "unauthenticated")
    );
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    let reply = send(&world, put(&world, "known").set_payload(huge)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (413, "body_too_large")
    );
}

#[actix_web::test]
async fn headers_given_twice_or_with_a_comma_are_refused() {
    let world = world();
    for header in ["x-tenant-id", "x-env", "x-project-id"] {
        let reply = send(&world, put(&world, "known").append_header((header, "t_a"))).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "context_invalid"),
            "{header} twice"
        );
        let reply = send(
            &world,
            put(&world, "known").insert_header((header, "t_a, t_b")),
        )
        .await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "context_invalid"),
            "{header} with a comma"
        );
    }
    let reply = send(
        &world,
        put(&world, "known").append_header(("authorization", "Bearer x")),
    )
    .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("www-authenticate")),
        (401, Some("Bearer error=\"invalid_token\""))
    );
}

#[actix_web::test]
async fn another_context_in_query_or_body_is_a_conflict() {
    let world = world();
    let reply = send(
        &world,
        put(&world, "known")
            .uri("/records/known?tenant_id=t_b")
            .set_json(json!({"text": "a"})),
    )
    .await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (400, "context_conflict")
    );
    for body in [
        json!({"text": "a", "tenant_id": "t_b"}),
        json!({"text": "a", "env": "prod"}),
        json!({"text": "a", "project_id": 7}),
    ] {
        let reply = send(&world, put(&world, "known").set_json(&body)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "context_conflict"),
            "{body}"
        );
    }
    let same = json!({"text": "a", "tenant_id": "t_a", "env": "development"});
    assert_eq!(
        send(&world, put(&world, "known").set_json(same))
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn problems_carry_the_ids_of_the_request() {
    let world = world();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = test::TestRequest::get()
        .uri("/open")
        .insert_header(("x-request-id", "mine"))
        .insert_header(("traceparent", trace));
    let reply = send(&world, request).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(
        (reply.header("x-request-id"), reply.header("traceparent")),
        (Some("mine"), Some(trace))
    );
    assert_eq!(
        reply.body,
        json!({
            "type": "urn:tenantry:problem:throttled", "title": "Too many requests", "status": 429,
            "code": "throttled", "detail": "slow down", "request_id": "mine", "trace_id": "mine",
        })
    );
    let reply = send(
        &world,
        test::TestRequest::get()
            .uri("/open")
            .insert_header(("x-request-id", "not valid")),
    )
    .await;
    assert_ne!(reply.header("x-request-id"), Some("not valid"));
    assert_eq!(
        reply.header("x-request-id"),
        reply.body["request_id"].as_str()
    );
}

#[actix_web::test]
async fn what_is_not_mounted_is_a_problem_too() {
    let world = world();
    let reply = send(&world, test::TestRequest::get().uri("/nowhere")).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (404, "not_found"));
    let reply = send(&world, test::TestRequest::post().uri("/me")).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code(), reply.header("allow")),
        (405, "method_not_allowed", Some("GET, HEAD"))
    );
}

#[actix_web::test]
async fn head_is_guarded_and_answered_as_get() {
    let world = world();
    let head = || test::TestRequest::default().method(Method::HEAD).uri("/me");
    assert_eq!(send(&world, head()).await.status.as_u16(), 401);
    let token = format!("Bearer {}", world.token("u_a"));
    let known = send(&world, head().insert_header(("authorization", token))).await;
    assert_eq!(known.status.as_u16(), 200);
    let write = test::TestRequest::default()
        .method(Method::HEAD)
        .uri("/records/known");
    let refused = send(&world, write).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("allow")),
        (405, Some("PUT"))
    );
}

#[actix_web::test]
async fn an_account_route_needs_a_token_and_no_tenant() {
    let world = world();
    assert_eq!(
        send(&world, test::TestRequest::get().uri("/me"))
            .await
            .status,
        401
    );
    let bearer = ("authorization", format!("bearer {}", world.token("u_a")));
    let reply = send(
        &world,
        test::TestRequest::get().uri("/me").insert_header(bearer),
    )
    .await;
    assert_eq!(
        (reply.status.as_u16(), reply.body["user"].as_str()),
        (200, Some("u_a"))
    );
}

#[::core::prelude::v1::test]
fn the_manifest_lists_every_route_and_no_route_twice() {
    let entries: Vec<String> = mounted()
        .manifest()
        .entries()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        entries,
        [
            "GET /me account",
            "GET /open public: a test",
            "PUT /records/{id} tenant member test.write"
        ]
    );
    let manifest = mounted().manifest();
    let recorded: Vec<_> = manifest
        .entries()
        .iter()
        .map(|entry| (entry.action(), entry.record))
        .collect();
    assert_eq!(
        recorded,
        [
            ("test.whoami", RecordRule::RefusalsOnly),
            ("test.open", RecordRule::RefusalsOnly),
            ("test.write", RecordRule::IntentAndOutcome),
        ]
    );
    let mut routes = Routes::new();
    routes.account(Method::GET, "/me", whoami);
    routes.account(Method::GET, "/me", whoami);
    assert!(routes.build(unrecorded()).is_err());
}
