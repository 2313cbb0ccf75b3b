//! Search: full text over the records of one tenant in one environment.
//!
//! Start at [`Search`]. Each tenant's environment has an index of its own in a folder of its
//! own, fed from the [feed of changes](crate::feed); nothing runs for a tenant that nobody
//! searches. The index keeps no text: whatever is shown is read from the records of the
//! caller's scope, so that what is gone or foreign cannot be shown even if an index were wrong.
//!
//! **Invariant:** how far the feed was read is committed in one step with what was read; a
//! crash loses nothing that the feed still has, and an index that is behind it is made anew.
//!
//! **Invariant:** before it answers, a search reads the feed up to its own beginning, or says
//! how far it is behind.

mod feeder;
mod fields;
mod found;
mod generation;
mod kinds;
mod mark;
mod one_of;
mod query;
mod rank;
mod shelf;
mod tenant;
mod words;
mod writers;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use gatechain::{Mutation, PayloadHash, Permit};
use identity::{Clock, Scope};
use store::{DocKey, Documents};
use tokio::sync::Semaphore;

pub use found::{Found, Freshness, Highlights, Hit, IndexState, Lag};
pub use query::{Asked, Asking};

use feeder::{Feeder, blocking};
use generation::{Fault, Generation};
use kinds::{Entry, Searched};
use rank::{Ranked, Reader};
use shelf::Shelf;
use tenant::{Place, TenantIndex};
use writers::Writers;

use crate::{NexusError, feed};

identity::action!(
    /// Searching records.
    SearchRecords, "nexus.search", Viewer
);
identity::action!(
    /// Reading how the index is.
    ReadIndex, "nexus.index.read", Member
);
identity::action!(
    /// Making the index anew.
    RebuildIndex, "nexus.index.rebuild", Admin
);

/// Making the index anew.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild;

impl Mutation for Rebuild {
    type Action = RebuildIndex;
    const KIND: &'static str = "index";
    const BARE: bool = true;

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of_nothing()
    }
}

/// How often a damaged index is made anew while one search waits.
const ATTEMPTS_MAX: usize = 2;
/// How many indexes are built at once.
const BUILDS_MAX: usize = 2;
/// Records that are read and shown at once.
const SHOWN_AT_ONCE: usize = 16;

/// Why an index failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct IndexFault(Fault);

/// What the search stands on.
#[derive(Clone)]
pub struct SearchDeps {
    /// Where the records are.
    pub documents: Arc<dyn Documents>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How much the search may use.
#[derive(Debug, Clone)]
pub struct SearchSettings {
    /// Where the indexes are, which can be deleted at any time: they are made anew.
    pub folder: PathBuf,
    /// Most indexes that are open at once.
    pub open_max: usize,
    /// Most indexes that are written to at once; each takes 15 MB and a few threads.
    pub writers_max: usize,
    /// Most searches that compute at once.
    pub searches_max: usize,
    /// How long a search waits for its index to be brought up to date.
    pub patience: Duration,
}

impl SearchSettings {
    /// What suits a server.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open_max: 256,
            writers_max: 4,
            searches_max: 4,
            patience: Duration::from_secs(1),
        }
    }
}

/// The search of all tenants.
pub struct Search {
    feeder: Arc<Feeder>,
    shelf: Shelf,
    computing: Arc<Semaphore>,
    patience: Duration,
}

impl Search {
    /// The search over the records in `deps.documents`.
    #[must_use]
    pub fn new(deps: SearchDeps, settings: SearchSettings) -> Self {
        Self {
            feeder: Arc::new(Feeder {
                documents: deps.documents,
                clock: deps.clock,
                writers: Writers::new(settings.writers_max),
                builds: Semaphore::new(BUILDS_MAX),
            }),
            shelf: Shelf::new(settings.folder, settings.open_max),
            computing: Arc::new(Semaphore::new(settings.searches_max)),
            patience: settings.patience,
        }
    }

