//! An S3 server on loopback over a folder: for development and tests, not for the world.
//!
//! Start at [`S3Endpoint::start`]. The protocol is `s3s`: it verifies signatures, and holds
//! POST forms to their policy. [`objects`] keeps what passed: checked against its checksum before
//! it can be seen, and durable before it is acknowledged. One bucket, one key; the operations
//! are put, get, head, list, delete and the POST form, everything else is `NotImplemented`.
//!
//! **Invariant:** an object is seen whole or not at all.

mod cors;
mod list;
mod objects;
mod part;
mod serve;

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use s3s::{
    auth::SimpleAuth,
    config::{S3Config, StaticConfigProvider},
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{net::TcpListener, task::JoinHandle};
use zeroize::Zeroizing;

use crate::OpenError;
use objects::{OBJECT_BYTES_MAX, Objects};

/// Remembers the port that the system chose, so that URLs stay right after a restart.
const PORT_FILE: &str = "port";
/// Largest field of a form, in bytes; a policy is far smaller.
const FORM_FIELD_BYTES_MAX: usize = 64 * 1024;
/// All fields of a form together, in bytes, and their number.
const FORM_FIELDS_BYTES_MAX: usize = 256 * 1024;
const FORM_PARTS_MAX: usize = 64;
/// Largest body of a request that is read whole, in bytes; none that is served here has one.
const XML_BYTES_MAX: usize = 64 * 1024;
/// A form or URL may be used as long as it may live, seven days in seconds; `s3s` refuses
/// request dates older than 15 minutes by default, whatever the policy says.
const SKEW_S_MAX: u32 = 7 * 24 * 60 * 60;

/// How an endpoint is started.
pub struct S3EndpointSettings {
    /// A loopback address. Port 0 stands for the port of the last start, or any that is free.
    pub listen: SocketAddr,
    /// Where the objects are; made if it is not there.
    pub folder: PathBuf,
    /// Its one bucket.
    pub bucket: String,
    /// Its one key.
    pub access_key_id: String,
    /// The secret half of the key.
    pub secret_access_key: Zeroizing<String>,
}

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct S3Endpoint {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl S3Endpoint {
    /// Opens the folder and listens.
    ///
    /// # Errors
    /// [`OpenError`] when the address is not on loopback or cannot be bound, or the folder
    /// cannot be used.
    pub async fn start(settings: S3EndpointSettings) -> Result<Self, OpenError> {
        if !settings.listen.ip().is_loopback() {
            return Err(OpenError::Io {
                path: settings.folder,
                why: format!(
                    "{} is no loopback address: this endpoint is for development",
                    settings.listen
                ),
            });
        }
        let failed = |cause: std::io::Error| OpenError::io(&settings.folder, &cause);
        let objects = Objects::open(&settings.folder, &settings.bucket).map_err(failed)?;
        let listener = listen(settings.listen, &settings.folder).await?;
        let address = listener.local_addr().map_err(failed)?;
        remember(&settings.folder, address).map_err(failed)?;
        let service = service(objects, &settings);
        let accepting = tokio::spawn(serve::accept(listener, service));
        Ok(Self { address, accepting })
    }

    /// Where it is reached, such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and cuts all connections; when it returns, the port is free.
    pub async fn close(&mut self) {
        self.accepting.abort();
        // An aborted task ends with an error, which is what was wanted.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for S3Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn service(objects: Objects, settings: &S3EndpointSettings) -> S3Service {
    let mut config = S3Config::default();
    config.xml_max_body_size = XML_BYTES_MAX;
    config.post_object_max_file_size = OBJECT_BYTES_MAX;
    config.form_max_field_size = FORM_FIELD_BYTES_MAX;
    config.form_max_fields_size = FORM_FIELDS_BYTES_MAX;
    config.form_max_parts = FORM_PARTS_MAX;
    config.presigned_url_max_skew_time_secs = SKEW_S_MAX;
    let mut builder = S3ServiceBuilder::new(objects);
    builder.set_auth(SimpleAuth::from_single(
        settings.access_key_id.as_str(),
        settings.secret_access_key.as_str(),
    ));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// Binds the address; for port 0 the remembered port, if nobody else took it meanwhile.
async fn listen(address: SocketAddr, folder: &Path) -> Result<TcpListener, OpenError> {
    let remembered = match address.port() {
        0 => remembered(folder, address.ip()),
        _ => None,
    };
    if let Some(remembered) = remembered {
        match TcpListener::bind(remembered).await {
            Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
                tracing::warn!(%remembered, "another process took the port of the S3 endpoint: it gets a new one, and URLs that were signed before end");
            }
            bound => return bound.map_err(|cause| unbound(remembered, folder, &cause)),
        }
    }
    let bound = TcpListener::bind(address).await;
    bound.map_err(|cause| unbound(address, folder, &cause))
}

fn unbound(address: SocketAddr, folder: &Path, cause: &std::io::Error) -> OpenError {
    OpenError::Io {
        path: folder.to_owned(),
        why: format!("the S3 endpoint cannot listen on {address}: {cause}"),
    }
}

fn remembered(folder: &Path, ip: IpAddr) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(folder.join(PORT_FILE)).ok()?;
    let port = text.trim().parse().ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(ip, port))
}

fn remember(folder: &Path, address: SocketAddr) -> std::io::Result<()> {
    std::fs::write(folder.join(PORT_FILE), format!("{}\n", address.port()))
}
