//! The state of the gates at one level (the system, or a tenant's environment),
//! as it was at one moment.
//!
//! **Invariant:** what cannot be read is never left out: it is kept as
//! [`Damaged`], with what it was about, and denies that.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smol_str::SmolStr;
use store::{DocKey, Document, Partition, Version};

use crate::{
    ActionPattern, RowId, TargetName,
    databases::FenceCopy,
    held::{Head, Held, HeldRow, HeldRows, Uses},
    pattern::covers,
    rows::{Heat, LicenceUses, Observed, Revoked, Row, RowKind},
    stored,
};

/// Most rows of one level.
pub const ROWS_MAX: usize = 400;
/// Most budgets of one level; each that pays for a write takes steps of its batch.
pub const BUDGETS_MAX: usize = 16;
/// Most licences that are remembered as revoked at one level.
pub(crate) const REVOKED_MAX: usize = 150;

/// The id of the document that every change of a row rewrites.
pub(crate) const FENCE: &str = "fence";
/// The id of the document beside the system's fence that says in which databases it has copies.
pub(crate) const DATABASES: &str = "databases";

/// At which level a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The operators', for every tenant in every environment.
    System,
    /// The tenant's, in one environment.
    Tenant,
}

impl Level {
    /// `system` or `tenant`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Tenant => "tenant",
        }
    }
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) action: ActionPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetName>,
}

impl Reach {
    pub(crate) fn of<T: Row>(row: &T) -> Self {
        Self {
            action: row.action().clone(),
            target: row.target().cloned(),
        }
    }
}

/// The fence: its version changes with every row of its level, and it knows what each is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fence {
    pub(crate) rows: BTreeMap<String, Reach>,
}

/// A row that cannot be relied on.
#[derive(Debug, Clone)]
pub(crate) struct Damaged {
    /// `None` when not even its kind is known.
    pub(crate) kind: Option<RowKind>,
    /// Its name, such as `kill-switches/stop`.
    pub(crate) name: SmolStr,
    /// `None` when it may be about anything.
    reach: Option<Reach>,
}

impl Damaged {
    pub(crate) fn covers(&self, action: &str, target: Option<&str>) -> bool {
        let within = |reach: &Reach| covers(&reach.action, reach.target.as_ref(), action, target);
        self.reach.as_ref().is_none_or(within)
    }
}

/// All rows of one level. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(crate) rows: HeldRows,
}

/// What a level seldom has beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    revoked: Vec<(SmolStr, Revoked)>,
    damaged: Vec<Damaged>,
}

/// Bytes that a layer weighs beside its documents.
const LAYER_BYTES: u64 = 512;

impl Layer {
    /// Reads all documents of a level's partition, as they were at one moment.
    ///
    /// Nothing here fails: what cannot be read is in the layer as damaged.
    #[must_use]
    pub fn read(partition: &Partition, documents: &[Document]) -> Self {
        Self::read_in(partition, documents, None)
    }

    /// The same of a tenant's level, which is in another database than the system's if there is a `copy`.
    pub(crate) fn read_in(
        partition: &Partition,
        documents: &[Document],
        copy: Option<Arc<FenceCopy>>,
    ) -> Self {
        let mut reader = Reader::new(partition, documents);
        reader.head.elsewhere = copy;
        for document in documents {
            reader.take(document);
        }
        reader.finish(documents)
    }

    /// The copy of the system's fence beside it, if it is in another database.
    pub(crate) fn elsewhere(&self) -> Option<&Arc<FenceCopy>> {
        self.rows.head()?.elsewhere.as_ref()
    }

    /// The state of the fence; `None` before there was a row.
    pub(crate) fn fence(&self) -> Option<Version> {
        self.rows.head()?.fence
    }

    /// What it weighs in a cache, in bytes.
    pub(crate) fn weight(&self) -> u64 {
        let documents = self.rows.head().map_or(0, |head| head.weight);
        LAYER_BYTES + u64::from(documents)
    }

    fn beside(&self) -> Option<&Beside> {
        self.rows.head()?.beside.as_deref()
    }

    /// Licences that were revoked, by their ids.
    pub(crate) fn revoked(&self) -> &[(SmolStr, Revoked)] {
        self.beside().map_or(&[], |beside| &beside.revoked)
    }

    /// What cannot be read.
    pub(crate) fn damaged(&self) -> &[Damaged] {
        self.beside().map_or(&[], |beside| &beside.damaged)
    }
}

/// The key of a row's document.
pub(crate) fn row_key(partition: &Partition, kind: RowKind, id: &RowId) -> DocKey {
    DocKey::new(partition, format!("row/{kind}/{id}"))
}

/// The key of what is known beside a row: what was observed, how hot it is, how often it was used.
pub(crate) fn state_key(partition: &Partition, kind: RowKind, id: &RowId) -> DocKey {
    DocKey::new(partition, format!("state/{kind}/{id}"))
}

/// The key of what is left of a licence.
pub(crate) fn revoked_key(partition: &Partition, id: &RowId) -> DocKey {
    DocKey::new(partition, format!("revoked/{id}"))
}

pub(crate) fn fence_key(partition: &Partition) -> DocKey {
    DocKey::new(partition, FENCE)
}

/// The key of the list of databases that have copies of the fence.
pub(crate) fn databases_key(partition: &Partition) -> DocKey {
    DocKey::new(partition, DATABASES)
}

struct Reader<'a> {
    partition: &'a Partition,
    states: HashMap<&'a str, &'a Document>,
    fence: Fence,
    rows: Vec<HeldRow>,
    beside: Beside,
    head: Head,
}

