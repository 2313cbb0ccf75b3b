//! The port [`EventLog`] on Redis Streams.
//!
//! Start at [`RedisEventLog`]. The id of an entry is `<life>-<seq>`, so that one
//! key holds the events, their order, the head (also of a stream that was trimmed
//! empty) and what tells one life of the stream from the next.
//!
//! **Invariant:** a seq is given out by the server, in the script that appends.

mod append;
mod log;
mod read;
mod relocation;
mod send;
mod tail;

pub(crate) use append::Appender;
pub(crate) use log::RedisEventLog;
