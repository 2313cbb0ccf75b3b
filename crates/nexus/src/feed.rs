//! The feed of changes: which records have changed, and when.
//!
//! Every batch that changes a searched record also notes it here, so the note is as durable
//! as the change, on any engine. A reader lists what was noted since it looked last, and
//! reads the named records again; it begins a little earlier than where it ended, for a
//! batch may commit later than the time that it bears. Nobody deletes notes: they end by
//! themselves after [`CHANGES_KEPT`], and a reader who comes later reads all records.

use std::time::Duration;

use identity::{Scope, Timestamp};
use store::{Batch, DocKey, Partition};

use crate::{Id, Model};

/// How long a change stays noted.
pub(crate) const CHANGES_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One note: its id is the time, the kind and the id of the record; nothing else is known of it.
const NOTE: &[u8] = b"{}";

/// Where the changes of the scope's tenant and environment are noted.
pub(crate) fn changes(scope: &Scope) -> Partition {
    Partition::in_scope(scope, "record_changes")
}

/// The batch, which also notes that it changes the record `id` at the time `at`.
pub(crate) fn noted<M: Model>(batch: Batch, scope: &Scope, id: &Id<M>, at: Timestamp) -> Batch {
    if !M::SEARCHED {
        return batch;
    }
    let note = format!("{}/{}/{id}", moment(at), M::KIND);
    let note = DocKey::new(&changes(scope), note);
    batch.put_until(&note, NOTE, at.plus(CHANGES_KEPT))
}

/// A time as notes begin with it: in the order of time, milliseconds since 1970.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{:015}", at.unix_ms().max(0))
}
