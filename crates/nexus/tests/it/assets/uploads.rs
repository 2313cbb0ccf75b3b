//! Presigning and registering.

use bytes::Bytes;
use futures_util::future::join_all;
use identity::{Env, Problem};
use store::{Blobs, ObjectKey, PageRequest};
use tenantry_nexus::{
    NexusError,
    assets::{Filter, Presign, Register, Upload},
};

use super::house::{BYTES, Film, House, Raw, hashed, is_unknown, pointer, upload};

const ANY: Filter = Filter {
    parent: None,
    kind: None,
};

#[tokio::test]
async fn an_upload_is_registered_once_and_asked_again_gives_the_same() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    let id = presigned.id.clone();
    assert_eq!(presigned.key, format!("tenants/t_a/dev/raw/{id}/a.txt"));
    assert_eq!(house.assets.find::<Raw>(&scope, &id).await.unwrap(), None);
    assert_eq!(house.send(&presigned, BYTES), 204);
    assert_eq!(house.listed::<Raw>(&scope, &ANY).await, vec![]);
    let first = house.register::<Raw>(&scope, &id).await.unwrap();
    let again = house.register::<Raw>(&scope, &id).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.asset, again.asset);
    assert_eq!(house.listed::<Raw>(&scope, &ANY).await, vec![id.clone()]);
    let found = house.assets.find::<Raw>(&scope, &id).await.unwrap();
    assert_eq!(found, Some(first.asset));

    let media = house.presign::<Film>(&scope, upload()).await.unwrap();
    let key = format!("tenants/t_a/dev/media_v2/{}/a.txt", media.id);
    assert_eq!(media.key, key);
}

#[tokio::test]
async fn nothing_is_registered_before_it_was_uploaded() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    let early = house.register::<Raw>(&scope, &presigned.id).await;
    let Err(error @ NexusError::ObjectMissing) = early else {
        panic!("{early:?}")
    };
    let problem = Problem::from(error);
    assert_eq!(
        (problem.code().status(), problem.code().as_str()),
        (409, "object_missing")
    );
    assert_eq!(house.listed::<Raw>(&scope, &ANY).await, vec![]);
    assert_eq!(house.send(&presigned, BYTES), 204);
    house.register::<Raw>(&scope, &presigned.id).await.unwrap();
}

#[tokio::test]
async fn what_is_not_as_promised_is_refused_and_stays_unregistered() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    for (promised, content_type, bytes, differs) in [
        (upload(), "text/plain", "01234567890", "size"),
        (upload(), "text/html", "0123456789", "content_type"),
        (hashed(BYTES), "text/plain", "9876543210", "sha256"),
    ] {
        // As if the store had not enforced its form.
        let presigned = house.presign::<Raw>(&scope, promised).await.unwrap();
        let key = ObjectKey::in_scope(&scope, "raw", &presigned.id, "a.txt").unwrap();
        let put = house.blobs.put_if_absent(&key, content_type, bytes.into());
        assert!(put.await.unwrap());
        let refused = house.register::<Raw>(&scope, &presigned.id).await;
        let Err(error @ NexusError::ObjectMismatch(what)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(what, differs);
        let problem = Problem::from(error);
        assert_eq!(
            (problem.code().status(), problem.code().as_str()),
            (422, "object_mismatch")
        );
        assert_eq!(house.listed::<Raw>(&scope, &ANY).await, vec![]);
    }
    let presigned = house.presign::<Raw>(&scope, hashed(BYTES)).await.unwrap();
    assert_eq!(house.send(&presigned, b"9876543210"), 403);
    assert_eq!(house.send(&presigned, BYTES), 204);
    house.register::<Raw>(&scope, &presigned.id).await.unwrap();
}

#[tokio::test]
async fn nothing_is_found_from_another_tenant_environment_or_shelf() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let asset = house.stored::<Raw>(&scope, upload()).await;
    let pending = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&pending, BYTES), 204);
    for (tenant, env) in [
        ("t_b", Env::Dev),
        ("t_a", Env::Prod),
        ("t_system", Env::Dev),
    ] {
        let other = house.scope(tenant, env).await;
        for id in [&asset.id, &pending.id] {
            assert_eq!(house.assets.find::<Raw>(&other, id).await.unwrap(), None);
            is_unknown(&house.register::<Raw>(&other, id).await);
            is_unknown(&house.delete::<Raw>(&other, id).await);
        }
        assert_eq!(house.listed::<Raw>(&other, &ANY).await, vec![]);
    }
    for id in [&asset.id, &pending.id] {
        assert_eq!(house.assets.find::<Film>(&scope, id).await.unwrap(), None);
        is_unknown(&house.register::<Film>(&scope, id).await);
        is_unknown(&house.delete::<Film>(&scope, id).await);
    }
    is_unknown(
        &house
            .register::<Raw>(&scope, &"as_nowhere".parse().unwrap())
            .await,
    );
    assert_eq!(house.listed::<Film>(&scope, &ANY).await, vec![]);
    house.register::<Raw>(&scope, &pending.id).await.unwrap();
}

