//! The laws of [`Blobs`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use identity::AssetId;
use sha2::{Digest as _, Sha256};

use super::{Scopes, Subject, soon};
use crate::{Blobs, Disposition, GET_BYTES_MAX, ObjectKey, StoreError, UploadPromise};

/// One test per law of `Blobs`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! blobs_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            blobs,
            $subject,
            [
                law_1_an_object_is_put_once,
                law_2_what_was_put_is_reported_also_after_a_restart,
                law_3_a_presigned_post_stores_what_was_promised_and_nothing_else,
                law_4_presigned_puts_and_gets_are_for_one_key,
                law_5_presigned_requests_end_and_cannot_be_changed,
                law_6_what_was_deleted_is_gone,
                law_7_too_large_an_object_is_not_read_whole,
            ]
        );
    };
}

/// Whoever holds a presigned request and sends it; answers are HTTP statuses.
#[async_trait]
pub trait Browser: Send + Sync {
    /// Sends a form with `file` as its last part.
    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> u16;
    /// Sends a PUT.
    async fn put(&self, url: &str, headers: &[(String, String)], body: Bytes) -> u16;
    /// Sends a GET.
    async fn get(&self, url: &str, headers: &[(String, String)]) -> (u16, Bytes);
}

/// An object store under test, and someone to use what it signs.
pub trait BlobsSubject: Subject<dyn Blobs> {
    /// Sends presigned requests to the store.
    fn browser(&self) -> &dyn Browser;
}

const LIFE: Duration = Duration::from_secs(60);
const BODY: &[u8] = b"0123456789";

fn key(scopes: &Scopes, name: &str) -> ObjectKey {
    in_scope(&scopes.one, name)
}

fn in_scope(scope: &identity::Scope, name: &str) -> ObjectKey {
    let asset: AssetId = "as_contract".parse().expect("an id");
    ObjectKey::in_scope(scope, "raw", &asset, name).expect("a file name")
}

fn promise() -> UploadPromise {
    UploadPromise {
        content_type: "text/plain".to_owned(),
        size: BODY.len() as u64,
        sha256: None,
    }
}

fn accepted(status: u16) -> bool {
    (200..300).contains(&status)
}

/// A refusal, or the store does not know what is asked (501); a store that breaks is neither.
fn refused(status: u16) -> bool {
    (400..500).contains(&status) || status == 501
}

async fn put(port: &dyn Blobs, key: &ObjectKey, body: impl Into<Bytes>) -> bool {
    soon(port.put_if_absent(key, "text/plain", body.into()))
        .await
        .expect("a put succeeds")
}

async fn body(port: &dyn Blobs, key: &ObjectKey) -> Option<Bytes> {
    soon(port.get(key)).await.expect("a get succeeds")
}

/// Law 1. Puts an object, puts it again, and lets puts race.
pub async fn law_1_an_object_is_put_once(subject: &dyn BlobsSubject) {
    let port = subject.port();
    let once = key(subject.scopes(), "once");
    assert!(put(&*port, &once, "first").await);
    assert!(!put(&*port, &once, "second").await);
    assert_eq!(body(&*port, &once).await, Some("first".into()));
    let raced = key(subject.scopes(), "raced");
    let racers = (0..8_u8).map(|racer| {
        let (port, raced) = (Arc::clone(&port), raced.clone());
        tokio::spawn(async move { (racer, put(&*port, &raced, vec![racer]).await) })
    });
    let mut winners = Vec::new();
    for outcome in soon(join_all(racers)).await {
        let (racer, won) = outcome.expect("no racer panics");
        winners.extend(won.then_some(racer));
    }
    let [winner] = winners.as_slice() else {
        unreachable!("exactly one wins: {winners:?}");
    };
    assert_eq!(body(&*port, &raced).await, Some(vec![*winner].into()));
}

/// Law 2. Puts objects of one name for several tenants, restarts, and reads them.
pub async fn law_2_what_was_put_is_reported_also_after_a_restart(subject: &dyn BlobsSubject) {
    let scopes = subject.scopes();
    let keys = [
        key(scopes, "same äß.txt"),
        in_scope(&scopes.other_tenant, "same äß.txt"),
        in_scope(&scopes.other_env, "same äß.txt"),
    ];
    for key in &keys {
        let port = subject.port();
        assert_eq!(soon(port.head(key)).await, Ok(None), "{key}");
        assert_eq!(body(&*port, key).await, None, "{key}");
        assert!(put(&*port, key, key.to_string()).await);
    }
    for reopened in [false, true] {
        if reopened {
            subject.reopen().await;
        }
        let port = subject.port();
        for key in &keys {
            let expected = key.to_string();
            let head = soon(port.head(key)).await.expect("a head succeeds");
            let head = head.expect("it was put");
            assert_eq!(head.size, expected.len() as u64);
            assert_eq!(head.content_type, "text/plain");
            assert!(!head.etag.is_empty());
            let hash: [u8; 32] = Sha256::digest(&expected).into();
            assert!(head.sha256.is_none_or(|kept| kept == hash));
            assert_eq!(body(&*port, key).await, Some(expected.into()));
        }
    }
}

