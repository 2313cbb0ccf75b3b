//! Logs to follow, as JSON.

use std::sync::Arc;

use bytes::Bytes;
use store::EventLog;

use super::view::EntryView;
use crate::service::{Audit, Entry};

impl Audit {
    /// All logs, as an event log that is only read: the bodies of the stream that
    /// [`Audit::stream`] names are the items of `GET /audit/events`, each on one line.
    ///
    /// A tail of it ends with a gap when a subject of its tenant is erased: who has
    /// kept what it brought must read it again.
    #[must_use]
    pub fn as_json(self: &Arc<Self>) -> Arc<dyn EventLog> {
        self.readable(json)
    }
}

fn json(entry: &Entry) -> Bytes {
    // A view is made of texts and numbers, so that it can always be written.
    serde_json::to_vec(&EntryView::from(entry))
        .unwrap_or_default()
        .into()
}
