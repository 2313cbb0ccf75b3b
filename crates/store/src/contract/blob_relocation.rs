//! The laws of [`BlobRelocation`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use identity::{AssetId, Env, TenantId};
use sha2::{Digest as _, Sha256};

use super::{Scopes, Subject, blobs::Browser, soon};
use crate::{
    BlobRelocation, Disposition, GET_BYTES_MAX, ObjectBytes, ObjectCopy, ObjectHead, ObjectKey,
    ObjectPrefix, StoreError, UploadPromise,
};

/// One test per law of `BlobRelocation`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! blob_relocation_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            blob_relocation,
            $subject,
            [
                law_1_the_keys_of_a_place_are_listed_and_no_others,
                law_2_objects_of_any_size_are_read,
                law_3_a_copy_is_what_it_was_described_as_also_after_a_restart,
                law_4_other_bytes_than_described_change_nothing,
                law_5_an_upload_in_the_place_of_a_copy_has_its_own_tag,
            ]
        );
    };
}

/// An object store under test, and someone to use what it signs.
pub trait BlobRelocationSubject: Subject<dyn BlobRelocation> {
    /// Sends presigned requests to the store.
    fn browser(&self) -> &dyn Browser;
}

const AREA: &str = "raw";
const LIFE: Duration = Duration::from_secs(60);
/// Larger than any buffer between two stores, and than what is read whole.
const LARGE: u64 = GET_BYTES_MAX + 12_345;

fn prefix(scopes: &Scopes, tenant: &TenantId, env: Env) -> ObjectPrefix {
    ObjectPrefix::of_tenant(&scopes.system, (tenant, env), AREA)
}

fn named(
    scopes: &Scopes,
    place: (&TenantId, Env),
    area: &'static str,
    asset: &str,
    name: &str,
) -> ObjectKey {
    let asset: AssetId = asset.parse().expect("an id");
    ObjectKey::of_tenant(&scopes.system, place, area, &asset, name).expect("a file name")
}

fn key(scopes: &Scopes, name: &str) -> ObjectKey {
    let place = (scopes.one.tenant(), scopes.one.env());
    named(scopes, place, AREA, "as_contract", name)
}

async fn put(port: &dyn BlobRelocation, key: &ObjectKey, body: impl Into<Bytes>) {
    let stored = soon(port.put_if_absent(key, "text/plain", body.into())).await;
    assert_eq!(stored, Ok(true), "{key}");
}

