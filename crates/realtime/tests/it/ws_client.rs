//! A WebSocket client, and one that writes frames by hand.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, handshake::client::Response as Handshake},
};

use crate::{
    app::soon,
    http::{Request, head_end, parse_head},
};

pub(crate) struct Ws {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) handshake: Handshake,
}

impl Ws {
    /// Opens a socket that must be accepted.
    pub(crate) async fn open(request: &Request) -> Self {
        let url = format!("ws://{}{}", request.address, request.path);
        let mut upgrade = url.into_client_request().unwrap();
        for (name, value) in &request.headers {
            let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().unwrap();
            upgrade.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(request.address).await.unwrap();
        let (socket, handshake) = soon("a handshake", client_async(upgrade, stream))
            .await
            .unwrap();
        Self { socket, handshake }
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message that is no ping.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            match soon("a frame", self.socket.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next frame, as JSON.
    pub(crate) async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("not text: {other:?}"),
        }
    }

    /// The next frame of this kind; others are passed over.
    pub(crate) async fn op(&mut self, op: &str) -> Value {
        loop {
            let frame = self.json().await;
            if frame["op"] == op {
                return frame;
            }
        }
    }

    /// The next cursors, and nothing but events between.
    pub(crate) async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let frame = self.json().await;
            if frame["op"] == "presence" {
                continue;
            }
            assert_eq!(frame["op"], "event", "{frame}");
            ids.push(frame["event"]["id"].as_str().unwrap().to_owned());
        }
        ids
    }

    /// The code with which the server closes; frames before it are passed over.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => return frame.code.into(),
                Some(_) => {}
                None => panic!("the socket ended without a close frame"),
            }
        }
    }

    /// Publishes and waits for the answer, whatever comes between.
    pub(crate) async fn publish(&mut self, reference: &str, data: Value) -> Value {
        self.send(json!({"op": "publish", "ref": reference, "data": data}))
            .await;
        loop {
            let frame = self.json().await;
            if frame["ref"] == reference {
                return frame;
            }
        }
    }
}

/// A socket whose frames the test writes bit by bit.
pub(crate) struct RawWs(TcpStream, Vec<u8>);

impl RawWs {
    pub(crate) async fn open(request: Request) -> Self {
        let request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut stream = request.connect().await;
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = head_end(&raw) {
                break end;
            }
            let read = soon("a head", stream.read_buf(&mut raw)).await.unwrap();
            assert!(read > 0, "the connection ended in the head");
        };
        let (status, _) = parse_head(&raw[..end]);
        assert_eq!(status, 101);
        Self(stream, raw.split_off(end))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // The server may have closed already; what it said is then still to be read.
        let _ = self.0.write_all(bytes).await;
    }

    /// A masked frame; the mask is zero, so the payload is as written.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
            medium @ 126..65536 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.write(&frame).await;
    }

    /// The next frame of the server that is no ping: its first byte and payload.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.read_any().await {
                Some((0x89, _)) => {}
                other => return other,
            }
        }
    }

    pub(crate) async fn read_any(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            match soon("a frame", self.0.read_buf(&mut self.1)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let buffer = &self.1;
        let (start, length) = match *buffer.get(1)? {
            126 => (
                4,
                usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])),
            ),
            127 => panic!("no test expects such a frame"),
            short => (2, usize::from(short)),
        };
        let payload = buffer.get(start..start + length)?.to_vec();
        let first = buffer[0];
        self.1.drain(..start + length);
        Some((first, payload))
    }

    /// The code with which the server closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.read().await {
                Some((0x88, payload)) => return u16::from_be_bytes([payload[0], payload[1]]),
                Some(_) => {}
                None => panic!("the socket ended without a close frame"),
            }
        }
    }
}
