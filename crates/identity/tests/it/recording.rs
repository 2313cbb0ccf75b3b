//! What is done through a route is on record, and so is what was refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::BoxBody,
    dev::ServiceResponse,
    http::{Method, header},
    middleware::{Next, from_fn},
    test,
    web::Data,
};
use serde::Deserialize;
use serde_json::json;
use tenantry_identity::{
    Action, Code, Problem, Recording, Remarks, Role, Scope, UserId,
    http::{
        Admitted, EdgeState, Json, Mounted, Object, Public, PublicReason, Query, Routes, SignedIn,
        edge, remarked,
    },
};
use testkit::{MemoryRecorder, PROJECT, World};
use tokio::sync::Semaphore;

tenantry_identity::action!(Look, "test.look", Viewer);
tenantry_identity::action!(Write, "test.write", Member);
tenantry_identity::action!(Operate, "test.operate", Viewer, System);
tenantry_identity::account_action!(Leave, "test.leave");

enum Post {}
impl Action for Post {
    const NAME: &'static str = "test.post";
    const ROLE: Role = Role::Member;
    const OUTCOME_ONLY: bool = true;
}

enum Ask {}
impl Action for Ask {
    const NAME: &'static str = "test.ask";
    const ROLE: Role = Role::Member;
    const READ_ONLY: bool = true;
}

struct Entering;
impl PublicReason for Entering {
    const REASON: &'static str = "a test";
    const ACTION: &'static str = "test.enter";
}

/// Knows one record, `r_known`.
struct Record;
impl Object for Record {
    async fn locate(_: &Scope, req: &actix_web::HttpRequest) -> Result<Self, Problem> {
        match req.match_info().get("id") {
            Some("r_known") => Ok(Self),
            Some("r_thread") => Err(Problem::new(Code::ThreadAccessDenied, "no")),
            _ => Err(Problem::not_found()),
        }
    }
}

/// What a handler is told to do.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Make,
    Fail(String),
    Panic,
    Wait,
    Hang,
}

/// What handlers look at: the record, when they run, and a gate that a test opens.
struct Stage {
    recorder: Arc<MemoryRecorder>,
    seen: parking_lot::Mutex<Vec<String>>,
    gate: Semaphore,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "limit")]
    _limit: Option<u32>,
}

async fn obey(order: Order, stage: &Stage) -> Result<HttpResponse, Problem> {
    *stage.seen.lock() = stage.recorder.lines();
    match order {
        Order::Make => {}
        Order::Fail(code) => {
            let code = Code::ALL.iter().find(|known| known.as_str() == code);
            return Err(Problem::new(*code.unwrap(), "as ordered"));
        }
        Order::Panic => panic!("as ordered"),
        Order::Wait => drop(stage.gate.acquire().await.unwrap()),
        Order::Hang => std::future::pending().await,
    }
    let mut made = HttpResponse::Created();
    made.insert_header((header::LOCATION, "/records/r_new"));
    let remarks = Remarks::default().with("size", 3);
    Ok(remarked(made.finish(), remarks))
}

async fn write(
    admitted: Admitted<Write, Json<Order>, Record>,
    _: Query<Page>,
    stage: Data<Stage>,
) -> Result<HttpResponse, Problem> {
    obey(admitted.body.0, &stage).await
}
async fn post(
    admitted: Admitted<Post, Json<Order>>,
    stage: Data<Stage>,
) -> Result<HttpResponse, Problem> {
    obey(admitted.body.0, &stage).await
}
async fn operate(_: Admitted<Operate>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}
async fn look(_: Admitted<Look>, page: Query<Page>) -> Result<HttpResponse, Problem> {
    match page.0._limit {
        Some(0) => Err(Problem::new(Code::QueryInvalid, "limit is 1 at least")),
        _ => Ok(HttpResponse::Ok().finish()),
    }
}
async fn ask(_: Admitted<Ask, Json<Order>>) -> HttpResponse {
    HttpResponse::Ok().finish()
}
async fn leave(_: SignedIn<Leave>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}
async fn enter(
    Public { body, .. }: Public<Entering, Json<Order>>,
    stage: Data<Stage>,
) -> Result<HttpResponse, Problem> {
    let response = obey(body.0, &stage).await?;
    let user: UserId = "u_new".parse().unwrap();
    Ok(remarked(response, Remarks::default().by(&user)))
}

