//! The feed of changes: which records have changed, and when.
//!
//! Every batch that changes a searched record also notes it here, so the note is as durable
//! as the change, on any engine. A reader lists what was noted since it looked last, and
//! reads the named records again; it begins a little earlier than where it ended, for a
//! batch may commit later than the time that it bears. Nobody deletes notes: they end by
//! themselves after [`CHANGES_KEPT`], and a reader who comes later reads all records.

use std::time::Duration;

use identity::{Scope, Timestamp};
use store::{Batch, DocKey, Document, Partition, Version};

use crate::Model;

/// How long a change stays noted.
pub(crate) const CHANGES_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A note: its id is the time, the kind and the id of the record's document, which of a personal
/// record is the user, `/` and its id. Nothing else is known of it.
const NOTE: &[u8] = b"{}";

/// A note, as read.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// Its name.
    pub(crate) name: String,
    /// Its state: another one when the record changed again in the same millisecond.
    pub(crate) version: Version,
}

impl Note {
    /// The time, the kind, and the id of the document that it names.
    pub(crate) fn parts(&self) -> Option<(Timestamp, &str, &str)> {
        let mut parts = self.name.splitn(3, '/');
        let (at, kind, place) = (parts.next()?, parts.next()?, parts.next()?);
        Some((Timestamp::from_unix_ms(at.parse().ok()?), kind, place))
    }
}

impl From<Document> for Note {
    fn from(document: Document) -> Self {
        Self {
            name: document.id,
            version: document.version,
        }
    }
}

/// Where the changes of the scope's tenant and environment are noted.
pub(crate) fn changes(scope: &Scope) -> Partition {
    Partition::in_scope(scope, "record_changes")
}

/// The batch, which also notes that it changes the record at `place` at the time `at`.
pub(crate) fn noted<M: Model>(batch: Batch, scope: &Scope, place: &DocKey, at: Timestamp) -> Batch {
    if !M::SEARCHED {
        return batch;
    }
    let note = format!("{}/{}/{}", moment(at), M::KIND, place.id);
    let note = DocKey::new(&changes(scope), note);
    batch.put_until(&note, NOTE, at.plus(CHANGES_KEPT))
}

/// What a note names in place of a kind when it asks every reader to begin anew.
pub(crate) const REBUILD: &str = "rebuild";

/// The batch that asks every reader to begin anew, as it is `at`.
pub(crate) fn rebuild(scope: &Scope, at: Timestamp) -> Batch {
    let note = DocKey::new(&changes(scope), format!("{}/{REBUILD}/index", moment(at)));
    Batch::new().put_until(&note, NOTE, at.plus(CHANGES_KEPT))
}

/// A time as notes begin with it: in the order of time, milliseconds since 1970.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{:015}", at.unix_ms().max(0))
}
