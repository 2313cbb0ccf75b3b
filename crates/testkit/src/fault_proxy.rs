//! A network between a server and its backend that can be cut, silenced and slowed, and a backend that is broken.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Semaphore, mpsc, watch},
    task::AbortHandle,
    time::Instant,
};

use crate::sockets;

/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes of a part.
const CHUNK: usize = 16 * 1024;
/// Parts of an answer that are on their way at a time.
const LINE: usize = 64;
/// Longest head of a request that is answered with 503, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// How long a refused client may still send.
const REST_MAX: Duration = Duration::from_secs(5);
/// What a store says that is too busy.
const BUSY: &[u8] = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Bytes pass.
    Open,
    /// Connections are reset, new ones as well.
    Cut,
    /// Connections are taken and kept, and no byte passes until this ends.
    Silent,
    /// Answers come this much later.
    Slow(Duration),
    /// After so many bytes of an answer its connection is reset.
    Half(u64),
    /// Every request is answered with an HTTP 503, and reaches nobody.
    Unavailable,
}

/// What happens to whose connections.
#[derive(Debug, Clone, Copy)]
struct Ways {
    all: Way,
    /// One process has a way of its own.
    own: Option<(u32, Way)>,
}

/// A way to a backend, on a loopback port of its own; it ends with this value, and its connections with it.
pub struct FaultProxy {
    address: SocketAddr,
    ways: watch::Sender<Ways>,
    accepting: AbortHandle,
}

impl FaultProxy {
    /// A way to `backend`, which is open.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(backend: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let open = Ways {
            all: Way::Open,
            own: None,
        };
        let (ways, told) = watch::channel(open);
        let accepting = tokio::spawn(accept(listener, backend, told)).abort_handle();
        Self {
            address,
            ways,
            accepting,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives every connection, of now and later, another way.
    pub fn set(&self, way: Way) {
        self.ways.send_replace(Ways {
            all: way,
            own: None,
        });
    }

    /// Gives those of one process another way, and leaves the others theirs.
    pub fn set_for(&self, process: u32, way: Way) {
        self.ways
            .send_modify(|ways| ways.own = Some((process, way)));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, backend: SocketAddr, ways: watch::Receiver<Ways>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        // A client that is gone before it is taken is no matter.
        let Ok((client, peer)) = listener.accept().await else {
            continue;
        };
        let way = Following {
            ways: ways.clone(),
            peer,
            now: None,
        };
        tokio::spawn(async move {
            carry(client, backend, way).await;
            drop(place);
        });
    }
}

/// The way of one connection, as it changes.
#[derive(Clone)]
struct Following {
    ways: watch::Receiver<Ways>,
    peer: SocketAddr,
    /// What was found when it was looked at last.
    now: Option<Way>,
}

impl Following {
    fn now(&mut self) -> Way {
        match self.now {
            Some(now) if matches!(self.ways.has_changed(), Ok(false)) => now,
            _ => {
                let ways = *self.ways.borrow_and_update();
                let own = ways
                    .own
                    .filter(|(process, _)| sockets::are_of(*process, self.peer));
                *self.now.insert(own.map_or(ways.all, |(_, way)| way))
            }
        }
    }

    /// Waits for another way; `false` when there will be none.
    async fn changed(&mut self) -> bool {
        let changed = self.ways.changed().await.is_ok();
        self.now = None;
        changed
    }

    /// Waits until bytes pass; `false` when they never will.
    async fn until_heard(&mut self) -> bool {
        while self.now() == Way::Silent {
            if !self.changed().await {
                return false;
            }
        }
        true
    }

    /// Waits until the connection must end.
    async fn until_cut(mut self) {
        while !matches!(self.now(), Way::Cut | Way::Unavailable) {
            if !self.changed().await {
                return;
            }
        }
    }
}

async fn carry(mut client: TcpStream, backend: SocketAddr, mut way: Following) {
    if !way.until_heard().await || way.now() == Way::Cut {
        return reset(&client);
    }
    if way.now() == Way::Unavailable {
        // A client that is gone needs no answer.
        let _ = refuse(&mut client).await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(backend).await else {
        return reset(&client);
    };
    let ended = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let answered = AtomicU64::new(0);
        let both = async {
            let requests = requests(from_client, to_server, way.clone(), &answered);
            let answers = answers(from_server, to_client, way.clone(), &answered);
            tokio::try_join!(requests, answers).is_ok()
        };
        tokio::select! {
            ended = both => ended,
            () = way.clone().until_cut() => false,
        }
    };
    if !ended {
        reset(&client);
        reset(&server);
    }
}

/// Makes the end of a connection an abrupt one.
fn reset(stream: &TcpStream) {
    // A connection that is gone already cannot be told.
    let _ = stream.set_zero_linger();
}

async fn requests(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut way: Following,
    answered: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if !way.until_heard().await {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        answered.store(0, Ordering::SeqCst);
        to.write_all(chunk.get(..read).unwrap_or_default()).await?;
    }
}

async fn answers(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: Following,
    answered: &AtomicU64,
) -> io::Result<()> {
    let (line, end) = mpsc::channel(LINE);
    tokio::try_join!(
        receive(from, line, way.clone(), answered),
        deliver(end, to, way)
    )?;
    Ok(())
}

/// A part of an answer, and when it arrives.
struct Part {
    bytes: Vec<u8>,
    at: Instant,
    /// Whether the connection ends with it.
    last: bool,
}

/// Puts what the backend says on the line to the client.
async fn receive(
    mut from: ReadHalf<'_>,
    line: mpsc::Sender<Part>,
    mut way: Following,
    answered: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let mut bytes = chunk.get(..read).unwrap_or_default().to_vec();
        let before = answered.fetch_add(read as u64, Ordering::SeqCst);
        let (mut at, mut last) = (Instant::now(), false);
        match way.now() {
            Way::Slow(by) => at += by,
            Way::Half(most) if before + read as u64 > most => {
                bytes.truncate(usize::try_from(most.saturating_sub(before)).unwrap_or(read));
                last = true;
            }
            _ => {}
        }
        if line.send(Part { bytes, at, last }).await.is_err() {
            return Ok(());
        }
    }
}

/// Gives the client what arrives on the line, each part in its time.
async fn deliver(
    mut line: mpsc::Receiver<Part>,
    mut to: WriteHalf<'_>,
    mut way: Following,
) -> io::Result<()> {
    while let Some(part) = line.recv().await {
        tokio::time::sleep_until(part.at).await;
        if !way.until_heard().await {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        to.write_all(&part.bytes).await?;
        if part.last {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
    to.shutdown().await
}

/// Answers one request with 503, once its head has come.
async fn refuse(client: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    while head.len() < HEAD_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = client.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    client.write_all(BUSY).await?;
    client.shutdown().await?;
    // Closing on what is still being sent would be a reset, and take the answer away.
    let rest = async { while client.read(&mut chunk).await.is_ok_and(|read| read > 0) {} };
    let _ = tokio::time::timeout(REST_MAX, rest).await;
    Ok(())
}
