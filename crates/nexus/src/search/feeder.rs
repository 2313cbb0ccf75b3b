//! Bringing indexes up to date: from the feed, or from all records.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use identity::{Clock, Timestamp};
use store::{DocKey, Documents, Listing};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::{
    IndexFault,
    generation::{Change, Fault, Generation},
    tenant::{TenantIndex, remove},
    writers::Writers,
};
use crate::{
    NexusError,
    feed::{self, CHANGES_KEPT, Note},
};

/// Most notes that are read before what they name is.
const NOTES_MAX: usize = 1000;
/// Bytes of text after which what was read is committed; the writer holds as much.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Most records of one commit.
const COMMIT_RECORDS_MAX: usize = 10_000;
/// Most records that are read at once; each may have half a MiB.
const READ_AT_ONCE: usize = 16;

/// How long before changes are forgotten an index that has not read them is made anew.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What indexes are fed from, and what for.
pub(super) struct Feeder {
    pub(super) documents: Arc<dyn Documents>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writers: Arc<Writers>,
    /// How many indexes may be built at once.
    pub(super) builds: Semaphore,
}

/// How far an index is behind the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    /// Changes that are not in the index, 1,000 at most.
    pub(super) pending: usize,
    /// When the first of them was made.
    pub(super) since: Timestamp,
}

impl Feeder {
    /// Brings the index that serves up to date. Dropping it half-way loses nothing.
    pub(super) async fn catch_up(&self, index: &Arc<TenantIndex>) -> Result<(), NexusError> {
        while let Some(generation) = index.serving() {
            let now = self.clock.now();
            let from = generation.look_from(now);
            if self.news(index, &generation, from).await?.is_empty() {
                generation.nothing_before(now);
                return Ok(());
            }
            let feeding = Arc::new(Feeding {
                _turn: Arc::clone(&index.feeding).lock_owned().await,
                _index: Arc::clone(index),
            });
            // Others may have read them meanwhile, or a successor may serve.
            if let Some(generation) = index.serving() {
                let news = self.news(index, &generation, from).await?;
                let fed = self.feed(index, &generation, news, Some(feeding)).await;
                if let Err(NexusError::Index(IndexFault(fault))) = &fed
                    && fault.is_damage()
                {
                    self.discard(index, &generation).await;
                }
                fed?;
            }
        }
        Ok(())
    }

    /// How far the index is behind, if it is.
    pub(super) async fn behind(&self, index: &TenantIndex) -> Result<Option<Behind>, NexusError> {
        let Some(generation) = index.serving() else {
            return Ok(None);
        };
        let news = self
            .news(index, &generation, generation.look_back_from())
            .await?;
        let first = news.first().and_then(Note::parts);
        Ok(first.map(|(since, _, _)| Behind {
            pending: news.len(),
            since,
        }))
    }

    /// Whether changes may have been forgotten before the index has read them, or it was asked
    /// for another one.
    pub(super) fn is_too_old(&self, generation: &Generation) -> bool {
        generation.is_outdated()
            || self.clock.now().since(generation.read()) >= CHANGES_KEPT - MARGIN
    }

    /// A damaged index serves no longer.
    pub(super) async fn discard(&self, index: &TenantIndex, damaged: &Arc<Generation>) {
        if index.discard(damaged) {
            let folder = damaged.folder.clone();
            tracing::warn!(index = %folder.display(), "a damaged index is made anew");
            self.remove(folder).await;
        }
    }

    /// Builds a successor from all records, in `folder`, and lets it serve.
    pub(super) async fn build(&self, index: &Arc<TenantIndex>, folder: PathBuf) {
        let built = self.built(index, folder.clone()).await;
        let feeding = index.feeding.lock().await;
        let before = match built {
            Ok(built) => index.end_build(Some(built)),
            Err(error) => {
                tracing::warn!(%error, index = %folder.display(), "an index was not built");
                index.end_build(None);
                self.remove(folder).await;
                return;
            }
        };
        drop(feeding);
        if let Some(before) = before {
            self.remove(before.folder.clone()).await;
        }
    }

    async fn built(
        &self,
        index: &Arc<TenantIndex>,
        folder: PathBuf,
    ) -> Result<Arc<Generation>, NexusError> {
        let turn = self.builds.acquire().await;
        let _turn = turn.map_err(|_| NexusError::SearchBusy)?;
        let start = self.clock.now();
        let name = index.place.name.clone();
        let generation = blocking(move || Generation::create(folder, &name, start)).await?;
        let generation = Arc::new(generation);
        let mut gathered = Gathered::default();
        for (kind, partition) in &index.place.kinds {
            let mut listing = Listing {
                limit: READ_AT_ONCE,
                ..Listing::default()
            };
            loop {
                let page = self.documents.list(partition, &listing).await?;
                listing.after = page.last().map(|last| last.id.clone());
                for document in &page {
                    gathered.add(Change {
                        kind: kind.kind,
                        place: document.id.clone(),
                        entry: kind.entry(document),
                    });
                }
                if gathered.is_full() {
                    self.write(&generation, gathered.take(), start, false)
                        .await?;
                }
                if page.len() < listing.limit {
                    break;
                }
            }
        }
        self.write(&generation, gathered.take(), start, true)
            .await?;
        loop {
            let from = generation.look_back_from();
            let news = self.news(index, &generation, from).await?;
            if news.is_empty() {
                return Ok(generation);
            }
            self.feed(index, &generation, news, None).await?;
        }
    }

