//! Presigned GETs: whatever was uploaded is saved, and never run. Presigned PUTs: one size.

use std::time::Duration;

use identity::AssetId;
use sha2::{Digest as _, Sha256};
use store::{
    Blobs as _, Disposition, ObjectKey, UploadPromise,
    contract::{Subject as _, blobs::Browser as _},
};

use crate::subject::{Store, open};

const LIFE: Duration = Duration::from_secs(60);

fn key(store: &Store, filename: &str) -> ObjectKey {
    let asset: AssetId = "as_download".parse().unwrap();
    ObjectKey::in_scope(&store.scopes().one, "raw", &asset, filename).unwrap()
}

#[tokio::test]
async fn pages_and_drawings_come_as_plain_bytes_to_save() {
    let store = open().await;
    let longest = format!("{}ä.txt", "x".repeat(249));
    for (filename, stored, served) in [
        ("page.html", "text/html", "application/octet-stream"),
        ("drawing.svg", "image/svg+xml", "application/octet-stream"),
        ("photo.png", "image/png", "image/png"),
        ("a \"quoted\"; name=ä.txt", "text/plain", "text/plain"),
        (&longest, "text/plain", "text/plain"),
    ] {
        let key = key(&store, filename);
        let blobs = store.blobs();
        assert_eq!(
            blobs.put_if_absent(&key, stored, "bytes".into()).await,
            Ok(true)
        );
        let disposition = Disposition {
            filename: filename.to_owned(),
            content_type: stored.to_owned(),
        };
        let signed = blobs.presign_get(&key, &disposition, LIFE).await.unwrap();
        let answer = store.sender.0.get(&signed.url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{filename}");
        assert_eq!(answer.headers()["content-type"], served);
        let offered = answer.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(offered.starts_with("attachment; "), "{offered}");
        let plain = signed.url.replace("attachment", "inline");
        assert_ne!(plain, signed.url);
        let (status, _) = store.sender.get(&plain, &[]).await;
        assert!(
            (400..500).contains(&status),
            "{status} for a URL that would open it"
        );
        assert_eq!(answer.bytes().await.unwrap(), "bytes");
    }
}

#[tokio::test]
async fn a_put_stores_the_promised_size_and_bytes_alone() {
    let store = open().await;
    let (body, key) = (b"0123456789".as_slice(), key(&store, "put.txt"));
    let promise = UploadPromise {
        content_type: "text/plain".to_owned(),
        size: body.len() as u64,
        sha256: Some(Sha256::digest(body).into()),
    };
    let signed = store
        .blobs()
        .presign_put(&key, &promise, LIFE)
        .await
        .unwrap();
    for other in [b"0123456789a".as_slice(), b"", b"9876543210"] {
        let status = store
            .sender
            .put(&signed.url, &signed.headers, other.into())
            .await;
        assert!((400..500).contains(&status), "{status} for {other:?}");
        assert_eq!(store.blobs().head(&key).await, Ok(None));
    }
    let status = store
        .sender
        .put(&signed.url, &signed.headers, body.into())
        .await;
    assert_eq!(status, 200);
    let head = store.blobs().head(&key).await.unwrap().unwrap();
    assert_eq!((head.size, head.sha256), (10, promise.sha256));
}
