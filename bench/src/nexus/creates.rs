//! Cards that are made over HTTP, with guard, gates, audit and the feed of the search, beside
//! bare commits of as many bytes to the same engine.
//!
//! Making a card waits for the disk three times, one after the other: for the record of the
//! intent, the card itself, and the record of its outcome.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use engine_embedded::Embedded;
use serde_json::json;
use store::{Batch, DocKey, Documents, Partition};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

use super::SUBJECT;
use crate::{
    ambient::{SystemClock, SystemEntropy, scratch},
    append::{Appender, Side, WRITERS, drive},
    server::{Member, Server},
    stats::median_ratio,
    table::Row,
    wire::http::{content_length, request, status},
};

const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 12;
const TEXT_BYTES: usize = 500;
const READ_BYTES: usize = 16 * 1024;

/// Connections of one member, each used by one writer.
struct Cards {
    member: Member,
    connections: Vec<Mutex<TcpStream>>,
}

impl Cards {
    async fn connect(server: &Server) -> Result<Self> {
        let mut connections = Vec::with_capacity(WRITERS);
        for _ in 0..WRITERS {
            let stream = TcpStream::connect(server.addr).await?;
            stream.set_nodelay(true)?;
            connections.push(Mutex::new(stream));
        }
        Ok(Self {
            member: server.member.clone(),
            connections,
        })
    }
}

#[async_trait]
impl Appender for Cards {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        let card = json!({"title": format!("card {writer} {n}"), "body": "x".repeat(TEXT_BYTES)});
        let headers = self.member.headers();
        let request = request("POST", "/nexus/cards", &headers, &card.to_string());
        let stream = self.connections.get(writer).context("a connection")?;
        // Nobody else uses it: the lock only gives what is shared for writing.
        let mut stream = stream.lock().await;
        stream.write_all(&request).await?;
        match answer(&mut stream).await? {
            201 => Ok(()),
            status => bail!("a card is answered {status}"),
        }
    }
}

/// Reads an answer; gives its status.
async fn answer(stream: &mut TcpStream) -> Result<u16> {
    let mut buffer = vec![0; READ_BYTES];
    let mut count = 0;
    loop {
        let rest = buffer.get_mut(count..).unwrap_or_default();
        let read = stream.read(rest).await?;
        anyhow::ensure!(read > 0, "the server ended the connection");
        count += read;
        let text = std::str::from_utf8(buffer.get(..count).unwrap_or_default())?;
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && content_length(head) == Some(body.len())
        {
            return status(head).context("a status");
        }
    }
}

/// The engine alone.
struct Bare {
    documents: Arc<dyn Documents>,
    partition: Partition,
}

#[async_trait]
impl Appender for Bare {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        let key = DocKey::new(&self.partition, format!("{writer}-{n}"));
        let value = vec![b'x'; TEXT_BYTES + 300];
        let batch = Batch::new().expect_absent(&key).put(&key, value);
        self.documents.commit(batch).await?;
        Ok(())
    }
}

/// Measures in interleaved rounds.
pub(super) async fn measure(binary: &Path) -> Result<Vec<Row>> {
    let folder = scratch()?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    let cards = Arc::new(Cards::connect(&server).await?);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let engine = Embedded::open(&folder.path().join("bare"), clock, entropy)?;
    let bare = Arc::new(Bare {
        documents: engine.documents(),
        partition: Partition::in_scope(&crate::scope::of_one_tenant().await?, "cards"),
    });
    eprintln!("nexus: {ROUNDS} rounds of creates");
    let (mut bare_side, mut ours) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        for (appender, side) in [
            (bare.clone() as Arc<dyn Appender>, &mut bare_side),
            (cards.clone(), &mut ours),
        ] {
            let started = Instant::now();
            let driven = drive(appender, WRITERS, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
        }
    }
    let ratio = median_ratio(&ours.rates, &bare_side.rates);
    let bare_what = format!("bare engine commits, {WRITERS} writers");
    let what = format!("cards over HTTP with gate, audit and feed, {WRITERS} connections");
    engine.close().await;
    Ok(vec![
        bare_side.row(SUBJECT, bare_what),
        ours.row(SUBJECT, what).compared(ratio, None),
    ])
}
