//! The records of all kinds over one store.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use identity::{Clock, Directory, Entropy, Scope};
use store::Documents;
use tokio::sync::{Mutex, MutexGuard};

use crate::{Model, Records};

/// How many writers of different users' groups go on at the same time.
const TURNS: usize = 64;

/// What the records stand on.
#[derive(Clone)]
pub struct NexusDeps {
    /// Where they are.
    pub documents: Arc<dyn Documents>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub entropy: Arc<dyn Entropy>,
    /// Whether a surface or an app that a record names is the tenant's.
    pub directory: Arc<dyn Directory>,
}

/// The records of all kinds. Clones share everything.
#[derive(Clone)]
pub struct Nexus(pub(crate) Arc<Core>);

pub(crate) struct Core {
    pub(crate) deps: NexusDeps,
    /// Who writes into a group waits for others who do, so that its limits hold: what is
    /// counted is still true when the batch commits. Writers on other nodes are not waited for.
    turns: [Mutex<()>; TURNS],
}

impl Nexus {
    /// The records in `deps.documents`.
    #[must_use]
    pub fn new(deps: NexusDeps) -> Self {
        let turns = std::array::from_fn(|_| Mutex::new(()));
        Self(Arc::new(Core { deps, turns }))
    }

    /// The records of the kind `M`.
    #[must_use]
    pub fn records<M: Model>(&self) -> Records<M> {
        Records::of(self)
    }
}

impl Core {
    /// The turn of a writer of records that are in groups; other kinds need none.
    pub(crate) async fn turn<M: Model>(&self, scope: &Scope) -> Option<MutexGuard<'_, ()>> {
        M::GROUP_MAX?;
        let mut hasher = DefaultHasher::new();
        (scope.tenant(), scope.user().as_str(), M::KIND).hash(&mut hasher);
        let place = usize::try_from(hasher.finish()).unwrap_or_default() % TURNS;
        match self.turns.get(place) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }
}
