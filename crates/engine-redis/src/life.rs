//! The life of a server's data: a number that is stored with it and drawn anew when it may have been lost.
//!
//! What a cursor calls its epoch is made of two numbers: the one that a stream was
//! begun with, which goes when the stream goes, and the one of the whole data here,
//! which goes when all goes, and which is renewed when a server came back that may
//! have forgotten what it had acknowledged: after a restart without `appendfsync
//! always`, after a replica took over without `wait`. Without the record (deleted by
//! an operator who restored a backup) a new number is drawn.
//!
//! **Invariant:** it is read on every new connection before that carries a command,
//! and a server cannot restart under a connection. So nobody reads old cursors as new ones.

use deadpool_redis::redis::{RedisResult, aio::MultiplexedConnection};
use store::Epoch;

use crate::{Durability, RedisError, scripts};

/// Redis names a run of a server, and the run that a replica continued, by replication ids.
const REPLICATION_ID: &str = "master_replid";
const CONTINUED_ID: &str = "master_replid2";
const VERSION: &str = "redis_version";
/// The version that knows all that the scripts use.
const MAJOR_MIN: u32 = 7;

/// The number of the data's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(u32);

impl Life {
    /// The epoch of a stream that was begun with `begun`; never 0.
    pub(crate) fn epoch(self, begun: u32) -> Epoch {
        Epoch((self.0 ^ begun).max(1))
    }
}

/// Which run of a server this is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    id: String,
    continued: String,
}

impl Run {
    /// Reads the answer to `INFO`.
    pub(crate) fn read(info: &str, place: &str) -> Result<Self, RedisError> {
        let field = |name: &str| {
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        let found = field(VERSION);
        let major = found
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < MAJOR_MIN) {
            let place = place.to_owned();
            return Err(RedisError::TooOld { place, found });
        }
        Ok(Self {
            id: field(REPLICATION_ID),
            continued: field(CONTINUED_ID),
        })
    }

    /// The life of the data, renewed with `drawn` if this run may have lost some of it.
    pub(crate) async fn life(
        &self,
        connection: &mut MultiplexedConnection,
        key: &str,
        durability: &Durability,
        drawn: u32,
    ) -> RedisResult<Life> {
        let mut begin = scripts::LIFE.key(key);
        begin
            .arg(&self.id)
            .arg(&self.continued)
            .arg(u8::from(durability.survives_restarts()))
            .arg(u8::from(durability.wait.is_some()))
            .arg(drawn);
        Ok(Life(begin.invoke_async(connection).await?))
    }
}
