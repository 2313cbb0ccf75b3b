//! What is sent besides envelopes.

use serde::Serialize;
use store::{Bounds, Cursor, GapReason};

use crate::hub::{Gap, reason_name};

/// A cursor that could not be honoured, as told on every transport.
#[derive(Serialize)]
pub(crate) struct GapNotice<'a> {
    reason: &'a str,
    requested: &'a str,
    oldest: String,
    head: String,
}

impl<'a> GapNotice<'a> {
    pub(crate) fn of(gap: &'a Gap) -> Self {
        Self::new(gap.reason, &gap.requested, gap.bounds)
    }

    pub(crate) fn because(reason: GapReason, requested: &'a str, bounds: Bounds) -> Self {
        Self::new(reason_name(reason), requested, bounds)
    }

    fn new(reason: &'a str, requested: &'a str, bounds: Bounds) -> Self {
        Self {
            reason,
            requested,
            oldest: Cursor {
                epoch: bounds.epoch,
                seq: bounds.oldest,
            }
            .to_string(),
            head: bounds.at_head().to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
