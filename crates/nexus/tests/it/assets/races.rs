//! What happens right before a write, by another process, is seen by the write.

use identity::Env;
use tenantry_nexus::{
    NexusError,
    assets::{Parent, Register, Remove, Tended, UNREGISTERED_KEPT},
};

use tokio::sync::oneshot;

use super::{
    artifacts::artifact,
    house::{BYTES, Film, House, Make, Raw, is_unknown, made_from, pointer, upload},
};

fn is_contended<T: std::fmt::Debug>(answer: &Result<T, NexusError>) {
    assert!(matches!(answer, Err(NexusError::Contended)), "{answer:?}");
}

/// A sweep by another process, two days later.
fn sweep(house: &House, expected: Tended) -> impl Future<Output = ()> + Send + 'static {
    let (elsewhere, clock) = (house.elsewhere(), house.world.clock.clone());
    async move {
        clock.advance(UNREGISTERED_KEPT * 2);
        assert_eq!(elsewhere.turn().await.unwrap(), expected);
    }
}

fn deleted() -> Tended {
    Tended {
        deleted: 1,
        ..Tended::default()
    }
}

#[tokio::test]
async fn what_is_swept_between_the_head_and_the_write_is_not_registered() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    house.meanwhile.after(0, sweep(&house, deleted()));
    is_unknown(&house.register::<Raw>(&scope, &presigned.id).await);
    let found = house.assets.find::<Raw>(&scope, &presigned.id).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn a_form_whose_note_was_taken_away_is_not_handed_out() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    house.meanwhile.after(1, sweep(&house, deleted()));
    is_contended(&house.presign::<Raw>(&scope, upload()).await.map(drop));
}

#[tokio::test]
async fn a_deletion_whose_note_was_taken_away_is_not_done() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let id = house.stored::<Raw>(&scope, upload()).await.id;
    // The note of the upload and that of the deletion are due together, and one.
    let kept = Tended {
        kept: 1,
        ..Tended::default()
    };
    house.meanwhile.after(1, sweep(&house, kept));
    is_contended(&house.delete::<Raw>(&scope, &id).await);
    assert!(house.has(&scope, "raw", &id).await);
    let found = house.assets.find::<Raw>(&scope, &id).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn what_is_registered_right_before_the_sweep_is_kept() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let id = presigned.id;
    let register = Register::<Raw>::new(id.clone(), None);
    let permit = house.permit(&scope, register).await;
    let (elsewhere, other) = (house.elsewhere(), house.scope("t_a", Env::Dev).await);
    house.world.clock.advance(UNREGISTERED_KEPT);
    house.meanwhile.after(0, async move {
        elsewhere.register(&other, permit).await.unwrap();
    });
    assert_eq!(house.assets.turn().await.unwrap(), Tended::default());
    assert!(house.has(&scope, "raw", &id).await);
    assert_eq!(house.assets.turn().await.unwrap().kept, 1);
}

#[tokio::test]
async fn an_artifact_whose_object_was_swept_is_not_registered() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let permit = house.permit(&scope, Make).await;
    house.meanwhile.after(1, sweep(&house, deleted()));
    let canvas = Parent::Canvas("cv_1".parse().unwrap());
    let late = house.assets.put_artifact(&scope, permit, artifact(canvas));
    is_contended(&late.await.map(drop));
    assert_eq!(house.artifacts(&scope, None).await, vec![]);
}

#[tokio::test]
async fn an_artifact_that_is_registered_right_before_the_sweep_is_kept() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let permit = house.permit(&scope, Make).await;
    let (before_write, sweep_begins) = oneshot::channel();
    let (before_sweep, write_goes_on) = oneshot::channel();
    let (written, sweep_goes_on) = oneshot::channel::<()>();
    let (meanwhile, sweeper) = house.watched();
    let clock = house.world.clock.clone();
    house.meanwhile.after(1, async move {
        clock.advance(UNREGISTERED_KEPT);
        before_write.send(()).unwrap();
        write_goes_on.await.unwrap();
    });
    meanwhile.after(0, async move {
        before_sweep.send(()).unwrap();
        sweep_goes_on.await.unwrap();
    });
    let canvas = Parent::Canvas("cv_1".parse().unwrap());
    let writing = async {
        let made = house.assets.put_artifact(&scope, permit, artifact(canvas));
        let made = made.await.unwrap();
        written.send(()).unwrap();
        made
    };
    let sweeping = async {
        sweep_begins.await.unwrap();
        sweeper.turn().await.unwrap()
    };
    let (made, swept) = tokio::join!(writing, sweeping);
    assert_eq!(swept, Tended::default());
    house.assets.content(&scope, &made).await.unwrap();
}

#[tokio::test]
async fn a_parent_that_is_deleted_right_before_the_write_is_no_parent() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let parent = house.stored::<Film>(&scope, upload()).await.id;
    let child = house
        .presign::<Film>(&scope, made_from(&parent))
        .await
        .unwrap();
    assert_eq!(house.send(&child, BYTES), 204);
    let permit = house
        .permit(&scope, Remove::<Film>::new(parent.clone()))
        .await;
    let (elsewhere, other) = (house.elsewhere(), house.scope("t_a", Env::Dev).await);
    house.meanwhile.after(0, async move {
        elsewhere.delete(&other, permit).await.unwrap();
    });
    let refused = house.register::<Film>(&scope, &child.id).await;
    assert_eq!(pointer(refused), "/parent_asset_id");
}
