//! Intents of other nodes: those of the living are left alone, those of the dead end once.

use std::time::Duration;

use identity::{Env, Remarks};

use super::{GRACE, LAPSE, Node, agree, found, pass, turns, two, wire::Way};
use crate::service::{
    house::{House, all, endings},
    intents::{done, intend},
};

/// Longer than any deed.
const OVERDUE: Duration = Duration::from_secs(125);

async fn later(nodes: &[&Node], span: Duration) {
    let end = tokio::time::Instant::now() + span;
    while tokio::time::Instant::now() < end {
        pass(Duration::from_secs(2)).await;
        turns(nodes, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_living_node_has_begun_is_not_ended_by_others() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    let pending = intend(&house, &b.audit, &scope).await;
    later(&[&a, &b], Duration::from_secs(60)).await;
    // Another leader knows it for as long as it leads alone.
    a.audit.close().await;
    later(&[&b], Duration::from_secs(60)).await;
    assert!(b.audit.leads());
    assert_eq!(all(&b.audit, &scope).await.len(), 1);
    let remarks = Remarks::default();
    let _ = pending.conclude(done(&remarks)).await;
    later(&[&b], OVERDUE).await;
    let (entries, _) = agree(&house, &[&b], &scope, None).await;
    assert_eq!(endings(&entries), [(1, "done".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_node_has_begun_ends_once() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    for node in [&a, &b] {
        std::mem::forget(intend(&house, &node.audit, &scope).await);
    }
    a.wire.set(Way::Cut);
    turns(&[&b], 1).await;
    pass(LAPSE).await;
    later(&[&b], GRACE).await;
    assert_eq!(all(&b.audit, &scope).await.len(), 2, "they may go on");
    later(&[&b], OVERDUE).await;
    later(&[&b], OVERDUE).await;
    // Whoever is back has nothing to add.
    a.wire.set(Way::Open);
    later(&[&a, &b], OVERDUE).await;
    let (entries, _) = agree(&house, &[&a, &b], &scope, None).await;
    let unknown = "unknown".to_owned();
    assert_eq!(endings(&entries), [(1, unknown.clone()), (2, unknown)]);
    assert!(found(&a, &house, "t_a").await.is_empty());
}

/// Two that lead in turn, of which one has stood still while it closed an intent.
#[tokio::test(start_paused = true)]
async fn an_intent_that_two_nodes_close_ends_once() {
    for calls in 0..20 {
        let house = House::new();
        let [a, b] = two(&house).await;
        let scope = house.scope("t_a", Env::Dev).await;
        std::mem::forget(intend(&house, &b.audit, &scope).await);
        later(&[&a, &b], Duration::from_secs(118)).await;
        pass(Duration::from_secs(5)).await;
        a.wire.set_after(calls, Way::Still);
        let turn = tokio::spawn({
            let audit = a.audit.clone();
            async move { audit.turn().await }
        });
        while !a.wire.has_changed() && !turn.is_finished() {
            tokio::task::yield_now().await;
        }
        turns(&[&b], 1).await;
        pass(LAPSE).await;
        later(&[&b], 2 * OVERDUE).await;
        a.wire.set(Way::Open);
        turn.await.unwrap();
        later(&[&a, &b], OVERDUE).await;
        let (entries, _) = agree(&house, &[&a, &b], &scope, None).await;
        assert_eq!(endings(&entries), [(1, "unknown".to_owned())], "{calls}");
    }
}
