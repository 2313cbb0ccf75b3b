//! Figures are observed, things are heated.

use identity::{Scope, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use store::{Batch, DocKey, StoreError};

use super::{Core, GateChain};
use crate::{
    GateError, InvalidRow, RowId,
    error::settled,
    layer::{row_key, state_key},
    rows::{Heat, Kpi, Observed, Row, Temperature, check_figure},
    stored,
};

/// How far ahead of our clock an observation may be.
const AHEAD_MAX: Duration = Duration::from_secs(60);

impl GateChain {
    /// Takes note of a figure; an observation older than the last changes nothing. Without a time it
    /// is the newest, also when a node whose clock is ahead has dated the last.
    ///
    /// # Errors
    /// [`GateError::NotFound`], [`GateError::Invalid`], [`GateError::Unavailable`].
    pub async fn observe(
        &self,
        scope: &Scope,
        id: &RowId,
        value: f64,
        as_of: Option<Timestamp>,
    ) -> Result<Observed, GateError> {
        check_figure("/value", value)?;
        let now = self.core.clock.now();
        if as_of.is_some_and(|as_of| as_of > now.plus(AHEAD_MAX)) {
            return Err(InvalidRow::at("/as_of", "must not be in the future").into());
        }
        let observe = |row: &Kpi, before: Option<Observed>| {
            let newest = before.map_or(now, |before| now.max(before.as_of));
            row.observe(before, value, as_of.unwrap_or(newest))
        };
        self.core.update(scope, id, observe).await
    }

    /// Heats something, or cools it when `by` is below 0.
    ///
    /// # Errors
    /// As [`GateChain::observe`].
    pub async fn heat(&self, scope: &Scope, id: &RowId, by: f64) -> Result<Heat, GateError> {
        check_figure("/by", by)?;
        let now = self.core.clock.now();
        let heat = |row: &Temperature, before| row.heat(before, by, now);
        self.core.update(scope, id, heat).await
    }

    /// What was last observed of a figure.
    ///
    /// # Errors
    /// [`GateError::Unavailable`]; [`GateError::Internal`] when it is damaged.
    pub async fn observed(&self, scope: &Scope, id: &RowId) -> Result<Option<Observed>, GateError> {
        self.core.state::<Kpi, _>(scope, id).await
    }

    /// How hot something was when it was last heated.
    ///
    /// # Errors
    /// As [`GateChain::observed`].
    pub async fn heat_of(&self, scope: &Scope, id: &RowId) -> Result<Option<Heat>, GateError> {
        self.core.state::<Temperature, _>(scope, id).await
    }
}

impl Core {
    async fn state<T: Row, S: DeserializeOwned>(
        &self,
        scope: &Scope,
        id: &RowId,
    ) -> Result<Option<S>, GateError> {
        let key = state_key(&self.home(scope).rows, T::KIND, id);
        let document = self.documents.get(&key).await?;
        let state = document.map(|document| opened(&key, &document.value));
        Ok(state.transpose()?)
    }

    /// Changes what is known beside a row, again if others change it meanwhile.
    async fn update<T, S>(
        &self,
        scope: &Scope,
        id: &RowId,
        change: impl Fn(&T, Option<S>) -> S + Send + Sync,
    ) -> Result<S, GateError>
    where
        T: Row,
        S: Serialize + DeserializeOwned + Send + Sync,
    {
        let home = self.home(scope);
        let (row_key, key) = (
            row_key(&home.rows, T::KIND, id),
            state_key(&home.rows, T::KIND, id),
        );
        for _ in 0..crate::CONTENTION_TRIES_MAX {
            let row = self.documents.get(&row_key).await?;
            let row = row.ok_or(GateError::NotFound)?;
            let before = self.documents.get(&key).await?;
            let mut batch = Batch::new().expect_version(&row_key, row.version);
            batch = match &before {
                Some(document) => batch.expect_version(&key, document.version),
                None => batch.expect_absent(&key),
            };
            let row: T = opened(&row_key, &row.value)?;
            // A damaged state is mended by the next: it denies until then.
            let before = before.and_then(|document| opened(&key, &document.value).ok());
            let after = change(&row, before);
            batch = stored::put(batch, &key, &after, None).map_err(GateError::Internal)?;
            let _forgotten = self.fresh.forget_afterwards(&home.own);
            if settled(self.documents.commit(batch).await)?.is_some() {
                return Ok(after);
            }
        }
        Err(GateError::contended())
    }
}

fn opened<T: DeserializeOwned>(key: &DocKey, bytes: &[u8]) -> Result<T, StoreError> {
    stored::open(key, bytes)
        .map_err(|why| StoreError::Corrupt(format!("{} {}: {why}", key.partition, key.id)))
}
