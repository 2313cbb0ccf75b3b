//! Objects, each in the bucket that the registry names for its tenant and environment.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use control::{Control, ResourceKind, Secrets};
use engine_embedded::S3Endpoint;
use engine_s3::{S3Blobs, S3Error};
use identity::{Clock, Env, TenantId};
use parking_lot::Mutex;
use store::{
    Blobs, Disposition, ObjectHead, ObjectKey, PresignedPost, PresignedUrl, StoreError,
    UploadPromise,
};
use tokio::task::AbortHandle;

use super::s3::{Buckets, S3, endpoint};
use crate::{config::Config, needs::OBJECT_KINDS, startup::Missing, web::Probe};

/// The buckets of everyone are asked this often whether they serve.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// All objects of the server.
pub(super) struct Objects {
    /// What was uploaded as it came.
    pub(super) raw_storage: Arc<RoutedBlobs>,
    /// Media and what is made of it.
    pub(super) media: Arc<RoutedBlobs>,
    /// The endpoint for development, while it listens.
    endpoint: Mutex<Option<S3Endpoint>>,
}

impl Objects {
    /// Starts the development endpoint, and notes every bucket of the rows for everyone that is
    /// missing or does not open. A store that does not answer is no reason not to start.
    ///
    /// # Errors
    /// When a kind has no valid name.
    pub(super) async fn lay(
        config: &Config,
        control: &Arc<Control>,
        secrets: &Arc<Secrets>,
        clock: &Arc<dyn Clock>,
        missing: &mut Missing,
    ) -> anyhow::Result<Arc<Self>> {
        let endpoint = endpoint(config, secrets, missing).await;
        let (secrets, clock) = (Arc::clone(secrets), Arc::clone(clock));
        let buckets = Arc::new(Buckets::new(secrets, clock, endpoint.as_ref()));
        let routed = |kind: &str| -> anyhow::Result<Arc<RoutedBlobs>> {
            Ok(Arc::new(RoutedBlobs {
                kind: kind.parse().context("a kind of objects")?,
                control: Arc::clone(control),
                buckets: Arc::clone(&buckets),
            }))
        };
        let [raw_storage, media] = OBJECT_KINDS;
        let objects = Self {
            raw_storage: routed(raw_storage)?,
            media: routed(media)?,
            endpoint: Mutex::new(endpoint),
        };
        for trouble in objects.troubles().await {
            match trouble {
                // The registry's own check has named it already.
                Trouble::Row(_) => {}
                Trouble::Bucket(unreachable @ S3Error::Unreachable { .. }) => {
                    tracing::warn!(%unreachable, "an object store does not answer yet");
                }
                Trouble::Bucket(error) => missing.note(error),
            }
        }
        Ok(Arc::new(objects))
    }

    /// Stops the development endpoint.
    pub(super) async fn close(&self) {
        let endpoint = self.endpoint.lock().take();
        if let Some(mut endpoint) = endpoint {
            endpoint.close().await;
        }
    }

    /// What keeps the buckets of the rows for everyone from serving.
    async fn troubles(&self) -> Vec<Trouble> {
        let mut asked: Vec<Arc<S3Blobs>> = Vec::new();
        let mut troubles = Vec::new();
        for routed in [&self.raw_storage, &self.media] {
            for env in Env::ALL {
                match routed.bucket(&TenantId::system(), env).await {
                    Err(why) => troubles.push(Trouble::Row(why)),
                    Ok(bucket) if asked.iter().any(|asked| Arc::ptr_eq(asked, &bucket)) => {}
                    Ok(bucket) => {
                        troubles.extend(bucket.check().await.err().map(Trouble::Bucket));
                        asked.push(bucket);
                    }
                }
            }
        }
        troubles
    }

    /// A probe that knows what was found last, and the task that looks.
    ///
    /// It is not vital: all servers lose a store at the same time, and everything else goes on.
    pub(super) fn watch(self: &Arc<Self>) -> (Probe, AbortHandle) {
        let state = Arc::new(Mutex::new(Ok(())));
        let (told, objects) = (Arc::clone(&state), Arc::clone(self));
        let looking = tokio::spawn(async move {
            let mut every = tokio::time::interval(CHECK_EVERY);
            loop {
                every.tick().await;
                let troubles = objects.troubles().await;
                let texts: Vec<String> = troubles.iter().map(Trouble::text).collect();
                *state.lock() = if texts.is_empty() {
                    Ok(())
                } else {
                    Err(texts.join("; "))
                };
            }
        });
        let probe = Probe {
            name: S3,
            check: Arc::new(move || told.lock().clone()),
            vital: false,
        };
        (probe, looking.abort_handle())
    }
}

/// Why a bucket does not serve.
enum Trouble {
    /// Its row is wrong, or there is none.
    Row(String),
    /// It is missing, refuses or is silent.
    Bucket(S3Error),
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            Self::Row(why) => why.clone(),
            Self::Bucket(error) => error.to_string(),
        }
    }
}

/// Objects of one kind of resource.
pub(super) struct RoutedBlobs {
    kind: ResourceKind,
    control: Arc<Control>,
    buckets: Arc<Buckets>,
}

impl RoutedBlobs {
    async fn bucket(&self, tenant: &TenantId, env: Env) -> Result<Arc<S3Blobs>, String> {
        let row = self.control.routes().resolve(&self.kind, tenant, env).await;
        let row = row.map_err(|error| error.to_string())?;
        let bucket = self.buckets.of(&row.target).await;
        bucket.map_err(|why| format!("the route of {} for {tenant}/{env}: {why}", self.kind))
    }

    async fn of(&self, key: &ObjectKey) -> Result<Arc<S3Blobs>, StoreError> {
        let bucket = self.bucket(key.tenant(), key.env()).await;
        bucket.map_err(StoreError::Unavailable)
    }
}

#[async_trait]
impl Blobs for RoutedBlobs {
    async fn presign_post(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedPost, StoreError> {
        self.of(key).await?.presign_post(key, promise, life).await
    }

    async fn presign_put(
        &self,
        key: &ObjectKey,
        promise: &UploadPromise,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        self.of(key).await?.presign_put(key, promise, life).await
    }

    async fn presign_get(
        &self,
        key: &ObjectKey,
        disposition: &Disposition,
        life: Duration,
    ) -> Result<PresignedUrl, StoreError> {
        let bucket = self.of(key).await?;
        bucket.presign_get(key, disposition, life).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        self.of(key).await?.head(key).await
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        content_type: &str,
        body: Bytes,
    ) -> Result<bool, StoreError> {
        let bucket = self.of(key).await?;
        bucket.put_if_absent(key, content_type, body).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StoreError> {
        self.of(key).await?.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.of(key).await?.delete(key).await
    }
}
