//! The guard from outside: what it admits, what it refuses, and in which order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod compile_fail;
mod forge;
mod guard;
mod http;
mod oidc;
mod recording;
mod tokens;
