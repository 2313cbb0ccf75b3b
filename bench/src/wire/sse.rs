//! Server-sent events over an HTTP/1.1 body, chunked or plain until the connection ends.

use anyhow::{Context, Result, bail};
use memchr::memmem;

use super::http::CHUNKED;

/// One event: what `EventSource` would see.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Where the decoder is in the body.
enum Chunk {
    /// In a body that is not chunked.
    Plain,
    /// In the line with the size, hexadecimal digits so far.
    Size(String),
    /// In the data, bytes to come, the line end included.
    Data(usize),
    /// After the last chunk.
    Ended,
}

/// Bytes of a response's body, from which whole events are taken.
pub(crate) struct Events {
    chunk: Chunk,
    body: Vec<u8>,
    at: usize,
}

const LINE_END: usize = 2;
const SIZE_DIGITS_MAX: usize = 8;

impl Events {
    /// Events of the body that follows `head`.
    pub(crate) fn after(head: &str) -> Self {
        let chunked = head.to_ascii_lowercase().contains(CHUNKED);
        Self {
            chunk: if chunked {
                Chunk::Size(String::new())
            } else {
                Chunk::Plain
            },
            body: Vec::new(),
            at: 0,
        }
    }

    /// Whether the server ended the body.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.chunk, Chunk::Ended)
    }

    /// What was decoded and not taken.
    pub(crate) fn into_body(mut self) -> Vec<u8> {
        self.body.split_off(self.at)
    }

    /// Adds what was read after the response's head.
    ///
    /// # Errors
    /// When the body is not chunked as HTTP says.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.body.drain(..self.at);
        self.at = 0;
        while let Some(&first) = bytes.first() {
            match &mut self.chunk {
                Chunk::Plain => {
                    self.body.extend_from_slice(bytes);
                    return Ok(());
                }
                Chunk::Size(digits) => {
                    bytes = bytes.get(1..).unwrap_or_default();
                    match first {
                        b'\r' => {}
                        b'\n' => self.chunk = sized(digits)?,
                        _ if digits.len() == SIZE_DIGITS_MAX => bail!("a chunk without a size"),
                        digit => digits.push(char::from(digit)),
                    }
                }
                Chunk::Data(left) => {
                    let taken = bytes.len().min(*left);
                    let data = taken.min(left.saturating_sub(LINE_END));
                    self.body
                        .extend_from_slice(bytes.get(..data).unwrap_or_default());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    *left -= taken;
                    if *left == 0 {
                        self.chunk = Chunk::Size(String::new());
                    }
                }
                Chunk::Ended => return Ok(()),
            }
        }
        Ok(())
    }

    /// The text of the next whole block: the lines up to an empty one.
    ///
    /// # Errors
    /// When it is no UTF-8.
    pub(crate) fn next_block(&mut self) -> Result<Option<&str>> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let Some(end) = memmem::find(rest, b"\n\n") else {
            return Ok(None);
        };
        self.at += end + 2;
        let block = rest.get(..end).unwrap_or_default();
        Ok(Some(std::str::from_utf8(block)?))
    }

    /// The next event; comments are passed over.
    ///
    /// # Errors
    /// When the stream is no UTF-8.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        while let Some(block) = self.next_block()? {
            let event = parse(block);
            if !event.data.is_empty() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn sized(digits: &str) -> Result<Chunk> {
    let size = usize::from_str_radix(digits, 16).context("a chunk without a size")?;
    Ok(if size == 0 {
        Chunk::Ended
    } else {
        Chunk::Data(size + LINE_END)
    })
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.kind),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let one = ": hello\n\nid: 1-1\nevent: message\ndata: {\"a\":1}\n\n";
        let two = "id: 1-2\nda";
        let three = "ta: b\n\n";
        let mut sent = String::new();
        for chunk in [one, two, three] {
            sent.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        sent.push_str("0\r\n\r\n");
        for cut in 1..sent.len() {
            let mut events = Events::after(CHUNKED);
            let mut got = Vec::new();
            for part in sent.as_bytes().chunks(cut) {
                events.feed(part).unwrap();
                while let Some(event) = events.next().unwrap() {
                    got.push((event.id, event.kind, event.data));
                }
            }
            let expect = [("1-1", "message", "{\"a\":1}"), ("1-2", "", "b")];
            let expect = expect.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
            assert_eq!(got, expect, "cut at {cut}");
            assert!(events.ended());
        }
    }

    #[test]
    fn a_chunked_body_without_sizes_is_refused() {
        assert!(Events::after(CHUNKED).feed(b"id: 1\n").is_err());
    }

    #[test]
    fn a_plain_body_goes_on_until_the_end() {
        let mut events = Events::after("HTTP/1.1 200 OK\r\n\r\n");
        events.feed(b"id: 7\ndata: x\n\nid: 8").unwrap();
        let event = events.next().unwrap().unwrap();
        assert_eq!((event.id.as_str(), event.data.as_str()), ("7", "x"));
        assert_eq!(events.next().unwrap(), None);
    }
}
