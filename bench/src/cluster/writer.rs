//! Writers: each posts one event or card after the other through the balancer, and again until it is acknowledged.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    chat::post,
    server::Member,
    wire::http::{Connection, Response},
};

/// How long one of them may take: every node was killed and came back in that time.
const POST_MAX: Duration = Duration::from_secs(90);
/// What a client waits before it sends something again.
const AGAIN_PAUSE: Duration = Duration::from_millis(50);
/// What is posted over one connection: the next one goes to the next node.
const POSTS_PER_CONNECTION: u64 = 16;

/// Who writes, and where.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) proxy: SocketAddr,
    pub(super) member: Member,
    pub(super) deed: Deed,
    /// Unique over the whole drill; what is posted is called `name.n`.
    pub(super) name: String,
}

/// What is posted.
#[derive(Clone)]
pub(super) enum Deed {
    /// An event of this thread.
    Event(String),
    /// A card, which passes the gates.
    Card,
}

impl Deed {
    fn send(&self, connection: &mut Connection, member: &Member, name: &str) -> Result<Response> {
        match self {
            Self::Event(thread) => post(connection, member, thread, name),
            Self::Card => {
                let headers = format!("{}idempotency-key: {name}\r\n", member.headers());
                let card = json!({ "title": name }).to_string();
                connection.call("POST", "/nexus/cards", &headers, &card)
            }
        }
    }
}

/// What a writer knows in the end.
#[derive(Default)]
pub(super) struct Written {
    /// What was acknowledged, in order: its name, and the id that it was given.
    pub(super) acked: Vec<(String, String)>,
    /// How often something was sent again, because no answer came or none that could be relied on.
    pub(super) again: usize,
}

impl Writer {
    /// Posts until `stop`. Everything that was sent is acknowledged in the end.
    ///
    /// # Errors
    /// When something is refused, or not acknowledged in time.
    pub(super) fn write(&self, stop: &AtomicBool) -> Result<Written> {
        let mut written = Written::default();
        let mut connection = None;
        for n in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if n % POSTS_PER_CONNECTION == 0 {
                connection = None;
            }
            let name = format!("{}.{n}", self.name);
            self.post(&mut connection, name, &mut written)?;
        }
        Ok(written)
    }

    /// Posts what is called `name` until it is acknowledged.
    ///
    /// # Errors
    /// When it is refused, or not acknowledged in time.
    pub(super) fn post(
        &self,
        connection: &mut Option<Connection>,
        name: String,
        written: &mut Written,
    ) -> Result<()> {
        let end = Instant::now() + POST_MAX;
        while Instant::now() < end {
            match self.try_post(connection, &name) {
                Ok(Answer::Acknowledged(id)) => {
                    written.acked.push((name, id));
                    return Ok(());
                }
                Ok(Answer::Refused(why)) => bail!("{name}: {why}"),
                Ok(Answer::Later) | Err(_) => {
                    written.again += 1;
                    *connection = None;
                    sleep(AGAIN_PAUSE);
                }
            }
        }
        bail!("{name} was not acknowledged within {POST_MAX:?}");
    }

    fn try_post(&self, connection: &mut Option<Connection>, name: &str) -> Result<Answer> {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(self.proxy)?,
        };
        let response = self.deed.send(&mut open, &self.member, name)?;
        *connection = Some(open);
        match response.status {
            201 => {
                let answer = response.json(201)?;
                let id = answer.get("id").and_then(Value::as_str);
                let id = id.context("an acknowledgement without an id")?;
                Ok(Answer::Acknowledged(id.to_owned()))
            }
            429 | 500.. => Ok(Answer::Later),
            status => {
                let said = String::from_utf8_lossy(&response.body);
                Ok(Answer::Refused(format!("{status}: {said}")))
            }
        }
    }
}

/// What a node says.
enum Answer {
    /// It is durable, under this id.
    Acknowledged(String),
    /// Not now.
    Later,
    /// Never.
    Refused(String),
}