/// Law 3. Sends what was promised, after everything else that comes near it.
pub async fn law_3_a_presigned_post_stores_what_was_promised_and_nothing_else(
    subject: &dyn BlobsSubject,
) {
    let (port, browser) = (subject.port(), subject.browser());
    let (wanted, other) = (
        key(subject.scopes(), "wanted"),
        key(subject.scopes(), "other"),
    );
    let hashed = UploadPromise {
        sha256: Some(Sha256::digest(BODY).into()),
        ..promise()
    };
    for promise in [promise(), hashed] {
        let post = soon(port.presign_post(&wanted, &promise, LIFE)).await;
        let post = post.expect("a form is signed");
        let with = |name: &str, value: &str| {
            let mut fields = post.fields.clone();
            for field in &mut fields {
                if field.0.eq_ignore_ascii_case(name) {
                    value.clone_into(&mut field.1);
                }
            }
            fields
        };
        let mut attempts = vec![
            (with("key", other.as_str()), BODY),
            (with("content-type", "text/html"), BODY),
            (post.fields.clone(), b"012345678".as_slice()),
            (post.fields.clone(), b"0123456789a"),
            (post.fields.clone(), b""),
            (Vec::new(), BODY),
        ];
        if promise.sha256.is_some() {
            attempts.push((post.fields.clone(), b"9876543210"));
        }
        for (fields, file) in attempts {
            let status = soon(browser.post_form(&post.url, &fields, file.into())).await;
            assert!(
                refused(status),
                "{status} for {fields:?} with {} bytes",
                file.len()
            );
            for key in [&wanted, &other] {
                assert_eq!(soon(port.head(key)).await, Ok(None), "{key} was stored");
            }
        }
        let status = soon(browser.post_form(&post.url, &post.fields, BODY.into())).await;
        assert!(accepted(status), "{status}");
        let head = soon(port.head(&wanted)).await.expect("a head succeeds");
        let head = head.expect("it was stored");
        assert_eq!((head.size, head.content_type.as_str()), (10, "text/plain"));
        assert_eq!(body(&*port, &wanted).await, Some(BODY.into()));
        soon(port.delete(&wanted)).await.expect("a delete succeeds");
    }
}

/// Law 4. Uses presigned requests for their key, and for another.
pub async fn law_4_presigned_puts_and_gets_are_for_one_key(subject: &dyn BlobsSubject) {
    let (port, browser) = (subject.port(), subject.browser());
    let scopes = subject.scopes();
    let (wanted, other) = (
        key(scopes, "wanted"),
        in_scope(&scopes.other_tenant, "wanted"),
    );
    let signed = soon(port.presign_put(&wanted, &promise(), LIFE)).await;
    let signed = signed.expect("a PUT is signed");
    let elsewhere = signed.url.replace("t_", "t_x");
    let status = soon(browser.put(&elsewhere, &signed.headers, BODY.into())).await;
    assert!(refused(status), "{status} for another key");
    let html = [("content-type".to_owned(), "text/html".to_owned())];
    let status = soon(browser.put(&signed.url, &html, BODY.into())).await;
    assert!(refused(status), "{status} for another media type");
    assert_eq!(soon(port.head(&wanted)).await, Ok(None));
    let status = soon(browser.put(&signed.url, &signed.headers, BODY.into())).await;
    assert!(accepted(status), "{status}");
    let head = soon(port.head(&wanted)).await.expect("a head succeeds");
    assert_eq!(head.expect("it was stored").content_type, "text/plain");
    assert_eq!(soon(port.head(&other)).await, Ok(None));

    assert!(put(&*port, &other, "secret of the other").await);
    let disposition = Disposition {
        filename: "saved.txt".to_owned(),
        content_type: "text/plain".to_owned(),
    };
    let signed = soon(port.presign_get(&wanted, &disposition, LIFE)).await;
    let signed = signed.expect("a GET is signed");
    let (status, found) = soon(browser.get(&signed.url, &signed.headers)).await;
    assert!(accepted(status), "{status}");
    assert_eq!(found, BODY);
    let owner = scopes.one.tenant().as_str();
    let elsewhere = signed
        .url
        .replace(owner, scopes.other_tenant.tenant().as_str());
    assert_ne!(elsewhere, signed.url, "a URL shows its key");
    let (status, found) = soon(browser.get(&elsewhere, &signed.headers)).await;
    assert!(refused(status), "{status} for another key");
    assert!(!found.starts_with(b"secret"));
}

