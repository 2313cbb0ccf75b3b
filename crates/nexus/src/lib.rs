//! Nexus: what a tenant's content is made of, as typed records.
//!
//! Start at [`Records`]: the small core that every kind of record stands on, and
//! which [`Nexus`] gives for each kind. A kind is a [`Model`], such as [`Card`]: its
//! fields, their limits, and what its ids begin with. Every write to the outside takes
//! a permit of `gatechain`.
//!
//! **Invariant:** a record is found only in the tenant and environment of a
//! `Scope`, and a personal one by its own user alone; foreign, unknown, deleted and
//! malformed ids are alike.
//!
//! **Invariant:** a record changes only in a batch that expects the state from
//! which the change was computed, so no word is lost in a race.

pub mod assets;
mod card;
mod change;
mod checks;
mod error;
mod feed;
mod id;
mod keys;
mod kinds;
mod merge;
mod model;
mod mutation;
mod nexus;
mod record;
mod records;
#[cfg(feature = "http")]
mod routes;
pub mod search;
mod snippets;

pub use card::{Card, CardKind, CreateCard, DeleteCard, Link, ReadCards, UpdateCard};
pub use error::NexusError;
pub use id::{Id, InvalidId};
pub use kinds::*;
pub use merge::MergePatch;
pub use model::{Body, GroupMax, Indexed, Invalid, Model, Reference, Referent, Writing};
pub use mutation::{AppendEvents, Create, Delete, Patch, Publish, Replace, Restore};
pub use nexus::{Nexus, NexusDeps};
pub use record::Record;
pub use records::{IdempotencyKey, Made, Records};
#[cfg(feature = "http")]
pub use routes::{Changing, Deleted, EventBatch, New, openapi, routes};
#[cfg(feature = "http")]
pub use routes::{
    MediaUpload, RawUpload, RegisterBody, Removable, Served, artifact_made, asset_openapi,
    asset_routes, search_openapi, search_routes,
};
pub use snippets::{KeepSnippet, ReadSnippets, Snippet, Snippets};
