//! The life of a server's data: a number that is stored with it and drawn anew when it may have been lost.
//!
//! What a cursor calls its epoch is made of two numbers: the one that a stream was
//! begun with, which goes when the stream goes, and the one of the whole data here,
//! which goes when all goes, and which is renewed when a server came back that may
//! have forgotten what it had given out: after a restart without `appendfsync always`,
//! and after a replica took over (subscribers may have seen what it had not received, also
//! with `wait`). Without the record (deleted by an operator who restored a backup) a new
//! number is drawn.
//!
//! **Invariant:** it is read on every new connection before that carries a command,
//! and a server cannot restart under a connection. So nobody reads old cursors as new ones.

use deadpool_redis::redis::{RedisResult, aio::MultiplexedConnection};
use store::Epoch;

use crate::{Durability, RedisError, scripts};

/// The name of a run of a server.
const RUN_ID: &str = "run_id";
/// The history that a replica which took over has continued; zeros for any other server.
const CONTINUED_ID: &str = "master_replid2";
const VERSION: &str = "redis_version";
/// How a server was started: `standalone`, `cluster` or `sentinel`.
const MODE: &str = "redis_mode";
/// What a server is of which there are several primaries.
pub(crate) const CLUSTER: &str = "a node of a Redis Cluster, which spreads keys over several";
/// Whether it is a primary, called `master`.
const ROLE: &str = "role";
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

    /// What a stream has to be begun with to be in `epoch`.
    pub(crate) fn begun(self, epoch: Epoch) -> u32 {
        self.0 ^ epoch.0
    }
}

/// Which run of a server this is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    id: String,
    /// Whether it was a replica that took over.
    took_over: bool,
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
        if let Some(found) = unsuitable(&field(MODE), &field(ROLE)) {
            let place = place.to_owned();
            return Err(RedisError::NotPrimary { place, found });
        }
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
            id: field(RUN_ID),
            took_over: field(CONTINUED_ID).bytes().any(|digit| digit != b'0'),
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
            .arg(u8::from(durability.survives_restarts() && !self.took_over))
            .arg(drawn);
        Ok(Life(begin.invoke_async(connection).await?))
    }
}

/// What a server is that is not the single primary, if it says so.
fn unsuitable(mode: &str, role: &str) -> Option<&'static str> {
    match (mode, role) {
        ("cluster", _) => Some(CLUSTER),
        ("sentinel", _) => Some("a Sentinel, which keeps no data"),
        (_, "slave") => Some("a replica, which is written to by its primary alone"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_what_a_server_says_of_itself() {
        let info = |version: &str, continued: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nrun_id:f00\r\nmaster_replid2:{continued}\r\n"
            )
        };
        let read = |version, continued| Run::read(&info(version, continued), "here:1/0");
        let run = |took_over| Run {
            id: "f00".to_owned(),
            took_over,
        };
        assert_eq!(read("7.0.15", "0000"), Ok(run(false)));
        assert_eq!(read("8.2.1", "0a00"), Ok(run(true)));
        for old in ["6.2.14", "2.8", "", "x"] {
            let refused = read(old, "0000").unwrap_err();
            assert!(
                matches!(&refused, RedisError::TooOld { found, .. } if found == old),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_epoch_is_never_0_and_changes_with_each_of_its_numbers() {
        let epoch = |life, begun| Life(life).epoch(begun).0;
        assert_eq!(epoch(7, 7), 1);
        assert_ne!(epoch(7, 9), epoch(7, 10));
        assert_ne!(epoch(7, 9), epoch(8, 9));
    }
}
