//! Rows: read, replaced, deleted.

use identity::{Precondition, Scope};
use smol_str::SmolStr;
use store::{Document, Listing, StoreError, Versioned};

use super::{Core, GateChain, Home, change::Change};
use crate::{
    GateError, RowId,
    budget::{Account, Spending},
    id::random_id,
    layer::row_key,
    rows::{BudgetRow, FirearmRow, Row, RowKind},
    stored,
};

/// One page of rows, ordered by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// The rows, each with its id.
    pub items: Vec<(RowId, Versioned<T>)>,
    /// Ask again after this id; `None` on the last page.
    pub next: Option<RowId>,
}

impl GateChain {
    /// The rows of a kind at the scope's level: the tenant's, or for `t_system` the system's.
    ///
    /// At most `limit` of them, after the id `after`. Rows that cannot be read are left
    /// out; [`GateChain::damaged`] names them.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    pub async fn list<T: Row>(
        &self,
        scope: &Scope,
        after: Option<&RowId>,
        limit: usize,
    ) -> Result<Listed<T>, GateError> {
        let home = self.core.home(scope);
        let prefix = format!("row/{}/", T::KIND);
        let listing = Listing {
            after: after.map(|id| format!("{prefix}{id}")),
            // One more tells whether there is another page.
            limit: limit.saturating_add(1),
            prefix: prefix.clone(),
        };
        let documents = self.core.documents.list(&home.rows, &listing).await?;
        let more = documents.len() > limit;
        let mut items = Vec::with_capacity(documents.len());
        let mut last = None;
        for document in documents.iter().take(limit) {
            let id = document.id.strip_prefix(&prefix);
            let Some(id) = id.and_then(|id| id.parse::<RowId>().ok()) else {
                continue;
            };
            if let Ok(row) = read(&home, &id, document) {
                items.push((id.clone(), row));
            }
            last = Some(id);
        }
        Ok(Listed {
            items,
            next: last.filter(|_| more),
        })
    }

    /// The names of rows at the scope's level that cannot be read, such as `kpis/sales`.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    pub async fn damaged(&self, scope: &Scope) -> Result<Vec<SmolStr>, GateError> {
        let home = self.core.home(scope);
        let layer = self.core.load(&home.rows, None).await?;
        Ok(layer.damaged().iter().map(|row| row.name.clone()).collect())
    }

    /// One row at the scope's level.
    ///
    /// # Errors
    /// [`GateError::Unavailable`]; [`GateError::Internal`] when it is damaged.
    pub async fn find<T: Row>(
        &self,
        scope: &Scope,
        id: &RowId,
    ) -> Result<Option<Versioned<T>>, GateError> {
        let home = self.core.home(scope);
        let key = row_key(&home.rows, T::KIND, id);
        let document = self.core.documents.get(&key).await?;
        let row = document.map(|document| read(&home, id, &document));
        Ok(row.transpose()?)
    }

    /// Makes or replaces a row at the scope's level. `true` when it is new.
    ///
    /// Of a budget that is replaced, what was spent stays spent.
    ///
    /// # Errors
    /// [`GateError::Invalid`], [`GateError::Stale`], [`GateError::Limit`],
    /// [`GateError::Unavailable`].
    pub async fn put<T: Row>(
        &self,
        scope: &Scope,
        id: &RowId,
        mut row: T,
        precondition: &Precondition,
    ) -> Result<(Versioned<T>, bool), GateError> {
        row.check(self.core.clock.now())?;
        row.begin(&random_id("", &*self.core.entropy));
        self.core.put_row(scope, id, row, precondition).await
    }

    /// Deletes a row at the scope's level, which lifts it. It need not be readable.
    ///
    /// # Errors
    /// [`GateError::NotFound`], [`GateError::Stale`], [`GateError::Unavailable`].
    pub async fn delete(
        &self,
        scope: &Scope,
        kind: RowKind,
        id: &RowId,
        precondition: &Precondition,
    ) -> Result<(), GateError> {
        self.core.delete_row(scope, kind, id, precondition).await
    }

    /// What the scope's tenant has spent of a budget in its present window.
    ///
    /// # Errors
    /// [`GateError::Unavailable`], [`GateError::Internal`].
    pub async fn spending(&self, scope: &Scope, budget: &BudgetRow) -> Result<Spending, GateError> {
        let home = self.core.home(scope);
        let level = home.level();
        let account = Account::of(&home.budgets, level, budget, self.core.clock.now());
        Ok(self.core.budgets.view(&account).await?)
    }
}

fn read<T: Row>(home: &Home, id: &RowId, document: &Document) -> Result<Versioned<T>, StoreError> {
    let key = row_key(&home.rows, T::KIND, id);
    let value = stored::open(&key, &document.value)
        .map_err(|why| StoreError::Corrupt(format!("{} {}: {why}", key.partition, key.id)))?;
    Ok(Versioned {
        value,
        version: document.version,
    })
}

impl Core {
    async fn put_row<T: Row>(
        &self,
        scope: &Scope,
        id: &RowId,
        row: T,
        precondition: &Precondition,
    ) -> Result<(Versioned<T>, bool), GateError> {
        let home = self.home(scope);
        for _ in 0..crate::CONTENTION_TRIES_MAX {
            let mut change = Change::begin(self, &home).await?;
            let before = change.document(T::KIND, id);
            if !precondition.holds(before.map(|document| document.version.0)) {
                change.in_force(self).await?;
                return Err(GateError::Stale);
            }
            let is_new = before.is_none();
            let mut value = row.clone();
            if let Some(Ok(before)) = before.map(|document| read::<T>(&home, id, document)) {
                value.succeed(&before.value);
            }
            change.put(id, &value)?;
            if let Some(version) = change.commit(self).await? {
                return Ok((Versioned { value, version }, is_new));
            }
        }
        Err(GateError::contended())
    }

    async fn delete_row(
        &self,
        scope: &Scope,
        kind: RowKind,
        id: &RowId,
        precondition: &Precondition,
    ) -> Result<(), GateError> {
        let home = self.home(scope);
        for _ in 0..crate::CONTENTION_TRIES_MAX {
            let mut change = Change::begin(self, &home).await?;
            let Some(document) = change.document(kind, id) else {
                change.in_force(self).await?;
                return Err(GateError::NotFound);
            };
            if !precondition.holds(Some(document.version.0)) {
                change.in_force(self).await?;
                return Err(GateError::Stale);
            }
            let licence = read::<FirearmRow>(&home, id, document).ok();
            let budget = read::<BudgetRow>(&home, id, document).ok();
            change.delete(
                kind,
                id,
                licence.filter(|_| kind == RowKind::Firearms),
                self.clock.now(),
            )?;
            if change.commit(self).await?.is_some() {
                if let Some(budget) = budget.filter(|_| kind == RowKind::Budgets) {
                    self.budgets
                        .forget(&home.budgets, home.level(), &budget.value)
                        .await;
                }
                return Ok(());
            }
        }
        Err(GateError::contended())
    }
}
