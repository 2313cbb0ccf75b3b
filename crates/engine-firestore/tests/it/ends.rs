//! Documents that end: the service keeps them until it gets round to it, and nobody sees them.

use std::time::Duration;

use identity::Clock as _;
use store::{Batch, Listing};

use crate::subject::{Store, conflict, open};

const LIFE: Duration = Duration::from_secs(60);

async fn ids(store: &Store, limit: usize, after: Option<&str>) -> Vec<String> {
    let listing = Listing {
        limit,
        after: after.map(str::to_owned),
        ..Listing::default()
    };
    let page = store.documents().list(&store.partition(), &listing).await;
    page.unwrap().into_iter().map(|found| found.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_full_although_much_has_ended() {
    let store = open().await;
    let end = store.world.clock.now().plus(LIFE);
    let batch = (0..90).fold(Batch::new(), |batch, n| {
        let key = store.key(&format!("{n:02}"));
        match n % 9 {
            0 => batch.put(&key, "x"),
            _ => batch.put_until(&key, "x", end),
        }
    });
    store.documents().commit(batch).await.unwrap();
    assert_eq!(ids(&store, 4, None).await, ["00", "01", "02", "03"]);
    store.world.clock.advance(LIFE);
    assert_eq!(ids(&store, 4, None).await, ["00", "09", "18", "27"]);
    assert_eq!(ids(&store, 4, Some("27")).await, ["36", "45", "54", "63"]);
    assert_eq!(ids(&store, 1000, Some("54")).await, ["63", "72", "81"]);
    assert!(ids(&store, 4, Some("81")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_of_one_moment_although_much_has_ended() {
    let store = open().await;
    let documents = store.documents();
    let end = store.world.clock.now().plus(LIFE);
    let batch = (1..=8).fold(Batch::new(), |batch, n| {
        batch.put_until(&store.key(&format!("{n:02}")), "x", end)
    });
    documents.commit(batch).await.unwrap();
    store.world.clock.advance(LIFE);
    let (first, last) = (store.key("00"), store.key("99"));
    let writer = {
        let documents = store.documents();
        tokio::spawn(async move {
            for round in 0_u64.. {
                let batch = Batch::new().put(&first, round.to_string());
                documents
                    .commit(batch.put(&last, round.to_string()))
                    .await
                    .unwrap();
            }
        })
    };
    let listing = Listing {
        limit: 4,
        ..Listing::default()
    };
    for _ in 0..30 {
        // It takes three questions to get from the first to the last.
        let page = documents.list(&store.partition(), &listing).await.unwrap();
        let values: Vec<_> = page.iter().map(|found| &found.value).collect();
        assert!(
            values.len() != 1 && values.windows(2).all(|pair| pair[0] == pair[1]),
            "{values:?}"
        );
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_knows_what_has_ended_and_what_has_not() {
    let store = open().await;
    let (near, far) = (
        store.documents(),
        store.another(&store.address).await.documents(),
    );
    let (ends, lasts) = (store.key("ends"), store.key("lasts"));
    let end = store.world.clock.now().plus(LIFE);
    let batch = Batch::new().put_until(&ends, "x", end).put(&lasts, "x");
    let version = near.commit(batch).await.unwrap();
    // One has written them, the other has never read them.
    for documents in [&near, &far] {
        let both = Batch::new()
            .expect_version(&ends, version)
            .expect_version(&lasts, version);
        documents.commit(both).await.unwrap();
    }
    store.world.clock.advance(LIFE);
    for documents in [&far, &near] {
        let gone = documents
            .commit(Batch::new().expect_version(&ends, version))
            .await;
        assert_eq!(gone, conflict(&ends));
        let still = Batch::new()
            .expect_version(&lasts, version)
            .expect_absent(&ends);
        documents.commit(still).await.unwrap();
    }
    let racers = [&near, &far]
        .map(|documents| documents.commit(Batch::new().expect_absent(&ends).put(&ends, "again")));
    let outcomes = futures_util::future::join_all(racers).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        won, 1,
        "one takes the place of what has ended: {outcomes:?}"
    );
    assert!(outcomes.contains(&conflict(&ends)));
}
