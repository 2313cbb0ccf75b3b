//! The engine of the records forgot them, and the documents are all there.

use std::collections::BTreeMap;

use bytes::Bytes;
use identity::{Env, Recorded};
use store::StreamKey;

use super::{Node, agree, checkpoint, turns, two};
use crate::service::{
    house::{House, event, put},
    vault::Held,
};

/// Records of each log before the loss.
const BEFORE: usize = 3;

/// Two nodes with records of two tenants in the tree; all of them know both logs.
async fn grown(house: &House) -> [Node; 2] {
    let [a, b] = two(house).await;
    for n in 0..BEFORE {
        for tenant in ["t_0", "t_1"] {
            let node = if n % 2 == 0 { &a } else { &b };
            put(&node.audit, event(tenant, Env::Dev, "u_1", n)).await;
        }
        turns(&[&a, &b], 2).await;
    }
    [a, b]
}

/// The streams of records, by name.
fn records(held: &mut Held) -> BTreeMap<StreamKey, &mut BTreeMap<u64, Bytes>> {
    let streams = held.streams.iter_mut();
    let streams = streams.filter(|(key, _)| !key.as_str().contains("audit-changes"));
    streams
        .map(|(key, stream)| (key.clone(), &mut stream.events))
        .collect()
}

fn lose(held: &mut Held) {
    held.streams.clear();
    held.lives += 1;
}

#[tokio::test(start_paused = true)]
async fn no_node_acknowledges_or_signs_anything_over_records_that_were_lost() {
    let house = House::new();
    let [a, b] = grown(&house).await;
    let before = checkpoint(&house, &a);
    house.vault.alter(lose);
    // The one that follows knows of the tree only what is stored; the place would be that of another record.
    let told = b.audit.record(event("t_0", Env::Dev, "u_1", BEFORE)).await;
    assert_eq!(told.unwrap(), Recorded::Degraded { why: "spooled" });
    let why = b.audit.frozen().unwrap();
    assert!(
        why.contains("3 records are integrated, 1 are stored"),
        "{why}"
    );
    // The one that leads sees that the announcements are gone, and looks at all logs.
    turns(&[&a], 2).await;
    assert!(a.audit.frozen().is_some());
    for node in [&a, &b] {
        for tenant in ["t_0", "t_1"] {
            let told = node.audit.record(event(tenant, Env::Dev, "u_1", 9)).await;
            assert_eq!(told.unwrap(), Recorded::Degraded { why: "spooled" });
        }
        turns(&[node], 2).await;
        assert_eq!(checkpoint(&house, node), before);
    }
}

/// As many others as there were, or more, are in the places of those that were lost.
#[tokio::test(start_paused = true)]
async fn others_in_the_places_of_lost_records_are_not_taken_for_them() {
    for more in [0, 2] {
        let house = House::new();
        let [a, b] = grown(&house).await;
        let before = checkpoint(&house, &a);
        house.vault.alter(|held| {
            for events in records(held).into_values() {
                let one = events[&1].clone();
                *events = (1..=3 + more).map(|seq| (seq, one.clone())).collect();
            }
            held.streams
                .values_mut()
                .for_each(|stream| stream.head += more);
            held.lives += 1;
        });
        let told = b.audit.record(event("t_0", Env::Dev, "u_1", BEFORE)).await;
        assert_eq!(told.unwrap(), Recorded::Degraded { why: "spooled" });
        assert!(b.audit.frozen().unwrap().contains("not in the tree"));
        turns(&[&a], 2).await;
        assert!(a.audit.frozen().is_some(), "{more}");
        assert_eq!(checkpoint(&house, &a), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_came_back_with_all_its_records_is_gone_on_with() {
    let house = House::new();
    let [a, b] = grown(&house).await;
    let before = checkpoint(&house, &a);
    house.vault.alter(|held| held.lives += 1);
    for node in [&a, &b] {
        put(&node.audit, event("t_0", Env::Dev, "u_1", BEFORE)).await;
    }
    turns(&[&a, &b], 2).await;
    let scope = house.scope("t_0", Env::Dev).await;
    let (entries, after) = agree(&house, &[&a, &b], &scope, Some(&before)).await;
    assert_eq!(entries.len(), BEFORE + 2);
    assert!(after.size > before.size);
}
