//! The guard on actix-web: routes that cannot be mounted without it.
//!
//! Start at [`Routes`]. A handler's first argument decides what it is:
//! [`Admitted`] for tenant routes (or [`Checked`], when more is asked than who the caller is),
//! [`SignedIn`] for the caller's own account,
//! [`Public`] with a typed reason for the rest. Arguments are taken one after
//! the other, so nothing (not even a bad body) answers before the guard did.
//!
//! **Invariant:** on every tenant route the order is credential, context,
//! membership, project, role, object, and only then the body.
//!
//! **Invariant:** a handler of a mutating method runs between the intent and the
//! outcome of its record; [`Routes::build`] asks where records go.

mod access;
mod args;
mod body;
mod edge;
mod etag;
mod present;
mod query;
mod reply;
mod routes;
mod serve;

pub use access::{Admitted, Check, Checked, Object, Public, PublicReason, SignedIn};
pub use args::{Args, Extra, Gate, Stopped};
pub use body::{Body, JSON_BYTES_MAX, Json, JsonAsSent};
pub use edge::{EdgeState, edge, ids_of};
pub use etag::{etag, precondition};
pub use query::Query;
pub use reply::remarked;
pub use routes::{Access, DuplicateRoute, Manifest, ManifestEntry, Mounted, RecordRule, Routes};
pub use serve::record_header;
