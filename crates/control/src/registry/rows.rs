//! The rows of one owner, as they are remembered.

use std::{collections::HashMap, sync::Arc};

use identity::Env;

use super::{Fingerprint, FormerTarget, ResourceKind, RoutePlace, RouteRow, RouteTarget};

/// Where a row sends its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    row: RouteRow,
    fingerprint: Fingerprint,
}

impl Resolved {
    fn of(row: RouteRow) -> Self {
        let fingerprint = row.target.fingerprint();
        Self { row, fingerprint }
    }

    /// The backend, and what it is told.
    #[must_use]
    pub fn target(&self) -> &RouteTarget {
        &self.row.target
    }

    /// The same for all rows whose targets say the same.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// For whom the row is.
    #[must_use]
    pub fn place(&self) -> &RoutePlace {
        &self.row.place
    }

    /// Where it sent its place before; some may not count any more.
    #[must_use]
    pub fn former(&self) -> &[FormerTarget] {
        &self.row.former
    }

    /// Whether writes wait until the records have been moved.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.row.held
    }
}

/// The rows of a tenant, or of everyone.
#[derive(Debug, Default)]
pub(super) struct Rows(HashMap<(ResourceKind, Option<Env>), Arc<Resolved>>);

impl Rows {
    pub(super) fn add(&mut self, row: RouteRow) {
        let key = (row.kind.clone(), row.place.env);
        self.0.insert(key, Arc::new(Resolved::of(row)));
    }

    /// The most exact row for an environment.
    pub(super) fn find(&self, kind: &ResourceKind, env: Option<Env>) -> Option<Arc<Resolved>> {
        let at = |env| self.0.get(&(kind.clone(), env)).cloned();
        env.and_then(|env| at(Some(env))).or_else(|| at(None))
    }
}
