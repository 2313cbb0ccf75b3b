//! Artifacts that the system makes.

use bytes::Bytes;
use identity::{CanvasId, Env};
use store::GET_BYTES_MAX;
use tenantry_nexus::{
    NexusError,
    assets::{Meta, NewArtifact, Parent},
};

use super::house::{Film, House, Make, pointer, upload};

pub(super) fn artifact(parent: Parent) -> NewArtifact {
    NewArtifact {
        parent,
        kind: "canvas_replay".parse().unwrap(),
        filename: "a.txt".parse().unwrap(),
        content_type: "text/plain".parse().unwrap(),
        meta: Meta::default(),
        bytes: Bytes::from_static(b"replay"),
    }
}

#[tokio::test]
async fn an_artifact_is_stored_and_registered_at_once() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let source = house.stored::<Film>(&scope, upload()).await.id;
    let canvas: CanvasId = "cv_1".parse().unwrap();
    for (parent, ancestors) in [
        (Parent::Canvas(canvas), vec![]),
        (Parent::Asset(source.clone()), vec![source]),
    ] {
        let permit = house.permit(&scope, Make).await;
        let made = house
            .assets
            .put_artifact(&scope, permit, artifact(parent.clone()));
        let made = made.await.unwrap();
        assert_eq!(made.ancestors, ancestors);
        let url = house.assets.content(&scope, &made).await.unwrap();
        let (status, bytes) = house.blobs.inner().get_url(&url.url);
        assert_eq!((status, bytes), (200, Bytes::from_static(b"replay")));
        let listed = house.artifacts(&scope, Some(&parent)).await;
        assert_eq!(listed, vec![made.clone()]);
        let child = super::house::made_from(&made.id);
        house.stored::<Film>(&scope, child).await;
    }
}

#[tokio::test]
async fn an_artifact_that_cannot_be_is_refused() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let unknown = artifact(Parent::Asset("as_nowhere".parse().unwrap()));
    let permit = house.permit(&scope, Make).await;
    let refused = house.assets.put_artifact(&scope, permit, unknown).await;
    assert_eq!(pointer(refused), "/parent_asset_id");
    let too_large = vec![0; usize::try_from(GET_BYTES_MAX).unwrap() + 1];
    let too_large = NewArtifact {
        bytes: too_large.into(),
        ..artifact(Parent::Canvas("cv_1".parse().unwrap()))
    };
    let permit = house.permit(&scope, Make).await;
    let refused = house.assets.put_artifact(&scope, permit, too_large).await;
    assert_eq!(pointer(refused), "/size");

    let permit = house.permit(&scope, Make).await;
    house.stop(&scope).await;
    let canvas = Parent::Canvas("cv_1".parse().unwrap());
    let denied = house
        .assets
        .put_artifact(&scope, permit, artifact(canvas))
        .await;
    assert!(matches!(denied, Err(NexusError::Denied(_))), "{denied:?}");
    assert_eq!(house.artifacts(&scope, None).await, vec![]);
}