impl<'a> Reader<'a> {
    fn new(partition: &'a Partition, documents: &'a [Document]) -> Self {
        let states = documents.iter().filter_map(|document| {
            let name = document.id.strip_prefix("state/")?;
            Some((name, document))
        });
        Self {
            partition,
            states: states.collect(),
            fence: Fence::default(),
            rows: Vec::new(),
            beside: Beside::default(),
            head: Head::default(),
        }
    }

    fn take(&mut self, document: &'a Document) {
        let bytes = document.id.len() + document.value.len();
        self.head.weight += u32::try_from(bytes).unwrap_or(u32::MAX);
        if document.id == FENCE {
            self.head.fence = Some(document.version);
            match self.open(document) {
                Ok(fence) => self.fence = fence,
                Err(_) => self.damage(None, FENCE, None),
            }
        } else if let Some(name) = document.id.strip_prefix("row/") {
            self.take_row(document, name);
        } else if let Some(id) = document.id.strip_prefix("revoked/") {
            // It only tells which refusal it is; a damaged one tells nothing.
            if let Ok(revoked) = self.open(document) {
                self.beside.revoked.push((id.into(), revoked));
            }
        } else if document.id != DATABASES && !document.id.starts_with("state/") {
            self.damage(None, &document.id, None);
        }
    }

    fn take_row(&mut self, document: &'a Document, name: &'a str) {
        let named = name.split_once('/').and_then(|(kind, id)| {
            let kind = RowKind::parse(kind)?;
            Some((kind, id.parse::<RowId>().ok()?))
        });
        let Some((kind, id)) = named else {
            return self.damage(None, name, None);
        };
        let read = match kind {
            RowKind::KillSwitches => self.row(document, id, name, HeldRow::KillSwitch),
            RowKind::Firearms => self.row(document, id, name, HeldRow::Firearm),
            RowKind::StrategyLocks => self.row(document, id, name, HeldRow::StrategyLock),
            RowKind::Budgets => self.row(document, id, name, HeldRow::Budget),
            RowKind::Kpis => self.row(document, id, name, HeldRow::Kpi),
            RowKind::Temperature => self.row(document, id, name, HeldRow::Temperature),
        };
        if let Err(why) = read {
            tracing::error!(partition = %self.partition, row = name, why, "a row of a gate is damaged");
            // The fence comes before the rows, in the order of ids, so it was read.
            let reach = self.fence.rows.get(name).cloned();
            self.damage(Some(kind), name, reach);
        }
    }

    fn row<T: Row, S: State>(
        &mut self,
        document: &Document,
        id: RowId,
        name: &str,
        held_as: impl FnOnce(Held<T, S>) -> HeldRow,
    ) -> Result<(), String> {
        let row: T = self.open(document)?;
        if self.fence.rows.get(name) != Some(&Reach::of(&row)) {
            return Err("the fence does not know it so".to_owned());
        }
        let state = self.states.get(name);
        let state = state.map(|document| S::open(self.partition, document));
        let held = Held {
            id,
            version: document.version,
            row,
            state: state.transpose()?.unwrap_or_default(),
        };
        self.rows.push(held_as(held));
        Ok(())
    }

    fn open<T: DeserializeOwned>(&self, document: &Document) -> Result<T, String> {
        let key = DocKey::new(self.partition, document.id.as_str());
        stored::open(&key, &document.value)
    }

    fn damage(&mut self, kind: Option<RowKind>, name: &str, reach: Option<Reach>) {
        self.beside.damaged.push(Damaged {
            kind,
            name: name.into(),
            reach,
        });
    }

    /// Rows that the fence knows and that are not there count as damaged.
    fn finish(mut self, documents: &[Document]) -> Layer {
        let there: std::collections::HashSet<&str> = documents
            .iter()
            .filter_map(|document| document.id.strip_prefix("row/"))
            .collect();
        for (name, reach) in std::mem::take(&mut self.fence.rows) {
            if !there.contains(name.as_str()) {
                let kind = name
                    .split_once('/')
                    .and_then(|(kind, _)| RowKind::parse(kind));
                self.damage(kind, &name, Some(reach));
            }
        }
        if documents.is_empty() && self.head.elsewhere.is_none() {
            return Layer::default();
        }
        let beside = self.beside;
        let is_empty = beside.revoked.is_empty() && beside.damaged.is_empty();
        self.head.beside = (!is_empty).then(|| Box::new(beside));
        Layer {
            rows: HeldRows::lay(self.head, self.rows),
        }
    }
}

/// What is known beside a row.
trait State: Default {
    fn open(partition: &Partition, document: &Document) -> Result<Self, String>;
}

fn open_state<T: DeserializeOwned>(
    partition: &Partition,
    document: &Document,
) -> Result<T, String> {
    let key = DocKey::new(partition, document.id.as_str());
    stored::open(&key, &document.value).map_err(|why| format!("beside it: {why}"))
}

impl State for () {
    fn open(_: &Partition, _: &Document) -> Result<Self, String> {
        Ok(())
    }
}

impl State for Option<Box<Uses>> {
    fn open(partition: &Partition, document: &Document) -> Result<Self, String> {
        let LicenceUses { used } = open_state(partition, document)?;
        Ok(Some(Box::new(Uses {
            used,
            version: document.version,
        })))
    }
}

impl State for Option<Observed> {
    fn open(partition: &Partition, document: &Document) -> Result<Self, String> {
        open_state(partition, document).map(Some)
    }
}

impl State for Option<Heat> {
    fn open(partition: &Partition, document: &Document) -> Result<Self, String> {
        open_state(partition, document).map(Some)
    }
}
