//! Tenants in another database are stopped by the system's rows as everybody is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use identity::{Env, Precondition, Scope, SystemAuthority, TenantId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_gatechain::{
    AlwaysEnforce, COPIES, Database, Databases, FRESH_MAX, FirearmRow, GateError, KillSwitch,
    RowId, RowKind,
};
use testkit::{Faulty, MemoryDocuments, World};

use crate::house::{Card, House, key, row_id};

/// The tenant that is elsewhere, and its database.
const AWAY: &str = "t_a";

type Engine = Arc<Faulty<MemoryDocuments>>;

/// Two databases, and calls that are counted over both of them.
struct Engines {
    world: Arc<World>,
    home: Engine,
    away: Engine,
}

impl Engines {
    fn new() -> Self {
        let world = Arc::new(World::new());
        let engine = || Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
        let (home, away) = (engine(), engine());
        Self { world, home, away }
    }

    /// A process over them, which ends at its `calls`th call.
    fn process(&self, calls: usize, does_the_last: bool) -> House {
        let left = Arc::new(AtomicUsize::new(calls));
        let ending = |inner: &Engine| -> Arc<dyn Documents> {
            Arc::new(Ending {
                inner: inner.clone(),
                left: left.clone(),
                does_the_last,
            })
        };
        let routed = Arc::new(Routed {
            home: ending(&self.home),
            away: ending(&self.away),
        });
        let (world, enforced) = (self.world.clone(), Arc::new(AlwaysEnforce));
        House::over(world, routed.clone(), enforced, routed)
    }

    fn node(&self) -> House {
        self.process(usize::MAX, false)
    }
}

/// Sends each key where its tenant is, as the server's router does.
struct Routed {
    home: Arc<dyn Documents>,
    away: Arc<dyn Documents>,
}

impl Routed {
    fn of(&self, partition: &Partition) -> &Arc<dyn Documents> {
        let home = partition.home().unwrap();
        let is_away = home.tenant.as_str() == AWAY || home.holds == COPIES;
        if is_away { &self.away } else { &self.home }
    }
}

#[async_trait]
impl Documents for Routed {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.of(&key.partition).get(key).await
    }
    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        self.of(of).list(of, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let expected = batch.expectations().iter().map(|(key, _)| key);
        let mut keys = expected.chain(batch.writes().iter().map(|(key, _)| key));
        let engine = self.of(&keys.next().unwrap().partition);
        let apart = keys.any(|key| !Arc::ptr_eq(self.of(&key.partition), engine));
        assert!(!apart, "a batch over two engines: {batch:?}");
        engine.commit(batch).await
    }
}

#[async_trait]
impl Databases for Routed {
    async fn of(&self, tenant: &TenantId) -> Result<Option<Database>, StoreError> {
        Ok((tenant.as_str() == AWAY).then(database))
    }
    async fn named(&self) -> Result<Vec<Database>, StoreError> {
        Ok(vec![database()])
    }
    async fn everyones(&self) -> Result<Arc<dyn Documents>, StoreError> {
        Ok(self.home.clone())
    }
    fn documents(&self, asked: &Database) -> Result<Arc<dyn Documents>, StoreError> {
        assert_eq!(*asked, database());
        Ok(self.away.clone())
    }
}

fn database() -> Database {
    Database {
        id: "db1".into(),
        told: json!({"project": "away"}),
    }
}

/// An engine of a process that ends with its last call: nothing that is asked later reaches it.
struct Ending {
    inner: Engine,
    left: Arc<AtomicUsize>,
    /// Whether the last call is done still, and only its answer lost.
    does_the_last: bool,
}

impl Ending {
    /// Whether the call is done, and whether it is answered.
    fn call(&self) -> (bool, bool) {
        let order = Ordering::SeqCst;
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(order, order, one_less) {
            Ok(left) if left > 1 => (true, true),
            Ok(1) => (self.does_the_last, false),
            _ => (false, false),
        }
    }
}

fn ended<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the process has ended".to_owned()))
}

#[async_trait]
impl Documents for Ending {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        match self.call() {
            (_, true) => self.inner.get(key).await,
            _ => ended(),
        }
    }
    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        match self.call() {
            (_, true) => self.inner.list(of, listing).await,
            _ => ended(),
        }
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let (done, answered) = self.call();
        let outcome = match done {
            true => Some(self.inner.commit(batch).await),
            false => None,
        };
        match outcome {
            Some(outcome) if answered => outcome,
            _ => Ok(ended()?),
        }
    }
}

fn everything() -> KillSwitch {
    serde_json::from_value(json!({"action": "*", "reason": "stop"})).unwrap()
}

