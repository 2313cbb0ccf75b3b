//! The service: what it promises when all goes well, when the store fails, when the
//! process dies, and when someone alters what it has stored.

mod beginning;
mod follow;
pub(crate) mod house;
mod intents;
mod kill;
mod logs;
mod succession;
mod vault;
