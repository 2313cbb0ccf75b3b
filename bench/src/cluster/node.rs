//! A node: `tenantry serve` over the shared backends, with a port and a folder of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{
    cloud::Cloud,
    server::{Running, command, free_port, wait_ready},
};

/// A node, and how it is started again.
pub(super) struct Node {
    pub(super) addr: SocketAddr,
    at: usize,
    binary: PathBuf,
    config: PathBuf,
    data: PathBuf,
    running: Running,
}

impl Node {
    /// Starts the node `at` of an installation.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(cloud: &Cloud, at: usize) -> Result<Self> {
        let (config, data) = cloud.node(at)?;
        let (binary, addr) = (cloud.binary, free_port()?);
        Ok(Self {
            addr,
            at,
            running: serve(binary, &config, &data, addr)?,
            binary: binary.to_owned(),
            config,
            data,
        })
    }

    /// `kill -9`, and a new process on the same port and folder.
    ///
    /// # Errors
    /// When it had ended by itself, or cannot be started.
    pub(super) fn kill_and_start(&mut self) -> Result<()> {
        self.is_alive()?;
        self.running.end()?;
        self.running = serve(&self.binary, &self.config, &self.data, self.addr)?;
        Ok(())
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub(super) fn ready(&mut self) -> Result<()> {
        self.is_alive()?;
        wait_ready(&mut self.running, self.addr)
    }

    /// That it did not end by itself.
    ///
    /// # Errors
    /// When it did.
    pub(super) fn is_alive(&mut self) -> Result<()> {
        if self.running.has_ended()? {
            bail!("node {} ended by itself, see its log", self.at);
        }
        Ok(())
    }
}

fn serve(binary: &Path, config: &Path, data: &Path, addr: SocketAddr) -> Result<Running> {
    let mut command = command(binary, "serve", addr, data)?;
    Running::start(command.arg("--config").arg(config))
}