#[tokio::test]
async fn with_a_store_down_nothing_changes_and_it_is_told() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let told = |error: NexusError| Problem::from(error).code().as_str().to_owned();
    house.blobs.set_down(true);
    let refused = house.register::<Raw>(&scope, &presigned.id).await;
    assert_eq!(told(refused.unwrap_err()), "backend_unavailable");
    let refused = house.presign::<Raw>(&scope, upload()).await;
    assert_eq!(told(refused.unwrap_err()), "backend_unavailable");
    house.blobs.set_down(false);
    let register = Register::<Raw>::new(presigned.id.clone(), None);
    let permit = house.permit(&scope, register).await;
    house.documents.set_down(true);
    let refused = house.assets.register(&scope, permit).await;
    assert_eq!(told(refused.unwrap_err()), "backend_unavailable");
    house.documents.set_down(false);
    assert_eq!(house.listed::<Raw>(&scope, &ANY).await, vec![]);
    house.register::<Raw>(&scope, &presigned.id).await.unwrap();
}

#[tokio::test]
async fn racing_registrations_register_once() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Film>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let racers = (0..16).map(|_| house.register::<Film>(&scope, &presigned.id));
    let registered: Vec<_> = join_all(racers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let first = registered.iter().filter(|it| !it.duplicate).count();
    assert_eq!(first, 1);
    assert!(registered.iter().all(|it| it.asset == registered[0].asset));
    assert_eq!(house.listed::<Film>(&scope, &ANY).await.len(), 1);
}

#[tokio::test]
async fn gates_that_close_meanwhile_stop_the_form_and_the_registration() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let id = presigned.id;
    let presign = house
        .permit(&scope, Presign::<Raw>::new(upload(), None))
        .await;
    let register = house
        .permit(&scope, Register::<Raw>::new(id.clone(), None))
        .await;
    house.stop(&scope).await;
    let denied = [
        house.assets.presign(&scope, presign).await.map(drop),
        house.assets.register(&scope, register).await.map(drop),
    ];
    for answer in denied {
        assert!(matches!(answer, Err(NexusError::Denied(_))), "{answer:?}");
    }
    assert_eq!(house.assets.find::<Raw>(&scope, &id).await.unwrap(), None);
}

#[tokio::test]
async fn an_upload_has_a_largest_size() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let of = |size| Upload { size, ..upload() };
    house.presign::<Raw>(&scope, of(1000)).await.unwrap();
    house.presign::<Raw>(&scope, of(0)).await.unwrap();
    assert_eq!(
        pointer(house.presign::<Raw>(&scope, of(1001)).await),
        "/size"
    );
    assert_eq!(
        pointer(house.presign::<Film>(&scope, of(u64::MAX)).await),
        "/size"
    );
}

#[tokio::test]
async fn content_is_what_was_registered_or_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let presigned = house.presign::<Raw>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&presigned, BYTES), 204);
    let registered = house.register::<Raw>(&scope, &presigned.id).await.unwrap();
    let asset = registered.asset;
    let url = house.assets.content(&scope, &asset).await.unwrap();
    let (status, bytes) = house.blobs.inner().get_url(&url.url);
    assert_eq!((status, bytes), (200, Bytes::from_static(BYTES)));
    // The form is still alive: other bytes of the same size and type take the place.
    assert_eq!(house.send(&presigned, b"9876543210"), 204);
    let changed = house.assets.content(&scope, &asset).await;
    assert!(
        matches!(changed, Err(NexusError::ObjectMissing)),
        "{changed:?}"
    );
    let key = ObjectKey::in_scope(&scope, "raw", &asset.id, "a.txt").unwrap();
    house.blobs.delete(&key).await.unwrap();
    let gone = house.assets.content(&scope, &asset).await;
    assert!(matches!(gone, Err(NexusError::ObjectMissing)), "{gone:?}");
}

#[tokio::test]
async fn lists_come_in_pages_without_gap_or_repeat() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    for _ in 0..25 {
        house.stored::<Raw>(&scope, upload()).await;
        house.stored::<Film>(&scope, upload()).await;
    }
    let (mut seen, mut next) = (Vec::new(), PageRequest::parse(None, Some(10)).ok());
    while let Some(request) = next {
        let page = house
            .assets
            .list::<Film>(&scope, &ANY, &request)
            .await
            .unwrap();
        assert!(page.items.len() <= 10);
        seen.extend(page.items.iter().map(|asset| asset.id.to_string()));
        next = request.following(&page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| a < b));
}
