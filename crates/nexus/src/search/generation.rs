//! One index on disk: complete, or being built.
//!
//! **Invariant:** how far the feed was read is committed with what was read, in one step.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use identity::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::Version;
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError,
    directory::{MmapDirectory, error::OpenReadError},
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{
    fields::{self, Fields},
    kinds::Entry,
};
use tokio::task::JoinError;

use crate::feed::{self, Note, REBUILD};

/// Another number when what the index keeps changes: indexes of other formats are made anew.
const FORMAT: u32 = 1;
/// Memory of one writer, in bytes; the least that is possible.
const WRITER_BYTES: usize = 15_000_000;
/// Segments with more records are not merged any more, so that no merge takes long.
const MERGED_RECORDS_MAX: usize = 250_000;

/// How late a note may come and still be found at the next look.
const LATE: Duration = Duration::from_secs(2);
/// How late a note may come, or the clock of its node be, and still be found.
const VERY_LATE: Duration = Duration::from_secs(30);
/// How often it is looked for notes that came very late.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(5);

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The index library failed.
    #[error(transparent)]
    Index(#[from] TantivyError),
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The thread that worked on it died.
    #[error(transparent)]
    Died(JoinError),
}

impl Fault {
    /// Whether the index is damaged, so that only making it anew helps.
    pub(super) const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Died(_)
                | Self::Index(
                    TantivyError::DataCorruption(_)
                        | TantivyError::IncompatibleIndex(_)
                        | TantivyError::DeserializeError(_)
                        | TantivyError::OpenReadError(
                            OpenReadError::FileDoesNotExist(_)
                                | OpenReadError::IncompatibleIndex(_)
                        )
                )
        )
    }
}

/// What is committed with an index.
#[derive(Serialize, Deserialize)]
struct Payload {
    format: u32,
    /// Whose it is, so that a folder that was moved is not another tenant's index.
    place: String,
    /// When it was begun, in milliseconds.
    begun_ms: i64,
    /// The time up to which the feed was read, in milliseconds.
    read_ms: i64,
    complete: bool,
}

/// How far the feed was read.
struct Progress {
    /// Up to this time.
    read: Timestamp,
    /// When a look began that found nothing new: what comes now is younger, or late.
    level: Timestamp,
    /// Notes that a look may find again, in the state in which they were read.
    seen: HashMap<String, Version>,
    /// When it was last looked for notes that came very late.
    looked_back: Option<Timestamp>,
    /// Whether a note that came after it was begun asks for another one.
    outdated: bool,
}

impl Progress {
    /// Before it nothing comes any more: what was late when it was last looked for was seen then.
    fn look_back_from(&self) -> Timestamp {
        let looked = self.looked_back.unwrap_or(self.read);
        before(looked.min(self.read), VERY_LATE)
    }
}

/// A record that has changed.
pub(super) struct Change {
    pub(super) kind: &'static str,
    /// The id of its document.
    pub(super) place: String,
    /// What it is now; `None` when it is gone.
    pub(super) entry: Option<Entry>,
}

/// An index in a folder of its own.
pub(super) struct Generation {
    pub(super) folder: PathBuf,
    place: String,
    begun: Timestamp,
    index: Index,
    reader: IndexReader,
    progress: Mutex<Progress>,
}

impl Generation {
    /// A new, empty index in `folder`, for which the feed is read from `read` on.
    pub(super) fn create(folder: PathBuf, place: &str, read: Timestamp) -> Result<Self, Fault> {
        fs::create_dir_all(&folder)?;
        let index = Index::builder()
            .schema(Fields::schema())
            .create_in_dir(&folder)?;
        Self::with(folder, place, index, read, read)
    }

    /// The index in `folder`, or `None` when it is incomplete, of another format or another's.
    pub(super) fn open(folder: &Path, place: &str) -> Result<Option<Self>, Fault> {
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let index = Index::open(directory)?;
        let payload = index.load_metas()?.payload;
        let payload = payload.and_then(|text| serde_json::from_str::<Payload>(&text).ok());
        let Some(payload) = payload else {
            return Ok(None);
        };
        let usable = payload.format == FORMAT && payload.complete && payload.place == place;
        if !usable || index.schema() != Fields::schema() {
            return Ok(None);
        }
        let (begun, read) = (payload.begun_ms, payload.read_ms);
        let (begun, read) = (
            Timestamp::from_unix_ms(begun),
            Timestamp::from_unix_ms(read),
        );
        Self::with(folder.to_owned(), place, index, begun, read).map(Some)
    }