fn mounted(recording: Recording) -> Mounted {
    let mut routes = Routes::new();
    routes.tenant(Method::PUT, "/records/{id}", write);
    routes.tenant(Method::POST, "/posts", post);
    routes.tenant(Method::POST, "/operations", operate);
    routes.tenant(Method::POST, "/questions", ask);
    routes.tenant(Method::GET, "/look", look);
    routes.account(Method::POST, "/leave", leave);
    routes.public(Method::POST, "/enter", enter);
    routes.build(recording).unwrap()
}

struct Fixture {
    world: World,
    recorder: Arc<MemoryRecorder>,
    recording: Recording,
    stage: Data<Stage>,
}

impl Fixture {
    fn new() -> Self {
        let world = World::new();
        world.directory.set_role("t_a", "u_a", Role::Member);
        world.directory.set_role("t_a", "u_viewer", Role::Viewer);
        world.directory.set_role("t_system", "u_op", Role::Owner);
        let (recorder, recording) = MemoryRecorder::recording();
        let stage = Data::new(Stage {
            recorder: Arc::clone(&recorder),
            seen: parking_lot::Mutex::default(),
            gate: Semaphore::new(0),
        });
        Self {
            world,
            recorder,
            recording,
            stage,
        }
    }

    fn call(&self, method: Method, path: &str, user: &str) -> test::TestRequest {
        self.stranger(method, path).insert_header((
            "authorization",
            format!("Bearer {}", self.world.token(user)),
        ))
    }

    /// The whole context, and no credential.
    fn stranger(&self, method: Method, path: &str) -> test::TestRequest {
        test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("x-tenant-id", "t_a"))
            .insert_header(("x-env", "dev"))
            .insert_header(("x-project-id", PROJECT))
            .insert_header(("x-request-id", "mine"))
    }

    async fn send(&self, request: test::TestRequest) -> ServiceResponse {
        let mounted = mounted(self.recording.clone());
        let app = App::new()
            .app_data(Data::new(EdgeState {
                entropy: self.world.entropy.clone(),
            }))
            .app_data(Data::from(Arc::clone(&self.world.guard)))
            .app_data(self.stage.clone())
            .configure(|config| mounted.configure(config))
            .wrap(from_fn(edge));
        let app = test::init_service(app).await;
        test::call_service(&app, request.to_request())
            .await
            .map_into_boxed_body()
    }

    /// Sends, and gives the status and what was recorded since.
    async fn recorded(&self, request: test::TestRequest) -> (u16, Vec<String>) {
        let before = self.recorder.lines().len();
        let status = self.send(request).await.status().as_u16();
        (status, self.recorder.lines().split_off(before))
    }
}

fn audit_headers(response: &ServiceResponse) -> (Option<&str>, Option<&str>) {
    let text = |name| Some(response.headers().get(name)?.to_str().unwrap());
    (text("x-audit-seq"), text("x-audit-status"))
}

const WRITE: &str = "t_a/dev u_a test.write PUT /records/r_known";

#[actix_web::test]
async fn an_intent_is_recorded_before_the_handler_and_the_outcome_after() {
    let fixture = Fixture::new();
    let request = fixture.call(Method::PUT, "/records/r_known?limit=1", "u_a");
    let response = fixture.send(request.set_json(json!("make"))).await;
    assert_eq!(response.status(), 201);
    assert_eq!(audit_headers(&response), (Some("2"), None));
    assert_eq!(*fixture.stage.seen.lock(), [format!("intent {WRITE}")]);
    assert_eq!(
        fixture.recorder.lines(),
        [
            format!("intent {WRITE}"),
            format!("outcome {WRITE}: done -> /records/r_new size=3"),
        ]
    );
    assert_eq!(fixture.recorder.entries()[1].request_id, "mine");
}

#[actix_web::test]
async fn what_the_handler_refuses_or_fails_is_the_outcome() {
    let fixture = Fixture::new();
    for (code, status, outcome) in [
        ("precondition_failed", 412, "refused precondition_failed"),
        ("throttled", 429, "refused throttled"),
        ("backend_unavailable", 503, "failed backend_unavailable"),
        ("internal", 500, "failed internal"),
    ] {
        let request = fixture.call(Method::PUT, "/records/r_known", "u_a");
        let response = fixture.send(request.set_json(json!({"fail": code}))).await;
        assert_eq!(response.status().as_u16(), status);
        let lines = fixture.recorder.lines();
        let seq = lines.len().to_string();
        assert_eq!(audit_headers(&response), (Some(&*seq), None), "{code}");
        assert_eq!(lines.last(), Some(&format!("outcome {WRITE}: {outcome}")));
    }
}

