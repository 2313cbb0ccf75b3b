//! Whoever is stopped between any two steps leaves one outcome, and nothing half.

use std::time::Duration;

use identity::{AssetId, CanvasId, Env, Scope};
use tenantry_nexus::{
    NexusError,
    assets::{Filter, Parent, Presign, Register, Remove, UNREGISTERED_KEPT},
};

use super::{
    artifacts::artifact,
    house::{BYTES, Film, House, Make, upload},
};

/// More steps than any of the deeds has.
const STEPS_MAX: u32 = 30;

/// Which store is lost.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Documents,
    Objects,
}

impl House {
    fn lose(&self, what: Lost, after: u32) {
        match what {
            Lost::Documents => self.documents.fail_after(after),
            Lost::Objects => self.blobs.fail_after(after),
        }
    }

    fn restore(&self) {
        self.documents.set_down(false);
        self.blobs.set_down(false);
    }

    /// Whether the asset is there, in every list and with its object; it is there whole or not at all.
    async fn is_whole(&self, scope: &Scope, id: &AssetId) -> bool {
        let found = self.assets.find::<Film>(scope, id).await.unwrap();
        let listed = async |filter: Filter| self.listed::<Film>(scope, &filter).await.contains(id);
        let everywhere = listed(Filter::default()).await;
        let of_kind = Filter {
            kind: Some("text".parse().unwrap()),
            ..Filter::default()
        };
        assert_eq!(found.is_some(), everywhere);
        assert_eq!(found.is_some(), listed(of_kind).await);
        if let Some(asset) = &found {
            self.assets.content(scope, asset).await.unwrap();
        }
        found.is_some()
    }

    /// Everything that is due in the next two days, with the stores back.
    async fn settle(&self) {
        for _ in 0..4 {
            self.world.clock.advance(UNREGISTERED_KEPT / 2);
            assert_eq!(self.assets.turn().await.unwrap().failed, 0);
        }
    }
}

/// Runs `deed` again and again, with a store lost one step later each time, until it is done.
async fn at_every_step<D>(what: Lost, deed: D) -> u32
where
    D: AsyncFn(&House, &Scope, u32) -> bool,
{
    for step in 0..STEPS_MAX {
        let house = House::new();
        let scope = house.scope("t_a", Env::Dev).await;
        if deed(&house, &scope, step).await {
            return step;
        }
    }
    panic!("it is never done, with {what:?} lost");
}

#[tokio::test]
async fn who_is_killed_while_registering_has_registered_or_not() {
    for what in [Lost::Documents, Lost::Objects] {
        let steps = at_every_step(what, async |house, scope, step| {
            let presigned = house.presign::<Film>(scope, upload()).await.unwrap();
            assert_eq!(house.send(&presigned, BYTES), 204);
            let id = &presigned.id;
            let permit = house
                .permit(scope, Register::<Film>::new(id.clone(), None))
                .await;
            house.lose(what, step);
            let done = house.assets.register(scope, permit).await;
            house.restore();
            assert_eq!(house.is_whole(scope, id).await, done.is_ok());
            let again = house.register::<Film>(scope, id).await.unwrap();
            assert_eq!(again.duplicate, done.is_ok());
            assert!(house.is_whole(scope, id).await);
            house.settle().await;
            assert!(house.is_whole(scope, id).await);
            done.is_ok()
        })
        .await;
        assert!(steps > 0, "{what:?} was needed");
    }
}

#[tokio::test]
async fn who_is_killed_while_presigning_leaves_nothing() {
    for what in [Lost::Documents, Lost::Objects] {
        let steps = at_every_step(what, async |house, scope, step| {
            let permit = house
                .permit(scope, Presign::<Film>::new(upload(), None))
                .await;
            house.lose(what, step);
            let done = house.assets.presign(scope, permit).await;
            house.restore();
            if let Ok(presigned) = &done {
                assert_eq!(house.send(presigned, BYTES), 204);
            }
            house.settle().await;
            if let Ok(presigned) = &done {
                assert!(!house.has(scope, "media_v2", &presigned.id).await);
            }
            assert_eq!(house.assets.turn().await.unwrap(), Default::default());
            done.is_ok()
        })
        .await;
        assert!(steps > 0, "{what:?} was needed");
    }
}

#[tokio::test]
async fn who_is_killed_while_deleting_has_deleted_or_not() {
    for what in [Lost::Documents, Lost::Objects] {
        for age in [Duration::ZERO, UNREGISTERED_KEPT * 2] {
            at_every_step(what, async |house, scope, step| {
                let id = house.stored::<Film>(scope, upload()).await.id;
                house.world.clock.advance(age);
                let permit = house.permit(scope, Remove::<Film>::new(id.clone())).await;
                house.lose(what, step);
                let done = house.assets.delete(scope, permit).await;
                house.restore();
                assert_eq!(house.is_whole(scope, &id).await, done.is_err());
                house.settle().await;
                assert_eq!(house.is_whole(scope, &id).await, done.is_err());
                assert_eq!(house.has(scope, "media_v2", &id).await, done.is_err());
                // A deletion is done even if the object can be deleted only later.
                done.is_ok() && step > 3
            })
            .await;
        }
    }
}

#[tokio::test]
async fn who_is_killed_while_sweeping_sweeps_later() {
    for what in [Lost::Documents, Lost::Objects] {
        let steps = at_every_step(what, async |house, scope, step| {
            let kept = house.stored::<Film>(scope, upload()).await.id;
            let swept = house.presign::<Film>(scope, upload()).await.unwrap();
            assert_eq!(house.send(&swept, BYTES), 204);
            house.world.clock.advance(UNREGISTERED_KEPT);
            house.lose(what, step);
            let done = house.assets.turn().await;
            house.restore();
            house.settle().await;
            assert!(house.is_whole(scope, &kept).await);
            assert!(!house.has(scope, "media_v2", &swept.id).await);
            let late = house.register::<Film>(scope, &swept.id).await;
            assert!(matches!(late, Err(NexusError::NotFound)), "{late:?}");
            assert_eq!(house.assets.turn().await.unwrap(), Default::default());
            done.is_ok_and(|done| done.failed == 0)
        })
        .await;
        assert!(steps > 0, "{what:?} was needed");
    }
}

#[tokio::test]
async fn who_is_killed_while_storing_an_artifact_leaves_all_of_it_or_nothing() {
    let canvas: CanvasId = "cv_1".parse().unwrap();
    for what in [Lost::Documents, Lost::Objects] {
        let steps = at_every_step(what, async |house, scope, step| {
            let permit = house.permit(scope, Make).await;
            house.lose(what, step);
            let artifact = artifact(Parent::Canvas(canvas.clone()));
            let done = house.assets.put_artifact(scope, permit, artifact).await;
            house.restore();
            house.settle().await;
            let listed = house.artifacts(scope, None).await;
            assert_eq!(listed.len(), usize::from(done.is_ok()));
            let objects = house.blobs.inner().count();
            assert_eq!(objects, listed.len(), "an object for each artifact");
            done.is_ok()
        })
        .await;
        assert!(steps > 0, "{what:?} was needed");
    }
}
