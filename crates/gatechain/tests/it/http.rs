//! The routes and a gated handler, as clients meet them, with a real audit log behind.

use std::{sync::Arc, time::Duration};

use actix_web::{
    App, HttpResponse,
    http::{Method, header::HeaderMap},
    middleware::from_fn,
    test,
    web::Data,
};
use async_trait::async_trait;
use audit::{
    Signers, Training,
    service::{Audit, AuditConfig, AuditDeps, AuditRecorder, TrainingPolicy, WrappingKey},
    signer::generate_secret,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use identity::{
    Problem, Recording, Role, Scope, TenantId, UserId,
    http::{EdgeState, RecordRule, Routes, edge},
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Batch, DocKey, Documents, Partition};
use tenantry_gatechain::{
    AlwaysEnforce, AuditedDecisions, GateChain, GateDeps, Mutation, PayloadHash, Permit,
    http::{FromRequest, Gated, Sent},
};
use testkit::{MemoryDocuments, MemoryEventLog, PROJECT, SeededEntropy, World};

use crate::house::{CreateCard, Steps, authority};

/// A note that is written to the outside.
struct Note {
    text: String,
    sha256: Option<PayloadHash>,
}

#[derive(Deserialize)]
struct NoteBody {
    text: String,
}

impl Mutation for Note {
    type Action = CreateCard;
    const KIND: &'static str = "cards";

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.sha256
    }
}

impl FromRequest for Note {
    type Body = NoteBody;
    type Object = ();

    fn from_request(_: &Scope, (): &(), sent: Sent<NoteBody>) -> Result<Self, Problem> {
        Ok(Self {
            text: sent.body.text,
            sha256: sent.sha256,
        })
    }
}

/// The service: what it writes it writes under a permit.
async fn write(scope: &Scope, permit: Permit<Note>, notes: &Notes) -> Result<String, Problem> {
    let id = format!("nt_{}", permit.decision_id());
    let key = DocKey::new(&Partition::in_scope(scope, "notes"), id.as_str());
    let text = permit.mutation().text.clone();
    let batch = Batch::new().expect_absent(&key).put(&key, text);
    permit.commit(batch).await?;
    assert!(notes.0.get(&key).await.unwrap().is_some());
    Ok(id)
}

struct Notes(Arc<dyn Documents>);

async fn create(gated: Gated<Note>, notes: Data<Notes>) -> Result<HttpResponse, Problem> {
    let id = write(&gated.scope, gated.passed, &notes).await?;
    Ok(HttpResponse::Created().json(json!({ "id": id })))
}

struct NobodyTrains;

#[async_trait]
impl TrainingPolicy for NobodyTrains {
    async fn training(&self, _: &TenantId, _: &UserId) -> Training {
        Training {
            allowed: false,
            source: "test".into(),
            version: 0,
        }
    }
}

struct Server {
    world: World,
    documents: Arc<dyn Documents>,
    audit: Arc<Audit>,
    gates: GateChain,
    recording: Recording,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new() -> Self {
        let world = World::new();
        let documents: Arc<dyn Documents> = Arc::new(MemoryDocuments::new(world.clock.clone()));
        let folder = tempfile::tempdir().unwrap();
        let origin = "tenantry.test/audit".parse().unwrap();
        let secret = generate_secret(&origin, &SeededEntropy::new(2)).unwrap();
        let audit = Audit::open(
            AuditDeps {
                documents: documents.clone(),
                events: Arc::new(MemoryEventLog::new(store::Epoch(1))),
                clock: world.clock.clone(),
                entropy: world.entropy.clone(),
                authority: authority(),
                signers: Signers::from_secrets(origin, &[secret.as_bytes()]).unwrap(),
                wrapping: WrappingKey::parse(&BASE64_STANDARD.encode([9; 32])).unwrap(),
                training: Arc::new(NobodyTrains),
            },
            AuditConfig {
                spool: folder.path().join("spool"),
                anchor: None,
                former_keys: Vec::new(),
                predecessors: Vec::new(),
                epoch_every: Duration::from_secs(1),
                retention: None,
            },
        );
        let audit = audit.await.unwrap();
        let gates = GateChain::new(GateDeps {
            documents: documents.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            authority: authority(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(AuditedDecisions::new(audit.clone())),
            stopwatch: Arc::new(Steps::default()),
        });
        Self {
            recording: Recording::To(Arc::new(AuditRecorder::new(audit.clone()))),
            world,
            documents,
            audit,
            gates,
            _folder: folder,
        }
    }

    fn caller(&self, tenant: &'static str, user: &'static str, role: Role) -> Caller<'_> {
        self.world.directory.set_role(tenant, user, role);
        Caller {
            server: self,
            tenant,
            user,
        }
    }
}

