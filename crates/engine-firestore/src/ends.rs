//! When documents end, remembered: so that who has just read one need not look again to commit.
//!
//! Nothing here is ever out of date: what was put under a version ends when it was said to.

use identity::Timestamp;
use quick_cache::sync::Cache;
use store::{DocKey, Version};

use crate::record::something_ends;

/// States that are remembered, of about 300 bytes each.
const STATES_MAX: usize = 16 * 1024;

/// The ends of states in whose commit something ends; other states have none.
pub(crate) struct Ends(Cache<(DocKey, u64), Option<Timestamp>>);

impl Ends {
    pub(crate) fn new() -> Self {
        Self(Cache::new(STATES_MAX))
    }

    pub(crate) fn note(&self, key: &DocKey, version: Version, end: Option<Timestamp>) {
        if something_ends(version) {
            self.0.insert((key.clone(), version.0), end);
        }
    }

    /// Whether the state `version` of a document is known to exist, as long as it is stored.
    pub(crate) fn lives(&self, key: &DocKey, version: Version, now: Timestamp) -> bool {
        if !something_ends(version) {
            return true;
        }
        let known = self.0.get(&(key.clone(), version.0));
        known.is_some_and(|end| end.is_none_or(|end| end > now))
    }
}
