//! Flags, as their users meet them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod algebra;
mod damage;
mod depends;
mod http;
mod memory;
mod node;
mod ofrep;
mod oracle;
mod rules;
mod service;
mod stale;
mod tags;
