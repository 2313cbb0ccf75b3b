//! The request of `Commit`, with the operation that the published definition leaves out.
//!
//! `verify` demands something of a document without writing it. Google's own web and mobile
//! libraries use it in every transaction, the service and the emulator know it, and the files
//! at `googleapis` that others are generated from do not have it. Who does not know it finds a write
//! without an operation and refuses the commit, so it is never left out in silence.
//!
//! Why not a write that changes nothing: it would make a document that everybody expects and
//! nobody writes, such as a kill switch, as contended as one that everybody writes
//! (`docs/adr/0017-firestore.md`).

use gcloud_sdk::google::firestore::v1::{Document, Precondition};

/// Where `Commit` is.
pub(crate) const COMMIT: &str = "/google.firestore.v1.Firestore/Commit";

/// `google.firestore.v1.CommitRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CommitRequest {
    /// `projects/…/databases/…`.
    #[prost(string, tag = "1")]
    pub(crate) database: String,
    /// What happens, together or not at all.
    #[prost(message, repeated, tag = "2")]
    pub(crate) writes: Vec<Write>,
}

/// `google.firestore.v1.Write`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Write {
    /// What must hold of the document.
    #[prost(message, optional, tag = "4")]
    pub(crate) current_document: Option<Precondition>,
    /// What happens to it.
    #[prost(oneof = "Operation", tags = "1, 2, 5")]
    pub(crate) operation: Option<Operation>,
}

/// What a [`Write`] does.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Operation {
    /// Creates or replaces a document.
    #[prost(message, tag = "1")]
    Update(Document),
    /// Deletes the document of this name.
    #[prost(string, tag = "2")]
    Delete(String),
    /// Does nothing to the document of this name; a [`Write`] may demand something of it.
    #[prost(string, tag = "5")]
    Verify(String),
}
