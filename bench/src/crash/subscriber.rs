//! Subscribers: what they saw live, and what they see when they resume.

use std::{net::SocketAddr, thread::JoinHandle};

use anyhow::{Result, anyhow, bail};

use super::history::Entry;
use crate::{
    server::Member,
    wire::{
        http::{Connection, request},
        sse::{Event, Events},
    },
};

/// What one subscriber saw of a thread before the server was killed.
pub(super) struct Subscriber {
    pub(super) thread: &'static str,
    pub(super) seen: Vec<Entry>,
}

/// A subscriber that still reads.
pub(super) struct Following {
    thread: &'static str,
    reader: JoinHandle<Result<Vec<Entry>>>,
}

impl Following {
    /// What was seen, once the server is gone.
    ///
    /// # Errors
    /// When an event is not what the contract says.
    pub(super) fn finish(self) -> Result<Subscriber> {
        let seen = self.reader.join();
        Ok(Subscriber {
            thread: self.thread,
            seen: seen.map_err(|_| anyhow!("a subscriber panicked"))??,
        })
    }
}

impl Subscriber {
    /// Follows `thread` live until the server is gone.
    ///
    /// # Errors
    /// When the stream does not open.
    pub(super) fn follow(
        addr: SocketAddr,
        member: &Member,
        thread: &'static str,
    ) -> Result<Following> {
        let mut stream = Stream::open(addr, member, &path_of(thread), None)?;
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            // The end of the connection is the end of what was seen.
            while let Ok(event) = stream.next() {
                seen.push(Entry::of_event(&event)?);
            }
            Ok(seen)
        });
        Ok(Following { thread, reader })
    }
}

/// The events of `thread` after the cursor `after`, as a resuming subscriber gets them, up to `head`.
///
/// # Errors
/// When the stream does not open, or ends or stalls before `head`.
pub(super) fn resume(
    addr: SocketAddr,
    member: &Member,
    thread: &str,
    after: &str,
    head: &str,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    if after == head {
        return Ok(entries);
    }
    let mut stream = Stream::open(addr, member, &path_of(thread), Some(after))?;
    loop {
        let entry = Entry::of_event(&stream.next()?)?;
        let last = entry.cursor.text == head;
        entries.push(entry);
        if last {
            return Ok(entries);
        }
    }
}

fn path_of(thread: &str) -> String {
    format!("/sse/chat/{thread}")
}

/// An open SSE response.
pub(super) struct Stream {
    connection: Connection,
    events: Events,
}

impl Stream {
    /// Opens the stream at `path`, after the cursor `after`.
    ///
    /// # Errors
    /// When it does not open.
    pub(super) fn open(
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
    pub(super) fn next(&mut self) -> Result<Event> {
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
