//! What is remembered, while others change it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use identity::{Precondition, Role, Scope};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_privacy::{FRESH_MAX, Source, TrainPrefs, Training};
use testkit::MemoryDocuments;
use tokio::sync::{Mutex, Notify};

use super::node::{Allow, Deny, Node, id, over, told};

const ANY: &Precondition = &Precondition::Any;

async fn say(prefs: &TrainPrefs, scope: &Scope, training: Training) {
    let own = prefs.subject(scope, scope.user()).await.unwrap();
    prefs.set_user(&own, training, ANY).await.unwrap();
}

/// A scope whose tenant and user allow it, on every node.
async fn allowing(node: &Node) -> Scope {
    let owner = node.at_a("u_owner", Role::Owner).await;
    node.prefs.set_tenant(&owner, Allow, ANY).await.unwrap();
    node.say(&owner, Allow).await;
    owner
}

#[tokio::test]
async fn every_change_is_seen_at_once_here_at_each_level() {
    let node = Node::new();
    let owner = allowing(&node).await;
    let operator = node.operator().await;
    let effective = async || told(node.prefs.effective(&owner, false).await);
    for _ in 0..3 {
        assert_eq!(effective().await, (Allow, Source::User));
        node.say(&owner, Deny).await;
        assert_eq!(effective().await, (Deny, Source::User));
        node.say(&owner, Allow).await;
        assert_eq!(effective().await, (Allow, Source::User));
        node.prefs.set_tenant(&owner, Deny, ANY).await.unwrap();
        assert_eq!(effective().await, (Deny, Source::Admin));
        node.prefs.withdraw_tenant(&owner, ANY).await.unwrap();
        assert_eq!(effective().await, (Deny, Source::Unknown));
        node.prefs.set_tenant(&owner, Allow, ANY).await.unwrap();
        node.prefs.set_system(&operator, Deny, ANY).await.unwrap();
        assert_eq!(effective().await, (Deny, Source::Operator));
        node.prefs.set_system(&operator, Allow, ANY).await.unwrap();
    }
}

#[tokio::test]
async fn another_node_sees_a_change_within_a_second() {
    let node = Node::new();
    let owner = allowing(&node).await;
    let there = node.another();
    assert_eq!(there.effective(&owner, false).await.training, Allow);
    node.say(&owner, Deny).await;
    node.world.clock.advance(FRESH_MAX);
    let late = there.effective(&owner, false).await;
    assert_eq!(told(late), (Deny, Source::User));
    assert!(FRESH_MAX <= Duration::from_secs(1), "the contract's bound");
}

#[tokio::test]
async fn what_is_remembered_costs_the_store_nothing() {
    let node = Node::new();
    let owner = allowing(&node).await;
    assert_eq!(node.prefs.effective(&owner, false).await.training, Allow);
    node.documents.set_down(true);
    for gpc in [false, true, false] {
        let effective = node.prefs.effective(&owner, gpc).await;
        assert_eq!(effective.training == Allow, !gpc);
    }
    assert!(node.prefs.permit(&owner, false).await.is_ok());
}

/// Documents that hold a read after it was read, and fail a commit after it was done.
struct Slow {
    inner: MemoryDocuments,
    hold: Mutex<Option<(&'static str, Arc<Held>)>>,
    forgets: AtomicBool,
}

/// A read that has its answer, and waits to be let go.
#[derive(Default)]
struct Held {
    reached: Notify,
    release: Notify,
}

impl Slow {
    fn new(node: &Node) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryDocuments::new(node.world.clock.clone()),
            hold: Mutex::default(),
            forgets: AtomicBool::new(false),
        })
    }

    async fn hold(&self, id: &'static str) -> Arc<Held> {
        let held = Arc::new(Held::default());
        *self.hold.lock().await = Some((id, Arc::clone(&held)));
        held
    }
}