async fn throw(node: &House) -> Result<(), GateError> {
    let (operator, any) = (node.operator().await, Precondition::Any);
    let id = row_id("k");
    let put = node.gates.put(&operator, &id, everything(), &any);
    put.await.map(drop)
}

async fn lift(node: &House) -> Result<(), GateError> {
    let (operator, any) = (node.operator().await, Precondition::Any);
    let kind = RowKind::KillSwitches;
    node.gates.delete(&operator, kind, &row_id("k"), &any).await
}

async fn at_home(node: &House) -> Scope {
    node.world.scope("t_b", Env::Dev, "u_b").await
}

/// A write that was admitted before the switch, and is committed after it was answered.
async fn late(node: &House, other: &House, card: &str) -> Result<(), &'static str> {
    let scope = node.tenant().await;
    let permit = node.admit(&scope, Card::new(card)).await.unwrap();
    throw(other).await.unwrap();
    let batch = crate::house::batch(&scope, permit.mutation());
    match permit.commit(batch).await {
        Ok(_) => Ok(()),
        Err(tenantry_gatechain::CommitRefused::Denied(denied)) => Err(denied.refusal.code.as_str()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_tenant_elsewhere_writes_there_and_is_stopped_by_everyones_rows() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let scope = node.tenant().await;
    node.write(&scope, Card::new("c_1")).await.unwrap();
    let written = key(&scope, "c_1");
    assert!(engines.away.inner().get(&written).await.unwrap().is_some());
    assert!(engines.home.inner().get(&written).await.unwrap().is_none());
    assert_eq!(late(&node, &other, "c_2").await, Err("kill_switch_engaged"));
    lift(&other).await.unwrap();
    engines.world.clock.advance(FRESH_MAX);
    node.write(&scope, Card::new("c_2")).await.unwrap();
}

/// Steps of a batch are what they were: a tenant elsewhere expects the copy in place of the fence.
#[tokio::test]
async fn a_row_that_allows_lets_the_write_through_after_it_was_decided_again() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let scope = node.tenant().await;
    let permit = node.admit(&scope, Card::new("c_1")).await.unwrap();
    other.stop(&other.operator().await, "k", "media.*").await;
    let first = permit.decision_id().to_owned();
    let batch = crate::house::batch(&scope, permit.mutation());
    let committed = permit.commit(batch).await.unwrap();
    assert_ne!(committed.decision_id, first, "it was decided anew");
}

#[tokio::test]
async fn a_switch_stops_everyone_else_while_one_database_is_dead_and_says_so() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let scope = node.tenant().await;
    let permit = node.admit(&scope, Card::new("c_1")).await.unwrap();
    engines.away.set_down(true);
    let pending = throw(&other).await.unwrap_err();
    assert_eq!(pending, GateError::Pending(vec![database()]));
    // Nobody is told that it is in force while it is not, whatever else is asked.
    let (operator, id) = (other.operator().await, row_id("k"));
    let stale = Precondition::OneOf(vec![1]);
    let put = other.gates.put(&operator, &id, everything(), &stale);
    assert_eq!(put.await.unwrap_err(), pending);
    let (kind, none) = (RowKind::KillSwitches, row_id("none"));
    let missing = other
        .gates
        .delete(&operator, kind, &none, &Precondition::Any);
    assert_eq!(missing.await.unwrap_err(), pending);
    let elsewhere = at_home(&node).await;
    engines.world.clock.advance(FRESH_MAX);
    let stopped = node.answer(&elsewhere, Card::new("c_1")).await;
    assert_eq!(stopped, "kill_switch_engaged");
    // It comes back, and the node that threw the switch makes it known by itself.
    engines.away.set_down(false);
    other.gates.turn().await;
    let batch = crate::house::batch(&scope, permit.mutation());
    assert!(permit.commit(batch).await.is_err());
    throw(&other).await.unwrap();
}

#[tokio::test]
async fn who_decides_makes_a_change_known_that_nobody_finished() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let scope = node.tenant().await;
    node.write(&scope, Card::new("c_1")).await.unwrap();
    engines.away.set_down(true);
    throw(&other).await.unwrap_err();
    drop(other);
    engines.away.set_down(false);
    engines.world.clock.advance(FRESH_MAX);
    let stopped = node.answer(&scope, Card::new("c_2")).await;
    assert_eq!(stopped, "kill_switch_engaged");
}

