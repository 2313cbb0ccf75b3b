//! Streams, as a client that resumes them opens them.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use crate::{
    server::Member,
    wire::{
        http::{Connection, request},
        sse::{Event, Events},
    },
};

/// An open SSE response.
pub(crate) struct Stream {
    connection: Connection,
    events: Events,
}

impl Stream {
    /// Opens the stream at `path`, after the cursor `after`.
    ///
    /// # Errors
    /// When it does not open.
    pub(crate) fn open(
        addr: SocketAddr,
        member: &Member,
        path: &str,
        after: Option<&str>,
    ) -> Result<Self> {
        let mut connection = Connection::open(addr)?;
        let mut headers = member.headers() + "accept: text/event-stream\r\n";
        if let Some(cursor) = after {
            headers += &format!("last-event-id: {cursor}\r\n");
        }
        connection.send(&request("GET", path, &headers, ""))?;
        let (status, head) = connection.head()?;
        if status != 200 {
            bail!("no stream: {head}");
        }
        let events = Events::after(&head);
        Ok(Self { connection, events })
    }

    /// The next event.
    ///
    /// # Errors
    /// When the stream ends or stalls.
    pub(crate) fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.events.next()? {
                return Ok(event);
            }
            if self.events.ended() {
                bail!("the server ended the stream");
            }
            let bytes = self.connection.read()?;
            self.events.feed(&bytes)?;
        }
    }
}
