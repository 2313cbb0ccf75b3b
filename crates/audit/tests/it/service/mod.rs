//! The service: what it promises when all goes well, when the store fails, when the
//! process dies, and when someone alters what it has stored.

mod beginning;
mod embedded;
mod erasure;
mod failing;
mod follow;
pub(crate) mod house;
pub(crate) mod intents;
mod keys;
mod kill;
mod late;
mod logs;
mod once;
mod refusals;
mod rollback;
mod succession;
mod tamper;
pub(crate) mod vault;
