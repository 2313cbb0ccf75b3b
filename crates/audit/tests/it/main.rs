//! The audit crate from outside: its formats, proofs and verifiers, and others' verifiers of the same bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod documented;
mod forgery;
mod http;
mod index;
mod nodes;
mod ocsf;
mod operator;
mod proofs;
mod python;
mod query;
mod retention;
mod sealing;
mod service;
mod stranger;
mod training;
mod verify;
mod world;
