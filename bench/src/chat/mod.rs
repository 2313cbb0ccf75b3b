//! Threads, as the drills write, read and follow them, and the books of what was acknowledged.
//!
//! Every event has a name, which is its idempotency key too, so that whoever sees one knows who sent it.

pub(crate) mod book;
pub(crate) mod history;
mod stream;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    server::Member,
    wire::http::{Connection, Response},
};
pub(crate) use stream::Stream;

/// Where a thread is followed.
pub(crate) fn path_of(thread: &str) -> String {
    format!("/sse/chat/{thread}")
}

/// Registers `thread` in the member's tenant.
///
/// # Errors
/// When the server is gone or refuses.
pub(crate) fn open_thread(addr: SocketAddr, member: &Member, thread: &str) -> Result<()> {
    let body = json!({ "thread_id": thread }).to_string();
    let mut connection = Connection::open(addr)?;
    let answer = connection.call("POST", "/chat/threads", &member.headers(), &body)?;
    answer
        .json(201)
        .with_context(|| format!("opening {thread}"))?;
    Ok(())
}

/// Posts the event `name` under its own name as the idempotency key.
///
/// # Errors
/// When the server is gone.
pub(crate) fn post(
    connection: &mut Connection,
    member: &Member,
    thread: &str,
    name: &str,
) -> Result<Response> {
    let path = format!("/chat/threads/{thread}/messages");
    let headers = format!("{}idempotency-key: {name}\r\n", member.headers());
    let body = json!({ "data": { "name": name } }).to_string();
    connection.call("POST", &path, &headers, &body)
}
