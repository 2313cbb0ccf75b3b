//! Followers: each reads the stream of a thread through the balancer, and resumes it wherever that leads.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    chat::{Stream, history::Entry, path_of},
    server::Member,
    wire::sse::Event,
};

/// What a client waits before it opens a stream again.
const AGAIN_PAUSE: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(20);

/// What a follower saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// From one gap to the next, whatever was resumed in between.
    pub(super) spans: Vec<Vec<Entry>>,
    /// How often the stream was opened.
    pub(super) opened: usize,
    /// Whether the last event was seen.
    pub(super) ended: bool,
    /// What was neither a message nor a gap.
    pub(super) strange: Vec<String>,
}

impl Seen {
    fn last(&self) -> Option<&Entry> {
        self.spans.iter().rev().find_map(|span| span.last())
    }

    fn note(&mut self, event: &Event) {
        if event.kind == "gap" {
            self.spans.push(Vec::new());
            return;
        }
        match Entry::of_event(event) {
            Ok(entry) => match self.spans.last_mut() {
                Some(span) => span.push(entry),
                None => self.spans.push(vec![entry]),
            },
            Err(error) => self.strange.push(error.to_string()),
        }
    }
}

/// What is followed: the events of a thread after the cursor `after`, until one that is called `end`.
#[derive(Clone)]
pub(super) struct Course {
    pub(super) proxy: SocketAddr,
    pub(super) member: Member,
    pub(super) thread: String,
    pub(super) after: String,
    pub(super) end: String,
}

/// A follower at work; it ends when it saw the end, or with the process.
pub(super) struct Follower(Arc<Mutex<Seen>>);

impl Follower {
    /// Follows from now on.
    pub(super) fn start(course: Course) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            spans: vec![Vec::new()],
            ..Seen::default()
        }));
        let follower = Self(Arc::clone(&seen));
        thread::spawn(move || {
            while !look(&seen, |seen| seen.ended) {
                // A stream that breaks is no error: it is resumed.
                let _ = course.follow(&seen);
                thread::sleep(AGAIN_PAUSE);
            }
        });
        follower
    }

    /// What it saw, once it saw the end, or at `deadline`.
    pub(super) fn finish(self, deadline: Instant) -> Seen {
        while !look(&self.0, |seen| seen.ended) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        look(&self.0, |seen| seen.clone())
    }
}

impl Course {
    /// Resumes after the last event that was seen, and reads until the stream breaks.
    fn follow(&self, seen: &Mutex<Seen>) -> Result<()> {
        let last = look(seen, |seen| {
            seen.last().map(|last| last.cursor.text.clone())
        });
        let after = last.as_deref().unwrap_or(&self.after);
        let path = path_of(&self.thread);
        let mut stream = Stream::open(self.proxy, &self.member, &path, Some(after))?;
        look(seen, |seen| seen.opened += 1);
        while !look(seen, |seen| seen.ended) {
            let event = stream.next()?;
            look(seen, |seen| {
                seen.note(&event);
                seen.ended = seen.last().is_some_and(|last| last.name == self.end);
            });
        }
        Ok(())
    }
}

fn look<T>(seen: &Mutex<Seen>, at: impl FnOnce(&mut Seen) -> T) -> T {
    at(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}