fn chunks(parts: &[&'static [u8]]) -> ObjectBytes {
    let parts = parts.iter().map(|part| Ok(Bytes::from_static(part)));
    stream::iter(parts.collect::<Vec<_>>()).boxed()
}

fn copy_of(bytes: &[u8]) -> ObjectCopy {
    ObjectCopy {
        size: bytes.len() as u64,
        content_type: "image/png".to_owned(),
        sha256: Sha256::digest(bytes).into(),
        etag: "\"the tag it came with-3\"".to_owned(),
    }
}

async fn head(port: &dyn BlobRelocation, key: &ObjectKey) -> Option<ObjectHead> {
    soon(port.head(key)).await.expect("a head succeeds")
}

/// What `read` gives, whole.
async fn read(port: &dyn BlobRelocation, key: &ObjectKey) -> Option<(ObjectHead, Bytes)> {
    let (head, mut bytes) = soon(port.read(key)).await.expect("a read succeeds")?;
    let mut whole = BytesMut::new();
    while let Some(chunk) = soon(bytes.next()).await {
        whole.extend_from_slice(&chunk.expect("a chunk comes"));
    }
    Some((head, whole.freeze()))
}

/// Law 1. Stores objects of places whose names begin alike, and lists each place in pages of several sizes.
pub async fn law_1_the_keys_of_a_place_are_listed_and_no_others(
    subject: &dyn BlobRelocationSubject,
) {
    let (port, scopes) = (subject.port(), subject.scopes());
    let (one, env) = (scopes.one.tenant(), scopes.one.env());
    let longer: TenantId = format!("{one}b").parse().expect("an id");
    let place = prefix(scopes, one, env);
    assert_eq!(soon(port.keys(&place, None, 10)).await, Ok(Vec::new()));
    let mut wanted = Vec::new();
    for asset in ["as_1", "as_10", "as_2", "as_A"] {
        for name in ["a b+c%20.txt", "ä&<x>.txt", "z\u{1f600}"] {
            wanted.push(named(scopes, (one, env), AREA, asset, name));
        }
    }
    wanted.sort();
    let others = [
        named(scopes, (&longer, env), AREA, "as_1", "x"),
        named(
            scopes,
            (scopes.other_tenant.tenant(), env),
            AREA,
            "as_1",
            "x",
        ),
        named(scopes, (one, scopes.other_env.env()), AREA, "as_1", "x"),
        named(scopes, (one, env), "rawer", "as_1", "x"),
        named(scopes, (one, env), "media_v2", "as_1", "x"),
        // Below the prefix, and no key of it.
        named(scopes, (one, env), "raw/as_1", "as_1", "x"),
        named(scopes, (one, env), "raw/as_10/z", "as_1", "x"),
        named(scopes, (one, env), "raw/notes", "as_1", "x"),
    ];
    // In no order that a store could keep by chance.
    for key in others.iter().chain(wanted.iter().rev()) {
        put(&*port, key, "x").await;
    }
    for limit in [1, 4, wanted.len(), 1000] {
        let mut found: Vec<ObjectKey> = Vec::new();
        loop {
            let page = soon(port.keys(&place, found.last(), limit)).await;
            let page = page.expect("a page is listed");
            assert!(page.len() <= limit, "{} of {limit}", page.len());
            let last = page.len() < limit;
            found.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(found, wanted, "in pages of {limit}");
    }
    for other in &others[..3] {
        let place = prefix(scopes, other.tenant(), other.env());
        let found = soon(port.keys(&place, None, 10)).await;
        assert_eq!(found.as_deref(), Ok([other.clone()].as_slice()));
    }
    let first = wanted.remove(0);
    soon(port.delete(&first)).await.expect("a delete succeeds");
    assert_eq!(soon(port.keys(&place, None, 1000)).await, Ok(wanted));
}

/// Law 2. Reads what is there, empty and large, and what is not.
pub async fn law_2_objects_of_any_size_are_read(subject: &dyn BlobRelocationSubject) {
    let (port, scopes) = (subject.port(), subject.scopes());
    assert_eq!(read(&*port, &key(scopes, "nothing")).await, None);
    let large: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    for (name, body) in [
        ("empty", Bytes::new()),
        ("small", Bytes::from_static(b"0123456789")),
        ("large", large.into()),
    ] {
        let key = key(scopes, name);
        put(&*port, &key, body.clone()).await;
        let (told, found) = read(&*port, &key).await.expect("it was put");
        assert_eq!(found.len(), body.len());
        assert!(found == body, "{name} came as other bytes");
        assert_eq!(Some(told), head(&*port, &key).await);
    }
}

/// Law 3. Writes copies where nothing is and where something is, restarts, and uses them.
pub async fn law_3_a_copy_is_what_it_was_described_as_also_after_a_restart(
    subject: &dyn BlobRelocationSubject,
) {
    let scopes = subject.scopes();
    let (fresh, replaced, empty) = (
        key(scopes, "fresh äß.png"),
        key(scopes, "replaced"),
        key(scopes, "empty"),
    );
    put(&*subject.port(), &replaced, "another object").await;
    for (key, parts) in [
        (&fresh, [b"01234".as_slice(), b"", b"56789"].as_slice()),
        (&replaced, &[b"0", b"123456789"]),
        (&empty, &[]),
    ] {
        let whole = parts.concat();
        let (port, copy) = (subject.port(), copy_of(&whole));
        let written = soon(port.write(key, &copy, chunks(parts))).await;
        assert_eq!(written, Ok(()), "{key}");
        let described = ObjectHead {
            size: copy.size,
            content_type: copy.content_type,
            sha256: Some(copy.sha256),
            etag: copy.etag,
        };
        for reopened in [false, true] {
            if reopened {
                subject.reopen().await;
            }
            let port = subject.port();
            assert_eq!(head(&*port, key).await.as_ref(), Some(&described));
            let found = read(&*port, key).await.expect("it was written");
            assert_eq!(found, (described.clone(), whole.clone().into()));
        }
    }
    let disposition = Disposition {
        filename: "saved.png".to_owned(),
        content_type: "image/png".to_owned(),
    };
    let port = subject.port();
    let signed = soon(port.presign_get(&fresh, &disposition, LIFE)).await;
    let signed = signed.expect("a GET is signed");
    let (status, found) = soon(subject.browser().get(&signed.url, &signed.headers)).await;
    assert_eq!((status, found), (200, Bytes::from_static(b"0123456789")));
    soon(port.delete(&fresh)).await.expect("a delete succeeds");
    assert_eq!(head(&*port, &fresh).await, None);
}

/// Law 4. Writes too few, too many and other bytes, and bytes that break off.
pub async fn law_4_other_bytes_than_described_change_nothing(subject: &dyn BlobRelocationSubject) {
    let (port, scopes) = (subject.port(), subject.scopes());
    let (fresh, kept) = (key(scopes, "fresh"), key(scopes, "kept"));
    put(&*port, &kept, "as it was").await;
    let before = head(&*port, &kept).await;
    let copy = copy_of(b"0123456789");
    let broken = || {
        let end = StoreError::Unavailable("it broke off".to_owned());
        stream::iter([Ok(Bytes::from_static(b"01234")), Err(end)]).boxed()
    };
    for key in [&fresh, &kept] {
        for (wrong, bytes) in [
            ("too few", chunks(&[b"01234", b"5678"])),
            ("none", chunks(&[])),
            ("too many", chunks(&[b"0123456789", b"a"])),
            ("others", chunks(&[b"01234", b"56780"])),
            ("a part", broken()),
        ] {
            let written = soon(port.write(key, &copy, bytes)).await;
            let expected = match wrong {
                "a part" => matches!(written, Err(StoreError::Unavailable(_))),
                _ => matches!(written, Err(StoreError::Corrupt(_))),
            };
            assert!(expected, "{wrong}: {written:?}");
        }
    }
    assert_eq!(head(&*port, &fresh).await, None);
    assert_eq!(head(&*port, &kept).await, before);
    assert_eq!(soon(port.get(&kept)).await, Ok(Some("as it was".into())));
}

/// Law 5. Uploads other bytes by a form where a copy is.
pub async fn law_5_an_upload_in_the_place_of_a_copy_has_its_own_tag(
    subject: &dyn BlobRelocationSubject,
) {
    let (port, key) = (subject.port(), key(subject.scopes(), "copied"));
    let copy = copy_of(b"0123456789");
    let written = soon(port.write(&key, &copy, chunks(&[b"0123456789"]))).await;
    assert_eq!(written, Ok(()));
    let promise = UploadPromise {
        content_type: copy.content_type.clone(),
        size: copy.size,
        sha256: None,
    };
    let form = soon(port.presign_post(&key, &promise, LIFE)).await;
    let form = form.expect("a form is signed");
    let file = Bytes::from_static(b"9876543210");
    let sent = soon(
        subject
            .browser()
            .post_form(&form.url, &form.fields, file.clone()),
    )
    .await;
    assert!((200..300).contains(&sent), "{sent}");
    let found = head(&*port, &key).await.expect("it was uploaded");
    assert_ne!(found.etag, copy.etag);
    let hash: [u8; 32] = Sha256::digest(&file).into();
    assert!(found.sha256.is_none_or(|kept| kept == hash));
}
