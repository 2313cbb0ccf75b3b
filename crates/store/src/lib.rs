//! Engine ports: the four few and deep interfaces on which everything durable stands.
//!
//! Start at [`Documents`] and [`EventLog`]; [`Throttle`] holds rates, [`Blobs`] bytes,
//! and a [`Bus`] tells other nodes what they need no longer remember. Each port states
//! numbered laws; the module `contract` (feature `contract`) holds one test per law that
//! every engine runs against its real server or file.
//!
//! **Invariant:** names of tenant data ([`Partition`], [`StreamKey`],
//! [`ObjectKey`]) are made from an `identity::Scope`, and from nothing else.

mod blob_relocation;
mod blobs;
mod bus;
#[cfg(feature = "contract")]
pub mod contract;
mod documents;
mod error;
mod events;
mod home;
mod local_bus;
mod object_key;
pub mod observed;
mod page;
mod partition;
mod relocation;
mod throttle;

pub use blob_relocation::{BlobRelocation, KEYS_MAX, ObjectBytes, ObjectCopy};
pub use blobs::*;
pub use bus::*;
pub use documents::*;
pub use error::StoreError;
pub use events::*;
pub use home::Home;
pub use local_bus::LocalBus;
pub use object_key::{FILENAME_BYTES_MAX, InvalidFilename, ObjectKey, ObjectPrefix};
pub use page::{InvalidPage, PAGE_LIMIT_DEFAULT, Page, PageCursor, PageRequest, Versioned};
pub use partition::{Partition, StreamKey, ThrottleKey};
pub use relocation::{ImportError, Relocation, StreamsPage, check_import};
pub use throttle::{Quota, Throttle, Verdict, gcra};
