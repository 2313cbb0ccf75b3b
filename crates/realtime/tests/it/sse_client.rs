//! A client of server-sent events that parses every byte itself.

use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{
    app::soon,
    http::{Request, head_end, parse_head},
};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) comments: usize,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            let once = |field: &mut Option<String>| {
                assert!(
                    field.replace(value.clone()).is_none(),
                    "{name} twice in {text:?}"
                );
            };
            match name {
                "" => block.comments += 1,
                "id" => once(&mut block.id),
                "event" => once(&mut block.event),
                "data" => once(&mut block.data),
                "retry" => block.retry = Some(value.parse().unwrap()),
                _ => panic!("an unknown field in {text:?}"),
            }
        }
        block
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.data.as_ref().unwrap()).unwrap()
    }

    /// Asserts that this is a message and returns its envelope.
    #[track_caller]
    pub(crate) fn message(&self) -> Value {
        assert_eq!(self.event.as_deref(), Some("message"), "{self:?}");
        let envelope = self.json();
        assert_eq!(envelope["id"].as_str(), self.id.as_deref());
        envelope
    }
}

pub(crate) struct Sse {
    stream: TcpStream,
    pub(crate) headers: Vec<(String, String)>,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// The first block, which is sent at once.
    pub(crate) hello: Block,
}

impl Sse {
    /// Opens a stream that must be accepted.
    pub(crate) async fn open(request: Request) -> Self {
        let mut stream = request.connect().await;
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = head_end(&raw) {
                break end;
            }
            let read = soon("a head", stream.read_buf(&mut raw)).await.unwrap();
            assert!(read > 0, "the connection ended in the head");
        };
        let (status, headers) = parse_head(&raw[..end]);
        raw.drain(..end);
        assert_eq!(status, 200, "{headers:?} {}", String::from_utf8_lossy(&raw));
        let mut sse = Self {
            stream,
            headers,
            raw,
            text: Vec::new(),
            hello: Block::default(),
        };
        sse.hello = sse.block().await.expect("a first block");
        sse
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(known, _)| known == name);
        all.next().map(|(_, value)| value.as_str())
    }

    /// The next block of any kind; `None` at the end of the stream.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        soon("a block", self.read_block()).await
    }

    async fn read_block(&mut self) -> Option<Block> {
        loop {
            if let Some(at) = self.text.windows(2).position(|w| w == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..at + 2).collect();
                return Some(Block::parse(std::str::from_utf8(&block[..at]).unwrap()));
            }
            while self.take_chunk() {}
            if self.text.windows(2).any(|w| w == b"\n\n") {
                continue;
            }
            if self.raw.starts_with(b"0\r\n") {
                return None;
            }
            match self.stream.read_buf(&mut self.raw).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Undoes one HTTP chunk.
    fn take_chunk(&mut self) -> bool {
        let Some(line) = self.raw.windows(2).position(|w| w == b"\r\n") else {
            return false;
        };
        let size = std::str::from_utf8(&self.raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let end = line + 2 + size + 2;
        if size == 0 || self.raw.len() < end {
            return false;
        }
        self.text.extend_from_slice(&self.raw[line + 2..end - 2]);
        self.raw.drain(..end);
        true
    }

    /// The next block that is no mere comment.
    pub(crate) async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if block.event.is_some() {
                return Some(block);
            }
        }
    }

    /// The next envelope.
    pub(crate) async fn message(&mut self) -> Value {
        self.event().await.expect("a message").message()
    }

    /// The next cursors.
    pub(crate) async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.message().await["id"].as_str().unwrap().to_owned());
        }
        ids
    }
}
