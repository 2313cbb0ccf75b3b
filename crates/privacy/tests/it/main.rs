//! Preferences and recognisers, as their users meet them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod pii;
mod pii_by_hand;
mod pii_corpus;
mod prefs;
