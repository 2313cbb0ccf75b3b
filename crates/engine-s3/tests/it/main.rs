//! The engine against a real S3 server over TCP: the development endpoint, or what `S3_ENDPOINT` names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod contract;
mod downloads;
mod endpoint;
mod hostile;
mod moves;
mod outage;
mod sender;
mod subject;