fn routes() -> Routes {
    let mut routes = Routes::new();
    tenantry_gatechain::http::routes(&mut routes);
    routes.tenant(Method::POST, "/notes", create);
    routes
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn is(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

struct Caller<'a> {
    server: &'a Server,
    tenant: &'static str,
    user: &'static str,
}

impl Caller<'_> {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let server = self.server;
        let token = format!("Bearer {}", server.world.token(self.user));
        let mut request = test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("authorization", token))
            .insert_header(("x-tenant-id", self.tenant))
            .insert_header(("x-env", "dev"))
            .insert_header(("x-project-id", PROJECT));
        for header in headers {
            request = request.append_header(*header);
        }
        if let Some(body) = body {
            request = request
                .insert_header(("content-type", "application/json"))
                .set_payload(body.to_string());
        }
        let mounted = routes().build(server.recording.clone()).unwrap();
        let entropy = server.world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(server.world.guard.clone()))
            .app_data(Data::new(server.gates.clone()))
            .app_data(Data::from(server.audit.clone()))
            .app_data(Data::new(Notes(server.documents.clone())))
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(&test::read_body(response).await).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn note(&self) -> Reply {
        self.post("/notes", json!({"text": "hello"})).await
    }
}

#[actix_web::test]
async fn a_gated_handler_is_admitted_then_read_then_gated() {
    let server = Server::new().await;
    let admin = server.caller("t_a", "u_admin", Role::Admin);
    let viewer = server.caller("t_a", "u_viewer", Role::Viewer);
    let put = admin
        .put(
            "/gates/kill-switches/stop",
            json!({"action": "nexus.*", "reason": "incident 7"}),
        )
        .await;
    assert_eq!(put.status, 201);
    assert_eq!(put.header("location"), Some("/gates/kill-switches/stop"));
    // Role, then body, then gates.
    assert_eq!(
        viewer.post("/notes", json!("?")).await.is(),
        (403, "role_forbidden")
    );
    assert_eq!(
        admin.post("/notes", json!({"txt": 1})).await.is(),
        (422, "validation_failed")
    );
    let denied = admin.note().await;
    assert_eq!(denied.is(), (503, "kill_switch_engaged"));
    assert_eq!(denied.body["gate"], "kill_switch");
    assert_eq!(denied.body["row"], "tenant/kill-switches/stop");
    assert_eq!(denied.body["detail"], "incident 7");
    assert!(
        denied.body["decision_id"]
            .as_str()
            .unwrap()
            .starts_with("gd_")
    );
    assert!(denied.body["lift"].is_string());
    assert_eq!(admin.delete("/gates/kill-switches/stop").await.status, 204);
    let written = admin.note().await;
    assert_eq!(written.status, 201);
    assert!(written.header("x-audit-seq").is_some());
}

#[actix_web::test]
async fn decisions_are_on_the_audit_log() {
    let server = Server::new().await;
    let admin = server.caller("t_a", "u_admin", Role::Admin);
    assert_eq!(admin.note().await.status, 201);
    admin
        .put(
            "/gates/strategy-locks/l",
            json!({"action": "*", "reason": "frozen"}),
        )
        .await;
    let denied = admin.note().await;
    assert_eq!(denied.is(), (423, "strategy_locked"));
    let decisions = admin.get("/gates/decisions").await;
    let items = decisions.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{decisions}", decisions = decisions.body);
    let (allowed, refused) = (&items[0], &items[1]);
    assert_eq!(
        (&allowed["verdict"], &allowed["user_id"]),
        (&json!("allow"), &json!("u_admin"))
    );
    assert_eq!(allowed["gates"].as_array().unwrap().len(), 7);
    let hash = PayloadHash::of(&json!({"text": "hello"}))
        .unwrap()
        .to_string();
    assert_eq!(allowed["payload_sha256"], hash);
    assert_eq!(refused["decision_id"], denied.body["decision_id"]);
    let gate = &refused["gates"].as_array().unwrap()[2];
    assert_eq!(
        (&gate["gate"], &gate["code"], &gate["row"]),
        (
            &json!("strategy_lock"),
            &json!("strategy_locked"),
            &json!("tenant/strategy-locks/l")
        )
    );
    assert!(gate["us"].is_number() && gate["row_version"].is_u64());
    assert_eq!(refused["tenant_version"], gate["row_version"]);
    let member = server.caller("t_a", "u_member", Role::Member);
    assert_eq!(
        member.get("/gates/decisions").await.is(),
        (403, "role_forbidden")
    );
}

