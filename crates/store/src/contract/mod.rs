//! The contract suites: one public function per numbered law of a port.
//!
//! An engine proves itself with one line per port, which lists every law as a
//! test of its own:
//!
//! ```ignore
//! store::documents_contract!(my_engine::subject);
//! ```
//!
//! `subject` is an async function without arguments that opens a fresh engine
//! and returns a [`Subject`].
//!
//! **Invariant:** a law panics when it does not hold and leaves nothing to the
//! eye; no law waits by sleeping.

pub mod blob_relocation;
pub mod blobs;
pub mod bus;
pub mod documents;
pub mod events;
mod events_tail;
pub mod relocation;
pub mod throttle;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::{Scope, SystemAuthority, Timestamp};

/// Longest wait for something that must come; a broken engine then fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Callers whose data must stay apart.
#[derive(Debug)]
pub struct Scopes {
    /// A tenant and environment.
    pub one: Scope,
    /// Another tenant, same environment.
    pub other_tenant: Scope,
    /// The same tenant as `one`, another environment.
    pub other_env: Scope,
    /// The process itself.
    pub system: SystemAuthority,
}

/// An engine under test.
#[async_trait]
pub trait Subject<P: ?Sized + Send + Sync>: Send + Sync {
    /// The port, as it is now; ask again after [`Subject::reopen`].
    fn port(&self) -> Arc<P>;
    /// Callers to act for.
    fn scopes(&self) -> &Scopes;
    /// The engine's present.
    fn now(&self) -> Timestamp;
    /// Lets time pass for the engine.
    async fn advance(&self, by: Duration);
    /// Stops the engine as abruptly as it can be and starts it on the same data.
    async fn reopen(&self);
}

/// Awaits `future`, and panics when it takes longer than [`PATIENCE`].
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the engine did not answer in time")
}

/// Generates one `#[tokio::test]` per law; the suites' macros are made of it.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($suite:ident, $subject:path, [$($law:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let subject = $subject().await;
                $crate::contract::$suite::$law(&subject).await;
            }
        )+
    };
}
