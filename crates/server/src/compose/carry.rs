//! Carrying one object from one store to another, with a few of its chunks in memory.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use store::{BlobRelocation, Blobs, ObjectBytes, ObjectCopy, ObjectHead, ObjectKey, StoreError};

/// An object store, for those who use it and for who moves what is in it.
pub(super) struct Objects {
    pub(super) served: Arc<dyn Blobs>,
    pub(super) movable: Arc<dyn BlobRelocation>,
}

/// Makes what is under `key` at `to` the same as at `from`; whether there is something at `from`.
///
/// Where the store at `from` knows no SHA-256 the object is read twice: a store checks what it is sent against one.
///
/// # Errors
/// When one of them does not answer, or the bytes are not those of the hash; nothing was stored then.
pub(super) async fn carry(
    from: &dyn BlobRelocation,
    to: &dyn BlobRelocation,
    key: &ObjectKey,
) -> Result<bool, StoreError> {
    let Some((head, bytes)) = from.read(key).await? else {
        return Ok(false);
    };
    if let Some(sha256) = head.sha256 {
        to.write(key, &copy_of(head, sha256), bytes).await?;
        return Ok(true);
    }
    let sha256 = hash_of(bytes).await?;
    let Some((again, bytes)) = from.read(key).await? else {
        return Ok(false);
    };
    if again != head {
        let why = format!("{key} was replaced while it was read");
        return Err(StoreError::Unavailable(why));
    }
    to.write(key, &copy_of(again, sha256), bytes).await?;
    Ok(true)
}

fn copy_of(head: ObjectHead, sha256: [u8; 32]) -> ObjectCopy {
    ObjectCopy {
        size: head.size,
        content_type: head.content_type,
        sha256,
        etag: head.etag,
    }
}

async fn hash_of(mut bytes: ObjectBytes) -> Result<[u8; 32], StoreError> {
    let mut hash = Sha256::new();
    while let Some(chunk) = bytes.try_next().await? {
        hash.update(&chunk);
    }
    Ok(hash.finalize().into())
}