/// Documents of a process that is slow: something happens right before it rewrites a copy.
struct Slow {
    inner: Arc<dyn Documents>,
    happens: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Documents for Slow {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.inner.get(key).await
    }
    async fn list(&self, of: &Partition, listing: &Listing) -> Result<Vec<Document>, StoreError> {
        self.inner.list(of, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let copies = Partition::of_system(&SystemAuthority::assume(), COPIES);
        let rewrites = batch
            .writes()
            .iter()
            .any(|(key, _)| key.partition == copies);
        let happens = self.happens.lock().take_if(|_| rewrites);
        if let Some(happens) = happens {
            happens.await;
        }
        self.inner.commit(batch).await
    }
}

#[tokio::test]
async fn a_copy_does_not_go_back_to_what_a_slow_node_has_read() {
    let engines = Engines::new();
    let other = Arc::new(engines.node());
    let scope = other.tenant().await;
    other.write(&scope, Card::new("c_1")).await.unwrap();
    engines.away.set_down(true);
    let row = serde_json::from_value(json!({"action": "media.*", "reason": "stop"})).unwrap();
    let (operator, id): (Scope, RowId) = (other.operator().await, row_id("m"));
    let put = other
        .gates
        .put::<KillSwitch>(&operator, &id, row, &Precondition::Any);
    put.await.unwrap_err();
    engines.away.set_down(false);
    // The slow node has read the fence as it is now, and is about to rewrite the copy, when a switch is answered.
    let throwing = other.clone();
    let slow = Arc::new(Slow {
        inner: engines.away.clone(),
        happens: Mutex::new(Some(Box::pin(
            async move { throw(&throwing).await.unwrap() },
        ))),
    });
    let routed = Arc::new(Routed {
        home: engines.home.clone(),
        away: slow.clone(),
    });
    let (world, enforced) = (engines.world.clone(), Arc::new(AlwaysEnforce));
    let node = House::over(world, routed.clone(), enforced, routed);
    let refused = node.write(&scope, Card::new("c_2")).await.unwrap_err();
    assert_eq!(refused.refusal.code.as_str(), "kill_switch_engaged");
    assert!(slow.happens.lock().is_none(), "the copy was rewritten");
}

/// A process that throws a switch is killed at every call. Whatever it was told, a switch that it was told of as
/// thrown stops a write that was admitted before; and once rows are read again, one that stands does.
#[tokio::test]
async fn a_kill_at_any_call_of_a_change_lets_no_write_through_that_was_decided_on_before() {
    let (mut answered, mut unanswered) = (0, 0);
    for does_the_last in [false, true] {
        for calls in 1..40 {
            let engines = Engines::new();
            let node = engines.node();
            let scope = node.tenant().await;
            node.write(&scope, Card::new("c_0")).await.unwrap();
            let permit = node.admit(&scope, Card::new("c_1")).await.unwrap();
            let dying = engines.process(calls, does_the_last);
            let thrown = throw(&dying).await.is_ok();
            drop(dying);
            let batch = crate::house::batch(&scope, permit.mutation());
            let late = permit.commit(batch).await;
            if thrown {
                answered += 1;
                assert!(late.is_err(), "after {calls} calls, {does_the_last}");
            } else {
                unanswered += 1;
            }
            engines.world.clock.advance(FRESH_MAX);
            let away = node.answer(&scope, Card::new("c_2")).await;
            let home = node.answer(&at_home(&node).await, Card::new("c_2")).await;
            assert_eq!(away, home, "after {calls} calls, {does_the_last}");
        }
    }
    assert!(answered > 10 && unanswered > 6, "{answered} {unanswered}");
}

/// The same of a process that decides: what it left behind is no way past a switch.
#[tokio::test]
async fn a_kill_at_any_call_of_a_decision_leaves_copies_that_fence() {
    for does_the_last in [false, true] {
        for calls in 1..40 {
            let engines = Engines::new();
            let (node, other) = (engines.node(), engines.node());
            other.stop(&other.operator().await, "m", "media.*").await;
            let dying = engines.process(calls, does_the_last);
            let scope = dying.tenant().await;
            let _ = dying.try_write(&scope, Card::new("c_0")).await;
            other.stop(&other.operator().await, "n", "media.*").await;
            let _ = dying.try_write(&scope, Card::new("c_1")).await;
            let card = "c_2";
            assert_eq!(late(&node, &other, card).await, Err("kill_switch_engaged"));
        }
    }
}

/// While writers of two nodes write, a switch is thrown; half of the nodes do not hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_tenant_elsewhere_commits_after_a_switch_was_answered() {
    let mut written = 0;
    for round in 0..100 {
        let engines = Engines::new();
        let (node, other) = (Arc::new(engines.node()), Arc::new(engines.node()));
        let mut writers = Vec::new();
        for writer in 0..8 {
            let house = if writer % 2 == 0 {
                node.clone()
            } else {
                other.clone()
            };
            let scope = house.tenant().await;
            writers.push(tokio::spawn(async move {
                let mut versions = Vec::new();
                for n in 0..5_000 {
                    let card = Card::new(format!("c_{writer}_{n}"));
                    match house.write(&scope, card).await {
                        Ok(committed) => versions.push(committed.version),
                        Err(denied) => {
                            assert_eq!(denied.refusal.code.as_str(), "kill_switch_engaged");
                            return versions;
                        }
                    }
                    tokio::task::yield_now().await;
                }
                panic!("the switch does not stop this writer");
            }));
        }
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        throw(&other).await.unwrap();
        // The versions of an engine are its order: what was committed before the answer is below this one.
        let mark = Partition::of_system(&SystemAuthority::assume(), "marks");
        let mark = Batch::new().put(&DocKey::new(&mark, "answered"), b"x".to_vec());
        let answered = engines.away.inner().commit(mark).await.unwrap();
        for writer in writers {
            for version in writer.await.unwrap() {
                written += 1;
                assert!(version.0 < answered.0, "a write committed after the answer");
            }
        }
    }
    assert!(written > 100, "hardly anything was written: {written}");
}