    /// Finds records of the scope's tenant and environment, the best first.
    ///
    /// # Errors
    /// [`NexusError::SearchBusy`], [`NexusError::Index`], [`NexusError::Store`].
    pub async fn search(&self, scope: &Scope, asked: &Asked) -> Result<Found, NexusError> {
        let index = self.index(scope).await?;
        let lag = self.freshen(&index).await?;
        let (mut items, mut next) = (Vec::new(), None);
        if let Some(generation) = index.serving() {
            let reader = Reader {
                kinds: open_kinds(scope),
                names: [scope.user().to_string(), scope.project().to_string()],
            };
            let found = self.page(&index.place, &generation, asked, reader).await;
            if let Err(NexusError::Index(IndexFault(fault))) = &found
                && fault.is_damage()
            {
                self.feeder.discard(&index, &generation).await;
            }
            (items, next) = found?;
        }
        Ok(Found { items, next, lag })
    }

    /// How the index of the scope's tenant and environment is on this node.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub async fn state(&self, scope: &Scope) -> Result<IndexState, NexusError> {
        let index = self.index(scope).await?;
        if index.serving().is_none() {
            self.build(&index);
        }
        self.state_of(&index).await
    }

    /// Makes the index of the scope's tenant and environment anew: on this node at once, on others
    /// when they are asked next. The old one answers until the new one does.
    ///
    /// # Errors
    /// As [`Search::search`], and [`NexusError::Denied`].
    pub async fn rebuild(
        &self,
        scope: &Scope,
        permit: Permit<Rebuild>,
    ) -> Result<IndexState, NexusError> {
        let index = self.index(scope).await?;
        let asked = feed::rebuild(scope, self.feeder.clock.now());
        permit.commit(asked).await?;
        self.build(&index);
        self.state_of(&index).await
    }

    /// How many indexes are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shelf.len()
    }

    async fn state_of(&self, index: &Arc<TenantIndex>) -> Result<IndexState, NexusError> {
        let serving = index.serving();
        Ok(IndexState {
            lag: self.lag(index).await?,
            records: serving
                .as_ref()
                .map(|serving| serving.searcher().num_docs()),
            read_until: serving.map(|serving| serving.read()),
            rebuilding: index.is_building(),
        })
    }

    /// The open index of a scope.
    async fn index(&self, scope: &Scope) -> Result<Arc<TenantIndex>, NexusError> {
        let taken = self.shelf.take(Place::of(scope));
        let (index, closed) = taken.ok_or(NexusError::SearchBusy)?;
        if let Some(closed) = closed.and_then(|closed| closed.serving()) {
            let writers = Arc::clone(&self.feeder.writers);
            blocking(move || {
                writers.close(&closed.folder);
                Ok(())
            })
            .await?;
        }
        index.open().await;
        Ok(index)
    }

    /// Brings an index up to date, as far as that is possible while it waits.
    async fn freshen(&self, index: &Arc<TenantIndex>) -> Result<Lag, NexusError> {
        match tokio::time::timeout(self.patience, self.caught_up(index)).await {
            Ok(Ok(())) if index.serving().is_some() => return Ok(Lag::CURRENT),
            Ok(Err(NexusError::Index(error))) => {
                // What it knows is still found; the lag says what is missing.
                tracing::warn!(%error, "an index was not brought up to date");
            }
            Ok(caught_up) => caught_up?,
            Err(_) => self.drain(index),
        }
        self.lag(index).await
    }

    async fn caught_up(&self, index: &Arc<TenantIndex>) -> Result<(), NexusError> {
        let mut caught_up = Ok(());
        for _ in 0..ATTEMPTS_MAX {
            match index.serving() {
                Some(serving) if !self.feeder.is_too_old(&serving) => {}
                _ => self.build(index),
            }
            index.until_built().await;
            caught_up = self.feeder.catch_up(index).await;
            if index.serving().is_some() {
                break;
            }
        }
        caught_up
    }

    /// Catches up in the background.
    fn drain(&self, index: &Arc<TenantIndex>) {
        if !index.begin_drain() {
            return;
        }
        let (feeder, index) = (Arc::clone(&self.feeder), Arc::clone(index));
        tokio::spawn(async move {
            if let Err(error) = feeder.catch_up(&index).await {
                tracing::warn!(%error, "an index was not brought up to date");
            }
            index.end_drain();
        });
    }

    /// Builds a successor in the background, unless that is being done.
    fn build(&self, index: &Arc<TenantIndex>) {
        if let Some(folder) = index.begin_build() {
            let (feeder, index) = (Arc::clone(&self.feeder), Arc::clone(index));
            tokio::spawn(async move { feeder.build(&index, folder).await });
        }
    }

    /// How far the index is behind now.
    async fn lag(&self, index: &TenantIndex) -> Result<Lag, NexusError> {
        if index.serving().is_none() {
            let building = index.is_building();
            return building
                .then_some(Lag::BUILDING)
                .ok_or(NexusError::SearchBusy);
        }
        let behind = self.feeder.behind(index).await?;
        Ok(behind.map_or(Lag::CURRENT, |behind| Lag {
            state: Freshness::Behind,
            pending: Some(behind.pending),
            ms: Some(self.feeder.clock.now().since(behind.since).as_millis()),
        }))
    }

    /// One page of the ranking, and the cursor of the next.
    async fn page(
        &self,
        place: &Place,
        generation: &Arc<Generation>,
        asked: &Asked,
        reader: Reader,
    ) -> Result<(Vec<Hit>, Option<String>), NexusError> {
        let (reader, asked) = (Arc::new(reader), Arc::new(asked.clone()));
        let (mut items, mut at) = (Vec::new(), asked.after);
        loop {
            let wanted = (asked.limit - items.len()).min(SHOWN_AT_ONCE);
            let (searcher, for_query) = (generation.searcher(), (asked.clone(), reader.clone()));
            let ranked = self.compute(move || {
                let (asked, reader) = for_query;
                rank::ranking(&searcher, &asked, &reader, at, wanted + 1)
            });
            let mut ranked = ranked.await?;
            let more = ranked.len() > wanted;
            ranked.truncate(wanted);
            at += ranked.len();
            let entries = self.entries(place, ranked, &reader).await?;
            let asked_for = Arc::clone(&asked);
            let shown = self.compute(move || Ok(found::shown(entries, &asked_for.parts)));
            items.extend(shown.await?);
            let next = if more { Asked::next(at) } else { None };
            // Records that are gone leave room for others.
            if items.len() == asked.limit || next.is_none() {
                return Ok((items, next));
            }
        }
    }

    /// The records in a ranking as they are now, without those that are gone.
    async fn entries(
        &self,
        place: &Place,
        ranked: Vec<Ranked>,
        reader: &Reader,
    ) -> Result<Vec<(f32, Entry)>, NexusError> {
        let reads = ranked.into_iter().map(async |ranked| {
            let Some((kind, partition)) = place.kind(&ranked.kind) else {
                return Ok(None);
            };
            let key = DocKey::new(partition, ranked.place);
            let document = self.feeder.documents.get(&key).await?;
            let entry = document.and_then(|document| kind.entry(&document));
            let entry = entry.filter(|entry| entry.is_for(&reader.names));
            Ok::<_, NexusError>(entry.map(|entry| (ranked.score, entry)))
        });
        let entries = try_join_all(reads).await?;
        Ok(entries.into_iter().flatten().collect())
    }

    /// Does what takes a processor, a few at once.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, NexusError> {
        let permit = Arc::clone(&self.computing).acquire_owned().await;
        let permit = permit.map_err(|_| NexusError::SearchBusy)?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }
}

/// The kinds that the caller may read.
fn open_kinds(scope: &Scope) -> Vec<&'static str> {
    let kinds = Searched::ALL.into_iter();
    let open = kinds.filter(|kind| kind.is_open_to(scope));
    open.map(|kind| kind.kind).collect()
}
