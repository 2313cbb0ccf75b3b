//! Logs to follow, as JSON.

use std::sync::Arc;

use bytes::Bytes;
use store::EventLog;

use super::view::EntryView;
use crate::service::{Audit, Entry};

impl Audit {
    /// All logs as [`Audit::readable`] gives them: each body is an item of
    /// `GET /audit/events`, on one line.
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
