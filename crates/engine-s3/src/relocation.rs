//! Objects that are moved: listed, read and written as they come, with a few chunks in memory.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::{
    operation::get_object::GetObjectOutput, primitives::ByteStream, types::ChecksumMode,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, future::join, stream};
use sha2::{Digest as _, Sha256};
use store::{
    BlobRelocation, KEYS_MAX, ObjectBytes, ObjectCopy, ObjectHead, ObjectKey, ObjectPrefix,
    StoreError,
};

use crate::{
    S3Blobs,
    answer::{failed, status},
    client::sent_once_of,
    head::{Told, metadata, whole_hash},
    upload::upload,
};

/// Longest wait for the next bytes of an object.
const CHUNK_WAIT_MAX: Duration = Duration::from_secs(30);

#[async_trait]
impl BlobRelocation for S3Blobs {
    async fn keys(
        &self,
        prefix: &ObjectPrefix,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let limit = limit.min(KEYS_MAX);
        let mut keys: Vec<ObjectKey> = Vec::new();
        let mut after = after.map(ObjectKey::to_string);
        // What is no key of an object is left out, and must not make the last page of this one.
        while keys.len() < limit {
            let missing = limit - keys.len();
            let page = self.page(prefix, after.take(), missing).await?;
            let known = page.names.iter().filter_map(|name| prefix.key(name));
            keys.extend(known);
            if !page.more {
                break;
            }
            after = page.names.last().cloned();
        }
        if !keys.is_sorted_by(|one, other| one < other) {
            return Err(StoreError::Corrupt(format!(
                "the bucket {} does not list its objects in order",
                self.bucket()
            )));
        }
        Ok(keys)
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<(ObjectHead, ObjectBytes)>, StoreError> {
        let asked = self
            .client
            .get_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match asked {
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed(self.bucket(), error)),
            Ok(found) => self.opened(key, found).map(Some),
        }
    }

    async fn write(
        &self,
        key: &ObjectKey,
        copy: &ObjectCopy,
        bytes: ObjectBytes,
    ) -> Result<(), StoreError> {
        let size = i64::try_from(copy.size)
            .map_err(|_| StoreError::Limit("no object is that large".to_owned()))?;
        let (feed, body) = upload(copy.size);
        let put = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .content_type(&copy.content_type)
            .content_length(size)
            .checksum_sha256(BASE64_STANDARD.encode(copy.sha256))
            .set_metadata(Some(metadata(copy)))
            .body(ByteStream::from_body_1_x(body))
            .customize()
            .config_override(sent_once_of(copy.size));
        // If the bytes are not to be had the request fails too, and theirs is the better reason.
        let (fed, sent) = join(feed.send(copy, bytes), put.send()).await;
        fed?;
        let stored = sent.map_err(|error| failed(self.bucket(), error))?;
        match stored.checksum_sha256().and_then(whole_hash) {
            Some(kept) if kept == copy.sha256 => Ok(()),
            Some(_) => Err(self.another(key)),
            None => self.read_back(key, copy).await,
        }
    }
}

/// A page of a listing.
struct Names {
    names: Vec<String>,
    more: bool,
}

impl S3Blobs {
    async fn page(
        &self,
        prefix: &ObjectPrefix,
        after: Option<String>,
        limit: usize,
    ) -> Result<Names, StoreError> {
        let asked = self
            .client
            .list_objects_v2()
            .bucket(self.bucket())
            .prefix(prefix.as_str())
            .set_start_after(after)
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await;
        let listed = asked.map_err(|error| failed(self.bucket(), error))?;
        let more = listed.is_truncated() == Some(true);
        let named = listed.contents.unwrap_or_default().into_iter();
        let names: Vec<String> = named.filter_map(|object| object.key).collect();
        Ok(Names {
            more: more && !names.is_empty(),
            names,
        })
    }

    fn opened(
        &self,
        key: &ObjectKey,
        found: GetObjectOutput,
    ) -> Result<(ObjectHead, ObjectBytes), StoreError> {
        let told = Told {
            size: found.content_length,
            content_type: found.content_type,
            sha256: found.checksum_sha256,
            etag: found.e_tag,
            metadata: found.metadata,
        };
        let broken_off = self.broken_off();
        let chunks = stream::unfold(Some((found.body, broken_off)), |open| async {
            let (mut body, broken_off) = open?;
            match tokio::time::timeout(CHUNK_WAIT_MAX, body.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((body, broken_off)))),
                Ok(Some(Err(_))) | Err(_) => Some((Err(broken_off), None)),
            }
        });
        Ok((told.head(key)?, chunks.boxed()))
    }

    /// Whether a store that keeps no checksums has what was sent to it.
    async fn read_back(&self, key: &ObjectKey, copy: &ObjectCopy) -> Result<(), StoreError> {
        let found = self.read(key).await?;
        let (_, mut bytes) = found.ok_or_else(|| self.another(key))?;
        let mut hash = Sha256::new();
        while let Some(chunk) = bytes.try_next().await? {
            hash.update(&chunk);
        }
        if hash.finalize().as_slice() == copy.sha256 {
            return Ok(());
        }
        Err(self.another(key))
    }

    fn another(&self, key: &ObjectKey) -> StoreError {
        let bucket = self.bucket();
        StoreError::Corrupt(format!(
            "the bucket {bucket} has not stored {key} as it was sent"
        ))
    }
}