#[actix_web::test]
async fn a_handler_that_panics_is_answered_and_recorded() {
    let fixture = Fixture::new();
    for (path, line) in [
        (
            "/records/r_known",
            format!("outcome {WRITE}: failed internal"),
        ),
        (
            "/posts",
            "note t_a/dev u_a test.post POST /posts: failed internal".to_owned(),
        ),
    ] {
        let method = if path == "/posts" {
            Method::POST
        } else {
            Method::PUT
        };
        let request = fixture.call(method, path, "u_a").set_json(json!("panic"));
        let response = fixture.send(request).await;
        assert_eq!(response.status(), 500);
        assert!(audit_headers(&response).0.is_some());
        let body = test::read_body(response).await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (body["code"].as_str(), body["request_id"].as_str()),
            (Some("internal"), Some("mine"))
        );
        assert_eq!(fixture.recorder.lines().last(), Some(&line));
    }
}

/// Every row of the table of refusals, and where it is recorded.
#[actix_web::test]
async fn a_refused_attempt_is_recorded_where_the_caller_belongs() {
    let fixture = Fixture::new();
    let put = |user: &str| fixture.call(Method::PUT, "/records/r_known", user);
    let at = |path: &str| fixture.call(Method::PUT, path, "u_a");
    let refused = |place: &str, target: &str, code: &str| {
        format!("refused {place} test.write PUT {target}: refused {code}")
    };
    let (known, member) = ("/records/r_known", "t_a/dev u_a");
    fixture
        .world
        .directory
        .end_session(&"se_u_ended".parse().unwrap());
    let rows = [
        (
            "1: no credential",
            fixture.stranger(Method::PUT, known),
            401,
            refused("system nobody", known, "unauthenticated"),
        ),
        (
            "1: no token of ours",
            fixture
                .stranger(Method::PUT, known)
                .insert_header(("authorization", "Bearer x")),
            401,
            refused("system nobody", known, "unauthenticated"),
        ),
        (
            "1: an ended session",
            put("u_ended"),
            401,
            refused("system u_ended", known, "unauthenticated"),
        ),
        (
            "2: a header twice",
            put("u_a").append_header(("x-env", "dev")),
            400,
            refused("system u_a", known, "context_invalid"),
        ),
        (
            "2: two contexts",
            at("/records/r_known?tenant_id=t_b"),
            400,
            refused("system u_a", known, "context_conflict"),
        ),
        (
            "3: no member",
            put("u_b"),
            403,
            refused("system u_b", known, "tenant_forbidden"),
        ),
        (
            "4: another's project",
            put("u_a").insert_header(("x-project-id", "p_other")),
            400,
            refused(member, known, "unknown_project"),
        ),
        (
            "4: another's surface",
            put("u_a").insert_header(("x-surface-id", "s_other")),
            400,
            refused(member, known, "unknown_surface"),
        ),
        (
            "5: the role",
            put("u_viewer"),
            403,
            refused("t_a/dev u_viewer", known, "role_forbidden"),
        ),
        (
            "6: the thread",
            at("/records/r_thread"),
            403,
            refused(member, "/records/r_thread", "thread_access_denied"),
        ),
        (
            "7: the record",
            at("/records/r_other"),
            404,
            refused(member, "/records/r_other", "not_found"),
        ),
        (
            "7: an address for an id",
            at("/records/ada@example.com"),
            404,
            refused(member, "/records/*", "not_found"),
        ),
        (
            "8: no JSON",
            put("u_a").set_payload("{"),
            400,
            refused(member, known, "body_invalid"),
        ),
        (
            "8: too large",
            put("u_a").set_payload("x".repeat(300 * 1024)),
            413,
            refused(member, known, "body_too_large"),
        ),
        (
            "8: wrong",
            put("u_a").set_json(json!({"fial": 1})),
            422,
            refused(member, known, "validation_failed"),
        ),
        (
            "8: another context",
            put("u_a").set_json(json!({"tenant_id": "t_b"})),
            400,
            refused(member, known, "context_conflict"),
        ),
        (
            "8: the query",
            at("/records/r_known?limit=x").set_json(json!("make")),
            400,
            refused(member, known, "query_invalid"),
        ),
    ];
    for (row, request, status, line) in rows {
        assert_eq!(
            fixture.recorded(request).await,
            (status, vec![line]),
            "{row}"
        );
    }
    let operation = fixture.call(Method::POST, "/operations", "u_a");
    let line = "refused t_a/dev u_a test.operate POST /operations: refused role_forbidden";
    assert_eq!(
        fixture.recorded(operation).await,
        (403, vec![line.to_owned()])
    );
    fixture.world.directory.set_down(true);
    let line = refused("system u_a", known, "backend_unavailable");
    assert_eq!(fixture.recorded(put("u_a")).await, (503, vec![line]));
}

