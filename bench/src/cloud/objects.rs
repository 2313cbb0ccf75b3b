//! An S3 store of the bench's own, on a thread beside it: nodes ask for one, and the benches send it nothing.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use engine_embedded::{S3Endpoint, S3EndpointSettings};
use tokio::sync::oneshot;

pub(super) const BUCKET: &str = "bench";
pub(super) const KEY_ID: &str = "bench-id";
pub(super) const SECRET: &str = "bench-secret";

/// A running store; it ends with this value.
pub(super) struct Objects {
    pub(super) url: String,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<()>>>,
}

impl Objects {
    /// Starts one over `folder`.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let settings = S3EndpointSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder: folder.to_owned(),
            bucket: BUCKET.to_owned(),
            access_key_id: KEY_ID.to_owned(),
            secret_access_key: SECRET.to_owned().into(),
        };
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serving = thread::spawn(move || serve(settings, &tell, stopped));
        Ok(Self {
            url: told.recv().context("the S3 store did not start")?,
            stop: Some(stop),
            serving: Some(serving),
        })
    }
}

fn serve(
    settings: S3EndpointSettings,
    tell: &mpsc::Sender<String>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let endpoint = S3Endpoint::start(settings).await?;
        tell.send(endpoint.url())?;
        // Nobody sends anything: the other end is dropped.
        let _dropped = stopped.await;
        Ok(())
    })
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(serving) = self.serving.take() {
            let _ended = serving.join();
        }
    }
}
