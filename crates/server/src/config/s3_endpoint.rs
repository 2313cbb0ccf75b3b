//! The S3 endpoint for development.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An S3 server in this process, over the folder `objects` of the data folder. It is for development: rows of the
/// routing registry whose config says `"endpoint": "s3_endpoint"` are served by it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3EndpointConfig {
    /// A loopback address. Port 0, the default, is any free port, and the same one after a restart.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Reference to the id of its one key.
    pub access_key_id: String,
    /// Reference to the secret half of its key.
    pub secret_access_key: String,
}

impl S3EndpointConfig {
    /// The endpoint of a fresh installation.
    #[must_use]
    pub fn fresh(access_key_id: String, secret_access_key: String) -> Self {
        Self {
            listen: default_listen(),
            access_key_id,
            secret_access_key,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
