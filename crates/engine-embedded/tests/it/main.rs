//! The embedded engine, through its public face and against real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod backup;
mod child;
mod contract;
mod crash;
mod folder;
mod full_disk;
mod idempotency;
mod retention;
mod subject;
mod tails;