#[actix_web::test]
async fn every_kind_of_rows_is_put_shown_listed_and_deleted() {
    let server = Server::new().await;
    let admin = server.caller("t_a", "u_admin", Role::Admin);
    let member = server.caller("t_a", "u_member", Role::Member);
    let other = server.caller("t_b", "u_other", Role::Admin);
    for (kind, body) in [
        (
            "kill-switches",
            json!({"action": "a.b", "reason": "r", "expires_at": "2027-01-01T00:00:00.000Z"}),
        ),
        ("firearms", json!({"kind": "requirement", "action": "a.*"})),
        (
            "firearms",
            json!({"kind": "licence", "action": "a.*", "subject": "role:member", "uses": 2}),
        ),
        (
            "strategy-locks",
            json!({"action": "a.*", "reason": "r", "approval": {"quorum": 2, "ttl_s": 60}}),
        ),
        (
            "budgets",
            json!({"action": "*", "limit_micros": 5, "price_micros": 1, "window": "month"}),
        ),
        (
            "kpis",
            json!({"action": "*", "floor": 1.5, "recover_at": 2.0, "max_age_s": 60}),
        ),
        (
            "temperature",
            json!({"action": "*", "target": "x", "ceiling": 5.0, "half_life_s": 60}),
        ),
    ] {
        let (list, item) = (format!("/gates/{kind}"), format!("/gates/{kind}/row-1"));
        assert_eq!(
            member.put(&item, body.clone()).await.is(),
            (403, "role_forbidden"),
            "{kind}"
        );
        let put = admin.put(&item, body.clone()).await;
        assert_eq!(put.status, 201, "{kind}: {}", put.body);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&put.body[name], value, "{kind} {name}");
        }
        let shown = admin.get(&item).await;
        assert_eq!((shown.status, &shown.body), (200, &put.body), "{kind}");
        assert_eq!(shown.header("etag"), put.header("etag"));
        assert_eq!(
            admin.get(&list).await.body,
            json!({"items": [put.body], "next": null})
        );
        assert_eq!(other.get(&item).await.is(), (404, "not_found"), "{kind}");
        assert_eq!(other.delete(&item).await.is(), (404, "not_found"), "{kind}");
        let tag = put.header("etag").unwrap();
        let again = admin
            .send(Method::PUT, &item, &[("if-match", tag)], Some(body.clone()))
            .await;
        assert_eq!(again.status, 200, "{kind}");
        let stale = admin
            .send(Method::PUT, &item, &[("if-match", tag)], Some(body))
            .await;
        assert_eq!(stale.is(), (412, "precondition_failed"), "{kind}");
        assert_eq!(admin.delete(&item).await.status, 204, "{kind}");
        assert_eq!(admin.get(&item).await.is(), (404, "not_found"), "{kind}");
    }
}

