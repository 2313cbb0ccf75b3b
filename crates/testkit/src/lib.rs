//! What tests share: in-memory engines that keep the ports' laws, a clock that
//! stands still, chance that repeats itself, a recorder that keeps what it is
//! told, a `redis-server` and a Firestore emulator of one's own, an [`Authority`] for TLS, a
//! network that fails ([`FaultProxy`]), and a [`World`] in which scopes are earned through the real guard.
//!
//! **Invariant:** a dev-dependency only. Nothing in production links it, so an
//! in-memory engine cannot be chosen by mistake; `cargo xtask layers` proves it.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot set up its world must stop"
)]

mod authority;
mod blobs;
mod documents;
mod events;
mod fault_proxy;
mod faulty;
mod firestore;
mod recorder;
mod redis;
mod sockets;
mod throttle;
mod time;
mod world;

pub use authority::{Authority, Signed};
pub use blobs::MemoryBlobs;
pub use documents::MemoryDocuments;
pub use events::MemoryEventLog;
pub use fault_proxy::{FaultProxy, Way};
pub use faulty::Faulty;
pub use firestore::FirestoreEmulator;
pub use recorder::{Entry, EntryKind, MemoryRecorder};
pub use redis::RedisServer;
pub use throttle::MemoryThrottle;
pub use time::{FakeClock, SeededEntropy};
pub use world::{AUDIENCE, Anything, FakeDirectory, ISSUER, PROJECT, SECRET, World};
