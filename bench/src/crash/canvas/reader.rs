//! Readers: what they are told of a canvas while the server runs, and what is there afterwards.

use std::{
    net::SocketAddr,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail};
use canvas::{Commit, model::Node};
use serde_json::Value;

use super::{
    book::{Book, Findings, Seen},
    load::text,
};
use crate::{chat::Stream, server::Member, wire::http::Connection, wire::sse::Event};

const PAGE: usize = 500;

/// A reader who follows the stream of a canvas.
pub(super) struct Reader(JoinHandle<Result<Followed>>);

/// What a reader was told.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) seen: Vec<Seen>,
    /// Of the last event.
    cursor: Option<String>,
}

impl Followed {
    /// Takes note of a commit.
    fn note(&mut self, event: &Event) -> Result<()> {
        let envelope: Value = serde_json::from_str(&event.data)?;
        if event.kind != "message" || envelope.get("type") != Some(&Value::from("canvas.commit")) {
            bail!("{event:?} is no commit");
        }
        let commit = envelope.get("data").context("an event without data")?;
        let rev = commit.get("rev").and_then(Value::as_u64);
        self.cursor = Some(event.id.clone());
        self.seen.push(Seen {
            rev: rev.with_context(|| format!("no revision in {commit}"))?,
            commit_hash: text(commit, "commit_hash")?,
        });
        Ok(())
    }
}

impl Reader {
    /// Follows the canvas from now on, until the server is gone.
    ///
    /// # Errors
    /// When the stream does not open.
    pub(super) fn start(addr: SocketAddr, member: &Member, canvas: &str) -> Result<Self> {
        let mut stream = Stream::open(addr, member, &path_of(canvas), None)?;
        Ok(Self(thread::spawn(move || {
            let mut followed = Followed::default();
            // The end of the connection is the end of what was seen.
            while let Ok(event) = stream.next() {
                followed.note(&event)?;
            }
            Ok(followed)
        })))
    }

    /// What it was told.
    ///
    /// # Errors
    /// When that was something else than commits.
    pub(super) fn finish(self) -> Result<Followed> {
        self.0.join().map_err(|_| anyhow!("a reader panicked"))?
    }
}

fn path_of(canvas: &str) -> String {
    format!("/sse/canvas/{canvas}")
}

/// Goes on where a reader stopped, to the head of the book.
///
/// # Errors
/// When the stream does not open, or ends or stalls before the head.
pub(super) fn resume(
    addr: SocketAddr,
    member: &Member,
    canvas: &str,
    mut followed: Followed,
    head: u64,
) -> Result<Vec<Seen>> {
    let Some(cursor) = followed.cursor.clone() else {
        return Ok(followed.seen);
    };
    let mut stream = None;
    while followed.seen.last().is_some_and(|last| last.rev < head) {
        let stream = match &mut stream {
            Some(stream) => stream,
            none => none.insert(Stream::open(addr, member, &path_of(canvas), Some(&cursor))?),
        };
        followed.note(&stream.next()?)?;
    }
    Ok(followed.seen)
}

/// Enters all that is new, and compares the canvas with what its log makes.
///
/// # Errors
/// When the server refuses or answers nonsense.
pub(super) fn catch_up(
    connection: &mut Connection,
    member: &Member,
    canvas: &str,
    book: &mut Book,
    findings: &mut Findings,
) -> Result<()> {
    loop {
        let (commits, more) = page(connection, member, canvas, book.rev())?;
        book.enter(&commits, findings);
        if !more {
            break;
        }
    }
    let path = format!("/canvas/{canvas}");
    let shown = connection.call("GET", &path, &member.headers(), "")?;
    let shown = shown.json(200)?;
    let nodes = shown.pointer("/state/nodes").cloned().unwrap_or_default();
    let nodes: Vec<Node> = serde_json::from_value(nodes)?;
    let rev = shown.get("rev").and_then(Value::as_u64);
    let rev = rev.with_context(|| format!("no revision in {shown}"))?;
    book.check_head(rev, &text(&shown, "state_hash")?, nodes, findings)
}

/// The commits after `after`, and whether there are more.
fn page(
    connection: &mut Connection,
    member: &Member,
    canvas: &str,
    after: u64,
) -> Result<(Vec<Commit>, bool)> {
    let path = format!("/canvas/{canvas}/commits?after={after}&limit={PAGE}");
    let page = connection.call("GET", &path, &member.headers(), "")?;
    let page = page.json(200)?;
    let items = page.get("items").cloned().unwrap_or_default();
    let more = page.get("next").is_some_and(Value::is_string);
    Ok((serde_json::from_value(items)?, more))
}
