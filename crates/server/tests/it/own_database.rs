//! A tenant in a database of its own: it writes and reads there, and operators stop it as they stop everyone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{FaultProxy, Way};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    backends::unique,
    client::{Caller, Reply, Request, send},
    nodes_switch::Commits,
    process::{Server, tenantry},
    recipes::{bootstrap, succeed},
    several::Cloud,
};

const SWITCH: &str = "/gates/kill-switches/everyone";
const ROUNDS: usize = 40;
/// Writers on each of two nodes.
const WRITERS: usize = 3;
const KILLS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Two nodes, a tenant in everyone's database, one in its own, and an operator.
struct House {
    cloud: Cloud,
    nodes: Arc<[Server; 2]>,
    everyone: Caller,
    own: Caller,
    tenant: String,
    /// The project of the tenant's database: the emulator is shared with other tests.
    project: String,
    operator: Caller,
}

impl House {
    /// The tenant's rows are still in everyone's database.
    async fn start() -> Self {
        let cloud = Cloud::start().await;
        let nodes: Arc<[Server; 2]> = Arc::new(cloud.nodes("").await);
        let body = json!({"email": "owner@own.example", "password": "correct horse battery",
            "tenant_name": "Own"});
        let signed_up = Request::new("POST", "/auth/signup").json(&body);
        let told = succeed(&nodes[0], &Caller::default(), signed_up).await;
        let text = |pointer| told.pointer(pointer).and_then(Value::as_str).unwrap();
        let tenant = text("/tenant/id").to_owned();
        Self {
            own: Caller::new(text("/access_token"), &tenant, text("/project/id")),
            everyone: Caller::resident(&nodes[0], 0),
            operator: bootstrap(&nodes[0]).await,
            tenant,
            project: unique(),
            nodes,
            cloud,
        }
    }

    /// Runs a command over the installation of the first node.
    fn run(&self, args: &[&str]) {
        let config = self.nodes[0].folder.path().join("tenantry.toml");
        let mut command = tenantry();
        command.args(args).arg("--config").arg(config);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
    }

    /// Sends the tenant to a database of its own, and waits until both nodes follow.
    async fn send_away(&self, emulator: &str) {
        let target = json!({"project": self.project, "emulator": emulator}).to_string();
        let to = ["--backend", "firestore", "--target", &target];
        let of = ["routes", "set", "nexus", "--tenant", &self.tenant];
        self.run(&[&of[..], &to[..]].concat());
        let commits = Commits::of_project(&self.cloud, &self.project);
        let deadline = Instant::now() + PATIENCE;
        for node in &self.nodes[..] {
            loop {
                assert!(Instant::now() < deadline, "it is not followed");
                if let Ok(card) = write(node, &self.own).await
                    && cards(&commits).await.contains_key(&card)
                {
                    break;
                }
                sleep(POLL).await;
            }
        }
    }

    async fn put(&self, node: usize) -> Reply {
        let row = json!({"action": "nexus.*", "reason": "a drill"});
        let throw = Request::new("PUT", SWITCH).json(&row);
        send(&self.nodes[node], &self.operator, &throw).await
    }

    async fn throw(&self, node: usize) {
        let reply = self.put(node).await;
        assert!((200..300).contains(&reply.status), "{}", reply.visible());
    }

    /// Lets writes through again, and waits until all do.
    async fn lift(&self) {
        let lift = Request::new("DELETE", SWITCH);
        succeed(&self.nodes[0], &self.operator, lift).await;
        let deadline = Instant::now() + PATIENCE;
        for node in &self.nodes[..] {
            for caller in [&self.own, &self.everyone] {
                while write(node, caller).await.is_err() {
                    assert!(Instant::now() < deadline, "the switch is lifted");
                    sleep(POLL).await;
                }
            }
        }
    }
}

/// Writes a card: its id, unless a switch says no.
async fn write(node: &Server, caller: &Caller) -> Result<String, ()> {
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "A card"}));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = send(node, caller, &card).await;
        match (reply.status, reply.code().as_str()) {
            (201, _) => return Ok(reply.json()["id"].as_str().unwrap().to_owned()),
            (503, "kill_switch_engaged") => return Err(()),
            // Too many at once for the store, or it has just moved: nothing was done.
            (503, "backend_unavailable") if Instant::now() < deadline => sleep(POLL).await,
            _ => panic!("{}", reply.visible()),
        }
    }
}