#[actix_web::test]
async fn reading_leaves_no_record_unless_it_is_refused() {
    let fixture = Fixture::new();
    let look = |path: &str| fixture.call(Method::GET, path, "u_viewer");
    assert_eq!(fixture.recorded(look("/look")).await, (200, vec![]));
    let line = |code: &str| format!("refused t_a/dev u_viewer test.look GET /look: refused {code}");
    let refused = fixture.recorded(look("/look?limit=x")).await;
    assert_eq!(refused, (400, vec![line("query_invalid")]));
    let refused = fixture.recorded(look("/look?limit=0")).await;
    assert_eq!(refused, (400, vec![line("query_invalid")]));
    let stranger = fixture.stranger(Method::GET, "/look");
    let line = "refused system nobody test.look GET /look: refused unauthenticated";
    assert_eq!(
        fixture.recorded(stranger).await,
        (401, vec![line.to_owned()])
    );
}

#[actix_web::test]
async fn a_deed_that_is_its_own_proof_leaves_one_record() {
    let fixture = Fixture::new();
    let post = |order| fixture.call(Method::POST, "/posts", "u_a").set_json(order);
    let response = fixture.send(post(json!("make"))).await;
    assert_eq!(audit_headers(&response), (Some("1"), None));
    assert_eq!(*fixture.stage.seen.lock(), Vec::<String>::new());
    let line = "note t_a/dev u_a test.post POST /posts: done -> /records/r_new size=3";
    assert_eq!(fixture.recorder.lines(), [line]);
    let refused = fixture.recorded(post(json!({"fail": "throttled"}))).await;
    let line = "refused t_a/dev u_a test.post POST /posts: refused throttled";
    assert_eq!(refused, (429, vec![line.to_owned()]));
}

#[actix_web::test]
async fn routes_without_a_tenant_are_recorded_for_the_system() {
    let fixture = Fixture::new();
    let leave = test::TestRequest::post().uri("/leave").insert_header((
        "authorization",
        format!("Bearer {}", fixture.world.token("u_a")),
    ));
    let done = [
        "intent system u_a test.leave POST /leave",
        "outcome system u_a test.leave POST /leave: done",
    ];
    assert_eq!(
        fixture.recorded(leave).await,
        (204, done.map(str::to_owned).to_vec())
    );
    let enter = |order| test::TestRequest::post().uri("/enter").set_json(order);
    let done = "note system u_new test.enter POST /enter: done -> /records/r_new";
    assert_eq!(
        fixture.recorded(enter(json!("make"))).await,
        (201, vec![done.to_owned()])
    );
    let refused = "refused system nobody test.enter POST /enter: refused unauthenticated";
    let order = json!({"fail": "unauthenticated"});
    assert_eq!(
        fixture.recorded(enter(order)).await,
        (401, vec![refused.to_owned()])
    );
}