#[actix_web::test]
async fn bad_rows_are_refused_with_a_pointer() {
    let server = Server::new().await;
    let admin = server.caller("t_a", "u_admin", Role::Admin);
    for (path, body, pointer) in [
        (
            "kill-switches/k",
            json!({"action": "Nexus", "reason": "r"}),
            "/action",
        ),
        (
            "kill-switches/k",
            json!({"action": "*", "reason": ""}),
            "/reason",
        ),
        (
            "kill-switches/k",
            json!({"action": "*", "reason": "r".repeat(513)}),
            "/reason",
        ),
        (
            "kill-switches/k",
            json!({"action": "*", "reason": "r", "expires_at": "2020-01-01T00:00:00Z"}),
            "/expires_at",
        ),
        (
            "kill-switches/k",
            json!({"action": "*", "reason": "r", "until": 1}),
            "/until",
        ),
        (
            "kill-switches/9",
            json!({"action": "*", "reason": "r"}),
            "/id",
        ),
        ("firearms/f", json!({"kind": "licence", "action": "*"}), ""),
        (
            "firearms/f",
            json!({"kind": "licence", "action": "*", "subject": "me"}),
            "/subject",
        ),
        (
            "strategy-locks/l",
            json!({"action": "*", "reason": "r", "approval": {"quorum": 0, "ttl_s": 1}}),
            "/approval/quorum",
        ),
        (
            "budgets/b",
            json!({"action": "*", "limit_micros": -1, "price_micros": 1, "window": "day"}),
            "/limit_micros",
        ),
        (
            "budgets/b",
            json!({"action": "*", "limit_micros": 1_u64 << 53, "price_micros": 1, "window": "day"}),
            "/limit_micros",
        ),
        (
            "budgets/b",
            json!({"action": "*", "limit_micros": 1, "price_micros": 1, "window": "week"}),
            "/window",
        ),
        (
            "kpis/k",
            json!({"action": "*", "floor": 2.0, "recover_at": 1.0, "max_age_s": 1}),
            "/recover_at",
        ),
        (
            "temperature/t",
            json!({"action": "*", "ceiling": -1.0, "half_life_s": 1}),
            "/ceiling",
        ),
        (
            "temperature/t",
            json!({"action": "*", "ceiling": 1.0, "half_life_s": 0}),
            "/half_life_s",
        ),
    ] {
        let refused = admin.put(&format!("/gates/{path}"), body.clone()).await;
        assert_eq!(refused.is(), (422, "validation_failed"), "{path} {body}");
        assert_eq!(
            refused.body["errors"][0]["pointer"], pointer,
            "{path} {body}"
        );
    }
    for path in ["kpis/none/observations", "temperature/none/heat"] {
        let body = if path.starts_with("kpis") {
            json!({"value": 1.0})
        } else {
            json!({"by": 1.0})
        };
        let missing = admin.post(&format!("/gates/{path}"), body).await;
        assert_eq!(missing.is(), (404, "not_found"), "{path}");
    }
    for query in ["limit=0", "limit=x", "after=%20"] {
        let refused = admin.get(&format!("/gates/budgets?{query}")).await;
        assert_eq!(refused.is(), (400, "query_invalid"), "{query}");
    }
}

#[actix_web::test]
async fn a_budget_shows_what_is_spent_and_explain_tells_every_gate() {
    let server = Server::new().await;
    let admin = server.caller("t_a", "u_admin", Role::Admin);
    let viewer = server.caller("t_a", "u_viewer", Role::Viewer);
    let budget =
        json!({"action": "nexus.*", "limit_micros": 25, "price_micros": 10, "window": "day"});
    admin.put("/gates/budgets/b", budget).await;
    for _ in 0..2 {
        assert_eq!(admin.note().await.status, 201);
    }
    let refused = admin.note().await;
    assert_eq!(refused.is(), (402, "budget_exceeded"));
    let shown = admin.get("/gates/budgets/b").await;
    assert_eq!(
        (&shown.body["spent_micros"], &shown.body["reserved_micros"]),
        (&json!(20), &json!(0))
    );
    let asked = json!({"action": "nexus.cards.create", "payload": {"text": "hello"}});
    let explained = viewer.post("/gates/explain", asked).await;
    assert_eq!(
        (explained.status, &explained.body["verdict"]),
        (200, &json!("deny"))
    );
    let gates = explained.body["gates"].as_array().unwrap();
    let names: Vec<&str> = gates
        .iter()
        .map(|gate| gate["gate"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "kill_switch",
            "firearms",
            "strategy_lock",
            "approval",
            "kpi",
            "temperature",
            "budget"
        ]
    );
    assert_eq!(
        (&gates[6]["code"], &gates[6]["row"]),
        (&json!("budget_exceeded"), &json!("tenant/budgets/b"))
    );
    assert!(gates[..6].iter().all(|gate| gate["verdict"] == "allow"));
    let cheap = json!({"action": "nexus.cards.create", "cost_micros": 5});
    assert_eq!(
        viewer.post("/gates/explain", cheap).await.body["verdict"],
        "allow"
    );
    let bad = viewer.post("/gates/explain", json!({"action": "*"})).await;
    assert_eq!(bad.is(), (422, "validation_failed"));
}

