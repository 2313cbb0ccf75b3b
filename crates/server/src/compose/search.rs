//! The search, whose indexes are beside the store, and the chat rail's snippets that it finds.

use std::sync::Arc;

use gatechain::GateChain;
use nexus::{
    Nexus, Snippets,
    search::{Search, SearchDeps, SearchSettings},
};
use realtime::Realtime;

use super::Foundation;
use crate::{config::Config, snippets::Keeper};

/// The folder of the indexes, below the data folder.
const INDEXES: &str = "index";

/// The search over the records of the store.
pub(super) fn search(foundation: &Foundation, config: &Config) -> Search {
    let deps = SearchDeps {
        documents: foundation.documents(),
        clock: Arc::clone(&foundation.clock),
    };
    Search::new(deps, SearchSettings::new(config.data.join(INDEXES)))
}

/// Messages of threads that want it are kept among the records of `nexus`, behind `gates`.
pub(super) fn keep_snippets(realtime: &Realtime, nexus: &Nexus, gates: &GateChain) {
    let snippets = Snippets::new(nexus.clone(), gates.clone());
    realtime.hand_snippets_to(Arc::new(Keeper(snippets)));
}
