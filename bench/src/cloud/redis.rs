//! A `redis-server` of the bench's own, durable, over a folder of the disk that other benches use.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    ambient::scratch,
    server::{Running, free_port},
};

/// What the server prints once it serves.
const READY: &str = "Ready to accept connections";

/// A running server with `appendfsync always`; it ends with this value.
pub(crate) struct RedisServer {
    _running: Running,
    url: String,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is no `redis-server`, or it does not start.
    pub(crate) fn start() -> Result<Self> {
        let folder = scratch()?;
        let port = free_port()?.port();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(folder.path())
            .args(["--save", "", "--logfile", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always"])
            .args(["--maxmemory-policy", "noeviction"])
            .stdout(Stdio::piped());
        let started = Running::start(&mut command);
        let mut running = started.context("install it: apt-get install redis-server")?;
        let output = running.output()?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        if !lines.any(|line| line.contains(READY)) {
            bail!("redis-server did not start on port {port}");
        }
        // The rest is read as well, because a full pipe would stop the server.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            _running: running,
            url: format!("redis://127.0.0.1:{port}"),
            _folder: folder,
        })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
