//! The scripts that run inside the server. They are named by hash, and sent whole when the server
//! does not know them (after a restart).
//!
//! **Invariant:** a script reads everything that may fail before it writes, so that nothing is half written.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

/// Begins or renews the life of the data.
pub(crate) static LIFE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/life.lua")));
