//! What is flooded: where to subscribe, how to publish, whose memory to read.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    server::Server,
    wire::{
        frame::UPGRADE,
        http::{Connection, request},
    },
};

/// Bytes of an event's data.
const DATA_BYTES: usize = 200;
/// Stands before the time in an event's data.
pub(super) const STAMP: &str = "\"at\":\"";
/// Digits of the time, in nanoseconds.
pub(super) const STAMP_DIGITS: usize = 16;
const THREAD: &str = "th_fanout";

/// How events are received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Sse,
    WebSocket,
}

impl Transport {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sse => "SSE",
            Self::WebSocket => "WS",
        }
    }
}

/// A running server with one stream.
pub(super) struct Target {
    pub(super) addr: SocketAddr,
    /// The process, whose children count too.
    pub(super) pid: u32,
    pub(super) headers: String,
    pub(super) sse_path: String,
    pub(super) ws_path: String,
    pub(super) publish_path: String,
    /// Goes around the data of an event.
    pub(super) envelope: fn(&str) -> String,
}

impl Target {
    /// A thread on our own server.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(super) fn tenantry(server: &Server) -> Result<Self> {
        let body = json!({ "thread_id": THREAD }).to_string();
        let mut connection = Connection::open(server.addr)?;
        connection
            .call("POST", "/chat/threads", &server.member.headers(), &body)?
            .json(201)?;
        Ok(Self::node(server))
    }

    /// The same thread on another node.
    pub(super) fn node(server: &Server) -> Self {
        Self {
            addr: server.addr,
            pid: server.pid(),
            headers: server.member.headers(),
            sse_path: format!("/sse/chat/{THREAD}"),
            ws_path: format!("/ws/chat/{THREAD}"),
            publish_path: format!("/chat/threads/{THREAD}/messages"),
            envelope: |data| format!(r#"{{"data":{data}}}"#),
        }
    }

    /// The bytes that open a subscription.
    pub(super) fn subscribe(&self, transport: Transport) -> Vec<u8> {
        let (path, more) = match transport {
            Transport::Sse => (&self.sse_path, "accept: text/event-stream\r\n"),
            Transport::WebSocket => (&self.ws_path, UPGRADE),
        };
        request("GET", path, &format!("{}{more}", self.headers), "")
    }

    /// Publishes one event that carries the time `at`.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(super) fn publish(&self, connection: &mut Connection, at: u64) -> Result<()> {
        let body = (self.envelope)(&data(at));
        let answer = connection.call("POST", &self.publish_path, &self.headers, &body)?;
        if !(200..300).contains(&answer.status) {
            bail!("publishing: status {}", answer.status);
        }
        Ok(())
    }

    /// Memory of the process and its children, shared pages counted in part.
    ///
    /// # Errors
    /// When it is gone, or the system is no Linux.
    pub(super) fn memory_kib(&self) -> Result<u64> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = fs::read_to_string(children).unwrap_or_default();
        let mut total = proportional_kib(&self.pid.to_string())?;
        for child in children.split_whitespace() {
            total += proportional_kib(child)?;
        }
        Ok(total)
    }
}

fn proportional_kib(pid: &str) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    Ok(digits.context("no Pss")?.parse()?)
}

/// JSON of [`DATA_BYTES`] that carries the time `at`.
pub(super) fn data(at: u64) -> String {
    let stamped = format!("{{{STAMP}{at:0STAMP_DIGITS$}\",\"pad\":\"");
    let pad = "x".repeat(DATA_BYTES - stamped.len() - 2);
    format!("{stamped}{pad}\"}}")
}

/// The time that an event carries, if it is one of ours.
pub(super) fn stamp(event: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(event, STAMP.as_bytes())? + STAMP.len();
    std::str::from_utf8(event.get(at..at + STAMP_DIGITS)?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_size_and_keeps_its_time() {
        let data = data(123_456);
        assert_eq!(data.len(), DATA_BYTES);
        assert!(serde_json::from_str::<serde_json::Value>(&data).is_ok());
        let event = format!("{{\"op\":\"event\",\"event\":{{\"data\":{data}}}}}");
        assert_eq!(stamp(event.as_bytes()), Some(123_456));
        assert_eq!(stamp(b"{\"op\":\"ready\"}"), None);
    }
}
