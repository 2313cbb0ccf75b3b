//! Writers: each sends one event after the other until the server is gone.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    chat::post,
    server::Member,
    wire::{
        frame::{self, Frames, encode},
        http::{Connection, Response},
    },
};

/// How long a writer waits that was told it writes too fast.
const THROTTLED_PAUSE: Duration = Duration::from_millis(100);

/// Who writes, and where.
pub(super) struct Writer {
    pub(super) thread: &'static str,
    /// Unique over the whole drill; events are `name:n`.
    pub(super) name: String,
}

/// What a writer knows when the server is gone.
pub(super) struct Written {
    pub(super) thread: &'static str,
    /// Name of each acknowledged event and the cursor it was given, in order.
    pub(super) acked: Vec<(String, String)>,
    /// The event that was sent and not acknowledged, if there was one.
    pub(super) pending: Option<String>,
}

/// How a writer speaks to the server.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    Http,
    WebSocket,
}

impl Transport {
    /// Writes until the server is gone.
    ///
    /// # Errors
    /// When the server refuses or answers nonsense; that it goes away is no error.
    pub(super) fn write(
        self,
        addr: SocketAddr,
        member: &Member,
        writer: &Writer,
    ) -> Result<Written> {
        match self {
            Self::Http => over_http(addr, member, writer),
            Self::WebSocket => over_websocket(addr, member, writer),
        }
    }
}

/// Posts, and again while the tenant's rate is used up.
fn post_in_time(
    connection: &mut Connection,
    member: &Member,
    thread: &str,
    name: &str,
) -> Result<Response> {
    loop {
        let response = post(connection, member, thread, name)?;
        if response.status != 429 {
            return Ok(response);
        }
        sleep(THROTTLED_PAUSE);
    }
}

impl Writer {
    fn written(&self) -> Written {
        Written {
            thread: self.thread,
            acked: Vec::new(),
            pending: None,
        }
    }
}

fn over_http(addr: SocketAddr, member: &Member, writer: &Writer) -> Result<Written> {
    let mut written = writer.written();
    let Ok(mut connection) = Connection::open(addr) else {
        return Ok(written);
    };
    for n in 0_u64.. {
        let name = format!("{}:{n}", writer.name);
        let Ok(response) = post_in_time(&mut connection, member, writer.thread, &name) else {
            written.pending = Some(name);
            break;
        };
        let answer = response.json(201)?;
        written.acked.push((name, fresh_cursor(&answer)?));
    }
    Ok(written)
}

fn fresh_cursor(answer: &Value) -> Result<String> {
    if answer.get("duplicate") != Some(&Value::Bool(false)) {
        bail!("a first event is called a duplicate: {answer}");
    }
    let cursor = answer.get("id").and_then(Value::as_str);
    cursor
        .map(str::to_owned)
        .context("an acknowledgement without an id")
}

fn over_websocket(addr: SocketAddr, member: &Member, writer: &Writer) -> Result<Written> {
    let mut written = writer.written();
    let Ok((mut connection, mut frames)) = open_websocket(addr, member, writer.thread) else {
        return Ok(written);
    };
    for n in 0_u64.. {
        let name = format!("{}:{n}", writer.name);
        match publish_in_time(&mut connection, &mut frames, &name) {
            Err(_) => {
                written.pending = Some(name);
                break;
            }
            Ok(answer)
                if answer.get("op") == Some(&json!("ack"))
                    && answer.get("ref") == Some(&json!(name)) =>
            {
                written.acked.push((name, fresh_cursor(&answer)?));
            }
            Ok(other) => bail!("no acknowledgement of {name}: {other}"),
        }
    }
    Ok(written)
}

/// Publishes, and again while the tenant's rate is used up.
fn publish_in_time(connection: &mut Connection, frames: &mut Frames, name: &str) -> Result<Value> {
    let publish = json!({"op": "publish", "ref": name, "data": {"name": name}, "type": "chat.message", "idempotency_key": name});
    let frame = encode(frame::TEXT, publish.to_string().as_bytes());
    loop {
        connection.send(&frame)?;
        let answer = next_answer(connection, frames)?;
        if answer.pointer("/problem/code") != Some(&json!("throttled")) {
            return Ok(answer);
        }
        sleep(THROTTLED_PAUSE);
    }
}

/// Opens a WebSocket.
///
/// # Errors
/// When the server is gone or does not switch protocols.
fn open_websocket(addr: SocketAddr, member: &Member, thread: &str) -> Result<(Connection, Frames)> {
    let mut connection = Connection::open(addr)?;
    let headers = format!("{}{}", member.headers(), frame::UPGRADE);
    let path = format!("/ws/chat/{thread}");
    connection.send(&crate::wire::http::request("GET", &path, &headers, ""))?;
    let (status, head) = connection.head()?;
    if status != 101 {
        bail!("no WebSocket: {head}");
    }
    Ok((connection, Frames::default()))
}

/// The next frame that answers a publication: an `ack` or an `error`.
fn next_answer(connection: &mut Connection, frames: &mut Frames) -> Result<Value> {
    loop {
        while let Some((opcode, payload)) = frames.next()? {
            match opcode {
                frame::TEXT => {
                    let message: Value = serde_json::from_slice(payload)?;
                    if matches!(
                        message.get("op").and_then(Value::as_str),
                        Some("ack" | "error")
                    ) {
                        return Ok(message);
                    }
                }
                frame::PING => {
                    let pong = encode(frame::PONG, payload);
                    connection.send(&pong)?;
                }
                frame::CLOSE => bail!("the server closed the WebSocket"),
                _ => {}
            }
        }
        frames.feed(&connection.read()?);
    }
}
