//! The routes, as clients see them: a real guard, a real audit log, engines in memory.

use std::{sync::Arc, time::Duration};

use actix_web::{App, http::Method, middleware::from_fn, test, web::Data};
use audit::{
    Signers, Training,
    service::{Audit, AuditConfig, AuditDeps, AuditRecorder, TrainingPolicy, WrappingKey},
    signer::generate_secret,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use identity::{
    Recording, Role, SystemAuthority, TenantId, UserId,
    http::{EdgeState, Routes, edge},
};
use serde_json::{Value, json};
use tenantry_canvas::CanvasService;
use testkit::{MemoryEventLog, PROJECT, SeededEntropy};

use crate::{house::Ground, oracle::Oracle};

struct NobodyTrains;

#[async_trait::async_trait]
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
    ground: Ground,
    service: Data<CanvasService>,
    audit: Arc<Audit>,
    _folder: tempfile::TempDir,
}

struct Reply {
    status: u16,
    body: Value,
}

impl Reply {
    fn is(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

impl Server {
    async fn new() -> Self {
        let ground = Ground::memory();
        let folder = tempfile::tempdir().unwrap();
        let origin = "tenantry.test/audit".parse().unwrap();
        let secret = generate_secret(&origin, &SeededEntropy::new(2)).unwrap();
        let deps = AuditDeps {
            documents: ground.documents.clone(),
            events: Arc::new(MemoryEventLog::new(store::Epoch(1))),
            clock: ground.world.clock.clone(),
            entropy: ground.world.entropy.clone(),
            authority: SystemAuthority::assume(),
            signers: Signers::from_secrets(origin, &[secret.as_bytes()]).unwrap(),
            wrapping: WrappingKey::parse(&BASE64_STANDARD.encode([9; 32])).unwrap(),
            training: Arc::new(NobodyTrains),
        };
        let config = AuditConfig {
            spool: folder.path().join("spool"),
            anchor: None,
            former_keys: Vec::new(),
            predecessors: Vec::new(),
            epoch_every: Duration::from_secs(1),
            retention: None,
        };
        Self {
            audit: Audit::open(deps, config).await.unwrap(),
            service: Data::new(ground.start()),
            ground,
            _folder: folder,
        }
    }

    async fn send(&self, who: (&str, &str), method: Method, path: &str, body: Value) -> Reply {
        let (tenant, user) = who;
        let world = &self.ground.world;
        let mut request = test::TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("authorization", format!("Bearer {}", world.token(user))))
            .insert_header(("x-tenant-id", tenant))
            .insert_header(("x-env", "dev"))
            .insert_header(("x-project-id", PROJECT));
        if !body.is_null() {
            request = request
                .insert_header(("content-type", "application/json"))
                .set_payload(body.to_string());
        }
        let mut routes = Routes::new();
        tenantry_canvas::routes(&mut routes);
        let recorder = AuditRecorder::new(self.audit.clone());
        let mounted = routes.build(Recording::To(Arc::new(recorder))).unwrap();
        let entropy = world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(world.guard.clone()))
            .app_data(Data::from(self.audit.clone()))
            .app_data(self.service.clone())
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        Reply {
            status: response.status().as_u16(),
            body: serde_json::from_slice(&test::read_body(response).await).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, who: (&str, &str), path: &str) -> Reply {
        self.send(who, Method::GET, path, Value::Null).await
    }

    async fn post(&self, who: (&str, &str), path: &str, body: Value) -> Reply {
        self.send(who, Method::POST, path, body).await
    }

    fn member(
        &self,
        tenant: &'static str,
        user: &'static str,
        role: Role,
    ) -> (&'static str, &'static str) {
        self.ground.world.directory.set_role(tenant, user, role);
        (tenant, user)
    }
}

fn make(batch: &str, base: u64, node: &str) -> Value {
    json!({"base_rev": base, "client_id": "c", "batch_id": batch, "mode": "strict", "commands": [
        {"cmd_id": "1", "kind": "node.create", "args": {"node": node, "type": "note", "props": {"text": "x".repeat(600)}}}]})
}

#[actix_web::test]
async fn a_canvas_is_made_edited_read_and_taken_back() {
    let server = Server::new().await;
    let alice = server.member("t_a", "u_alice", Role::Member);
    let made = server
        .post(
            alice,
            "/canvas",
            json!({"canvas_id": "cv_1", "title": "Plan"}),
        )
        .await;
    assert_eq!(
        (made.status, &made.body["epoch"], &made.body["head_rev"]),
        (201, &json!(1), &json!(0))
    );
    let again = server
        .post(alice, "/canvas", json!({"canvas_id": "cv_1"}))
        .await;
    assert_eq!(again.status, 200);
    let other = server
        .post(
            alice,
            "/canvas",
            json!({"canvas_id": "cv_1", "title": "Other"}),
        )
        .await;
    assert_eq!(other.is(), (409, "conflict"));

    let done = server
        .post(alice, "/canvas/cv_1/commands", make("b1", 0, "a"))
        .await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.body["rev"], 1);
    assert_eq!(done.body["duplicate"], false);
    assert_eq!(done.body["effective"][0]["kind"], "node.create");
    let known = server
        .post(alice, "/canvas/cv_1/commands", make("b1", 0, "a"))
        .await;
    assert_eq!(known.body["duplicate"], true);
    assert_eq!(known.body["state_hash"], done.body["state_hash"]);
    let reused = server
        .post(alice, "/canvas/cv_1/commands", make("b1", 0, "z"))
        .await;
    assert_eq!(reused.is(), (422, "idempotency_conflict"));

