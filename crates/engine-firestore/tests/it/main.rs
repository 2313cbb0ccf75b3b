//! The engine against Google's emulator over TCP: one of its own, or what `FIRESTORE_EMULATOR_HOST` names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod contended;
mod contract;
mod ends;
mod lost;
mod outage;
mod proxy;
mod stored;
mod subject;
