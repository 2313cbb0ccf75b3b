//! Objects in memory, and a browser that sends what was presigned.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use identity::{Clock, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{
    Blobs, Disposition, GET_BYTES_MAX, ObjectHead, ObjectKey, PRESIGN_MAX, PresignedPost,
    PresignedUrl, StoreError, UploadPromise,
};

const ORIGIN: &str = "memory://blobs/";
const SIGNING_KEY: &[u8] = b"a key that only tests use";

/// [`Blobs`] that live as long as this value.
///
/// A presigned request carries a policy and its signature; [`MemoryBlobs::post_form`],
/// [`MemoryBlobs::put`] and [`MemoryBlobs::get_url`] judge it as a store would.
pub struct MemoryBlobs {
    clock: Arc<dyn Clock>,
    objects: Mutex<HashMap<String, Stored>>,
}

struct Stored {
    content_type: String,
    body: Bytes,
}

/// What a presigned request allows.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    method: &'static str,
    key: String,
    content_type: String,
    size: Option<u64>,
    sha256: Option<[u8; 32]>,
    expires_at: Timestamp,
}

impl Policy {
    /// The policy as one text; equal policies have equal texts.
    fn text(&self) -> String {
        json!([
            self.method,
            self.key,
            self.content_type,
            self.size,
            self.sha256.map(|hash| hex(&hash)),
            self.expires_at.unix_ms()
        ])
        .to_string()
    }

    fn signature(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(SIGNING_KEY);
        hash.update(self.text());
        hex(&hash.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    let found = fields
        .iter()
        .find(|(field, _)| field.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

impl MemoryBlobs {
    /// No objects yet; presigned requests end by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            objects: Mutex::default(),
        }
    }

    /// How many objects there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.objects.lock().len()
    }

    /// Judges a form and stores its file; the HTTP status.
    pub fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> u16 {
        let policy = || {
            Some(Policy {
                method: "POST",
                key: field(fields, "key")?.to_owned(),
                content_type: field(fields, "content-type")?.to_owned(),
                size: Some(field(fields, "size")?.parse().ok()?),
                sha256: field(fields, "sha256").map(|_| Sha256::digest(&file).into()),
                expires_at: Timestamp::from_unix_ms(field(fields, "expires")?.parse().ok()?),
            })
        };
        let promised = field(fields, "sha256").map(str::to_owned);
        match policy() {
            Some(policy)
                if url == ORIGIN
                    && self.allows(&policy, field(fields, "signature"))
                    && promised == policy.sha256.map(|hash| hex(&hash))
                    && policy.size == Some(file.len() as u64) =>
            {
                self.store(policy.key, policy.content_type, file);
                204
            }
            _ => 403,
        }
    }

    /// Judges a PUT and stores its body; the HTTP status.
    pub fn put(&self, url: &str, headers: &[(String, String)], body: Bytes) -> u16 {
        let content_type = field(headers, "content-type").unwrap_or_default();
        match self.judge_url("PUT", url, content_type) {
            Some(policy) => {
                self.store(policy.key, policy.content_type, body);
                200
            }
            None => 403,
        }
    }

    /// Judges a GET; the HTTP status and the object.
    pub fn get_url(&self, url: &str) -> (u16, Bytes) {
        let Some(policy) = self.judge_url("GET", url, "") else {
            return (403, Bytes::new());
        };
        match self.objects.lock().get(&policy.key) {
            Some(stored) => (200, stored.body.clone()),
            None => (404, Bytes::new()),
        }
    }

    fn judge_url(&self, method: &'static str, url: &str, content_type: &str) -> Option<Policy> {
        let (key, query) = url.strip_prefix(ORIGIN)?.split_once('?')?;
        let (expires, signature) = query.split_once('&')?;
        let policy = Policy {
            method,
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            size: None,
            sha256: None,
            expires_at: Timestamp::from_unix_ms(expires.parse().ok()?),
        };
        self.allows(&policy, Some(signature)).then_some(policy)
    }

    fn allows(&self, policy: &Policy, signature: Option<&str>) -> bool {
        signature == Some(policy.signature().as_str()) && self.clock.now() < policy.expires_at
    }

    fn store(&self, key: String, content_type: String, body: Bytes) {
        self.objects
            .lock()
            .insert(key, Stored { content_type, body });
    }

    fn ends(&self, life: Duration) -> Timestamp {
        self.clock.now().plus(life.min(PRESIGN_MAX))
    }

    fn url(policy: &Policy) -> String {
        let (key, ends) = (&policy.key, policy.expires_at.unix_ms());
        format!("{ORIGIN}{key}?{ends}&{}", policy.signature())
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        let policy = Policy {
            method: "POST",
            key: key.to_string(),
            content_type: promise.content_type.clone(),
            size: Some(promise.size),
            sha256: promise.sha256,
            expires_at: self.ends(life),
        };
        let mut fields = vec![
            ("key", policy.key.clone()),
            ("content-type", policy.content_type.clone()),
            ("size", promise.size.to_string()),
            ("expires", policy.expires_at.unix_ms().to_string()),
            ("signature", policy.signature()),
        ];
        fields.extend(promise.sha256.map(|hash| ("sha256", hex(&hash))));
        let fields = fields.into_iter();
        Ok(PresignedPost {
            url: ORIGIN.to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            expires_at: policy.expires_at,
        })
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let policy = Policy {
            method: "PUT",
            key: key.to_string(),
            content_type: promise.content_type.clone(),
            size: None,
            sha256: None,
            expires_at: self.ends(life),
        };
        Ok(PresignedUrl {
            url: Self::url(&policy),
            headers: vec![("content-type".to_owned(), policy.content_type)],
            expires_at: policy.expires_at,
        })
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        _: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let policy = Policy {
            method: "GET",
            key: key.to_string(),
            content_type: String::new(),
            size: None,
            sha256: None,
            expires_at: self.ends(life),
        };
        Ok(PresignedUrl {
            url: Self::url(&policy),
            headers: Vec::new(),
            expires_at: policy.expires_at,
        })
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        let objects = self.objects.lock();
        Ok(objects.get(key.as_str()).map(|stored| {
            let hash: [u8; 32] = Sha256::digest(&stored.body).into();
            ObjectHead {
                size: stored.body.len() as u64,
                content_type: stored.content_type.clone(),
                sha256: Some(hash),
                etag: hex(&hash),
            }
        }))
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        match self.objects.lock().entry(key.to_string()) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(entry) => {
                let content_type = content_type.to_owned();
                entry.insert(Stored { content_type, body });
                Ok(true)
            }
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        let objects = self.objects.lock();
        match objects.get(key.as_str()) {
            Some(stored) if stored.body.len() as u64 > GET_BYTES_MAX => Err(StoreError::Limit(
                format!("an object over {GET_BYTES_MAX} bytes is read by URL"),
            )),
            found => Ok(found.map(|stored| stored.body.clone())),
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.objects.lock().remove(key.as_str());
        Ok(())
    }
}
