//! The contract's third section, sentence by sentence, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod app;
mod drain;
mod frames;
mod gestures;
mod http;
mod idle;
mod join;
mod limits;
mod presence;
mod rail;
mod rails;
mod recording;
mod slow;
mod sse;
mod sse_client;
mod stream;
mod threads;
mod tickets;
mod tools;
mod ws;
mod ws_client;
