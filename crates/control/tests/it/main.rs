//! The control plane from outside: through its services, and through its routes behind the guard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod accounts;
mod bootstrap;
mod directory;
mod http;
mod members;
mod records;
mod refusals;
mod registry;
mod secrets;
mod sessions;
mod steered;
mod tenants;
mod world;