#[tokio::test]
async fn a_budget_of_a_tenant_elsewhere_is_never_overspent() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let operator = node.operator().await;
    node.budget(&operator, "b", 45, 10).await;
    let scope = node.tenant().await;
    let mut written = 0;
    for n in 0..10 {
        let house = if n % 2 == 0 { &node } else { &other };
        let card = Card::new(format!("c_{n}"));
        written += u64::from(house.try_write(&scope, card).await.is_ok());
        engines.world.clock.advance(tenantry_gatechain::LEASE);
        node.gates.turn().await;
    }
    assert_eq!(written, 4);
}

async fn licence(node: &House, uses: u32) {
    let operator = node.operator().await;
    let rows: [(&str, Value); 2] = [
        ("r", json!({"kind": "requirement", "action": "*"})),
        (
            "l",
            json!({"kind": "licence", "action": "*", "subject": "role:viewer", "uses": uses}),
        ),
    ];
    for (id, row) in rows {
        node.put::<FirearmRow>(&operator, id, row).await;
    }
}

#[tokio::test]
async fn an_operators_licence_is_counted_for_tenants_everywhere_together() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    licence(&node, 3).await;
    let (away, home) = (node.tenant().await, at_home(&node).await);
    node.write(&away, Card::new("c_1")).await.unwrap();
    other.write(&home, Card::new("c_1")).await.unwrap();
    // A write that was not done uses nothing up.
    assert!(node.try_write(&away, Card::new("c_1")).await.is_err());
    node.write(&away, Card::new("c_2")).await.unwrap();
    // What another process remembers is never true for long.
    engines.world.clock.advance(FRESH_MAX);
    let answers = [
        node.answer(&away, Card::new("c_3")).await,
        other.answer(&home, Card::new("c_3")).await,
    ];
    assert_eq!(answers, ["licence_expired"; 2]);
}

/// Killed at every call, a process leaves a licence that was used as often as it is counted, or less.
#[tokio::test]
async fn a_kill_at_any_call_uses_no_licence_more_often_than_it_says() {
    for does_the_last in [false, true] {
        for calls in 1..40 {
            let engines = Engines::new();
            let node = engines.node();
            licence(&node, 3).await;
            let scope = node.tenant().await;
            let dying = engines.process(calls, does_the_last);
            let mut written = 0;
            for n in 0..3 {
                let _ = dying.try_write(&scope, Card::new(format!("d_{n}"))).await;
                let key = key(&scope, &format!("d_{n}"));
                written += u32::from(engines.away.inner().get(&key).await.unwrap().is_some());
            }
            for n in 0..4 {
                let card = Card::new(format!("c_{n}"));
                written += u32::from(node.try_write(&scope, card).await.is_ok());
                engines.world.clock.advance(FRESH_MAX);
            }
            assert!((2..=3).contains(&written), "{written} after {calls} calls");
        }
    }
}

#[tokio::test]
async fn a_list_of_databases_that_is_damaged_is_mended_by_a_change() {
    let engines = Engines::new();
    let (node, other) = (engines.node(), engines.node());
    let scope = node.tenant().await;
    node.write(&scope, Card::new("c_1")).await.unwrap();
    let gates = Partition::of_system(&SystemAuthority::assume(), "gates");
    let damage = Batch::new().put(&DocKey::new(&gates, "databases"), b"damaged".to_vec());
    engines.home.inner().commit(damage).await.unwrap();
    assert_eq!(late(&node, &other, "c_2").await, Err("kill_switch_engaged"));
    lift(&other).await.unwrap();
    engines.world.clock.advance(FRESH_MAX);
    node.write(&scope, Card::new("c_2")).await.unwrap();
}