    let view = server.get(alice, "/canvas/cv_1").await;
    assert_eq!(view.body["rev"], 1);
    assert_eq!(view.body["state"]["nodes"][0]["id"], "a");
    let client = Oracle::of(&view.body["state"]);
    assert_eq!(view.body["state_hash"], client.hash().as_str());

    let undo = json!({"client_id": "c", "batch_id": "u1", "undo": "b1"});
    assert_eq!(
        server.post(alice, "/canvas/cv_1/undo", undo).await.body["rev"],
        2
    );
    let undo = json!({"client_id": "c", "batch_id": "u2", "undo": "b1"});
    assert_eq!(
        server.post(alice, "/canvas/cv_1/undo", undo).await.is(),
        (409, "undo_conflict")
    );
    let restore = json!({"client_id": "c", "batch_id": "r1", "rev": 1});
    let restored = server.post(alice, "/canvas/cv_1/restore", restore).await;
    assert_eq!(
        (&restored.body["rev"], &restored.body["epoch"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(restored.body["state_hash"], done.body["state_hash"]);
    let old = server.get(alice, "/canvas/cv_1/versions/2").await;
    assert_eq!((old.status, &old.body["epoch"]), (200, &json!(1)));
    assert_eq!(
        server.get(alice, "/canvas/cv_1/versions/9").await.is(),
        (404, "not_found")
    );
    let versions = server.get(alice, "/canvas/cv_1/versions").await;
    assert_eq!(
        versions.body["items"].as_array().unwrap().len(),
        2,
        "one for each epoch"
    );
    let page = server
        .get(alice, "/canvas/cv_1/commits?after=1&limit=1")
        .await;
    assert_eq!(
        (&page.body["items"][0]["rev"], &page.body["next"]),
        (&json!(2), &json!("2"))
    );
    assert_eq!(
        server.get(alice, "/canvas/cv_1/commits?after=x").await.is(),
        (400, "query_invalid")
    );
    let played = server.get(alice, "/canvas/cv_1/player?rev=1").await;
    assert_eq!(played.body["keyframe"]["commit"]["rev"], 1);
    assert_eq!(
        played.body["keyframe"]["state_hash"],
        done.body["state_hash"]
    );
    assert_eq!(played.body["keyframe"]["nodes"][0]["id"], "a");
    // The third commit restores, so it begins the next part.
    let commits = played.body["commits"].as_array().unwrap();
    assert_eq!(
        (commits.len(), &commits[0]["rev"], &played.body["next"]),
        (1, &json!(2), &json!("3"))
    );
    let rest = server.get(alice, "/canvas/cv_1/player?rev=3").await;
    assert_eq!(
        (&rest.body["epoch"], &rest.body["next"]),
        (&json!(2), &json!(null))
    );
    assert!(rest.body["resume_id"].is_string());
    for (query, answer) in [
        ("rev=1&at=2026-01-01T00:00:00Z", (400, "query_invalid")),
        ("rev=x", (400, "query_invalid")),
        ("at=yesterday", (400, "query_invalid")),
        ("rev=9", (404, "not_found")),
    ] {
        let refused = server
            .get(alice, &format!("/canvas/cv_1/player?{query}"))
            .await;
        assert_eq!(refused.is(), answer, "{query}");
    }
}

#[actix_web::test]
async fn refusals_lead_to_the_head_in_one_of_two_ways() {
    let server = Server::new().await;
    let alice = server.member("t_a", "u_alice", Role::Member);
    server
        .post(alice, "/canvas", json!({"canvas_id": "cv_1"}))
        .await;
    for (rev, node) in ["a", "b", "c"].iter().enumerate() {
        let batch = make(&format!("b{rev}"), rev as u64, node);
        assert_eq!(
            server
                .post(alice, "/canvas/cv_1/commands", batch)
                .await
                .status,
            200
        );
    }
    let scope = server.ground.scope("u_alice").await;
    let registry = server.service.registry();
    let (key, _) = registry.verify_canvas_access(&scope, "cv_1").await.unwrap();
    server.service.settle(&key).await.unwrap();
    let head = server.get(alice, "/canvas/cv_1").await.body;
    let behind = server
        .post(alice, "/canvas/cv_1/commands", make("late", 2, "z"))
        .await;
    assert_eq!(behind.is(), (409, "rev_mismatch"));
    for (member, value) in [
        ("head_rev", json!(3)),
        ("epoch", json!(1)),
        ("applied", json!(false)),
    ] {
        assert_eq!(behind.body[member], value);
    }
    assert_eq!(behind.body["head_hash"], head["state_hash"]);
    assert_eq!(behind.body["resume_id"], head["resume_id"]);
    assert_eq!(behind.body["conflicts"], json!([]));
    assert_eq!(behind.body["commits"].as_array().unwrap().len(), 1);
    assert!(behind.body.get("snapshot").is_none());
    let far = server
        .post(alice, "/canvas/cv_1/commands", make("late", 0, "z"))
        .await;
    let snapshot = &far.body["snapshot"];
    assert_eq!(
        (&snapshot["rev"], &far.body["commits"]),
        (&json!(3), &json!([]))
    );
    assert_eq!(
        Oracle::of(&snapshot["state"]).hash(),
        head["state_hash"].as_str().unwrap()
    );
    let ahead = server
        .post(alice, "/canvas/cv_1/commands", make("late", 7, "z"))
        .await;
    assert_eq!(ahead.is(), (409, "rev_ahead"));
    let mut other = make("late", 3, "z");
    other["epoch"] = json!(9);
    let other = server.post(alice, "/canvas/cv_1/commands", other).await;
    assert_eq!(other.is(), (409, "epoch_mismatch"));
    assert_eq!(other.body["snapshot"]["rev"], 3);
}

#[actix_web::test]
async fn bad_batches_get_a_clear_answer() {
    let server = Server::new().await;
    let alice = server.member("t_a", "u_alice", Role::Member);
    server
        .post(alice, "/canvas", json!({"canvas_id": "cv_1"}))
        .await;
    let with = |kind: &str, args: Value| {
        json!({"base_rev": 0, "client_id": "c", "batch_id": "b", "commands": [
            {"cmd_id": "first", "kind": "node.create", "args": {"node": "a", "type": "t"}},
            {"cmd_id": "bad", "kind": kind, "args": args}]})
    };
    for (kind, args) in [
        ("node.explode", json!({})),
        ("node.create", json!({"node": "a", "type": "t"})),
        ("node.update", json!({"node": "nobody", "set": {"x": 1}})),
        ("node.update", json!({"node": "a", "set": {"x": 1e300}})),
        ("node.move", json!({"node": "a", "parent": "a"})),
        ("node.delete", json!({"node": "a", "why": "not"})),
    ] {
        let refused = server
            .post(alice, "/canvas/cv_1/commands", with(kind, args))
            .await;
        assert_eq!(refused.is(), (422, "command_invalid"), "{kind}");
        assert_eq!(
            (&refused.body["cmd_id"], &refused.body["applied"]),
            (&json!("bad"), &json!(false))
        );
    }
    for body in [
        json!({"base_rev": -1, "client_id": "c", "batch_id": "b", "commands": []}),
        json!({"base_rev": 0, "client_id": "c", "batch_id": "b c", "commands": []}),
        json!({"base_rev": 0, "client_id": "c", "batch_id": "b", "mode": "force", "commands": []}),
        json!({"base_rev": 0, "client_id": "c", "batch_id": "b", "commands": [], "more": 1}),
    ] {
        let refused = server.post(alice, "/canvas/cv_1/commands", body).await;
        assert_eq!(refused.is(), (422, "validation_failed"));
    }
    assert_eq!(server.get(alice, "/canvas/cv_1").await.body["rev"], 0);
}

#[actix_web::test]
async fn tenants_with_the_same_canvas_see_nothing_of_each_other() {
    let server = Server::new().await;
    let alice = server.member("t_a", "u_alice", Role::Member);
    let bob = server.member("t_b", "u_bob", Role::Owner);
    let viewer = server.member("t_a", "u_viewer", Role::Viewer);
    server
        .post(
            alice,
            "/canvas",
            json!({"canvas_id": "cv_1", "title": "secret"}),
        )
        .await;
    server
        .post(alice, "/canvas/cv_1/commands", make("b1", 0, "a"))
        .await;
    let foreign = server.get(bob, "/canvas/cv_1").await;
    assert_eq!(foreign.is(), (403, "canvas_access_denied"));
    let unknown = server.get(bob, "/canvas/cv_unknown").await;
    let alike = |reply: &Reply| {
        let mut body = reply.body.clone();
        body["request_id"] = Value::Null;
        body["trace_id"] = Value::Null;
        body
    };
    assert_eq!(alike(&foreign), alike(&unknown));
    // Their own canvas of the same id is another, with batches of its own.
    server
        .post(bob, "/canvas", json!({"canvas_id": "cv_1"}))
        .await;
    let theirs = server.get(bob, "/canvas/cv_1").await;
    assert_eq!(
        (&theirs.body["rev"], &theirs.body["state"]["nodes"]),
        (&json!(0), &json!([]))
    );
    let same_batch = server
        .post(bob, "/canvas/cv_1/commands", make("b1", 0, "b"))
        .await;
    assert_eq!(
        (&same_batch.body["rev"], &same_batch.body["duplicate"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(server.get(viewer, "/canvas/cv_1").await.body["rev"], 1);
    let read_only = server
        .post(viewer, "/canvas/cv_1/commands", make("v1", 1, "v"))
        .await;
    assert_eq!(read_only.is(), (403, "role_forbidden"));
}

#[actix_web::test]
async fn every_change_is_in_the_canvas_s_audit_trail() {
    let server = Server::new().await;
    let alice = server.member("t_a", "u_alice", Role::Member);
    server
        .post(alice, "/canvas", json!({"canvas_id": "cv_1"}))
        .await;
    server
        .post(alice, "/canvas", json!({"canvas_id": "cv_2"}))
        .await;
    server
        .post(alice, "/canvas/cv_1/commands", make("b1", 0, "a"))
        .await;
    server
        .post(alice, "/canvas/cv_2/commands", make("b1", 0, "a"))
        .await;
    let restore = json!({"client_id": "c", "batch_id": "r1", "rev": 0});
    server.post(alice, "/canvas/cv_1/restore", restore).await;
    let trail = server.get(alice, "/canvas/cv_1/audit").await;
    assert_eq!(trail.status, 200, "{}", trail.body);
    let items = trail.body["items"].as_array().unwrap();
    assert!(
        items.iter().all(|item| item["target"]["id"] == "cv_1"),
        "{items:?}"
    );
    let actions: Vec<&str> = items
        .iter()
        .map(|item| item["action"].as_str().unwrap())
        .collect();
    for action in ["canvas.command", "canvas.restore"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    let command = items
        .iter()
        .find(|item| item["action"] == "canvas.command")
        .unwrap();
    assert_eq!(command["metadata"]["rev"], "1");
    assert_eq!(command["outcome"], "done");
}