    /// What was noted from `from` on and not read yet, in the order of time.
    async fn news(
        &self,
        index: &TenantIndex,
        generation: &Generation,
        from: Timestamp,
    ) -> Result<Vec<Note>, NexusError> {
        let mut listing = Listing {
            prefix: String::new(),
            after: Some(feed::moment(from)),
            limit: NOTES_MAX,
        };
        let mut news = Vec::new();
        loop {
            let page = self.documents.list(&index.place.changes, &listing).await?;
            let (count, last) = (page.len(), page.last().map(|last| last.id.clone()));
            let mut notes = page.into_iter().map(Note::from).collect();
            generation.keep_unseen(&mut notes);
            news.append(&mut notes);
            if news.len() >= NOTES_MAX || count < listing.limit {
                news.truncate(NOTES_MAX);
                return Ok(news);
            }
            listing.after = last;
        }
    }

    /// Reads what `news` names again, and commits it.
    async fn feed(
        &self,
        index: &TenantIndex,
        generation: &Arc<Generation>,
        news: Vec<Note>,
        feeding: Option<Arc<Feeding>>,
    ) -> Result<(), NexusError> {
        let (mut gathered, mut done) = (Gathered::default(), 0);
        let mut known = HashSet::new();
        for (at, notes) in news.chunks(READ_AT_ONCE).enumerate() {
            let fresh: Vec<_> = notes
                .iter()
                .filter_map(|note| note.parts())
                .filter(|(_, kind, place)| known.insert((*kind, *place)))
                .collect();
            let reads = fresh
                .iter()
                .map(|(_, kind, place)| self.change(index, kind, place));
            try_join_all(reads)
                .await?
                .into_iter()
                .flatten()
                .for_each(|change| gathered.add(change));
            let read = at * READ_AT_ONCE + notes.len();
            if gathered.is_full() || read == news.len() {
                let notes = news.get(done..read).unwrap_or_default();
                self.commit(generation, gathered.take(), notes, feeding.clone())
                    .await?;
                // What changes after a commit is to be read again.
                known.clear();
                done = read;
            }
        }
        Ok(())
    }

    /// The state of a record; `None` when records of its kind are not searched.
    async fn change(
        &self,
        index: &TenantIndex,
        kind: &str,
        place: &str,
    ) -> Result<Option<Change>, NexusError> {
        let Some((kind, partition)) = index.place.kind(kind) else {
            return Ok(None);
        };
        let key = DocKey::new(partition, place);
        let document = self.documents.get(&key).await?;
        let entry = document.and_then(|document| kind.entry(&document));
        Ok(Some(Change {
            kind: kind.kind,
            place: place.to_owned(),
            entry,
        }))
    }

    async fn commit(
        &self,
        generation: &Arc<Generation>,
        changes: Vec<Change>,
        notes: &[Note],
        feeding: Option<Arc<Feeding>>,
    ) -> Result<(), NexusError> {
        let last = notes.last().and_then(Note::parts);
        // A clock that is ahead does not carry the feed with it.
        let read = last.map_or(generation.read(), |(at, _, _)| at.min(self.clock.now()));
        let read = read.max(generation.read());
        let (generation, notes) = (Arc::clone(generation), notes.to_vec());
        let turn = self.writers.turn().await.ok_or(NexusError::SearchBusy)?;
        blocking(move || {
            // Held until it is done, even if nobody waits for it any more.
            let _feeding = feeding;
            turn.write(&generation, |writer| {
                generation.apply(writer, &changes, read, true)
            })?;
            generation.advance(&notes, read);
            Ok(())
        })
        .await
    }

    async fn write(
        &self,
        generation: &Arc<Generation>,
        changes: Vec<Change>,
        read: Timestamp,
        complete: bool,
    ) -> Result<(), NexusError> {
        let generation = Arc::clone(generation);
        let turn = self.writers.turn().await.ok_or(NexusError::SearchBusy)?;
        blocking(move || {
            turn.write(&generation, |writer| {
                generation.apply(writer, &changes, read, complete)
            })
        })
        .await
    }

    async fn remove(&self, folder: PathBuf) {
        let writers = Arc::clone(&self.writers);
        let removed = blocking(move || {
            writers.close(&folder);
            remove(&folder)
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "what is left of an index was not removed");
        }
    }
}

/// Who holds it feeds the index that serves, which stays open for as long.
struct Feeding {
    _turn: OwnedMutexGuard<()>,
    _index: Arc<TenantIndex>,
}

/// Changes that are committed together.
#[derive(Default)]
struct Gathered {
    changes: Vec<Change>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, change: Change) {
        self.bytes += change.entry.as_ref().map_or(0, super::kinds::Entry::bytes);
        self.changes.push(change);
    }

    fn is_full(&self) -> bool {
        self.bytes >= COMMIT_BYTES || self.changes.len() >= COMMIT_RECORDS_MAX
    }

    fn take(&mut self) -> Vec<Change> {
        std::mem::take(self).changes
    }
}

/// Does what blocks, where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, NexusError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done.map_err(IndexFault)?),
        Err(error) => Err(IndexFault(Fault::Died(error)).into()),
    }
}
