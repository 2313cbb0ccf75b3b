//! HTTP/1.1 over one kept connection, blocking.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::sse::Events;

/// How long a peer may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// How a head says that the body comes in chunks, in small letters.
pub(super) const CHUNKED: &str = "transfer-encoding: chunked";

/// A response with its whole body.
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body, if the status is the expected one.
    ///
    /// # Errors
    /// When the status is another, or the body no JSON.
    pub(crate) fn json(&self, status: u16) -> Result<Value> {
        if self.status != status {
            let said = String::from_utf8_lossy(&self.body);
            bail!("status {} instead of {status}: {said}", self.status);
        }
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }
}

/// A request as bytes. `headers` are whole lines, each with its `\r\n`.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n{headers}{length}\r\n{body}").into_bytes()
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens.
    pub(crate) fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            stream,
            bytes: Vec::new(),
        })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends a request and waits for its whole answer.
    ///
    /// # Errors
    /// When the peer goes away or does not speak HTTP/1.1.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<Response> {
        self.send(&request(method, path, headers, body))?;
        let (status, head) = self.head()?;
        let body = match content_length(&head) {
            None if head.to_ascii_lowercase().contains(CHUNKED) => self.chunks(&head)?,
            length => self.exactly(length.unwrap_or(0))?,
        };
        Ok(Response { status, head, body })
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.bytes.len() < length {
            self.fill()?;
        }
        Ok(self.bytes.drain(..length).collect())
    }

    /// A body in chunks. What follows its last one is dropped, so the connection is used up.
    fn chunks(&mut self, head: &str) -> Result<Vec<u8>> {
        let mut events = Events::after(head);
        while !events.ended() {
            events.feed(&self.read()?)?;
        }
        Ok(events.into_body())
    }

    /// Reads a response's head; the body is left for [`Connection::read`].
    ///
    /// # Errors
    /// When the peer goes away or does not speak HTTP/1.1.
    pub(crate) fn head(&mut self) -> Result<(u16, String)> {
        loop {
            let end = self
                .bytes
                .windows(HEAD_END.len())
                .position(|part| part == HEAD_END);
            if let Some(end) = end {
                let head: Vec<u8> = self.bytes.drain(..end + HEAD_END.len()).collect();
                let head = String::from_utf8(head)?;
                return Ok((status(&head).context("no status line")?, head));
            }
            self.fill()?;
        }
    }

    /// What came and was not taken yet, or what comes next.
    ///
    /// # Errors
    /// When the peer ended the connection or was silent for too long.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>> {
        if self.bytes.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.bytes))
    }

    fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; READ_BYTES];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            bail!("the peer ended the connection");
        }
        self.bytes
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// The status of a response's head.
pub(crate) fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// The length of the body, as a response's head tells it.
pub(crate) fn content_length(head: &str) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_status_and_length() {
        let head = "HTTP/1.1 201 Created\r\nContent-Length: 17\r\n\r\n";
        assert_eq!(status(head), Some(201));
        assert_eq!(content_length(head), Some(17));
        assert_eq!(status("nonsense"), None);
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let sent = request("POST", "/a", "x: y\r\n", "{}");
        let text = String::from_utf8(sent).unwrap();
        assert!(text.starts_with("POST /a HTTP/1.1\r\nhost: bench\r\nx: y\r\n"));
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"));
        assert!(
            !String::from_utf8(request("GET", "/", "", ""))
                .unwrap()
                .contains("length")
        );
    }
}
