//! Audit: a tamper-evident record of what was done, which a stranger can verify offline.
//!
//! What happened is a [`DatasetEvent`]. [`seal::seal`] makes a [`Record`] of it:
//! a [`Leaf`] that holds only commitments to personal values, and a sealed part
//! that erasure makes unreadable. Each tenant and environment has a [`log`]; the
//! heads of all logs form [`heads`], whose root enters the log of [`epochs`]
//! once per epoch, and one signed [`checkpoint`] covers them all. Every byte is
//! described in `docs/audit-format.md`.
//!
//! **Invariant:** the bytes of a leaf are stored, hashed and exported verbatim.

pub mod checkpoint;
pub mod commitment;
pub mod epochs;
pub mod event;
mod evidence;
pub mod export;
pub mod hash;
pub mod head;
pub mod heads;
pub mod index;
mod label;
pub mod leaf;
mod lines;
pub mod log;
pub mod ocsf;
#[cfg(feature = "http")]
mod openapi;
pub mod receipt;
mod record;
#[cfg(feature = "http")]
pub(crate) mod routes;
pub mod seal;
mod seq;
pub mod service;
pub mod signer;
pub mod trust;
mod unique;
pub mod verify;

pub use checkpoint::{Checkpoint, InvalidCheckpoint, InvalidOrigin, Origin};
pub use commitment::{Commitment, Field, Opening, Salt};
pub use epochs::{Epoch, InvalidEpoch};
pub use event::{Actor, DatasetEvent, Outcome, Personal, Phase, Target, TargetId, Training};
pub use evidence::{Anchored, Continuity, Evidence, Included, Since};
pub use export::{ExportError, ExportWriter};
pub use hash::{Hash, InvalidHash};
pub use head::{Head, HeadFlags, InvalidHead};
pub use heads::{Heads, HeadsError, NextHeads};
pub use label::{InvalidLabel, LABEL_BYTES_MAX, Label};
pub use leaf::{LEAF_BYTES_MAX, Leaf, LeafActor, LeafError, LeafTarget, LeafTargetId};
#[cfg(feature = "http")]
pub use openapi::openapi;
pub use receipt::Receipt;
pub use record::{DamagedRecord, RECORD_BYTES_MAX, Record};
#[cfg(feature = "http")]
pub use routes::{routes, view::EntryView};
pub use seal::{OpenError, Opened, SEALED_BYTES_MAX};
pub use seq::{InvalidSeq, LOG_SIZE_MAX, Seq};
pub use signer::{SignerError, Signers};
pub use trust::{NoteRefused, Trust, TrustError, TrustFile};
pub use verify::VerifyError;
