//! Records of all nodes enter one history, and every node answers for it.

use futures_util::future::join_all;
use identity::{Env, Recorded};
use tenantry_audit::Seq;

use super::{GRACE, Node, agree, checkpoint, found, join, pass, to, turns, two};
use crate::service::house::{House, event, put};

#[tokio::test(start_paused = true)]
async fn nodes_append_to_the_same_log_and_to_others_and_all_show_receipts() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let c = join(&house, "c").await;
    let nodes = [&a, &b, &c];
    for round in 0..4 {
        let puts = (0..30).map(|n| {
            let node = nodes[n % 3];
            let tenant = if n < 15 {
                "t_a"
            } else {
                ["t_x", "t_y", "t_z"][n % 3]
            };
            put(&node.audit, event(tenant, Env::Dev, "u_1", round * 30 + n))
        });
        join_all(puts).await;
        turns(&nodes, 1).await;
    }
    turns(&nodes, 1).await;
    for (tenant, count) in [("t_a", 60), ("t_x", 20), ("t_y", 20), ("t_z", 20)] {
        let scope = house.scope(tenant, Env::Dev).await;
        assert_eq!(agree(&house, &nodes, &scope, None).await.0.len(), count);
    }
}

/// On a node that follows, a receipt of what was just signed needs no round of its own.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_asked_catches_up() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..5 {
        put(&b.audit, event("t_a", Env::Dev, "u_1", n)).await;
        a.turn().await;
    }
    let seq = Seq::try_from(5).unwrap();
    let mut asked = Box::pin(b.audit.receipt(&scope, seq, None));
    let receipt = tokio::time::timeout(std::time::Duration::from_millis(1), &mut asked).await;
    assert!(receipt.unwrap().is_ok());
}

/// It is announced before it is there, and the node that leads looks too early.
#[tokio::test(start_paused = true)]
async fn a_record_that_lands_after_it_was_announced_is_not_overlooked() {
    let house = House::new();
    let [a, b] = two(&house).await;
    put(&b.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    turns(&[&a, &b], 1).await;
    let scope = house.scope("t_a", Env::Dev).await;
    b.wire.set_late(true);
    let late = tokio::spawn({
        let audit = b.audit.clone();
        async move { put(&audit, event("t_a", Env::Dev, "u_1", 1)).await }
    });
    while house
        .vault
        .copy()
        .streams
        .iter()
        .all(|(key, stream)| key.as_str().contains("audit-changes/logs") && stream.head < 2)
    {
        tokio::task::yield_now().await;
    }
    pass(std::time::Duration::from_secs(1)).await;
    a.turn().await;
    b.wire.set_late(false);
    late.await.unwrap();
    a.turn().await;
    pass(GRACE).await;
    turns(&[&a, &b], 2).await;
    let (entries, _) = agree(&house, &[&a, &b], &scope, None).await;
    assert_eq!(entries.len(), 2);
}

/// Whoever was away for long reads all heads.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_far_behind_takes_up_everything() {
    for behind in [1, 63, 64, 65, 300] {
        let house = House::new();
        let [a, b] = two(&house).await;
        put(&b.audit, event("t_a", Env::Dev, "u_1", 0)).await;
        turns(&[&a, &b], 1).await;
        let known = checkpoint(&house, &b);
        for n in 0..behind {
            let tenant = format!("t_{}", n % 7);
            put(&a.audit, event(&tenant, Env::Dev, "u_1", n + 1)).await;
            a.turn().await;
        }
        b.turn().await;
        let scope = house.scope("t_0", Env::Dev).await;
        let (_, now) = agree(&house, &[&a, &b], &scope, Some(&known)).await;
        assert_eq!(now.size, known.size + behind as u64);
    }
}

/// What was kept of an epoch for those who follow ends after an hour.
#[tokio::test(start_paused = true)]
async fn a_node_to_which_nothing_is_told_of_an_epoch_reads_all_heads() {
    let house = House::new();
    let [a, b] = two(&house).await;
    for n in 0..3 {
        put(&a.audit, event("t_a", Env::Dev, "u_1", n)).await;
        turns(&[&a], 1).await;
        house.vault.alter(|held| {
            held.documents
                .retain(|key, _| !key.id.starts_with("changes/"));
        });
        turns(&[&b], 1).await;
    }
    let scope = house.scope("t_a", Env::Dev).await;
    agree(&house, &[&a, &b], &scope, None).await;
}

/// The heads are read while epochs are closed over them.
#[tokio::test(start_paused = true)]
async fn heads_that_change_while_they_are_read_are_taken_up_as_they_became() {
    for calls in 0..12 {
        let house = House::new();
        let [a, b] = two(&house).await;
        for n in 0..5 {
            put(&a.audit, event(&format!("t_{n}"), Env::Dev, "u_1", n)).await;
        }
        a.turn().await;
        b.wire.set_after(calls, super::wire::Way::Still);
        let turn = tokio::spawn({
            let audit = b.audit.clone();
            async move { audit.turn().await }
        });
        while !b.wire.has_changed() && !turn.is_finished() {
            tokio::task::yield_now().await;
        }
        for n in 0..4 {
            put(&a.audit, event("t_0", Env::Dev, "u_1", 10 + n)).await;
            put(&a.audit, event(&format!("t_new{n}"), Env::Dev, "u_1", n)).await;
            a.turn().await;
        }
        b.wire.set(super::wire::Way::Open);
        turn.await.unwrap();
        turns(&[&a, &b], 1).await;
        for tenant in ["t_0", "t_4", "t_new3"] {
            let scope = house.scope(tenant, Env::Dev).await;
            agree(&house, &[&a, &b], &scope, None).await;
        }
    }
}

/// A node that cannot reach the store keeps records in its own spool, and brings them when it can.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_brings_its_records_later() {
    let house = House::new();
    let [a, b] = two(&house).await;
    let nodes: [&Node; 2] = [&a, &b];
    put(&b.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    b.wire.set(super::wire::Way::Cut);
    let recorded = b.audit.record(event("t_a", Env::Dev, "u_1", 1)).await;
    assert_eq!(recorded, Ok(Recorded::Degraded { why: "spooled" }));
    put(&a.audit, event("t_a", Env::Dev, "u_1", 2)).await;
    turns(&nodes, 2).await;
    assert_eq!(found(&a, &house, "t_a").await, [0, 2]);
    b.wire.set(super::wire::Way::Open);
    turns(&nodes, 2).await;
    assert_eq!(found(&a, &house, "t_a").await, to(3));
    let scope = house.scope("t_a", Env::Dev).await;
    agree(&house, &nodes, &scope, None).await;
}
