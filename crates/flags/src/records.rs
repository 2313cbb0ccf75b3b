//! Layers as documents: a row a flag, a head a layer, and the history of changes.
//!
//! **Invariants:**
//! - rows and head are in one partition, so that one page shows a layer as it was at one moment;
//! - every change puts a new head, so a head in the same state means the same layer;
//! - a row changes only in a batch that expects the states from which the change was computed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use identity::{Scope, SystemAuthority, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{
    Batch, CommitError, DocKey, Document, Documents, LIST_LIMIT_MAX, Listing, Page, PageRequest,
    Partition, Version,
};

use crate::{
    Definition, Flag, FlagKey, FlagsError, Layer, LayerName, Row, StaleFlag,
    sealed::{open, seal},
    staleness,
};

/// The rows of a layer and its head.
const KIND: &str = "flags";
/// What was changed in a layer.
const HISTORY_KIND: &str = "flag_history";
/// Sorts after all rows.
const HEAD: &str = "head";
const ROW_PREFIX: &str = "flag/";
/// Most flags of a layer: they and the head are one page.
pub const LAYER_FLAGS_MAX: usize = 900;
const _: () = assert!(LAYER_FLAGS_MAX < LIST_LIMIT_MAX, "a layer is one page");
/// Largest definition, in bytes of JSON.
pub const DEFINITION_BYTES_MAX: usize = 32 * 1024;
/// Most bytes of all rows of a layer, together.
pub const LAYER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of a layer in memory: so much JSON may stand for many times as much.
pub const LAYER_MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the store may take to show a layer.
const LOAD_MAX: Duration = Duration::from_secs(2);
/// How long a change stays in the history of a flag; the audit log keeps its digest for longer.
pub const HISTORY_KEPT: Duration = Duration::from_secs(730 * 24 * 3600);

/// A flag, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// What it is.
    pub definition: Definition,
    /// The change of the layer that made it so.
    pub revision: u64,
    /// When that was.
    pub changed_at: Timestamp,
    /// Who did it.
    pub changed_by: UserId,
    /// When there was no such flag before.
    pub created_at: Timestamp,
}

/// One change of a flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Rises with every change of the layer.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: UserId,
    /// The request that did it, as the audit log names it.
    pub request_id: String,
    /// What the flag was; `None` if there was none, or nothing that could be read.
    pub before: Option<Definition>,
    /// What it is since; `None` if it was deleted.
    pub after: Option<Definition>,
    /// Whether what was there before could not be read.
    pub before_damaged: bool,
}

/// The state of a layer's numbering.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Head {
    revision: u64,
}

/// One row: its state and what it says, unless it is damaged.
pub(crate) struct StoredRow {
    pub(crate) version: Version,
    pub(crate) bytes: usize,
    pub(crate) stored: Option<Stored>,
}

/// A layer as it was at one moment, to be changed from there.
pub(crate) struct StoredLayer {
    head: Option<Document>,
    pub(crate) rows: BTreeMap<FlagKey, StoredRow>,
    pub(crate) layer: Layer,
}

impl StoredLayer {
    /// Its flags that should be gone by `now`.
    pub(crate) fn stale(&self, layer: LayerName, now: Timestamp) -> Vec<StaleFlag> {
        let stale = self.rows.iter().filter_map(|(key, row)| {
            let stored = row.stored.as_ref()?;
            let Some(Row::Flag(flag)) = self.layer.get(key.as_str()) else {
                return None;
            };
            Some(StaleFlag {
                key: key.clone(),
                layer,
                why: staleness(flag, stored, now)?,
                changed_at: stored.changed_at,
                changed_by: stored.changed_by.clone(),
            })
        });
        stale.collect()
    }
}

/// Where the documents of a layer are.
#[derive(Clone)]
pub(crate) struct Home {
    rows: Partition,
    history: Partition,
}

/// A row's next state, and the change that it is.
pub(crate) struct NextRow<'a> {
    pub(crate) key: &'a FlagKey,
    pub(crate) stored: Option<&'a Stored>,
    pub(crate) change: &'a Change,
}

/// The documents of all layers.
pub(crate) struct Records {
    documents: Arc<dyn Documents>,
    authority: SystemAuthority,
}

impl Records {
    pub(crate) fn new(documents: Arc<dyn Documents>, authority: SystemAuthority) -> Self {
        Self {
            documents,
            authority,
        }
    }

    /// Where the layer is: the system's is one for all tenants and environments.
    pub(crate) fn home(&self, scope: &Scope, layer: LayerName) -> Home {
        let partition = |kind| match layer {
            LayerName::System => Partition::of_system(&self.authority, kind),
            LayerName::Tenant => Partition::in_scope(scope, kind),
        };
        Home {
            rows: partition(KIND),
            history: partition(HISTORY_KIND),
        }
    }

