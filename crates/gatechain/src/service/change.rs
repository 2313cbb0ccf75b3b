//! One change of the rows of a level: it rewrites the fence, so that no write
//! commits that was decided on before. Of the system's, copies are in other databases: it is answered
//! when they were rewritten as well.

use std::{collections::BTreeMap, time::Duration};

use identity::Timestamp;
use serde_json::Value;
use store::{Batch, DocKey, Document, Version, Versioned};

use super::{Core, Home};
use crate::{
    ActionPattern, DATABASES_MAX, Database, GateError, RowId,
    error::settled,
    layer::{
        BUDGETS_MAX, DATABASES, FENCE, Fence, REVOKED_MAX, ROWS_MAX, Reach, databases_key,
        fence_key, revoked_key, row_key, state_key,
    },
    rows::{
        BudgetRow, FirearmRow, KillSwitch, Kpi, Revoked, Row, RowKind, StrategyLock, Temperature,
    },
    stored,
};

/// How long it is remembered that a licence was taken back.
const REVOKED_KEPT: Duration = Duration::from_secs(30 * 86_400);

pub(super) struct Change<'a> {
    home: &'a Home,
    documents: Vec<Document>,
    fence: Fence,
    version: Option<Version>,
    /// The databases that have copies of the fence; none but the system's has.
    databases: Vec<Database>,
    batch: Batch,
}

impl<'a> Change<'a> {
    /// Reads the level as it is.
    pub(super) async fn begin(core: &Core, home: &'a Home) -> Result<Self, GateError> {
        let documents = core.all(&home.rows).await?;
        let key = fence_key(&home.rows);
        let stored = documents.iter().find(|document| document.id == FENCE);
        let fence = match stored {
            None => Fence::default(),
            // A change mends a damaged fence: what stopped must be able to be released.
            Some(document) => {
                stored::open(&key, &document.value).unwrap_or_else(|_| mended(home, &documents))
            }
        };
        let mut change = Self {
            version: stored.map(|document| document.version),
            home,
            fence,
            documents,
            databases: Vec::new(),
            batch: Batch::new(),
        };
        change.find_databases(core).await?;
        Ok(change)
    }

    /// The document of a row.
    pub(super) fn document(&self, kind: RowKind, id: &RowId) -> Option<&Document> {
        let key = row_key(&self.home.rows, kind, id);
        self.documents.iter().find(|document| document.id == key.id)
    }

