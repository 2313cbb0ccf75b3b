//! Blobs: bytes of tenants in object storage, moved by presigned requests.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use identity::Timestamp;

use crate::{ObjectKey, StoreError};

/// Longest life of a presigned request (Signature Version 4 allows seven days).
pub const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most bytes that `get` returns; larger objects are read through a presigned URL.
pub const GET_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What an uploaded object must be; the store itself enforces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPromise {
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes, exactly.
    pub size: u64,
    /// Its SHA-256, when the client promised one.
    pub sha256: Option<[u8; 32]>,
}

/// A form that a browser can send (multipart POST) to store one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPost {
    /// Where to send it.
    pub url: String,
    /// The fields that precede the file, in order.
    pub fields: Vec<(String, String)>,
    /// When the form is refused.
    pub expires_at: Timestamp,
}

/// A request that whoever holds the URL may make once or more until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// Where to send it.
    pub url: String,
    /// Headers that must be sent as given.
    pub headers: Vec<(String, String)>,
    /// When it is refused.
    pub expires_at: Timestamp,
}

/// How a presigned GET answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// The file name that is offered to save under.
    pub filename: String,
    /// The media type it is served as.
    pub content_type: String,
}

/// What the store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// Bytes.
    pub size: u64,
    /// Media type it was stored with.
    pub content_type: String,
    /// SHA-256, where the store keeps one.
    pub sha256: Option<[u8; 32]>,
    /// Opaque tag of the content.
    pub etag: String,
}

/// Durable home of objects.
///
/// Laws, proved for every engine by `store::contract::blobs`:
/// 1. `put_if_absent` stores once: the first returns `true`, later ones `false` and change nothing.
/// 2. What was put is what `head` and `get` report, also after a restart.
/// 3. A presigned POST stores exactly the promised key, media type and size; anything else is refused and stores nothing.
/// 4. A presigned PUT stores exactly the promised key and media type; a presigned GET reads exactly its key.
/// 5. Presigned requests are refused after they end, and when any signed part was changed.
/// 6. `delete` removes the object; deleting what is not there is in order.
/// 7. An object over [`GET_BYTES_MAX`] is refused by `get` with `Limit`.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// A form with which a browser stores `key`, as promised, within `life`.
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError>;
    /// A PUT that stores `key`, as promised, within `life`.
    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError>;
    /// A GET that reads `key` within `life`.
    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError>;
    /// What is stored under `key`, or `None`.
    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError>;
    /// Stores `body` unless something is there; says whether it did.
    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError>;
    /// The whole object, or `None`.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError>;
    /// Removes the object.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError>;
}