#[actix_web::test]
async fn a_degraded_record_is_told_and_stops_nothing() {
    let fixture = Fixture::new();
    fixture.recorder.degrade();
    for (order, status) in [(json!("make"), 201), (json!({"fail": "conflict"}), 409)] {
        let request = fixture.call(Method::PUT, "/records/r_known", "u_a");
        let response = fixture.send(request.set_json(order)).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(audit_headers(&response), (None, Some("degraded")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_hangs_stops_nothing() {
    let local = tokio::task::LocalSet::new();
    let hanging = async {
        let fixture = Fixture::new();
        fixture.recorder.hang();
        let request = fixture.call(Method::PUT, "/records/r_known", "u_a");
        let response = fixture.send(request.set_json(json!("make"))).await;
        assert_eq!(response.status(), 201);
        assert_eq!(audit_headers(&response), (None, Some("degraded")));
    };
    local.run_until(hanging).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_given_up_and_recorded() {
    let local = tokio::task::LocalSet::new();
    let hanging = async {
        let fixture = Fixture::new();
        let request = fixture.call(Method::PUT, "/records/r_known", "u_a");
        let response = fixture.send(request.set_json(json!("hang"))).await;
        assert_eq!(response.status(), 503);
        assert_eq!(audit_headers(&response), (Some("2"), None));
        let line = format!("outcome {WRITE}: failed backend_unavailable");
        assert_eq!(fixture.recorder.lines().last(), Some(&line));
    };
    local.run_until(hanging).await;
}

#[actix_web::test]
async fn without_a_recorder_nothing_is_told() {
    let mut fixture = Fixture::new();
    fixture.recording = Recording::Nothing { reason: "a test" };
    let request = fixture.call(Method::PUT, "/records/r_known", "u_a");
    let response = fixture.send(request.set_json(json!("make"))).await;
    assert_eq!(response.status(), 201);
    assert_eq!(audit_headers(&response), (None, None));
    assert_eq!(fixture.recorder.lines(), Vec::<String>::new());
}

/// Says when it is dropped.
struct Answering(Arc<AtomicBool>);
impl Drop for Answering {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A client hangs up while its mutation runs: the mutation ends, and is recorded.
#[actix_web::test]
async fn a_client_that_hangs_up_does_not_undo_the_record() {
    use tokio::io::AsyncWriteExt;

    let fixture = Fixture::new();
    let (world, stage) = (&fixture.world, fixture.stage.clone());
    let (guard, entropy) = (Arc::clone(&world.guard), world.entropy.clone());
    let mounted = mounted(fixture.recording.clone());
    let abandoned = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&abandoned);
    let server = HttpServer::new(move || {
        let (mounted, entropy, flag) = (mounted.clone(), entropy.clone(), flag.clone());
        App::new()
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(Arc::clone(&guard)))
            .app_data(stage.clone())
            .configure(move |config| mounted.configure(config))
            .wrap(from_fn(edge))
            .wrap(from_fn(move |req, next: Next<BoxBody>| {
                let answering = Answering(flag.clone());
                async move {
                    let response = next.call(req).await;
                    drop(answering);
                    response
                }
            }))
    });
    let server = server.workers(1).h1_allow_half_closed(false);
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = world.token("u_a");
    let request = format!(
        "PUT /records/r_known HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         x-tenant-id: t_a\r\nx-env: dev\r\nx-project-id: {PROJECT}\r\n\
         content-type: application/json\r\ncontent-length: 6\r\n\r\n\"wait\""
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let begun = || !fixture.stage.seen.lock().is_empty();
    eventually("the handler runs", begun).await;
    drop(client);
    let left = || abandoned.load(Ordering::SeqCst);
    eventually("the server has given the answer up", left).await;
    assert_eq!(fixture.recorder.lines(), [format!("intent {WRITE}")]);
    fixture.stage.gate.add_permits(1);
    let ended = || fixture.recorder.lines().len() > 1;
    eventually("the outcome is recorded", ended).await;
    let line = format!("outcome {WRITE}: done -> /records/r_new size=3");
    assert_eq!(fixture.recorder.lines()[1], line);
    handle.stop(false).await;
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn a_question_with_a_body_is_on_record_only_when_it_is_refused() {
    let fixture = Fixture::new();
    let ask = |user| {
        let request = fixture.call(Method::POST, "/questions", user);
        request.set_json(json!("make"))
    };
    assert_eq!(fixture.recorded(ask("u_a")).await, (200, vec![]));
    let refused = "refused t_a/dev u_viewer test.ask POST /questions: refused role_forbidden";
    let told = (403, vec![refused.to_owned()]);
    assert_eq!(fixture.recorded(ask("u_viewer")).await, told);
    let manifest = mounted(fixture.recording.clone()).manifest();
    let entry = manifest
        .entries()
        .iter()
        .find(|entry| entry.path == "/questions");
    assert!(!entry.unwrap().record.mutates());
}