/// Law 5. Changes each signed part, and lets presigned requests end.
pub async fn law_5_presigned_requests_end_and_cannot_be_changed(subject: &dyn BlobsSubject) {
    let (port, browser) = (subject.port(), subject.browser());
    let wanted = key(subject.scopes(), "wanted");
    let stored = key(subject.scopes(), "stored");
    assert!(put(&*port, &stored, BODY).await);
    let disposition = Disposition {
        filename: "saved.txt".to_owned(),
        content_type: "text/plain".to_owned(),
    };
    let life = Duration::from_secs(2);
    let post = soon(port.presign_post(&wanted, &promise(), life)).await;
    let post = post.expect("a form is signed");
    let upload = soon(port.presign_put(&wanted, &promise(), life)).await;
    let upload = upload.expect("a PUT is signed");
    let download = soon(port.presign_get(&stored, &disposition, life)).await;
    let download = download.expect("a GET is signed");
    let ends = subject.now().plus(life);
    for expires_at in [post.expires_at, upload.expires_at, download.expires_at] {
        assert!(expires_at <= ends, "a life is at most what was asked for");
    }
    for at in 0..post.fields.len() {
        let mut fields = post.fields.clone();
        if let Some((_, value)) = fields.get_mut(at) {
            *value = altered(value);
        }
        let status = soon(browser.post_form(&post.url, &fields, BODY.into())).await;
        assert!(refused(status), "{status} for {fields:?}");
    }
    let status = soon(browser.put(&altered(&upload.url), &upload.headers, BODY.into())).await;
    assert!(refused(status), "{status} for a changed PUT");
    let (status, _) = soon(browser.get(&altered(&download.url), &download.headers)).await;
    assert!(refused(status), "{status} for a changed GET");
    subject.advance(Duration::from_millis(2_100)).await;
    let status = soon(browser.post_form(&post.url, &post.fields, BODY.into())).await;
    assert!(refused(status), "{status} for an ended form");
    let status = soon(browser.put(&upload.url, &upload.headers, BODY.into())).await;
    assert!(refused(status), "{status} for an ended PUT");
    let (status, _) = soon(browser.get(&download.url, &download.headers)).await;
    assert!(refused(status), "{status} for an ended GET");
    assert_eq!(soon(port.head(&wanted)).await, Ok(None));
}

/// The text with another last character.
fn altered(text: &str) -> String {
    let mut altered = text.to_owned();
    let last = altered.pop();
    altered.push(if last == Some('0') { '1' } else { '0' });
    altered
}

/// Law 6. Deletes an object twice, and puts it again.
pub async fn law_6_what_was_deleted_is_gone(subject: &dyn BlobsSubject) {
    let port = subject.port();
    let (deleted, kept) = (
        key(subject.scopes(), "deleted"),
        key(subject.scopes(), "kept"),
    );
    for key in [&deleted, &kept] {
        assert!(put(&*port, key, "x").await);
    }
    for _ in 0..2 {
        soon(port.delete(&deleted))
            .await
            .expect("a delete succeeds");
        assert_eq!(soon(port.head(&deleted)).await, Ok(None));
        assert_eq!(body(&*port, &deleted).await, None);
    }
    assert_eq!(body(&*port, &kept).await, Some("x".into()));
    assert!(put(&*port, &deleted, "again").await);
    assert_eq!(body(&*port, &deleted).await, Some("again".into()));
}

/// Law 7. Puts an object of the largest size that is read whole, and one a byte larger.
pub async fn law_7_too_large_an_object_is_not_read_whole(subject: &dyn BlobsSubject) {
    let port = subject.port();
    let size = usize::try_from(GET_BYTES_MAX).expect("a size of memory");
    let (largest, larger) = (
        key(subject.scopes(), "largest"),
        key(subject.scopes(), "larger"),
    );
    assert!(put(&*port, &largest, vec![7; size]).await);
    assert!(put(&*port, &larger, vec![7; size + 1]).await);
    let found = body(&*port, &largest).await.expect("it was put");
    assert_eq!(found.len(), size);
    let answer = soon(port.get(&larger)).await;
    assert!(
        matches!(answer, Err(StoreError::Limit(_))),
        "a limit, not {} bytes",
        size + 1
    );
}
