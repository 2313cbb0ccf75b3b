//! The load: kept connections on one thread, one request at a time on each.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::wire::http::{content_length, status};

const READ_BYTES: usize = 16 * 1024;
const OK: &[u8] = b"HTTP/1.1 200";

/// Requests answered with 200, per second, over `connections` for the time of a round.
///
/// # Errors
/// When a connection fails or an answer is not 200.
pub(crate) fn requests_per_s(
    addr: SocketAddr,
    request: &[u8],
    connections: usize,
    round: Duration,
) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let started = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|_| tokio::task::spawn_local(client(addr, request.to_vec(), started + round)))
            .collect();
        let mut answered = 0;
        for client in clients {
            answered += client.await??;
        }
        Ok(answered as f64 / started.elapsed().as_secs_f64())
    })
}

async fn client(addr: SocketAddr, request: Vec<u8>, until: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; READ_BYTES];
    stream.write_all(&request).await?;
    // All answers are alike, so the first one tells how long each is.
    let length = first_answer(&mut stream, &mut buffer).await?;
    let mut answered = 1;
    while Instant::now() < until {
        stream.write_all(&request).await?;
        let answer = buffer.get_mut(..length).context("an answer fits")?;
        stream.read_exact(answer).await?;
        if !answer.starts_with(OK) {
            bail!("an answer is not 200: {}", String::from_utf8_lossy(answer));
        }
        answered += 1;
    }
    Ok(answered)
}

async fn first_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    let mut count = 0;
    loop {
        count += stream
            .read(buffer.get_mut(count..).unwrap_or_default())
            .await?;
        let text = std::str::from_utf8(buffer.get(..count).unwrap_or_default())?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            if status(head) != Some(200) {
                bail!("the first answer is not 200: {text}");
            }
            if Some(body.len()) == content_length(head) {
                return Ok(count);
            }
        }
        if count == buffer.len() {
            bail!("an answer without an end");
        }
    }
}
