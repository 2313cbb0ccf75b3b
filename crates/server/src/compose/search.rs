//! The search, whose indexes are beside the store.

use std::sync::Arc;

use nexus::search::{Search, SearchDeps, SearchSettings};

use super::Foundation;
use crate::config::Config;

/// The folder of the indexes, below the data folder.
const INDEXES: &str = "index";

/// The search over the records of the store.
pub(super) fn search(foundation: &Foundation, config: &Config) -> Search {
    let deps = SearchDeps {
        documents: foundation.engine.documents(),
        clock: Arc::clone(&foundation.clock),
    };
    Search::new(deps, SearchSettings::new(config.data.join(INDEXES)))
}
