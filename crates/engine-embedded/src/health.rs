//! Whether writes are still accepted.
//!
//! **Invariant:** once a write or an fsync failed, nothing is acknowledged any
//! more until the engine is opened again: after a failed fsync the operating
//! system may have dropped what it could not write, so trying again proves
//! nothing. What was refused then may still be found after the next opening;
//! expectations and idempotency keys make a retry safe.

use std::sync::OnceLock;

/// What the engine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes.
    Writable,
    /// Reads alone, and why; an operator must act and open the engine again.
    ReadOnly(String),
}

#[derive(Default)]
pub(crate) struct Condition(OnceLock<String>);

impl Condition {
    /// Refuses writes from now on; the first reason stays.
    pub(crate) fn fail(&self, why: &str) {
        if self.0.set(why.to_owned()).is_ok() {
            tracing::error!(why, "the embedded engine refuses writes from now on");
            metrics::gauge!("tenantry_engine_read_only").set(1.0);
        }
    }

    /// Why writes are refused, if they are.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    pub(crate) fn health(&self) -> Health {
        match self.failed() {
            None => Health::Writable,
            Some(why) => Health::ReadOnly(why.to_owned()),
        }
    }
}
