//! Forms that are not what was promised: each is refused and leaves nothing.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use identity::{AssetId, Scope};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Blobs as _, ObjectKey, PresignedPost, UploadPromise, contract::Subject as _};

use crate::subject::{Off, Present, Store, credentials, open};

const BODY: &[u8] = b"0123456789";
const LIFE: Duration = Duration::from_secs(60);

/// What is sent in the place of a good form.
struct Form {
    url: String,
    fields: Vec<(String, String)>,
    file: Option<Bytes>,
}

impl Form {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        let field = self.fields.iter_mut().find(|(field, _)| field == name);
        field.unwrap_or_else(|| panic!("the form has {name}")).1 = value.into();
    }

    fn value(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(field, _)| field == name);
        &field.unwrap_or_else(|| panic!("the form has {name}")).1
    }

    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.to_owned(), value.into()));
    }

    fn remove(&mut self, name: &str) {
        self.value(name);
        self.fields.retain(|(field, _)| field != name);
    }

    /// Writes the policy anew and keeps the signature of the old one.
    fn rewrite_policy(&mut self, rewrite: impl Fn(&mut Value)) {
        let policy = BASE64_STANDARD.decode(self.value("policy")).unwrap();
        let mut policy: Value = serde_json::from_slice(&policy).unwrap();
        let before = policy.clone();
        rewrite(&mut policy);
        assert_ne!(policy, before, "the policy was rewritten");
        self.set("policy", BASE64_STANDARD.encode(policy.to_string()));
    }
}

/// Another value for what the policy says of a field.
fn say(policy: &mut Value, field: &str, value: &str) {
    for condition in policy["conditions"].as_array_mut().unwrap() {
        if condition[1] == field {
            condition[2] = value.into();
        }
    }
}

type Spoil = fn(&mut Form, other_key: &str);

/// One good form each, and what is done to it.
const HOSTILE: [(&str, Spoil); 24] = [
    ("the key of another tenant", |form, other| {
        form.set("key", other);
    }),
    ("the key twice", |form, other| form.add("key", other)),
    ("another media type", |form, _| {
        form.set("Content-Type", "text/html");
    }),
    ("no media type", |form, _| form.remove("Content-Type")),
    ("a byte too much", |form, _| {
        form.file = Some(Bytes::from_static(b"0123456789a"));
    }),
    ("a byte too little", |form, _| {
        form.file = Some(Bytes::from_static(b"012345678"));
    }),
    ("an empty file", |form, _| form.file = Some(Bytes::new())),
    ("no file", |form, _| form.file = None),
    ("a policy for a larger file", |form, _| {
        form.rewrite_policy(|policy| {
            for condition in policy["conditions"].as_array_mut().unwrap() {
                if condition[0] == "content-length-range" {
                    condition[2] = 11.into();
                }
            }
        });
        form.file = Some(Bytes::from_static(b"0123456789a"));
    }),
    ("a policy for the key of another tenant", |form, other| {
        form.rewrite_policy(|policy| say(policy, "$key", other));
        form.set("key", other);
    }),
    ("a policy for another media type", |form, _| {
        form.rewrite_policy(|policy| say(policy, "$Content-Type", "text/html"));
        form.set("Content-Type", "text/html");
    }),
    ("a policy that lives longer", |form, _| {
        form.rewrite_policy(|policy| policy["expiration"] = "2099-01-01T00:00:00.000Z".into());
    }),
    ("a policy without conditions", |form, _| {
        form.rewrite_policy(|policy| policy["conditions"] = Value::Array(Vec::new()));
    }),
    ("no policy", |form, _| form.remove("policy")),
    ("another signature", |form, _| {
        form.set("x-amz-signature", "0".repeat(64));
    }),
    ("no signature", |form, _| form.remove("x-amz-signature")),
    ("no credential", |form, _| form.remove("x-amz-credential")),
    ("the credential of another key", |form, _| {
        let credential = form.value("x-amz-credential").to_owned();
        let (_, rest) = credential.split_once('/').unwrap();
        form.set("x-amz-credential", format!("someone-else/{rest}"));
    }),
    ("another region", |form, _| {
        let credential = form.value("x-amz-credential").to_owned();
        form.set("x-amz-credential", credential.replace("/s3/", "-2/s3/"));
    }),
    ("another algorithm", |form, _| {
        form.set("x-amz-algorithm", "AWS4-HMAC-MD5");
    }),
    ("another date", |form, _| {
        form.set("x-amz-date", "20200101T000000Z");
    }),
    ("a field that the policy does not list", |form, _| {
        form.add("acl", "public-read");
    }),
    ("a redirect that the policy does not list", |form, _| {
        form.add("success_action_redirect", "https://elsewhere.example/");
    }),
    ("nobody's form", |form, _| {
        form.fields
            .retain(|(name, _)| name == "key" || name == "Content-Type");
    }),
];

fn key(scope: &Scope) -> ObjectKey {
    let asset: AssetId = "as_hostile".parse().unwrap();
    ObjectKey::in_scope(scope, "raw", &asset, "form.txt").unwrap()
}

fn promise() -> UploadPromise {
    UploadPromise {
        content_type: "text/plain".to_owned(),
        size: BODY.len() as u64,
        sha256: None,
    }
}

fn good(post: &PresignedPost) -> Form {
    Form {
        url: post.url.clone(),
        fields: post.fields.clone(),
        file: Some(Bytes::from_static(BODY)),
    }
}

