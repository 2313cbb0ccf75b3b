//! The objects of a folder, as the operations of S3.
//!
//! A file is named by the hash of its key, so no key can leave the folder, meet another one on a file
//! system that folds case, or be too long for it.

use std::{
    fmt::{self, Write as _},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result,
    dto::{
        ChecksumMode, DeleteObjectInput, DeleteObjectOutput, ETag, GetObjectInput, GetObjectOutput,
        HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
        ListObjectsV2Output, PutObjectInput, PutObjectOutput, StreamingBlob,
    },
    s3_error,
};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use super::{
    list,
    part::{self, Facts, NotWritten, Part},
};

/// Largest object, in bytes. A form is held in memory until its policy is known to hold.
pub(super) const OBJECT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How much of an object is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// One bucket in a folder.
pub(super) struct Objects {
    bucket: String,
    /// Whole objects.
    whole: PathBuf,
    /// Objects that are being written.
    parts: PathBuf,
    part: AtomicU64,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.whole.display())
    }
}

impl Objects {
    /// Opens the folder, and removes what a former process did not finish.
    pub(super) fn open(folder: &Path, bucket: &str) -> io::Result<Self> {
        let (whole, parts) = (folder.join(bucket), folder.join("parts"));
        if parts.exists() {
            std::fs::remove_dir_all(&parts)?;
        }
        for folder in [&whole, &parts] {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            whole,
            parts,
            part: AtomicU64::new(0),
        })
    }

    fn path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        if bucket != self.bucket {
            return Err(s3_error!(NoSuchBucket));
        }
        let mut name = String::new();
        for byte in Sha256::digest(key) {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        let shelf = name.get(..2).unwrap_or_default();
        Ok(self.whole.join(shelf).join(&name))
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<(File, Facts)> {
        let path = self.path(bucket, key)?;
        let found = part::open(&path).await.map_err(S3Error::internal_error)?;
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.path(&req.input.bucket, "")?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        let path = self.path(&input.bucket, &input.key)?;
        let only_new = only_new(&input)?;
        let body = input.body.take();
        let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let name = self.part.fetch_add(1, Ordering::Relaxed).to_string();
        let part = Part::create(self.parts.join(name)).await;
        let mut part = part.map_err(S3Error::internal_error)?;
        let (size, sha256) = part.fill(body, OBJECT_BYTES_MAX).await.map_err(refused)?;
        if input
            .checksum_sha256
            .is_some_and(|promised| promised != sha256)
        {
            return Err(s3_error!(
                BadDigest,
                "the bytes do not have the promised SHA-256"
            ));
        }
        let facts = Facts {
            key: input.key,
            content_type: input.content_type,
            sha256,
            size,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let placed = part.place(&facts, &path, only_new).await;
        if !placed.map_err(S3Error::internal_error)? {
            return Err(s3_error!(
                PreconditionFailed,
                "there is an object by that key"
            ));
        }
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(etag(&facts)),
            checksum_sha256: Some(facts.sha256),
            ..PutObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let (_, facts) = self.find(&input.bucket, &input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(length(facts.size)?),
            e_tag: Some(etag(&facts)),
            checksum_sha256: shown(input.checksum_mode.as_ref(), &facts),
            content_type: facts.content_type,
            metadata: Some(facts.metadata.into_iter().collect()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (file, facts) = self.find(&input.bucket, &input.key).await?;
        let part = match &input.range {
            Some(range) => range.check(facts.size)?,
            None => 0..facts.size,
        };
        let content_range = input.range.map(|_| {
            let last = part.end.saturating_sub(1);
            format!("bytes {}-{last}/{}", part.start, facts.size)
        });
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(part.end.saturating_sub(part.start))?),
            content_range,
            e_tag: Some(etag(&facts)),
            checksum_sha256: shown(input.checksum_mode.as_ref(), &facts),
            content_type: facts.content_type,
            metadata: Some(facts.metadata.into_iter().collect()),
            body: Some(StreamingBlob::wrap(read(file, part))),
            ..GetObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.path(&req.input.bucket, "")?;
        Ok(S3Response::new(list::list(&self.whole, req.input).await?))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let path = self.path(&req.input.bucket, &req.input.key)?;
        match tokio::fs::remove_file(path).await {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(S3Error::internal_error(cause))
            }
            _ => Ok(S3Response::new(DeleteObjectOutput::default())),
        }
    }
}

/// Whether the object must be new; conditions and checksums that are not kept are refused, not ignored.
fn only_new(input: &PutObjectInput) -> S3Result<bool> {
    let unkept = input.content_md5.is_some()
        || input.checksum_crc32.is_some()
        || input.checksum_crc32c.is_some()
        || input.checksum_crc64nvme.is_some()
        || input.checksum_sha1.is_some()
        || input.if_match.is_some();
    if unkept {
        return Err(s3_error!(
            NotImplemented,
            "the one checksum is SHA-256, the one condition If-None-Match: *"
        ));
    }
    match &input.if_none_match {
        None => Ok(false),
        Some(condition) if condition.is_any() => Ok(true),
        Some(_) => Err(s3_error!(
            NotImplemented,
            "the one condition is If-None-Match: *"
        )),
    }
}

fn refused(why: NotWritten) -> S3Error {
    match why {
        NotWritten::Body(why) => s3_error!(IncompleteBody, "{why}"),
        NotWritten::TooLarge => s3_error!(EntityTooLarge),
        NotWritten::Disk(cause) => S3Error::internal_error(cause),
    }
}

fn etag(facts: &Facts) -> ETag {
    ETag::Strong(facts.sha256.clone())
}

fn shown(mode: Option<&ChecksumMode>, facts: &Facts) -> Option<String> {
    let asked = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    asked.then(|| facts.sha256.clone())
}

fn length(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(S3Error::internal_error)
}

/// The bytes of a file from one place to another.
fn read(
    file: File,
    part: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
    stream::try_unfold((file, part), |(mut file, mut part)| async move {
        let left = part.end.saturating_sub(part.start);
        let wanted = usize::try_from(left)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        if wanted == 0 {
            return Ok(None);
        }
        file.seek(io::SeekFrom::Start(part.start)).await?;
        let mut chunk = vec![0; wanted];
        let got = file.read(&mut chunk).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(got);
        part.start += got as u64;
        Ok(Some((Bytes::from(chunk), (file, part))))
    })
}
