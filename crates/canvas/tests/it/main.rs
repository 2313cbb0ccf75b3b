//! Canvases, on the engines of `testkit` and on the embedded one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod chance;
mod compaction;
mod convergence;
mod faults;
mod house;
mod http;
mod model;
mod nodes;
mod oracle;
mod play;
mod preview;
mod recovery;
mod replay;
mod runs;
mod submit;
mod together;
mod undo;
