//! Records through the gates, over documents in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod analytics;
mod assets;
mod cards;
mod house;
mod parts;
mod patches;
mod personal;
mod publications;
mod records;
mod runs;
mod search;
mod settings;