#[async_trait]
impl Documents for Slow {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let found = self.inner.get(key).await;
        let held = self.hold.lock().await.take_if(|(id, _)| *id == key.id);
        if let Some((_, held)) = held {
            held.reached.notify_one();
            held.release.notified().await;
        }
        found
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        let done = self.inner.commit(batch).await;
        if self.forgets.load(Ordering::SeqCst) {
            let lost = StoreError::Unavailable("the answer was lost".to_owned());
            return Err(lost.into());
        }
        done
    }
}

#[tokio::test]
async fn a_read_that_began_before_a_denial_does_not_bring_the_permission_back() {
    let node = Node::new();
    let slow = Slow::new(&node);
    let prefs = over(&node.world, slow.clone());
    let owner = Arc::new(node.at_a("u_owner", Role::Owner).await);
    prefs.set_tenant(&owner, Allow, ANY).await.unwrap();
    say(&prefs, &owner, Allow).await;

    let held = slow.hold("u_owner").await;
    let reader = {
        let (prefs, owner) = (prefs.clone(), owner.clone());
        tokio::spawn(async move { prefs.effective(&owner, false).await })
    };
    held.reached.notified().await;
    say(&prefs, &owner, Deny).await;
    held.release.notify_one();
    // The reader asked before the denial was acknowledged, so its own answer is the old one;
    // what it remembered must not count for anyone after.
    assert_eq!(reader.await.unwrap().training, Allow);
    let after = prefs.effective(&owner, false).await;
    assert_eq!(told(after), (Deny, Source::User));
}

#[tokio::test]
async fn of_two_words_that_cross_neither_is_lost() {
    let node = Node::new();
    let slow = Slow::new(&node);
    let prefs = over(&node.world, slow.clone());
    let owner = Arc::new(node.at_a("u_owner", Role::Owner).await);
    let ada = node.at_a("u_ada", Role::Member).await;
    // First over a record that is not there yet, then over one that is.
    for version in [2, 4] {
        let held = slow.hold("u_ada").await;
        let admins = {
            let (prefs, owner) = (prefs.clone(), owner.clone());
            tokio::spawn(async move {
                let of_ada = prefs.subject(&owner, &id("u_ada")).await.unwrap();
                prefs.set_user(&of_ada, Allow, ANY).await.unwrap()
            })
        };
        held.reached.notified().await;
        say(&prefs, &ada, Deny).await;
        held.release.notify_one();
        let summed = admins.await.unwrap();
        assert_eq!(summed.version, version);
        assert_eq!(summed.said.unwrap().training, Deny);
        let levels = prefs.levels(&ada, ada.user()).await;
        assert_eq!(levels.user, Some(summed));
    }
}

#[tokio::test]
async fn a_denial_whose_acknowledgement_was_lost_is_obeyed_at_once() {
    let node = Node::new();
    let slow = Slow::new(&node);
    let prefs = over(&node.world, slow.clone());
    let owner = node.at_a("u_owner", Role::Owner).await;
    prefs.set_tenant(&owner, Allow, ANY).await.unwrap();
    say(&prefs, &owner, Allow).await;
    assert_eq!(prefs.effective(&owner, false).await.training, Allow);
    slow.forgets.store(true, Ordering::SeqCst);
    let own = prefs.subject(&owner, owner.user()).await.unwrap();
    assert!(prefs.set_user(&own, Deny, ANY).await.is_err());
    let after = prefs.effective(&owner, false).await;
    assert_eq!(told(after), (Deny, Source::User));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_a_crowd_of_readers_each_acknowledged_change_is_what_is_read_next() {
    let node = Node::new();
    let owner = Arc::new(allowing(&node).await);
    let (stop, reads) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (prefs, owner) = (node.prefs.clone(), owner.clone());
            let (stop, reads) = (stop.clone(), reads.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_ne!(prefs.effective(&owner, false).await.version, 0);
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..2_000 {
        let training = if round % 2 == 0 { Deny } else { Allow };
        node.say(&owner, training).await;
        let effective = node.prefs.effective(&owner, false).await;
        assert_eq!(told(effective), (training, Source::User), "round {round}");
        assert_eq!(effective.version, round + 3);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(reads.load(Ordering::Relaxed) > 0);
}
