//! A record: what its kind says, and what the core keeps about it.

use identity::{ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Id, Model, Writing};

/// A record of the kind `M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<M> {
    /// Its id.
    pub id: Id<M>,
    /// 1 when it was made, one more with each change.
    pub revision: u64,
    /// The project in which it was made.
    pub project: ProjectId,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub updated_by: UserId,
    /// When.
    pub updated_at: Timestamp,
    /// What it says.
    pub value: M,
}

/// A record as it is stored, under its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "M: Model")]
pub(crate) struct Stored<M> {
    pub(crate) revision: u64,
    pub(crate) project: ProjectId,
    pub(crate) created_by: UserId,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_by: UserId,
    pub(crate) updated_at: Timestamp,
    pub(crate) value: M,
}

impl<M> Stored<M> {
    /// A record that did not exist before.
    pub(crate) fn first(value: M, writing: &Writing<'_>) -> Self {
        Self {
            revision: writing.revision,
            project: writing.scope.project().clone(),
            created_by: writing.scope.user().clone(),
            created_at: writing.now,
            updated_by: writing.scope.user().clone(),
            updated_at: writing.now,
            value,
        }
    }

    /// The same record, which now says `value`.
    pub(crate) fn next(self, value: M, writing: &Writing<'_>) -> Self {
        Self {
            revision: writing.revision,
            updated_by: writing.scope.user().clone(),
            updated_at: writing.now,
            value,
            ..self
        }
    }

    pub(crate) fn with_id(self, id: Id<M>) -> Record<M> {
        Record {
            id,
            revision: self.revision,
            project: self.project,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_by: self.updated_by,
            updated_at: self.updated_at,
            value: self.value,
        }
    }
}
