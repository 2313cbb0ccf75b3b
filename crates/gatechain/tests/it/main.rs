//! Tests of the gate chain, on the engines of `testkit`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod approvals;
mod budgets;
mod chain;
mod compile_fail;
mod copies;
mod damage;
mod faults;
mod fences;
mod house;
mod http;
mod rows;
