//! Limits and timeouts of the server.

use serde::{Deserialize, Serialize};

/// How the server treats connections.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Worker threads; 0 takes one a core.
    pub workers: usize,
    /// Open connections of one worker; further ones wait.
    pub connections_per_worker: usize,
    /// Seconds in which the head of a request must arrive.
    pub head_timeout_s: u64,
    /// Seconds after which an idle connection is closed.
    pub keep_alive_s: u64,
    /// Seconds after which a peer that takes no bytes is cut off.
    pub stalled_peer_s: u64,
    /// Seconds for open streams to end when the server stops.
    pub drain_s: u64,
    /// Origins of browsers that may call; none by default.
    pub allowed_origins: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            connections_per_worker: 25_000,
            head_timeout_s: 10,
            keep_alive_s: 75,
            stalled_peer_s: 15,
            drain_s: 10,
            allowed_origins: Vec::new(),
        }
    }
}
