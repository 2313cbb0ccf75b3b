//! Subscribers: what they saw live, and what they see when they resume.

use std::{net::SocketAddr, thread::JoinHandle};

use anyhow::{Result, anyhow};

use crate::{
    chat::{Stream, history::Entry, path_of},
    server::Member,
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
