//! The Redis that holds the records of the audit log comes back empty: what operators see, and what they do.

use serde_json::{Value, json};

use crate::{
    backends::unique,
    client::{Caller, Reply, Request, send},
    faults::{done, eventually, redis, stranger},
    faults_redis::recorded,
    process::{Server, tenantry},
    several::{Cloud, figure},
};

/// Two nodes, a resident and somebody else, with records of both in the signed log.
struct House {
    cloud: Cloud,
    nodes: [Server; 2],
    people: [Caller; 2],
}

impl House {
    async fn start() -> Self {
        let cloud = Cloud::start().await;
        let nodes: [Server; 2] = cloud.nodes("").await;
        let people = [Caller::resident(&nodes[0], 0), stranger(&nodes[0]).await];
        let house = Self {
            cloud,
            nodes,
            people,
        };
        for (caller, node) in house.people.iter().zip(&house.nodes) {
            house.signed(caller, &made(node, caller).await).await;
        }
        house
    }

    /// Waits until every node proves that a deed is in the signed log, once.
    async fn signed(&self, caller: &Caller, trace: &str) {
        for node in &self.nodes {
            let seq = recorded(node, caller, trace).await;
            let receipt = Request::new("GET", format!("/audit/events/{seq}/receipt"));
            eventually(node, caller, &receipt, done).await;
        }
    }

    /// Another Redis in the place of this one, empty or as it was: its databases are exchanged, and it is started anew.
    async fn exchange_redis(&self) {
        let server = &self.cloud.redis;
        assert_eq!(redis(server, "SWAPDB 0 1").await, "+OK");
        server.kill();
        server.revive();
    }

    /// Waits until every node says that its log is frozen.
    async fn freezes(&self) {
        for node in &self.nodes {
            let shows = |reply: &Reply| part(reply)["status"] == "degraded";
            let told = eventually(node, &Caller::default(), &ready(), shows).await;
            assert_eq!(told.json()["status"], "ready", "{told:?}");
            let why = part(&told)["detail"].to_string();
            assert!(why.contains("frozen") && why.contains("stored"), "{why}");
            assert_eq!(figure(node, "tenantry_audit_frozen").await, 1.0);
            assert_eq!(figure(node, "tenantry_audit_leader").await, 0.0);
            assert_eq!(part(&told)["role"], "follows");
        }
    }

    /// What is done while nothing is recorded: it is done, and its records wait. What they are found by.
    async fn meanwhile(&self) -> Vec<(Caller, String)> {
        let mut deeds = Vec::new();
        for (node, caller) in self
            .nodes
            .iter()
            .flat_map(|node| self.people.iter().map(move |caller| (node, caller)))
        {
            let reply = send(node, caller, &card()).await;
            assert!(done(&reply), "{reply:?}");
            assert_eq!(reply.header("x-audit-status"), Some("degraded"));
            assert_eq!(reply.header("x-audit-seq"), None);
            deeds.push((caller.clone(), trace_of(&reply)));
        }
        deeds
    }

    /// The signed notes of both nodes.
    async fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for node in &self.nodes {
            let asked = Request::new("GET", "/audit/checkpoint");
            notes.push(send(node, &Caller::default(), &asked).await.text);
        }
        notes
    }

    /// Ends both processes, and starts them.
    fn restart(&mut self) {
        for node in &mut self.nodes {
            node.kill_and_restart();
        }
    }

    /// Waits until every deed is in a log that is signed, that no record waits, and that one node leads.
    async fn recovers(&self, deeds: &[(Caller, String)]) {
        for (caller, trace) in deeds {
            self.signed(caller, trace).await;
        }
        let mut roles = Vec::new();
        for node in &self.nodes {
            let told = send(node, &Caller::default(), &ready()).await;
            assert_eq!(part(&told)["status"], "ok", "{told:?}");
            roles.push(part(&told)["role"].as_str().unwrap().to_owned());
            assert_eq!(figure(node, "tenantry_audit_spooled").await, 0.0);
            let reply = send(node, &self.people[0], &card()).await;
            assert!(reply.header("x-audit-seq").is_some(), "{reply:?}");
        }
        roles.sort_unstable();
        assert_eq!(roles, ["follows", "leads"]);
    }
}

fn card() -> Request {
    Request::new("POST", "/nexus/cards").json(&json!({"title": "a deed"}))
}

fn ready() -> Request {
    Request::new("GET", "/readyz")
}

/// What readiness says of the audit log.
fn part(reply: &Reply) -> Value {
    reply.json()["backends"]["audit"].clone()
}

fn trace_of(reply: &Reply) -> String {
    reply.header("x-request-id").unwrap().to_owned()
}

/// Makes a card that is recorded at once; what the record is found by.
async fn made(node: &Server, caller: &Caller) -> String {
    let recorded = |reply: &Reply| done(reply) && reply.header("x-audit-seq").is_some();
    trace_of(&eventually(node, caller, &card(), recorded).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_audit_log_whose_records_are_gone_is_frozen_until_they_are_put_back() {
    let mut house = House::start().await;
    let before = made(&house.nodes[1], &house.people[0]).await;
    house.signed(&house.people[0], &before).await;
    house.exchange_redis().await;
    house.freezes().await;
    let (notes, deeds) = (house.notes().await, house.meanwhile().await);
    assert_eq!(house.notes().await, notes);
    // The records are put back, and the servers started anew; what was signed before is gone on with.
    house.exchange_redis().await;
    house.restart();
    house.recovers(&deeds).await;
    house.signed(&house.people[0], &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_the_records_are_lost_for_good_another_log_is_begun() {
    let mut house = House::start().await;
    house.exchange_redis().await;
    house.freezes().await;
    let deeds = house.meanwhile().await;
    begin_another(&house);
    house.restart();
    house.recovers(&deeds).await;
}

/// Another place for the log, and another name: rows of the registry, and lines of each configuration.
fn begin_another(house: &House) {
    let first = house.nodes[0].folder.path().join("tenantry.toml");
    let firestore = json!({"project": unique(), "emulator": house.cloud.firestore}).to_string();
    let events = json!({"url": house.cloud.redis.url(), "prefix": "another-log"}).to_string();
    for (kind, backend, target) in [
        ("audit_log", "firestore", &firestore),
        ("audit_records", "redis", &events),
    ] {
        let set = [
            "routes",
            "set",
            kind,
            "--backend",
            backend,
            "--target",
            target,
            "--config",
        ];
        let output = tenantry().args(set).arg(&first).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
    let key = house.nodes[0].folder.path().join("another.key");
    std::fs::write(&key, "cGFydCBvZiBhIGtleSBmb3IgYSB0ZXN0IG9ubHkgLi4=").unwrap();
    for node in &house.nodes {
        let file = node.folder.path().join("tenantry.toml");
        let mut config: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        let audit = config["audit"].as_table_mut().unwrap();
        let anchor = node.folder.path().join("another.anchor");
        audit.insert("origin".to_owned(), "audit.example/another".into());
        audit.insert("anchor".to_owned(), anchor.display().to_string().into());
        let keys = vec![toml::Value::from(format!("file:{}", key.display()))];
        audit.insert("signing_keys".to_owned(), keys.into());
        std::fs::write(&file, config.to_string()).unwrap();
    }
}