    fn with(
        folder: PathBuf,
        place: &str,
        mut index: Index,
        begun: Timestamp,
        read: Timestamp,
    ) -> Result<Self, Fault> {
        index.set_tokenizers(fields::tokenizers());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.doc_store_cache_num_blocks(1).try_into()?;
        let progress = Progress {
            read,
            level: read,
            seen: HashMap::new(),
            looked_back: None,
            outdated: false,
        };
        Ok(Self {
            folder,
            place: place.to_owned(),
            begun,
            index,
            reader,
            progress: Mutex::new(progress),
        })
    }

    /// Opens the one writer that it can have.
    pub(super) fn writer(&self) -> Result<IndexWriter, Fault> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut merging = LogMergePolicy::default();
        merging.set_max_docs_before_merge(MERGED_RECORDS_MAX);
        merging.set_del_docs_ratio_before_merge(0.3);
        writer.set_merge_policy(Box::new(merging));
        Ok(writer)
    }

    /// Commits `changes` and that the feed was read up to `read`, and makes them visible.
    pub(super) fn apply(
        &self,
        writer: &mut IndexWriter,
        changes: &[Change],
        read: Timestamp,
        complete: bool,
    ) -> Result<(), Fault> {
        let fields = Fields::get();
        for change in changes {
            writer.delete_term(fields.key(change.kind, &change.place));
            if let Some(entry) = &change.entry {
                writer.add_document(fields.document(entry))?;
            }
        }
        writer.delete_query(Box::new(fields.ended(read)))?;
        let payload = Payload {
            format: FORMAT,
            place: self.place.clone(),
            begun_ms: self.begun.unix_ms(),
            read_ms: read.unix_ms(),
            complete,
        };
        let payload = serde_json::to_string(&payload).map_err(io::Error::from)?;
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        self.reader.reload()?;
        Ok(())
    }

    /// Whether it was asked that another one is made.
    pub(super) fn is_outdated(&self) -> bool {
        self.progress.lock().outdated
    }

    /// Up to when the feed was read.
    pub(super) fn read(&self) -> Timestamp {
        self.progress.lock().read
    }

    /// The time from which on the feed is read again, as it is `now`.
    pub(super) fn look_from(&self, now: Timestamp) -> Timestamp {
        let mut progress = self.progress.lock();
        let looked = progress.looked_back;
        if looked.is_some_and(|at| at <= now && now.since(at) < LOOK_BACK_EVERY) {
            return before(progress.level.min(now).max(progress.read), LATE);
        }
        let from = progress.look_back_from();
        progress.looked_back = Some(now);
        from
    }

    /// The time after which everything is known that may still come.
    pub(super) fn look_back_from(&self) -> Timestamp {
        self.progress.lock().look_back_from()
    }

    /// Remembers that a look found nothing new that began `now`.
    pub(super) fn nothing_before(&self, now: Timestamp) {
        self.progress.lock().level = now;
        self.advance(&[], before(now, VERY_LATE));
    }

    /// Keeps the notes that were not read yet in the state that they are in.
    pub(super) fn keep_unseen(&self, notes: &mut Vec<Note>) {
        let progress = self.progress.lock();
        notes.retain(|note| progress.seen.get(&note.name) != Some(&note.version));
    }

    /// Remembers that `notes` were read, and with them the feed up to `read`.
    pub(super) fn advance(&self, notes: &[Note], read: Timestamp) {
        let mut progress = self.progress.lock();
        progress.read = progress.read.max(read);
        let asks = |(at, kind, _): (Timestamp, &str, &str)| kind == REBUILD && at > self.begun;
        progress.outdated |= notes.iter().filter_map(Note::parts).any(asks);
        let seen = notes.iter().map(|note| (note.name.clone(), note.version));
        progress.seen.extend(seen);
        let kept = feed::moment(progress.look_back_from());
        progress.seen.retain(|name, _| *name >= kept);
    }

    /// The index as it was committed last.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(at.unix_ms().saturating_sub(span))
}
