//! The port over one bucket.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _},
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
    types::ChecksumMode,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use identity::Clock;
use sha2::{Digest as _, Sha256};
use store::{
    Blobs, Disposition, GET_BYTES_MAX, ObjectHead, ObjectKey, PRESIGN_MAX, PresignedPost,
    PresignedUrl, StoreError, UploadPromise,
};

use crate::{
    S3Error, S3Settings,
    answer::{failed, status, unusable},
    client::{TRANSFER_WAIT_MAX, client, sent_once},
    disposition::{attachment, served_type},
    head::Told,
    post,
    presign::Span,
};

/// Tries of an upload that met another one to the same key at the same moment.
const CONFLICTS_MAX: u32 = 3;
/// What a form's key must not hold: stores put the file's own name in its place.
const FILENAME_VARIABLE: &str = "${filename}";

/// Objects in one bucket.
pub struct S3Blobs {
    pub(crate) client: Client,
    settings: S3Settings,
    clock: Arc<dyn Clock>,
    form_url: String,
}

impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Blobs({})", self.form_url)
    }
}

impl S3Blobs {
    /// The bucket of `settings`; signatures bear the time of `clock`. Asks nobody: see [`S3Blobs::check`].
    ///
    /// # Errors
    /// [`S3Error::Invalid`] when no URL can be made for the bucket.
    pub async fn new(settings: S3Settings, clock: Arc<dyn Clock>) -> Result<Self, S3Error> {
        let form_url = bucket_url(&settings).await?;
        Ok(Self {
            client: client(&settings, Arc::clone(&clock)),
            settings,
            clock,
            form_url,
        })
    }

    /// Asks whether the bucket is there and opens to the credentials.
    ///
    /// # Errors
    /// [`S3Error::BucketMissing`], [`S3Error::Refused`] or [`S3Error::Unreachable`].
    pub async fn check(&self) -> Result<(), S3Error> {
        let asked = self.client.head_bucket().bucket(self.bucket()).send().await;
        match asked {
            Ok(_) => Ok(()),
            Err(error) => Err(unusable(self.bucket(), &error)),
        }
    }

    pub(crate) fn bucket(&self) -> &str {
        self.settings.location.bucket()
    }

    fn span(&self, life: Duration) -> Span {
        Span::new(self.clock.now(), life)
    }

    /// Reads an object's bytes, within a limit whatever its head says.
    async fn read(&self, found: GetObjectOutput) -> Result<Bytes, StoreError> {
        let too_large = || {
            StoreError::Limit(format!(
                "an object over {GET_BYTES_MAX} bytes is read by URL"
            ))
        };
        let told = u64::try_from(found.content_length().unwrap_or(0)).unwrap_or(0);
        if told > GET_BYTES_MAX {
            return Err(too_large());
        }
        let mut body = found.body;
        let mut bytes = BytesMut::with_capacity(usize::try_from(told).unwrap_or(0));
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| self.broken_off())?;
            if (bytes.len() + chunk.len()) as u64 > GET_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    pub(crate) fn broken_off(&self) -> StoreError {
        StoreError::Unavailable(format!("the bucket {}: it broke off", self.bucket()))
    }
}

/// Where forms for the bucket are sent, by the same rules as the SDK's requests.
async fn bucket_url(settings: &S3Settings) -> Result<String, S3Error> {
    let location = &settings.location;
    let nowhere = |why: &dyn fmt::Display| {
        S3Error::Invalid(format!(
            "the bucket {} has no URL: {why}",
            location.bucket()
        ))
    };
    let params = Params::builder()
        .bucket(location.bucket())
        .region(location.region())
        .force_path_style(location.path_style())
        .set_endpoint(location.endpoint().map(str::to_owned))
        .build()
        .map_err(|cause| nowhere(&cause))?;
    let resolved = DefaultResolver::new().resolve_endpoint(&params).await;
    Ok(resolved.map_err(|cause| nowhere(&cause))?.url().to_owned())
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        if key.as_str().contains(FILENAME_VARIABLE) {
            let why = format!("a form's key does not hold {FILENAME_VARIABLE}");
            return Err(StoreError::Limit(why));
        }
        let span = (self.clock.now(), life.min(PRESIGN_MAX));
        let (settings, url) = (&self.settings, &self.form_url);
        Ok(post::presign(settings, url, key, promise, span))
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let span = self.span(life);
        let size = i64::try_from(promise.size)
            .map_err(|_| StoreError::Limit("no object is that large".to_owned()))?;
        let hash = promise.sha256.map(|hash| BASE64_STANDARD.encode(hash));
        let put = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .content_type(&promise.content_type)
            .content_length(size)
            .set_checksum_sha256(hash);
        let signed = put.presigned(span.config()?).await;
        let signed = signed.map_err(|error| failed(self.bucket(), error))?;
        // The length is signed too, and every client sends it by itself.
        Ok(span.url(&signed, &["content-type", "x-amz-checksum-sha256"]))
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let span = self.span(life);
        let get = self
            .client
            .get_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .response_content_disposition(attachment(&disposition.filename))
            .response_content_type(served_type(&disposition.content_type));
        let signed = get.presigned(span.config()?).await;
        let signed = signed.map_err(|error| failed(self.bucket(), error))?;
        Ok(span.url(&signed, &[]))
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        let asked = self
            .client
            .head_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let head = match asked {
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(failed(self.bucket(), error)),
            Ok(head) => head,
        };
        let told = Told {
            size: head.content_length,
            content_type: head.content_type,
            sha256: head.checksum_sha256,
            etag: head.e_tag,
            metadata: head.metadata,
        };
        told.head(key).map(Some)
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        let hash = BASE64_STANDARD.encode(Sha256::digest(&body));
        let mut conflicts = 0;
        loop {
            let put = self
                .client
                .put_object()
                .bucket(self.bucket())
                .key(key.as_str())
                .content_type(content_type)
                .checksum_sha256(&hash)
                .if_none_match("*")
                .body(ByteStream::from(body.clone()));
            let sent = put.customize().config_override(sent_once()).send().await;
            match sent {
                Ok(_) => return Ok(true),
                Err(error) => match status(&error) {
                    Some(412) => return Ok(false),
                    Some(409) if conflicts < CONFLICTS_MAX => conflicts += 1,
                    _ => return Err(failed(self.bucket(), error)),
                },
            }
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        let asked = self
            .client
            .get_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .send()
            .await;
        let found = match asked {
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(failed(self.bucket(), error)),
            Ok(found) => found,
        };
        match tokio::time::timeout(TRANSFER_WAIT_MAX, self.read(found)).await {
            Ok(read) => read.map(Some),
            Err(_) => Err(self.broken_off()),
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let asked = self
            .client
            .delete_object()
            .bucket(self.bucket())
            .key(key.as_str())
            .send()
            .await;
        match asked {
            Err(error) if status(&error) != Some(404) => Err(failed(self.bucket(), error)),
            _ => Ok(()),
        }
    }
}
