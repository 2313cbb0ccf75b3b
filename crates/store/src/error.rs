//! What an engine can answer when it cannot do what was asked.

use identity::DirectoryUnavailable;

/// A failure of the engine itself; the caller's request was in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The engine cannot be reached, or did not answer in time. Try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The engine refuses writes, because it can no longer promise durability
    /// (a full disk, a failed fsync). Reads go on; an operator must act.
    #[error("the store refuses writes: {0}")]
    ReadOnly(String),
    /// Stored data cannot be understood.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The request exceeds a limit of the port.
    #[error("the request exceeds a limit: {0}")]
    Limit(String),
}

/// For engines that answer the guard: it only needs to know that it cannot be told.
impl From<StoreError> for DirectoryUnavailable {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
