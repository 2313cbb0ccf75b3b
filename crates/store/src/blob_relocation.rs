//! Moving objects from one store to another, so that whoever knows them cannot tell.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{Blobs, ObjectHead, ObjectKey, ObjectPrefix, StoreError};

/// Most keys of a page.
pub const KEYS_MAX: usize = 1000;

/// An object's bytes, as they come.
pub type ObjectBytes = BoxStream<'static, Result<Bytes, StoreError>>;

/// What a copy must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCopy {
    /// Its size in bytes, exactly.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The tag that its object is known by.
    pub etag: String,
}

/// What an object store does beside [`Blobs`] for a move. No service has it.
///
/// Laws, proved for every engine by `store::contract::blob_relocation`:
/// 1. `keys` names every object below the prefix in the order of their keys, page by page, and no other: neither of
///    tenants or environments whose names begin alike, nor what is no key of an object.
/// 2. `read` gives the bytes and the head of one object, of any size.
/// 3. `write` puts a copy in the place of whatever is there. `head` reports it as it was described, the tag too, also
///    after a restart, and it is read, signed for and deleted like every object.
/// 4. Bytes that are not what was described are refused and change nothing.
/// 5. What is uploaded in the place of a copy has a tag of its own.
#[async_trait]
pub trait BlobRelocation: Blobs {
    /// At most `limit` keys, of [`KEYS_MAX`] at most; fewer are the last ones.
    async fn keys(
        &self,
        prefix: &ObjectPrefix,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>, StoreError>;
    /// The object under `key`, or `None`.
    async fn read(&self, key: &ObjectKey) -> Result<Option<(ObjectHead, ObjectBytes)>, StoreError>;
    /// Stores `bytes`, which are what `copy` says, under `key`.
    async fn write(
        &self,
        key: &ObjectKey,
        copy: &ObjectCopy,
        bytes: ObjectBytes,
    ) -> Result<(), StoreError>;
}
