//! Documents on Google Cloud Firestore, in native mode.
//!
//! Start at [`Firestore`]: it is one connection to one database. Only three calls are used,
//! `BatchGetDocuments`, `RunQuery` and `Commit`: a batch is one preconditioned commit, never a
//! transaction that reads and writes, whose locks make contention last minutes.
//!
//! **Invariant:** a commit is carried out once, however often it was sent: it creates a receipt
//! that only one of its tries can create (`commit`). Where documents are is in `names`.

mod answer;
mod commit;
mod connection;
mod documents;
mod ends;
mod error;
mod firestore;
mod location;
mod names;
mod plan;
mod query;
mod record;
mod tries;
mod wire;

pub use error::FirestoreError;
pub use firestore::Firestore;
pub use location::{FirestoreCredentials, FirestoreLocation, FirestoreSettings};
