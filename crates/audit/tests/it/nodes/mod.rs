//! Several nodes over one store. Time stands still but for what the tests let pass.

mod erasing;
mod history;
mod intents;
mod leading;
mod lost;
mod tampered;
mod wire;

use std::{sync::Arc, time::Duration};

use identity::{Env, Scope};
use store::{Documents, EventLog};
use tenantry_audit::{
    Checkpoint,
    service::{Audit, Entry},
    verify,
};

use crate::service::house::{House, all, numbers};
use wire::Wire;

/// The lease lapses in less.
const LAPSE: Duration = Duration::from_secs(11);
/// An append that was announced is over.
const GRACE: Duration = Duration::from_secs(6);

/// A server, with its way to the store.
pub(crate) struct Node {
    pub(crate) audit: Arc<Audit>,
    pub(crate) wire: Arc<Wire>,
}

impl Node {
    pub(crate) async fn turn(&self) {
        self.audit.turn().await;
    }
}

/// Joins the house's store as a node of this name, with a spool and an anchor of its own.
pub(crate) async fn join(house: &House, name: &str) -> Node {
    let vault = Arc::clone(&house.vault);
    join_over(house, name, vault.clone(), vault).await
}

pub(crate) async fn join_over(
    house: &House,
    name: &str,
    documents: Arc<dyn Documents>,
    events: Arc<dyn EventLog>,
) -> Node {
    let wire = Wire::new(documents, events);
    let spool = house.folder.path().join(format!("{name}.spool"));
    let anchor = house.folder.path().join(format!("{name}.anchor"));
    let (deps, config) = house.parts(wire.clone(), wire.clone(), spool, Some(anchor));
    let audit = Audit::join(deps, config).await.unwrap();
    assert_eq!(audit.frozen(), None);
    Node { audit, wire }
}

/// A leader and a follower.
pub(crate) async fn two(house: &House) -> [Node; 2] {
    let nodes = [join(house, "a").await, join(house, "b").await];
    assert!(nodes[0].audit.leads() && !nodes[1].audit.leads());
    nodes
}

/// Lets each node have its turn, several times.
pub(crate) async fn turns(nodes: &[&Node], times: usize) {
    for _ in 0..times {
        for node in nodes {
            node.turn().await;
        }
    }
}

pub(crate) async fn pass(span: Duration) {
    tokio::time::advance(span).await;
}

pub(crate) fn checkpoint(house: &House, node: &Node) -> Checkpoint {
    let note = node.audit.checkpoint().unwrap();
    house.trust().checkpoint(&note).unwrap()
}

/// Checks the log of a scope on all nodes: they show the same, prove it, and continue `known`.
/// Gives its records, and what is signed.
pub(crate) async fn agree(
    house: &House,
    nodes: &[&Node],
    scope: &Scope,
    known: Option<&Checkpoint>,
) -> (Vec<Entry>, Checkpoint) {
    let entries = all(&nodes[0].audit, scope).await;
    for node in nodes {
        assert_eq!(node.audit.frozen(), None);
        assert_eq!(house.sound(&node.audit, scope).await, entries);
        assert_eq!(checkpoint(house, node), checkpoint(house, nodes[0]));
        let (Some(known), Some(last)) = (known, entries.last()) else {
            continue;
        };
        let receipt = node.audit.receipt(scope, last.seq, Some(known.size));
        verify::receipt(&receipt.await.unwrap(), &house.trust(), Some(known)).unwrap();
    }
    (entries, checkpoint(house, nodes[0]))
}

/// The numbers in the records of a tenant, in order.
pub(crate) async fn found(node: &Node, house: &House, tenant: &str) -> Vec<u64> {
    let scope = house.scope(tenant, Env::Dev).await;
    let mut found = numbers(&all(&node.audit, &scope).await);
    found.sort_unstable();
    found
}

pub(crate) fn to(end: u64) -> Vec<u64> {
    (0..end).collect()
}
