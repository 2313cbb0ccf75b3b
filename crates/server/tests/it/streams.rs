//! Reading streams as a client does: one event at a time, with a deadline.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use reqwest::Response;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Caller, Request, Socket, connect, open, send},
    process::Server,
};

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// One event of Server-Sent Events.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SseEvent {
    pub(crate) event: String,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

impl SseEvent {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("JSON in {self:?}"))
    }
}

/// An open SSE response.
pub(crate) struct Sse {
    response: Response,
    pending: String,
    ready: VecDeque<SseEvent>,
}

impl Sse {
    pub(crate) async fn open(server: &Server, caller: &Caller, path: &str) -> Self {
        let response = open(server, caller, &Request::new("GET", path)).await;
        assert_eq!(response.status(), 200, "{path}");
        Self::of(response)
    }

    /// What an open response goes on to say.
    pub(crate) fn of(response: Response) -> Self {
        Self {
            response,
            pending: String::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next event, or `None` when the stream ends.
    pub(crate) async fn next(&mut self) -> Option<SseEvent> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("an event arrives, or the stream ends")
    }

    /// The same, however long it takes.
    pub(crate) async fn read(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.pending
                .push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
            while let Some((block, rest)) = self.pending.split_once("\n\n") {
                let event = parse(block);
                self.pending = rest.to_owned();
                self.ready.extend(event);
            }
        }
    }

    /// The ids of the next `count` messages, whose texts must be those given.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let event = self.next().await.expect("the stream goes on");
            assert_eq!(event.event, "message", "{event:?}");
            assert_eq!(event.json()["id"].as_str(), event.id.as_deref());
            ids.push(event.id.expect("a message has an id"));
        }
        ids
    }
}

fn parse(block: &str) -> Option<SseEvent> {
    let field = |name: &str| {
        block.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')
                .map(|v| v.trim_start().to_owned())
        })
    };
    let data = field("data")?;
    Some(SseEvent {
        event: field("event").unwrap_or_else(|| "message".to_owned()),
        id: field("id"),
        data,
    })
}

/// An open WebSocket that spoke its `ready`.
pub(crate) struct Ws {
    pub(crate) socket: Socket,
    pub(crate) ready: Value,
}

impl Ws {
    pub(crate) async fn open(server: &Server, caller: &Caller, path: &str) -> Self {
        let socket = connect(server, caller, path)
            .await
            .expect("the socket opens");
        let mut ws = Self {
            socket,
            ready: Value::Null,
        };
        ws.ready = ws.next_op("ready").await;
        ws
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .expect("the frame leaves");
    }

    /// The next text frame, or the code of the close.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        let frame = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).expect("JSON"));
                    }
                    Some(Ok(Message::Close(close))) => {
                        return Err(close.map_or(1005, |close| close.code.into()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(1006),
                }
            }
        };
        tokio::time::timeout(PATIENCE, frame)
            .await
            .expect("a frame arrives, or the socket closes")
    }

    /// The next frame with this `op`, passing over presence and acknowledgements,
    /// which come whenever they come.
    pub(crate) async fn next_op(&mut self, op: &str) -> Value {
        loop {
            let frame = self
                .next()
                .await
                .unwrap_or_else(|code| panic!("closed with {code} before {op}"));
            if frame["op"] == op {
                return frame;
            }
            let passing = frame["op"] == "presence" || frame["op"] == "ack";
            assert!(passing, "{frame} came before {op}");
        }
    }

    /// The code with which the server closes, whatever it says before.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

/// Makes a thread.
pub(crate) async fn thread(server: &Server, caller: &Caller, id: &str) {
    let reply = send(
        server,
        caller,
        &Request::new("POST", "/chat/threads").json(&json!({"thread_id": id})),
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
}

/// Posts messages one after the other; their cursors.
pub(crate) async fn post(
    server: &Server,
    caller: &Caller,
    thread: &str,
    texts: &[&str],
) -> Vec<String> {
    let mut cursors = Vec::new();
    for text in texts {
        let request = Request::new("POST", format!("/chat/threads/{thread}/messages"))
            .json(&json!({"data": {"text": text}}));
        let reply = send(server, caller, &request).await;
        assert_eq!(reply.status, 201, "{}", reply.visible());
        cursors.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    cursors
}
