//! Stores that are not there, are not theirs, or do not answer: said plainly, and in time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use identity::AssetId;
use store::{Blobs as _, ObjectKey, StoreError, contract::Subject as _};
use tenantry_engine_s3::{S3Blobs, S3Error, S3Location, S3Settings};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::subject::{BUCKET, KEY_ID, Present, REGION, Store, credentials, open};

async fn at(address: SocketAddr) -> S3Blobs {
    let endpoint = format!("http://{address}");
    let settings = S3Settings {
        location: S3Location::new(BUCKET, REGION, Some(&endpoint), true).unwrap(),
        credentials: credentials(KEY_ID, "secret"),
    };
    S3Blobs::new(settings, Arc::new(Present)).await.unwrap()
}

fn key(store: &Store) -> ObjectKey {
    let asset: AssetId = "as_outage".parse().unwrap();
    ObjectKey::in_scope(&store.scopes().one, "raw", &asset, "x").unwrap()
}

/// Asks for everything that goes over the wire; all of it says `says`.
async fn assert_unavailable(blobs: &S3Blobs, key: &ObjectKey, says: &str) {
    let unreachable = blobs.check().await.unwrap_err();
    assert!(
        matches!(unreachable, S3Error::Unreachable { .. }),
        "{unreachable:?}"
    );
    assert!(unreachable.to_string().contains(says), "{unreachable}");
    for failed in [
        blobs.head(key).await.map(drop),
        blobs.get(key).await.map(drop),
        blobs.delete(key).await,
    ] {
        let Err(StoreError::Unavailable(why)) = failed else {
            panic!("{failed:?}");
        };
        assert!(why.contains(BUCKET) && why.contains(says), "{why}");
    }
}

#[tokio::test]
async fn a_dead_store_is_unavailable() {
    let store = open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let blobs = at(listener.local_addr().unwrap()).await;
    drop(listener);
    assert_unavailable(&blobs, &key(&store), "cannot be reached").await;
    let put = blobs
        .put_if_absent(&key(&store), "text/plain", "x".into())
        .await;
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
}

#[tokio::test]
async fn a_store_that_never_answers_is_given_up() {
    let store = open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let blobs = at(listener.local_addr().unwrap()).await;
    // Connections are accepted by the system, and nobody reads them.
    let failed = blobs.head(&key(&store)).await;
    let Err(StoreError::Unavailable(why)) = failed else {
        panic!("{failed:?}");
    };
    assert!(why.contains("in time"), "{why}");
    drop(listener);
}

#[tokio::test]
async fn a_store_that_fails_is_tried_again_and_then_unavailable() {
    let store = open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let blobs = at(listener.local_addr().unwrap()).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let answer = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            counted.fetch_add(1, Ordering::SeqCst);
            connection.write_all(answer).await.unwrap();
        }
    });
    let failed = blobs.head(&key(&store)).await;
    let Err(StoreError::Unavailable(why)) = failed else {
        panic!("{failed:?}");
    };
    assert!(why.contains("503"), "{why}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_bucket_is_checked_before_it_is_used() {
    let store = open().await;
    assert_eq!(store.blobs().check().await, Ok(()));
    let stranger = credentials("someone-else", "secret");
    let stranger = store.blobs_with(stranger, Arc::new(Present)).await;
    let refused = stranger.check().await.unwrap_err();
    assert!(matches!(refused, S3Error::Refused { .. }), "{refused:?}");
    let wrong = credentials(KEY_ID, "wrong");
    let wrong = store.blobs_with(wrong, Arc::new(Present)).await;
    assert!(matches!(wrong.check().await, Err(S3Error::Refused { .. })));

    let elsewhere = store.blobs_in("no-such-bucket-here").await;
    let missing = elsewhere.check().await.unwrap_err();
    assert!(
        matches!(missing, S3Error::BucketMissing { .. }),
        "{missing:?}"
    );
    assert!(missing.to_string().contains("no-such-bucket-here"));
}
