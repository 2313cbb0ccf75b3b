//! Undoing through the service.

use serde_json::json;
use tenantry_canvas::{CanvasError, Undoing};

use crate::house::{House, identity};

fn undoing(id: &str, of: &str) -> Undoing {
    Undoing {
        identity: identity(id),
        batch_id: of.parse().unwrap(),
    }
}

async fn text(house: &House) -> String {
    let view = house.service.view(&house.key).await.unwrap();
    let node = view.state.get(&"a".parse().unwrap()).unwrap();
    node.props()
        .get(&"x".parse().unwrap())
        .unwrap()
        .as_str()
        .to_owned()
}

#[tokio::test]
async fn batches_are_undone_and_done_again_in_turn() {
    let house = House::new().await;
    house
        .one(
            "b0",
            "node.create",
            json!({"node": "a", "type": "t", "props": {"x": 0}}),
        )
        .await;
    for n in 1..=3 {
        house
            .one(
                &format!("b{n}"),
                "node.update",
                json!({"node": "a", "set": {"x": n}}),
            )
            .await;
    }
    for (id, of, then) in [
        ("u3", "b3", "2"),
        ("u2", "b2", "1"),
        ("u1", "b1", "0"),
        ("r1", "u1", "1"),
        ("r2", "u2", "2"),
    ] {
        let done = house
            .service
            .undo(&house.scope, &house.key, &undoing(id, of))
            .await
            .unwrap();
        assert!(!done.duplicate && done.skipped.is_empty());
        assert_eq!(text(&house).await, then, "{of}");
        let again = house
            .service
            .undo(&house.scope, &house.key, &undoing(id, of))
            .await
            .unwrap();
        assert!(again.duplicate && again.rev == done.rev);
        assert_eq!(text(&house).await, then);
    }
    let commits = house.service.commits(&house.key, 4, 1).await.unwrap();
    assert_eq!(commits.items[0].undoes, Some(4));
}

#[tokio::test]
async fn what_others_did_since_stays_and_is_named() {
    let house = House::new().await;
    house
        .one(
            "b0",
            "node.create",
            json!({"node": "a", "type": "t", "props": {"x": 0, "y": 0}}),
        )
        .await;
    house
        .one(
            "b1",
            "node.update",
            json!({"node": "a", "set": {"x": 1, "y": 1}}),
        )
        .await;
    house
        .one("b2", "node.update", json!({"node": "a", "set": {"x": 2}}))
        .await;
    let done = house
        .service
        .undo(&house.scope, &house.key, &undoing("u1", "b1"))
        .await
        .unwrap();
    assert_eq!(text(&house).await, "2");
    assert_eq!(done.skipped.len(), 1);
    assert_eq!(done.skipped[0].props[0].as_str(), "x");
    // The rest was undone, so that nothing is left.
    let refused = house
        .service
        .undo(&house.scope, &house.key, &undoing("u2", "b1"))
        .await;
    assert!(
        matches!(refused, Err(CanvasError::UndoConflict(_))),
        "{refused:?}"
    );
    let unknown = house
        .service
        .undo(&house.scope, &house.key, &undoing("u3", "nobody"))
        .await;
    assert!(matches!(unknown, Err(CanvasError::NotFound)));
    let other = house.ground.scope("u_2").await;
    let foreign = house
        .service
        .undo(&other, &house.key, &undoing("u4", "b2"))
        .await;
    assert!(
        matches!(foreign, Err(CanvasError::NotFound)),
        "a batch is its user's to undo"
    );
}

#[tokio::test]
async fn a_deleted_tree_comes_back_whole() {
    let house = House::new().await;
    house
        .one("b0", "node.create", json!({"node": "a", "type": "t"}))
        .await;
    house
        .one(
            "b1",
            "node.create",
            json!({"node": "b", "type": "t", "parent": "a", "props": {"x": 1}}),
        )
        .await;
    let before = house.service.view(&house.key).await.unwrap().state_hash;
    house.one("b2", "node.delete", json!({"node": "a"})).await;
    let done = house
        .service
        .undo(&house.scope, &house.key, &undoing("u", "b2"))
        .await
        .unwrap();
    assert_eq!(done.state_hash, before);
    assert_eq!(done.effective.len(), 2);
}