async fn assert_refused(store: &Store, what: &str, form: Form) {
    let sent = store.sender.form(&form.url, &form.fields, form.file).await;
    let status = sent.unwrap_or_else(|cause| panic!("{what}: {cause}"));
    // 501 is how a store says that it knows no such algorithm.
    assert!(
        status.is_client_error() || status == 501,
        "{what}: {status}"
    );
    assert_nothing_stored(store, what).await;
}

async fn assert_nothing_stored(store: &Store, what: &str) {
    for scope in [&store.scopes().one, &store.scopes().other_tenant] {
        assert_eq!(store.blobs().head(&key(scope)).await, Ok(None), "{what}");
    }
    assert!(store.files().is_empty(), "{what}: {:?}", store.files());
}

async fn assert_taken(store: &Store, form: Form) {
    let sent = store.sender.form(&form.url, &form.fields, form.file).await;
    assert_eq!(sent.unwrap(), 201);
    let key = key(&store.scopes().one);
    let head = store
        .blobs()
        .head(&key)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!((head.size, head.content_type.as_str()), (10, "text/plain"));
    assert_eq!(store.blobs().get(&key).await, Ok(Some(BODY.into())));
}

#[tokio::test]
async fn every_hostile_form_is_refused_and_leaves_nothing() {
    let store = open().await;
    let (own, other) = (key(&store.scopes().one), key(&store.scopes().other_tenant));
    let post = store
        .blobs()
        .presign_post(&own, &promise(), LIFE)
        .await
        .unwrap();
    for (what, spoil) in HOSTILE {
        let mut form = good(&post);
        spoil(&mut form, other.as_str());
        assert_refused(&store, what, form).await;
    }
    assert_taken(&store, good(&post)).await;
}

#[tokio::test]
async fn a_form_that_ended_is_refused() {
    let store = open().await;
    let own = key(&store.scopes().one);
    let credentials = store.settings.credentials.clone();
    let before = store.blobs_with(credentials, Arc::new(Off(-120))).await;
    let post = before.presign_post(&own, &promise(), LIFE).await.unwrap();
    assert_refused(&store, "an ended form", good(&post)).await;
}

#[tokio::test]
async fn a_form_that_was_signed_with_another_secret_is_refused() {
    let store = open().await;
    let own = key(&store.scopes().one);
    for credentials in [
        credentials("someone-else", "a-secret-of-someone-else"),
        credentials(crate::subject::KEY_ID, "a-secret-of-someone-else"),
    ] {
        let stranger = store.blobs_with(credentials, Arc::new(Present)).await;
        let post = stranger.presign_post(&own, &promise(), LIFE).await.unwrap();
        assert_refused(&store, "a stranger's form", good(&post)).await;
    }
}

#[tokio::test]
async fn a_form_for_another_bucket_is_refused() {
    let store = open().await;
    let own = key(&store.scopes().one);
    let elsewhere = store.blobs_in("another-bucket-here").await;
    let post = store
        .blobs()
        .presign_post(&own, &promise(), LIFE)
        .await
        .unwrap();
    let others = elsewhere
        .presign_post(&own, &promise(), LIFE)
        .await
        .unwrap();
    assert_ne!(post.url, others.url);
    for (url, post) in [(&others.url, &post), (&post.url, &others)] {
        let mut form = good(post);
        form.url.clone_from(url);
        assert_refused(&store, "another bucket's form", form).await;
    }
}

#[tokio::test]
async fn bytes_other_than_the_promised_ones_are_refused() {
    let store = open().await;
    let own = key(&store.scopes().one);
    let promise = UploadPromise {
        sha256: Some(Sha256::digest(BODY).into()),
        ..promise()
    };
    let post = store
        .blobs()
        .presign_post(&own, &promise, LIFE)
        .await
        .unwrap();
    let mut other = good(&post);
    other.file = Some(Bytes::from_static(b"9876543210"));
    assert_refused(&store, "other bytes", other).await;
    let mut without = good(&post);
    without.remove("x-amz-checksum-sha256");
    assert_refused(&store, "no checksum", without).await;
    let mut swapped = good(&post);
    let hash = Sha256::digest(b"9876543210");
    swapped.set("x-amz-checksum-sha256", BASE64_STANDARD.encode(hash));
    swapped.file = Some(Bytes::from_static(b"9876543210"));
    assert_refused(&store, "another checksum", swapped).await;
    assert_taken(&store, good(&post)).await;
    let head = store.blobs().head(&own).await.unwrap().unwrap();
    assert_eq!(head.sha256, promise.sha256);
}

#[tokio::test]
async fn a_flood_in_the_place_of_a_small_file_is_cut_off() {
    let store = open().await;
    let own = key(&store.scopes().one);
    let post = store
        .blobs()
        .presign_post(&own, &promise(), LIFE)
        .await
        .unwrap();
    let mut form = good(&post);
    form.file = Some(vec![7; 8 * 1024 * 1024].into());
    let sent = store.sender.form(&form.url, &form.fields, form.file).await;
    // Who goes on sending may find the connection closed before the answer.
    assert!(sent.is_err() || sent.is_ok_and(|status| status.is_client_error()));
    assert_nothing_stored(&store, "a flood").await;
}

#[tokio::test]
async fn a_key_that_a_store_would_rewrite_gets_no_form() {
    let store = open().await;
    let asset: AssetId = "as_hostile".parse().unwrap();
    let key = ObjectKey::in_scope(&store.scopes().one, "raw", &asset, "${filename}").unwrap();
    let signed = store.blobs().presign_post(&key, &promise(), LIFE).await;
    assert!(
        matches!(signed, Err(store::StoreError::Limit(_))),
        "{signed:?}"
    );
}