/// When each card was committed, by its id.
async fn cards(commits: &Commits) -> BTreeMap<String, String> {
    let all = commits.all().await.into_iter();
    let of_cards = all.filter_map(|(name, at)| {
        let id = name.rsplit("/docs/=").next()?;
        id.starts_with("cd_").then(|| (id.to_owned(), at))
    });
    of_cards.collect()
}

/// Writers on both nodes, until they are stopped; the cards that they were told of.
fn writers(house: &House, made: &Arc<AtomicUsize>) -> JoinSet<Vec<String>> {
    let mut writers = JoinSet::new();
    for at in 0..2 * WRITERS {
        let (nodes, caller) = (Arc::clone(&house.nodes), house.own.clone());
        let made = Arc::clone(made);
        writers.spawn(async move {
            let mut cards = Vec::new();
            while let Ok(card) = write(&nodes[at % 2], &caller).await {
                cards.push(card);
                made.fetch_add(1, Ordering::SeqCst);
            }
            cards
        });
    }
    writers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_in_a_database_of_its_own_commits_after_a_switch_for_everyone_was_answered() {
    let house = House::start().await;
    house.send_away(&house.cloud.firestore).await;
    let commits = Commits::of_project(&house.cloud, &house.project);
    let copy = commits
        .all()
        .await
        .into_keys()
        .find(|name| name.contains("gate_copies"));
    let copy = copy.expect("a copy of the fence");
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let made = Arc::new(AtomicUsize::new(0));
        let writing = writers(&house, &made);
        while made.load(Ordering::SeqCst) < round % 7 {
            sleep(Duration::from_millis(1)).await;
        }
        house.throw(round % 2).await;
        let thrown = commits.one(&copy).await;
        for node in &house.nodes[..] {
            write(node, &house.own)
                .await
                .expect_err("it began after the answer");
        }
        rounds.push((thrown, writing.join_all().await.concat()));
        house.lift().await;
    }
    let committed = cards(&commits).await;
    let mut written = 0;
    for (thrown, cards) in &rounds {
        for card in cards {
            let at = committed.get(card).expect("a card that was acknowledged");
            assert!(at <= thrown, "a card of {at}, after the copy of {thrown}");
            written += 1;
        }
    }
    assert!(written > ROUNDS, "hardly anything was written: {written}");

    // All of it is read where it was written, and nothing of it is in everyone's database.
    let list = Request::new("GET", "/nexus/cards?limit=1000");
    let listed = succeed(&house.nodes[1], &house.own, list).await;
    assert!(
        listed["items"].as_array().unwrap().len() > ROUNDS,
        "{listed}"
    );
    let everyones = cards(&Commits::of(&house.cloud)).await;
    assert!(
        rounds
            .iter()
            .flat_map(|(_, cards)| cards)
            .all(|card| !everyones.contains_key(card))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_keeps_nobody_from_being_stopped_and_is_stopped_when_it_is_back() {
    let house = House::start().await;
    let emulator = house.cloud.firestore.parse().unwrap();
    let proxy = FaultProxy::to(emulator).await;
    house.send_away(&proxy.address().to_string()).await;
    for round in 0..3 {
        let way = [Way::Cut, Way::Silent, Way::Cut][round];
        proxy.set(way);
        let pending = house.put(0).await;
        assert_eq!(pending.outcome(), (503, "backend_unavailable".to_owned()));
        assert!(
            pending.text.contains(&house.project),
            "it is named: {}",
            pending.visible()
        );
        write(&house.nodes[0], &house.everyone)
            .await
            .expect_err("who is reached is stopped");
        // Nor is the switch said to be in force by any other answer.
        let none = Request::new("DELETE", "/gates/kill-switches/none");
        assert_eq!(
            send(&house.nodes[1], &house.operator, &none).await.status,
            503
        );
        proxy.set(Way::Open);
        for node in house.nodes.iter().rev() {
            write(node, &house.own)
                .await
                .expect_err("it was thrown while the database was away");
        }
        let deadline = Instant::now() + PATIENCE;
        while house.put(round % 2).await.status == 503 {
            assert!(Instant::now() < deadline, "it is back");
            sleep(POLL).await;
        }
        house.lift().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_while_it_throws_a_switch_leaves_all_tenants_alike() {
    let mut house = House::start().await;
    house.send_away(&house.cloud.firestore).await;
    let (mut thrown, mut lost) = (0, 0);
    for round in 0..KILLS {
        let made = Arc::new(AtomicUsize::new(0));
        let third = house.nodes[0].another();
        let row = json!({"action": "nexus.*", "reason": "a drill"});
        let put = third
            .client
            .put(format!("{}{SWITCH}", third.facts.url))
            .json(&row);
        let headers = house.operator.headers().iter();
        let put = headers.fold(put, |put, (name, value)| put.header(name, value));
        let writing = writers(&house, &made);
        let answer = timeout(Duration::from_millis(6 * round + 2), put.send()).await;
        drop(third);
        let answered = answer.is_ok_and(|answer| answer.is_ok_and(|it| it.status().is_success()));
        let (node, own) = (&house.nodes[1], &house.own);
        if answered {
            thrown += 1;
            write(node, own).await.expect_err("it was answered");
        } else {
            lost += 1;
        }
        // Whether it was committed or not: soon all tenants are treated alike, on all nodes.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut outcomes = Vec::new();
            for node in &house.nodes[..] {
                outcomes.push(write(node, &house.everyone).await.is_ok());
                outcomes.push(write(node, &house.own).await.is_ok());
            }
            if outcomes.iter().all(|outcome| *outcome == outcomes[0]) {
                break;
            }
            assert!(Instant::now() < deadline, "{outcomes:?}");
            sleep(POLL).await;
        }
        house.throw(0).await;
        writing.join_all().await;
        house.lift().await;
    }
    assert!(lost > 0, "no throw was interrupted: {thrown}");
    let nodes = Arc::get_mut(&mut house.nodes).expect("nobody writes any more");
    nodes[0].kill_and_restart();
    house.throw(0).await;
    write(&house.nodes[1], &house.own)
        .await
        .expect_err("it is thrown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_moves_to_a_database_of_its_own_and_back_with_its_gates_budgets_and_files() {
    const PRICE: u64 = 10;
    let house = House::start().await;
    let (node, own) = (&house.nodes[0], &house.own);
    let budget = json!({"action": "nexus.cards.create", "limit_micros": 125, "price_micros": PRICE,
        "window": "total"});
    let path = "/gates/budgets/all";
    succeed(node, own, Request::new("PUT", path).json(&budget)).await;
    let everyones = "/gates/budgets/each";
    let of_each = Request::new("PUT", everyones).json(&budget);
    succeed(node, &house.operator, of_each).await;
    let mut made = 0;
    let mut spend = async |up_to: u64| {
        let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "A card"}));
        let deadline = Instant::now() + PATIENCE;
        while made < up_to {
            let node = &house.nodes[usize::try_from(made % 2).unwrap()];
            let reply = send(node, own, &card).await;
            match reply.outcome() {
                (201, _) => made += 1,
                // Another node holds a slice of it.
                (402, _) | (503, _) if Instant::now() < deadline => sleep(POLL).await,
                other => panic!("{other:?}"),
            }
        }
    };
    let presign = Request::new("POST", "/nexus/raw-storage/presign")
        .json(&json!({"filename": "a.txt", "content_type": "text/plain", "size": 1}));
    spend(4).await;
    succeed(node, own, presign.clone()).await;
    let target =
        json!({"project": house.project, "emulator": house.cloud.firestore.as_str()}).to_string();
    let args: Vec<&str> = house.cloud.args.iter().map(String::as_str).collect();
    let back = args
        .iter()
        .skip_while(|arg| **arg != "--firestore")
        .nth(1)
        .unwrap();
    let migrate = ["migrate", "--kind", "nexus", "--tenant", &house.tenant];
    let to = |target| ["--to", "firestore", "--target", target];
    house.run(&[&migrate[..], &to(&target)].concat());
    spend(8).await;
    succeed(node, own, presign.clone()).await;
    let commits = Commits::of_project(&house.cloud, &house.project);
    assert_eq!(cards(&commits).await.len(), 8);
    house.throw(1).await;
    write(node, own).await.expect_err("it is thrown");
    let lift = Request::new("DELETE", SWITCH);
    succeed(node, &house.operator, lift).await;
    house.run(&[&migrate[..], &to(back)].concat());
    spend(12).await;
    succeed(node, own, presign).await;
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "One too many"}));
    for node in &house.nodes[..] {
        assert_eq!(send(node, own, &card).await.status, 402);
    }
    let list = Request::new("GET", "/nexus/cards?limit=1000");
    let listed = succeed(node, own, list).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 12, "{listed}");
    house.throw(0).await;
    assert_eq!(send(node, own, &card).await.status, 503);
}
