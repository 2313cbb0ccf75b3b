//! A store that contradicts what was signed is noticed by the node that leads and by those that follow.

use bytes::Bytes;
use identity::Env;
use store::DocKey;

use super::{Node, checkpoint, turns, two};
use crate::service::{
    house::{House, event, put},
    vault::Held,
};

/// Two nodes with some epochs, of which the one that follows does not know the last.
async fn grown(house: &House) -> [Node; 2] {
    let [a, b] = two(house).await;
    for n in 0..3 {
        put(&a.audit, event(&format!("t_{n}"), Env::Dev, "u_1", n)).await;
        turns(&[&a, &b], 1).await;
    }
    put(&a.audit, event("t_0", Env::Dev, "u_1", 3)).await;
    a.turn().await;
    [a, b]
}

fn of_epochs(held: &Held, prefix: &str) -> DocKey {
    let keys = held.keys_of("/audit-epochs");
    let last = keys.into_iter().rfind(|key| key.id.starts_with(prefix));
    last.unwrap()
}

/// Alters a document as nobody may, so that it is in another state.
fn alter(held: &mut Held, key: &DocKey, change: impl FnOnce(&mut Vec<u8>)) {
    let (version, value) = held.documents[key].clone();
    let mut bytes = value.to_vec();
    change(&mut bytes);
    held.documents
        .insert(key.clone(), (version + 1_000_000, Bytes::from(bytes)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_follows_believes_no_altered_epoch() {
    for at in [3, 60, 300, 450] {
        let house = House::new();
        let [_a, b] = grown(&house).await;
        let before = checkpoint(&house, &b);
        house.vault.alter(|held| {
            let latest = of_epochs(held, "latest");
            alter(held, &latest, |bytes| bytes[at] ^= 1);
        });
        b.turn().await;
        assert!(b.audit.frozen().is_some(), "{at}");
        assert_eq!(checkpoint(&house, &b), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_follows_believes_no_other_history() {
    let (house, other) = (House::new(), House::new());
    other.world.clock.advance(std::time::Duration::from_secs(1));
    let [_a, b] = grown(&house).await;
    let [c, _d] = grown(&other).await;
    for n in 0..3 {
        put(&c.audit, event("t_1", Env::Dev, "u_1", n)).await;
        c.turn().await;
    }
    house.vault.put_back(other.vault.copy());
    b.turn().await;
    let why = b.audit.frozen().unwrap();
    assert!(
        why.contains("not the one that the anchor tells of"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_follows_notices_an_old_copy() {
    let house = House::new();
    let [a, b] = grown(&house).await;
    let copy = house.vault.copy();
    for n in 0..3 {
        put(&a.audit, event("t_1", Env::Dev, "u_1", n)).await;
        turns(&[&a, &b], 1).await;
    }
    house.vault.put_back(copy);
    b.turn().await;
    assert!(b.audit.frozen().unwrap().contains("it is an old copy"));
    // So does one that knows it from its anchor.
    let anchor = house.folder.path().join("b.anchor");
    std::fs::copy(&anchor, house.folder.path().join("c.anchor")).unwrap();
    let wire = super::wire::Wire::new(house.vault.clone(), house.vault.clone());
    let (spool, anchor) = ("c.spool", "c.anchor");
    let (spool, anchor) = (
        house.folder.path().join(spool),
        house.folder.path().join(anchor),
    );
    let (deps, config) = house.parts(wire.clone(), wire, spool, Some(anchor));
    let c = tenantry_audit::service::Audit::join(deps, config)
        .await
        .unwrap();
    assert!(c.frozen().unwrap().contains("it is an old copy"));
}

/// What is told of the changes is only believed if it leads to the signed root; the heads
/// are asked then, and they are believed as little.
#[tokio::test(start_paused = true)]
async fn a_node_that_follows_believes_no_altered_head() {
    for heads in [false, true] {
        let house = House::new();
        let [a, b] = grown(&house).await;
        house.vault.alter(|held| {
            let changes = of_epochs(held, "changes/");
            alter(held, &changes, |bytes| *bytes.last_mut().unwrap() ^= 1);
            if heads {
                let (one, other) = (
                    &held.keys_of("/audit-heads")[0],
                    &held.keys_of("/audit-heads")[1],
                );
                let stored = held.documents[one].clone();
                held.documents.insert(other.clone(), stored);
            }
        });
        b.turn().await;
        assert_eq!(b.audit.frozen().is_some(), heads);
        if !heads {
            assert_eq!(checkpoint(&house, &a), checkpoint(&house, &b));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_node_that_leads_notices_an_altered_head() {
    let house = House::new();
    let [a, b] = grown(&house).await;
    // It has looked at this log already, and so does not look again when it appends.
    put(&b.audit, event("t_0", Env::Dev, "u_1", 8)).await;
    turns(&[&a, &b], 1).await;
    house.vault.alter(|held| {
        let head = held.keys_of("/audit-heads")[0].clone();
        let (version, _) = held.documents[&head];
        let old = held.documents[&held.keys_of("/audit-heads")[1]].1.clone();
        held.documents.insert(head, (version + 1_000_000, old));
    });
    put(&b.audit, event("t_0", Env::Dev, "u_1", 9)).await;
    turns(&[&a, &b], 2).await;
    assert!(a.audit.frozen().is_some());
    // Nobody else signs over it: whoever leads next notices it, too.
    let before = checkpoint(&house, &b);
    turns(&[&b], 1).await;
    super::pass(super::LAPSE).await;
    turns(&[&b], 2).await;
    assert!(b.audit.frozen().is_some() && !b.audit.leads());
    assert_eq!(checkpoint(&house, &b), before);
}
