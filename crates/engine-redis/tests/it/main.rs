//! The engine against a real `redis-server` over TCP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod connections;
mod contract;
mod faults;
mod lives;
mod primaries;
mod promises;
mod rates;
mod subject;
mod tickets;
mod tls;
