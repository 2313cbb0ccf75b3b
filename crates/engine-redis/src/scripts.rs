//! The scripts that run inside the server. They are named by hash, and sent whole when the server
//! does not know them (after a restart).
//!
//! What reads and what counts rates may write its few bytes into a full memory (`allow-oom`), because it
//! is needed most then; appending may not.
//!
//! **Invariant:** a script reads what may fail before it writes, and the first write is the one that
//! a full memory refuses, so that nothing is half written.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

/// Begins or renews the life of the data.
pub(crate) static LIFE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/life.lua")));
/// Appends one event.
pub(crate) static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/append.lua")));
/// Reads bounds and a page of events.
pub(crate) static READ: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/read.lua")));
/// Puts events of another engine behind the head.
pub(crate) static IMPORT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/import.lua")));
/// Gives a stream another epoch.
pub(crate) static RENEW: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/renew.lua")));
/// Removes all events of a stream.
pub(crate) static ERASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/erase.lua")));
/// Removes the oldest events.
pub(crate) static TRIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/trim.lua")));
/// Takes units of a rate.
pub(crate) static TAKE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/take.lua")));