    /// The version of a layer; 0 before its first change.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub(crate) async fn version(&self, home: &Home) -> Result<u64, FlagsError> {
        let key = DocKey::new(&home.rows, HEAD);
        let head = in_time(self.documents.get(&key)).await?;
        Ok(head.map_or(0, |head| head.version.0))
    }

    /// All of a layer.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub(crate) async fn load(&self, home: &Home) -> Result<StoredLayer, FlagsError> {
        let listing = Listing {
            limit: LIST_LIMIT_MAX,
            ..Listing::default()
        };
        let documents = in_time(self.documents.list(&home.rows, &listing)).await?;
        let (mut head, mut rows) = (None, BTreeMap::new());
        for document in documents {
            if document.id == HEAD {
                head = Some(document);
            } else if let Some(key) = key_of(&document.id) {
                let row = read(home, &document);
                rows.insert(key, row);
            } else {
                tracing::error!(partition = %home.rows, id = %document.id, "a row is no flag's");
            }
        }
        let version = head.as_ref().map_or(0, |head| head.version.0);
        let layer = Layer::new(
            version,
            rows.iter()
                .map(|(key, row)| (key.clone(), judge(home, key, row))),
        );
        Ok(StoredLayer { head, rows, layer })
    }

    /// The number of the next change. A damaged head begins again far above what was
    /// counted, from the time.
    pub(crate) fn next_revision(home: &Home, layer: &StoredLayer, now: Timestamp) -> u64 {
        let Some(document) = &layer.head else {
            return 1;
        };
        let key = DocKey::new(&home.rows, HEAD);
        match open::<Head>(&key, &document.value) {
            Some(head) => head.revision.saturating_add(1),
            None => u64::try_from(now.unix_ms()).unwrap_or(1),
        }
    }

    /// Changes one row, if the layer is still as it was read; whether it was.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`], after which the change may have been made nevertheless.
    pub(crate) async fn commit(
        &self,
        home: &Home,
        from: &StoredLayer,
        next: &NextRow<'_>,
    ) -> Result<Option<Version>, FlagsError> {
        let (key, revision) = (next.key, next.change.revision);
        let head = DocKey::new(&home.rows, HEAD);
        let row = DocKey::new(&home.rows, format!("{ROW_PREFIX}{key}"));
        let past = DocKey::new(
            &home.history,
            format!("{}{revision:020}", history_prefix(key)),
        );
        let batch = match &from.head {
            Some(document) => Batch::new().expect_version(&head, document.version),
            None => Batch::new().expect_absent(&head),
        };
        let batch = match from.rows.get(key) {
            Some(stored) => batch.expect_version(&row, stored.version),
            None => batch.expect_absent(&row),
        };
        let batch = match next.stored {
            Some(stored) => batch.put(&row, seal(&row, stored)?),
            None => batch.delete(&row),
        };
        let change = seal(&past, next.change)?;
        let batch = batch
            .put(&head, seal(&head, &Head { revision })?)
            .put_until(&past, change, next.change.at.plus(HISTORY_KEPT));
        match self.documents.commit(batch).await {
            Ok(version) => Ok(Some(version)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// One row.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub(crate) async fn row(
        &self,
        home: &Home,
        key: &FlagKey,
    ) -> Result<Option<StoredRow>, FlagsError> {
        let id = DocKey::new(&home.rows, format!("{ROW_PREFIX}{key}"));
        let document = in_time(self.documents.get(&id)).await?;
        Ok(document.map(|document| read(home, &document)))
    }

    /// A page of the changes of a flag, the oldest first; `None` for one that is damaged.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub(crate) async fn history(
        &self,
        home: &Home,
        key: &FlagKey,
        page: &PageRequest,
    ) -> Result<Page<Option<Change>>, FlagsError> {
        let page = page
            .read_prefixed(&*self.documents, &home.history, &history_prefix(key))
            .await?;
        page.try_map(|document| {
            let id = DocKey::new(&home.history, document.id);
            Ok(open(&id, &document.value))
        })
    }
}

/// `@` is in no key, so no flag's history begins like another's.
fn history_prefix(key: &FlagKey) -> String {
    format!("{key}@")
}

/// The key of a row.
fn key_of(id: &str) -> Option<FlagKey> {
    id.strip_prefix(ROW_PREFIX)?.parse().ok()
}

fn read(home: &Home, document: &Document) -> StoredRow {
    let key = DocKey::new(&home.rows, document.id.as_str());
    StoredRow {
        version: document.version,
        bytes: document.value.len(),
        stored: open(&key, &document.value),
    }
}

/// What a row evaluates as.
fn judge(home: &Home, key: &FlagKey, row: &StoredRow) -> Row {
    let flag = row
        .stored
        .as_ref()
        .and_then(|stored| Flag::new(key.clone(), &stored.definition).ok());
    match flag {
        Some(flag) => Row::Flag(Box::new(flag)),
        None => {
            metrics::counter!("tenantry_flags_damaged_total").increment(1);
            tracing::error!(partition = %home.rows, flag = %key, "the row of a flag is damaged");
            Row::Damaged
        }
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<T, store::StoreError>>,
) -> Result<T, FlagsError> {
    match tokio::time::timeout(LOAD_MAX, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(FlagsError::Unavailable(
            "the store takes too long".to_owned(),
        )),
    }
}
