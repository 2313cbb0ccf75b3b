//! Who leads: one node, whatever happens to it, and never two.

use std::time::Duration;

use identity::Env;

use super::{LAPSE, Node, agree, checkpoint, found, join, pass, to, turns, two, wire::Way};
use crate::service::house::{House, event, put};

#[tokio::test(start_paused = true)]
async fn who_closes_lets_another_lead_at_once() {
    let house = House::new();
    let [a, b] = two(&house).await;
    put(&a.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    a.audit.close().await;
    let signed = checkpoint(&house, &a);
    put(&b.audit, event("t_a", Env::Dev, "u_1", 1)).await;
    b.turn().await;
    assert!(b.audit.leads() && !a.audit.leads());
    let scope = house.scope("t_a", Env::Dev).await;
    let (entries, now) = agree(&house, &[&b], &scope, Some(&signed)).await;
    assert_eq!((entries.len(), now.size), (2, signed.size + 1));
}

#[tokio::test(start_paused = true)]
async fn who_leads_goes_on_leading() {
    let house = House::new();
    let [a, b] = two(&house).await;
    for _ in 0..40 {
        pass(Duration::from_secs(1)).await;
        turns(&[&a, &b], 1).await;
        assert!(a.audit.leads() && !b.audit.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn who_crashes_is_followed_by_one_of_the_others_after_the_lease() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let c = join(&house, "c").await;
    for n in 0..10 {
        put(&[&a, &b, &c][n % 3].audit, event("t_a", Env::Dev, "u_1", n)).await;
    }
    turns(&[&a, &b, &c], 1).await;
    let signed = checkpoint(&house, &b);
    a.wire.set(Way::Cut);
    put(&b.audit, event("t_a", Env::Dev, "u_1", 10)).await;
    turns(&[&b, &c], 1).await;
    pass(Duration::from_secs(8)).await;
    turns(&[&b, &c], 1).await;
    assert!(!b.audit.leads() && !c.audit.leads(), "it may be slow");
    pass(LAPSE - Duration::from_secs(8)).await;
    put(&c.audit, event("t_a", Env::Dev, "u_1", 11)).await;
    turns(&[&b, &c], 2).await;
    assert!(b.audit.leads() ^ c.audit.leads());
    let scope = house.scope("t_a", Env::Dev).await;
    agree(&house, &[&b, &c], &scope, Some(&signed)).await;
    assert_eq!(found(&b, &house, "t_a").await, to(12));
    // It comes back, and follows.
    a.wire.set(Way::Open);
    turns(&[&a, &b, &c], 2).await;
    assert!(!a.audit.leads());
    agree(&house, &[&a, &b, &c], &scope, Some(&signed)).await;
}

/// What a node did that was stopped, or cut off, at some call of a day of work.
async fn stopped_at(calls: u64, way: Way) -> bool {
    let house = House::new();
    let [a, b] = two(&house).await;
    let c = join(&house, "c").await;
    for n in 0..3 {
        put(&a.audit, event("t_a", Env::Dev, "u_1", n)).await;
        put(&b.audit, event("t_b", Env::Dev, "u_1", n)).await;
    }
    turns(&[&a, &b, &c], 1).await;
    let signed = checkpoint(&house, &c);
    put(&b.audit, event("t_a", Env::Dev, "u_1", 3)).await;
    put(&b.audit, event("t_c", Env::Dev, "u_1", 0)).await;
    pass(Duration::from_secs(4)).await;
    a.wire.set_after(calls, way);
    let turn = tokio::spawn({
        let audit = a.audit.clone();
        async move {
            audit.turn().await;
            audit.turn().await;
        }
    });
    while !a.wire.has_changed() && !turn.is_finished() {
        tokio::task::yield_now().await;
    }
    let reached = a.wire.has_changed();
    turns(&[&b, &c], 1).await;
    pass(LAPSE).await;
    if reached {
        turns(&[&b], 1).await;
        assert!(b.audit.leads());
    }
    // Others go on, in the logs that it was at as well.
    for n in 4..7 {
        put(&b.audit, event("t_a", Env::Dev, "u_1", n)).await;
        put(&c.audit, event("t_b", Env::Dev, "u_1", n - 1)).await;
        turns(&[&b, &c], 1).await;
    }
    a.wire.set(Way::Open);
    turn.await.unwrap();
    let nodes: [&Node; 3] = [&a, &b, &c];
    turns(&nodes, 3).await;
    assert!(!reached || b.audit.leads() && !a.audit.leads(), "{calls}");
    for (tenant, count) in [("t_a", 7), ("t_b", 6), ("t_c", 1)] {
        assert_eq!(found(&b, &house, tenant).await, to(count), "{calls}");
        let scope = house.scope(tenant, Env::Dev).await;
        agree(&house, &nodes, &scope, Some(&signed)).await;
    }
    reached
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stood_still_at_any_call_signs_nothing_and_follows() {
    let mut calls = 0;
    while stopped_at(calls, Way::Still).await {
        calls += 1;
    }
    assert!(calls > 12, "{calls} calls are no work");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_at_any_call_signs_nothing_and_follows() {
    let mut calls = 0;
    while stopped_at(calls, Way::Cut).await {
        calls += 1;
    }
    assert!(calls > 12, "{calls} calls are no work");
}

/// All at once, again and again.
#[tokio::test(start_paused = true)]
async fn of_many_that_begin_together_one_leads() {
    let house = House::new();
    let names = ["a", "b", "c", "d", "e"];
    let nodes = futures_util::future::join_all(names.map(|name| join(&house, name))).await;
    for round in 0..6 {
        let leads = nodes.iter().filter(|node| node.audit.leads());
        let [leader] = leads.collect::<Vec<_>>()[..] else {
            panic!("one leads")
        };
        leader.wire.set(Way::Cut);
        pass(LAPSE).await;
        let turns = nodes.iter().map(Node::turn);
        futures_util::future::join_all(turns).await;
        pass(LAPSE).await;
        put_on_each(&nodes, round).await;
        futures_util::future::join_all(nodes.iter().map(Node::turn)).await;
        leader.wire.set(Way::Open);
        for _ in 0..3 {
            futures_util::future::join_all(nodes.iter().map(Node::turn)).await;
        }
    }
    let scope = house.scope("t_a", Env::Dev).await;
    let all: Vec<&Node> = nodes.iter().collect();
    assert_eq!(agree(&house, &all, &scope, None).await.0.len(), 30);
}

async fn put_on_each(nodes: &[Node], round: usize) {
    for (at, node) in nodes.iter().enumerate() {
        // One of them is cut off, and keeps it.
        let _ = node
            .audit
            .record(event("t_a", Env::Dev, "u_1", round * 5 + at))
            .await;
    }
}
