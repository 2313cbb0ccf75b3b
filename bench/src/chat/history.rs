//! What a thread holds, as read back from the server.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    server::Member,
    wire::{http::Connection, sse::Event},
};

const PAGE: usize = 1000;

/// A cursor, taken apart: clients may not, a drill must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) text: String,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
}

impl Cursor {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (epoch, seq) = text
            .split_once('-')
            .with_context(|| format!("no cursor: {text:?}"))?;
        Ok(Self {
            text: text.to_owned(),
            epoch: epoch.to_owned(),
            seq: seq
                .parse()
                .with_context(|| format!("no cursor: {text:?}"))?,
        })
    }
}

/// One event of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) cursor: Cursor,
    pub(crate) name: String,
}

impl Entry {
    pub(crate) fn of_envelope(envelope: &Value) -> Result<Self> {
        let text = |pointer| envelope.pointer(pointer).and_then(Value::as_str);
        let id = text("/id").with_context(|| format!("no id in {envelope}"))?;
        let name = text("/data/name").with_context(|| format!("no name in {envelope}"))?;
        Ok(Self {
            cursor: Cursor::parse(id)?,
            name: name.to_owned(),
        })
    }

    /// An event as a subscriber sees it.
    ///
    /// # Errors
    /// When it is no message, such as a gap, or its id differs from its envelope's.
    pub(crate) fn of_event(event: &Event) -> Result<Self> {
        if event.kind != "message" {
            bail!("an event that is no message: {event:?}");
        }
        let entry = Self::of_envelope(&serde_json::from_str(&event.data)?)?;
        if entry.cursor.text != event.id {
            bail!("the id differs from the envelope's: {event:?}");
        }
        Ok(entry)
    }
}

/// Everything in `thread` after the cursor `after`, page by page.
///
/// # Errors
/// When the server refuses or answers nonsense.
pub(crate) fn read(
    addr: SocketAddr,
    member: &Member,
    thread: &str,
    after: Option<&str>,
) -> Result<Vec<Entry>> {
    let mut connection = Connection::open(addr)?;
    let mut entries = Vec::new();
    let mut after = after.map(str::to_owned);
    loop {
        let after_query = after.map_or(String::new(), |cursor| format!("&after={cursor}"));
        let path = format!("/chat/threads/{thread}/messages?limit={PAGE}{after_query}");
        let page = connection
            .call("GET", &path, &member.headers(), "")?
            .json(200)?;
        let items = page.get("items").and_then(Value::as_array);
        for envelope in items.with_context(|| format!("no items in {page}"))? {
            entries.push(Entry::of_envelope(envelope)?);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(entries),
        }
    }
}
