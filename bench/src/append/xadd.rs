//! The baseline on Redis: `XADD` with an id of the server's, over a few shared connections.

use anyhow::{Context, Result};
use async_trait::async_trait;
use deadpool_redis::redis::{self, Client, aio::MultiplexedConnection};

use super::{Appender, EVENT_BYTES};

/// As many as the engine has unless its row says otherwise.
const CONNECTIONS: usize = 4;

/// Streams without anything around them.
pub(super) struct RawStreams {
    connections: Vec<MultiplexedConnection>,
    body: Vec<u8>,
}

impl RawStreams {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let client = Client::open(url)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(client.get_multiplexed_async_connection().await?);
        }
        Ok(Self {
            connections,
            body: vec![b'x'; EVENT_BYTES],
        })
    }
}

#[async_trait]
impl Appender for RawStreams {
    async fn append(&self, writer: usize, _: u64) -> Result<()> {
        let connection = self.connections.get(writer % CONNECTIONS);
        let mut connection = connection.context("a connection for each writer")?.clone();
        let mut add = redis::cmd("XADD");
        add.arg(format!("raw:{writer}"))
            .arg("*")
            .arg("b")
            .arg(&self.body);
        add.query_async::<()>(&mut connection).await?;
        Ok(())
    }
}