#[actix_web::test]
async fn an_approval_is_asked_for_given_by_another_and_used_once() {
    let server = Server::new().await;
    let [one, two] = ["u_one", "u_two"].map(|user| server.caller("t_a", user, Role::Admin));
    let lock =
        json!({"action": "nexus.*", "reason": "freeze", "approval": {"quorum": 1, "ttl_s": 60}});
    one.put("/gates/strategy-locks/l", lock).await;
    let hash = PayloadHash::of(&json!({"text": "hello"}))
        .unwrap()
        .to_string();
    let asked = json!({"action": "nexus.cards.create", "payload_sha256": hash});
    let asked = one.post("/gates/approvals", asked).await;
    assert_eq!(
        (asked.status, &asked.body["state"]),
        (201, &json!("pending"))
    );
    let id = asked.body["approval_id"].as_str().unwrap();
    let approve = format!("/gates/approvals/{id}/approve");
    assert_eq!(
        one.post(&approve, json!({})).await.is(),
        (403, "self_approval")
    );
    assert_eq!(
        two.post(&approve, json!({})).await.body["state"],
        "approved"
    );
    assert_eq!(two.post(&approve, json!({})).await.is(), (409, "conflict"));
    let stranger = server.caller("t_b", "u_b", Role::Admin);
    assert_eq!(
        stranger.post(&approve, json!({})).await.is(),
        (404, "not_found")
    );
    let shows = [("x-approval-id", id)];
    let edited = one
        .send(
            Method::POST,
            "/notes",
            &shows,
            Some(json!({"text": "hellp"})),
        )
        .await;
    assert_eq!(edited.is(), (403, "approval_required"));
    assert_eq!(edited.body["gate"], "approval");
    let malformed = [("x-approval-id", "no id")];
    let refused = one
        .send(
            Method::POST,
            "/notes",
            &malformed,
            Some(json!({"text": "hello"})),
        )
        .await;
    assert_eq!(refused.is(), (400, "header_invalid"));
    for status in [201, 403] {
        let sent = one
            .send(
                Method::POST,
                "/notes",
                &shows,
                Some(json!({"text": "hello"})),
            )
            .await;
        assert_eq!(sent.status, status);
    }
    let list = one.get("/gates/approvals").await;
    assert_eq!(list.body["items"][0]["state"], "used");
}

#[actix_web::test]
async fn operators_bind_every_tenant() {
    let server = Server::new().await;
    let operator = server.caller("t_system", "u_operator", Role::Admin);
    let tenant = server.caller("t_a", "u_admin", Role::Owner);
    let row = json!({"action": "*", "reason": "all hands"});
    assert_eq!(
        operator.put("/gates/kill-switches/all", row).await.status,
        201
    );
    let denied = tenant.note().await;
    assert_eq!(
        (denied.is(), &denied.body["row"]),
        (
            (503, "kill_switch_engaged"),
            &json!("system/kill-switches/all")
        )
    );
    // The tenant neither sees nor lifts it.
    assert_eq!(
        tenant.get("/gates/kill-switches").await.body["items"],
        json!([])
    );
    assert_eq!(
        tenant.delete("/gates/kill-switches/all").await.is(),
        (404, "not_found")
    );
    // Nothing gates its release.
    assert_eq!(
        operator.delete("/gates/kill-switches/all").await.status,
        204
    );
    assert_eq!(tenant.note().await.status, 201);
}

#[actix_web::test]
async fn the_manifest_says_what_is_gated_and_nothing_gates_the_gates() {
    let mounted = routes()
        .build(Recording::Nothing { reason: "test" })
        .unwrap();
    let manifest = mounted.manifest();
    for entry in manifest.entries() {
        let gated = entry.check == Some("gates");
        assert_eq!(gated, entry.path == "/notes", "{entry}");
        assert_eq!(
            entry.record.mutates(),
            entry.method != Method::GET,
            "{entry}"
        );
    }
    let explain = manifest
        .entries()
        .iter()
        .find(|entry| entry.path == "/gates/explain");
    assert_eq!(explain.unwrap().record, RecordRule::OutcomeOnly);
    let described = serde_json::to_value(tenantry_gatechain::http::openapi()).unwrap();
    for entry in manifest
        .entries()
        .iter()
        .filter(|entry| entry.path != "/notes")
    {
        let method = entry.method.as_str().to_lowercase();
        assert!(
            described["paths"][entry.path][&method].is_object(),
            "{entry}"
        );
    }
}