    pub(super) fn put<T: Row>(&mut self, id: &RowId, row: &T) -> Result<(), GateError> {
        let rows = &self.home.rows;
        let key = row_key(rows, T::KIND, id);
        self.fence.rows.insert(name_in(T::KIND, id), Reach::of(row));
        if self.fence.rows.len() > ROWS_MAX {
            return Err(GateError::Limit("400 rows of all gates together"));
        }
        let budgets = format!("{}/", RowKind::Budgets);
        let budgets = self
            .fence
            .rows
            .keys()
            .filter(|name| name.starts_with(&budgets));
        if budgets.count() > BUDGETS_MAX {
            return Err(GateError::Limit("16 budgets"));
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch = stored::put(batch, &key, row, None).map_err(GateError::Internal)?;
        if T::KIND == RowKind::Firearms {
            // A licence that is given anew is unused, and not revoked.
            batch = batch
                .delete(&state_key(rows, T::KIND, id))
                .delete(&revoked_key(rows, id));
        }
        self.batch = batch;
        Ok(())
    }

    /// Deletes a row and what is known beside it; of a licence it is kept that it was revoked.
    pub(super) fn delete(
        &mut self,
        kind: RowKind,
        id: &RowId,
        licence: Option<Versioned<FirearmRow>>,
        now: Timestamp,
    ) -> Result<(), GateError> {
        let rows = &self.home.rows;
        self.fence.rows.remove(&name_in(kind, id));
        let mut batch = std::mem::take(&mut self.batch)
            .delete(&row_key(rows, kind, id))
            .delete(&state_key(rows, kind, id));
        let remembered = self.documents.iter();
        let remembered = remembered.filter(|document| document.id.starts_with("revoked/"));
        if let Some(revoked) = licence.and_then(|licence| Revoked::of(&licence.value))
            && remembered.count() < REVOKED_MAX
        {
            let ends = Some(now.plus(REVOKED_KEPT));
            batch = stored::put(batch, &revoked_key(rows, id), &revoked, ends)
                .map_err(GateError::Internal)?;
        }
        self.batch = batch;
        Ok(())
    }

    async fn find_databases(&mut self, core: &Core) -> Result<(), GateError> {
        let of_ids = |document: &&Document| document.id == DATABASES;
        let Some(document) = self.documents.iter().find(of_ids) else {
            return Ok(());
        };
        let key = databases_key(&self.home.rows);
        match known(&key, document) {
            Ok(known) => self.databases = known,
            Err(why) => {
                tracing::error!(
                    why,
                    "the databases with copies of the fence are not known; the registry is asked"
                );
                self.databases = core.databases.named().await?;
                self.put_databases()?;
            }
        }
        Ok(())
    }

    /// Adds a database to those that have copies of the fence.
    pub(super) async fn register(
        &mut self,
        core: &Core,
        database: &Database,
    ) -> Result<(), GateError> {
        if self.databases.contains(database) {
            return Ok(());
        }
        if self.databases.len() >= DATABASES_MAX {
            let named = core.databases.named().await?;
            self.databases.retain(|known| named.contains(known));
        }
        if self.databases.len() >= DATABASES_MAX {
            return Err(GateError::Limit("256 databases beside everyone's"));
        }
        self.databases.push(database.clone());
        self.put_databases()
    }

    fn put_databases(&mut self) -> Result<(), GateError> {
        let known: Known = self.databases.iter().map(entry).collect();
        let key = databases_key(&self.home.rows);
        let batch = std::mem::take(&mut self.batch);
        self.batch = stored::put(batch, &key, &known, None).map_err(GateError::Internal)?;
        Ok(())
    }

    /// Sees to it that what stands already is known in every database, before a refusal tells of it.
    pub(super) async fn in_force(self, core: &Core) -> Result<(), GateError> {
        core.spread(self.databases).await
    }

    /// Commits the change, and makes it known in every database; `None` when others changed the level meanwhile.
    ///
    /// # Errors
    /// [`GateError::Pending`] when the change is made, and did not reach them all.
    pub(super) async fn commit(mut self, core: &Core) -> Result<Option<Version>, GateError> {
        let databases = std::mem::take(&mut self.databases);
        let version = self.commit_here(core).await?;
        if version.is_some() {
            core.spread(databases).await?;
        }
        Ok(version)
    }

    /// Commits the change in the level's own database; `None` when others changed the level meanwhile.
    pub(super) async fn commit_here(self, core: &Core) -> Result<Option<Version>, GateError> {
        let key = fence_key(&self.home.rows);
        let batch = match self.version {
            Some(version) => self.batch.expect_version(&key, version),
            None => self.batch.expect_absent(&key),
        };
        let batch = stored::put(batch, &key, &self.fence, None).map_err(GateError::Internal)?;
        // However the commit ends: one whose outcome is unknown may have been applied.
        let _forgotten = core.fresh.forget_afterwards(&self.home.own);
        settled(core.documents.commit(batch).await)
    }
}

/// The databases that have copies, by their ids, with how they are reached.
type Known = BTreeMap<String, Value>;

fn entry(database: &Database) -> (String, Value) {
    (database.id.to_string(), database.told.clone())
}

/// The databases that a document says have copies of the fence.
///
/// # Errors
/// Why it cannot be relied on.
pub(super) fn known(key: &DocKey, document: &Document) -> Result<Vec<Database>, String> {
    let known: Known = stored::open(key, &document.value)?;
    let database = |(id, told): (String, Value)| Database {
        id: id.into(),
        told,
    };
    Ok(known.into_iter().map(database).collect())
}

fn name_in(kind: RowKind, id: &RowId) -> String {
    format!("{kind}/{id}")
}

/// A fence as the rows themselves tell it; what cannot be read may be about anything.
fn mended(home: &Home, documents: &[Document]) -> Fence {
    let rows = documents.iter().filter_map(|document| {
        let name = document.id.strip_prefix("row/")?;
        let (kind, _) = name.split_once('/')?;
        let key = DocKey::new(&home.rows, document.id.as_str());
        let reach = match RowKind::parse(kind)? {
            RowKind::KillSwitches => reach::<KillSwitch>(&key, document),
            RowKind::Firearms => reach::<FirearmRow>(&key, document),
            RowKind::StrategyLocks => reach::<StrategyLock>(&key, document),
            RowKind::Budgets => reach::<BudgetRow>(&key, document),
            RowKind::Kpis => reach::<Kpi>(&key, document),
            RowKind::Temperature => reach::<Temperature>(&key, document),
        };
        let everything = || Reach {
            action: ActionPattern::everything(),
            target: None,
        };
        Some((name.to_owned(), reach.unwrap_or_else(everything)))
    });
    Fence {
        rows: rows.collect(),
    }
}

fn reach<T: Row>(key: &DocKey, document: &Document) -> Option<Reach> {
    let row: T = stored::open(key, &document.value).ok()?;
    Some(Reach::of(&row))
}
