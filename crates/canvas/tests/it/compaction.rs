//! Old commits go, a bounded number is kept, and what is kept can be made again.

use std::time::Duration;

use serde_json::json;
use store::{Listing, PageRequest};
use tenantry_canvas::{CanvasConfig, CanvasError};

use crate::house::House;

async fn documents(house: &House, name: &str) -> usize {
    let prefix = house.key.document(name);
    let (mut found, mut after) = (0, None);
    loop {
        let listing = Listing {
            prefix: prefix.id.clone(),
            after,
            limit: 1000,
        };
        let page = house
            .ground
            .documents
            .list(&prefix.partition, &listing)
            .await
            .unwrap();
        let Some(last) = page.last() else {
            return found;
        };
        found += page.len();
        after = Some(last.id.clone());
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_every_kept_revision_can_be_made() {
    let config = CanvasConfig {
        commits_kept: 50,
        snapshot_commits: 10,
        ..CanvasConfig::default()
    };
    let house = House::with(config).await;
    house
        .one("first", "node.create", json!({"node": "a", "type": "t"}))
        .await;
    let mut hashes = vec![None];
    for n in 1..400 {
        house.ground.world.clock.advance(Duration::from_secs(60));
        hashes.push(Some(
            house
                .one(
                    &format!("b{n}"),
                    "node.update",
                    json!({"node": "a", "set": {"n": n}}),
                )
                .await
                .state_hash,
        ));
    }
    let kept = documents(&house, "c/").await;
    assert!((50..=90).contains(&kept), "{kept} commits");
    let snapshots = documents(&house, "s/").await;
    assert!(
        snapshots <= 10 && documents(&house, "k/").await == snapshots,
        "{snapshots} snapshots"
    );
    let versions = documents(&house, "v/").await;
    assert!((10..=20).contains(&versions), "{versions} versions");
    let oldest = house
        .service
        .commits(&house.key, 0, 1)
        .await
        .unwrap()
        .oldest_rev;
    let restarted = house.ground.start();
    for rev in oldest..=400 {
        let view = restarted.view_at(&house.key, rev).await.unwrap();
        assert_eq!(
            Some(view.state_hash),
            hashes[usize::try_from(rev - 1).unwrap()],
            "{rev}"
        );
    }
    for gone in [1, oldest - 20, 401] {
        let refused = restarted.view_at(&house.key, gone).await;
        assert!(
            matches!(refused, Err(CanvasError::NotFound)),
            "{gone}: {refused:?}"
        );
    }
}

/// The same edits, in one batch or in many, make the same versions.
#[tokio::test]
async fn versions_do_not_depend_on_batches_or_snapshots() {
    let mut lists = Vec::new();
    for (each, snapshot_commits) in [(1, 200), (4, 3)] {
        let config = CanvasConfig {
            snapshot_commits,
            ..CanvasConfig::default()
        };
        let house = House::with(config).await;
        for minute in 0..20 {
            let nodes: Vec<String> = (0..4).map(|n| format!("n{minute}-{n}")).collect();
            for (at, chunk) in nodes.chunks(each).enumerate() {
                let commands: Vec<_> = chunk
                    .iter()
                    .map(|node| ("node.create", json!({"node": node, "type": "t"})))
                    .collect();
                let head = house.service.view(&house.key).await.unwrap().rev;
                let id = format!("b{minute}-{at}");
                let batch =
                    crate::house::batch(&id, head, tenantry_canvas::Mode::Strict, &commands);
                house.send(&batch).await.unwrap();
            }
            house.ground.world.clock.advance(Duration::from_secs(60));
        }
        let page = house
            .service
            .versions(&house.key, &PageRequest::largest())
            .await
            .unwrap();
        let times: Vec<_> = page
            .items
            .iter()
            .map(|version| (version.at, version.state_hash))
            .collect();
        for version in &page.items {
            let view = house
                .service
                .view_at(&house.key, version.rev)
                .await
                .unwrap();
            assert_eq!(view.state_hash, version.state_hash);
        }
        lists.push(times);
    }
    assert_eq!(lists[0].len(), 4);
    assert_eq!(lists[0], lists[1]);
}
