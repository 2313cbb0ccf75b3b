//! Buses: what one node tells all others at once, such as what they need no longer remember.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use identity::SystemAuthority;

use crate::{Home, StoreError, StreamKey, home::home_of_stream};

/// Largest message, in bytes: names of what changed, never the data itself.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Messages that may wait for one subscriber; who is slower hears [`Heard::Missed`].
pub const BACKLOG_MESSAGES_MAX: usize = 1024;
/// The same on the topic of a stream, of which there may be as many as streams: room for them is kept for each.
const STREAM_BACKLOG_MESSAGES_MAX: usize = 64;

/// What the names of topics of streams begin with.
const OF_STREAMS: &str = "of/";

/// What messages are about: something of the process, or one stream of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The topic `name`.
    #[must_use]
    pub fn of_system(_: &SystemAuthority, name: &'static str) -> Self {
        Self(format!("control/{name}").into())
    }

    /// What those tell each other who follow `stream`, beside its events. Like the stream it is of one tenant
    /// and environment.
    #[must_use]
    pub fn of_stream(stream: &StreamKey) -> Self {
        Self(format!("{OF_STREAMS}{stream}").into())
    }

    /// Whose topic it is: of a stream, as [`StreamKey::home`] says; `None` for one of the process.
    #[must_use]
    pub fn home(&self) -> Option<Home<'_>> {
        home_of_stream(self.0.strip_prefix(OF_STREAMS)?)
    }

    /// How many messages may wait for one subscriber: [`BACKLOG_MESSAGES_MAX`] or less.
    #[must_use]
    pub fn backlog(&self) -> usize {
        match self.home() {
            Some(_) => STREAM_BACKLOG_MESSAGES_MAX,
            None => BACKLOG_MESSAGES_MAX,
        }
    }

    /// The topic as text, for engines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Bytes),
    /// Messages may have been missed here: forget what they would have said to forget.
    Missed,
}

/// What is heard, without an end.
pub type Hearing = BoxStream<'static, Heard>;

/// Tells all nodes, as fast as they can hear and no more reliably: who must not miss a
/// message beyond some time bounds what it remembers by time as well.
///
/// Laws, proved for every engine by `store::contract::bus`:
/// 1. A message that is published after `subscribe` returned is heard once by every subscriber of
///    its topic, the publisher included, unless `Missed` is heard in its place.
/// 2. Messages of one publisher, each published after the former returned, are heard in that order.
/// 3. Topics are apart.
/// 4. What waits for a slow subscriber is bounded. It hears `Missed` before any message that
///    follows those it has missed, and its slowness delays nobody.
/// 5. A message over the limit is refused with `Limit`, and nobody hears it.
///
/// A subscription outlives its connection: an engine connects again by itself, and
/// then everybody hears `Missed`.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Tells everybody who is subscribed to `topic`.
    async fn publish(&self, topic: &Topic, message: Bytes) -> Result<(), StoreError>;
    /// Hears what is published on `topic` from now on.
    async fn subscribe(&self, topic: &Topic) -> Result<Hearing, StoreError>;
}

/// Refuses a message over [`MESSAGE_BYTES_MAX`], for engines.
///
/// # Errors
/// [`StoreError::Limit`].
pub fn within_message_limit(message: &Bytes) -> Result<(), StoreError> {
    if message.len() > MESSAGE_BYTES_MAX {
        let why = format!("a message has at most {MESSAGE_BYTES_MAX} bytes");
        return Err(StoreError::Limit(why));
    }
    Ok(())
}
