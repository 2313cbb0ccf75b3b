//! What nobody registered is deleted after a day, and so is what was deleted.

use std::time::Duration;

use identity::Env;
use tenantry_nexus::assets::{Tended, UNREGISTERED_KEPT};

use super::house::{BYTES, Film, House, Raw, is_unknown, upload};

const MINUTE: Duration = Duration::from_secs(60);

fn deleted(deleted: usize) -> Tended {
    Tended {
        deleted,
        ..Tended::default()
    }
}

#[tokio::test]
async fn what_nobody_registered_is_deleted_after_a_day_also_by_another_process() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let uploaded = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&uploaded, BYTES), 204);
    let promised = house.presign::<Film>(&scope, upload()).await.unwrap();
    let registered = house.stored::<Raw>(&scope, upload()).await;
    house.world.clock.advance(UNREGISTERED_KEPT - MINUTE);
    assert_eq!(house.assets.turn().await.unwrap(), Tended::default());
    assert!(house.has(&scope, "raw", &uploaded.id).await);

    house.world.clock.advance(MINUTE);
    let restarted = house.elsewhere();
    let tended = Tended {
        deleted: 2,
        kept: 1,
        failed: 0,
    };
    assert_eq!(restarted.turn().await.unwrap(), tended);
    assert!(!house.has(&scope, "raw", &uploaded.id).await);
    assert!(house.has(&scope, "raw", &registered.id).await);
    is_unknown(&house.register::<Raw>(&scope, &uploaded.id).await);
    is_unknown(&house.register::<Film>(&scope, &promised.id).await);
    let again = house.register::<Raw>(&scope, &registered.id).await.unwrap();
    assert!(again.duplicate);
    house.world.clock.advance(UNREGISTERED_KEPT);
    assert_eq!(restarted.turn().await.unwrap(), Tended::default());
}

#[tokio::test]
async fn an_upload_can_be_registered_until_it_is_swept() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    house.world.clock.advance(UNREGISTERED_KEPT * 2);
    house.register::<Raw>(&scope, &presigned.id).await.unwrap();
    assert_eq!(house.assets.turn().await.unwrap().kept, 1);
    assert!(house.has(&scope, "raw", &presigned.id).await);
}

#[tokio::test]
async fn a_deleted_file_is_gone_with_its_bytes_whatever_its_form_still_stores() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let id = &presigned.id;
    house.register::<Raw>(&scope, id).await.unwrap();
    house.delete::<Raw>(&scope, id).await.unwrap();
    assert!(!house.has(&scope, "raw", id).await);
    assert_eq!(house.assets.find::<Raw>(&scope, id).await.unwrap(), None);
    is_unknown(&house.delete::<Raw>(&scope, id).await);
    is_unknown(&house.register::<Raw>(&scope, id).await);
    // Whoever still holds the form stores something nobody can register.
    assert_eq!(house.send(&presigned, BYTES), 204);
    is_unknown(&house.register::<Raw>(&scope, id).await);
    house.world.clock.advance(UNREGISTERED_KEPT);
    house.assets.turn().await.unwrap();
    assert!(!house.has(&scope, "raw", id).await);

    // An upload is called off in the same way.
    let presigned = house.presign::<Film>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    house.delete::<Film>(&scope, &presigned.id).await.unwrap();
    assert!(!house.has(&scope, "media_v2", &presigned.id).await);
    is_unknown(&house.register::<Film>(&scope, &presigned.id).await);
}

#[tokio::test]
async fn an_old_file_is_deleted_at_once_or_as_soon_as_the_store_is_back() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let (old, older) = (
        house.stored::<Raw>(&scope, upload()).await.id,
        house.stored::<Raw>(&scope, upload()).await.id,
    );
    house.world.clock.advance(UNREGISTERED_KEPT);
    assert_eq!(house.assets.turn().await.unwrap().kept, 2);
    house.delete::<Raw>(&scope, &old).await.unwrap();
    assert!(!house.has(&scope, "raw", &old).await);
    house.world.clock.advance(MINUTE);
    assert_eq!(house.assets.turn().await.unwrap(), Tended::default());

    house.blobs.set_down(true);
    house.delete::<Raw>(&scope, &older).await.unwrap();
    assert!(house.has(&scope, "raw", &older).await);
    house.world.clock.advance(MINUTE);
    assert_eq!(house.assets.turn().await.unwrap().failed, 1);
    house.blobs.set_down(false);
    // It is not tried again at once, so that it does not stand before others.
    assert_eq!(house.assets.turn().await.unwrap(), Tended::default());
    house.world.clock.advance(MINUTE * 10);
    assert_eq!(house.assets.turn().await.unwrap(), deleted(1));
    assert!(!house.has(&scope, "raw", &older).await);
}

#[tokio::test]
async fn a_round_sees_to_everything_that_is_due_in_all_tenants() {
    let house = House::new();
    let mut scopes = Vec::new();
    for n in 0..40 {
        let env = Env::ALL[n % 3];
        let scope = house.scope(&format!("t_{n}"), env).await;
        for _ in 0..5 {
            let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
            assert_eq!(house.send(&presigned, BYTES), 204);
        }
        scopes.push(scope);
    }
    house.world.clock.advance(UNREGISTERED_KEPT);
    let fresh = house.presign::<Raw>(&scopes[0], upload()).await.unwrap();
    assert_eq!(house.send(&fresh, BYTES), 204);
    assert_eq!(house.assets.turn().await.unwrap(), deleted(200));
    assert_eq!(house.assets.turn().await.unwrap(), deleted(0));
    house.register::<Raw>(&scopes[0], &fresh.id).await.unwrap();
}
