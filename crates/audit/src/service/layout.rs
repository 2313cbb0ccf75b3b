//! Where everything of an audit log lives.
//!
//! | What | Where |
//! | --- | --- |
//! | records, in order | the stream `audit/log` of the tenant and environment |
//! | a log's slot | `audit-logs` of the tenant, by environment |
//! | a log's head: tree, index, open intents | `audit-heads` of the system, by slot |
//! | full tiles | `audit-tiles` of the tenant, by environment, level and index |
//! | index pages | `audit-index` of the tenant, by environment |
//! | subject keys | `audit-subjects` of the tenant, by subject and by key |
//! | the epoch log, the checkpoint, what it changed, the number of slots, which node leads | `audit-epochs` of the system |
//! | which logs are appended to, and where someone was erased, for other nodes | the streams `audit-changes/…` of the system |

use std::{fmt, sync::Arc};

use identity::{Env, Scope, SystemAuthority, TenantId, UserId};
use store::{DocKey, Documents, Partition, StreamKey};

use crate::{Hash, index::Pages, log::TileId, seal::KeyId};

/// One log: a tenant's environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// The tenant.
    pub tenant: TenantId,
    /// The environment.
    pub env: Env,
}

impl LogId {
    /// The log of the scope's tenant and environment.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        Self {
            tenant: scope.tenant().clone(),
            env: scope.env(),
        }
    }

    /// The log for what belongs to no tenant: the operators' own, in production.
    #[must_use]
    pub fn system() -> Self {
        Self {
            tenant: TenantId::system(),
            env: Env::Prod,
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.env)
    }
}

/// Names of stored things, made under the authority of the process: the tree,
/// recovery and the spool work when no member of the tenant asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(super) authority: SystemAuthority,
}

impl Layout {
    pub(crate) const fn new(authority: SystemAuthority) -> Self {
        Self { authority }
    }

    pub(crate) fn records(&self, log: &LogId) -> StreamKey {
        StreamKey::of_tenant(&self.authority, &log.tenant, log.env, "audit", "log")
    }

    pub(crate) fn slot(&self, log: &LogId) -> DocKey {
        DocKey::new(&self.of(&log.tenant, "audit-logs"), log.env.as_str())
    }

    pub(crate) fn heads(&self) -> Partition {
        Partition::of_system(&self.authority, "audit-heads")
    }

    /// Eight hexadecimal digits keep the order of slots.
    pub(crate) fn head(&self, slot: u32) -> DocKey {
        DocKey::new(&self.heads(), format!("{slot:08x}"))
    }

    pub(crate) fn tile(&self, log: &LogId, tile: TileId) -> DocKey {
        let TileId { level, index } = tile;
        let id = format!("{}/{level}/{index:012x}", log.env);
        DocKey::new(&self.of(&log.tenant, "audit-tiles"), id)
    }

    pub(crate) fn index(&self, documents: &Arc<dyn Documents>, log: &LogId) -> Pages {
        let partition = self.of(&log.tenant, "audit-index");
        Pages::new(Arc::clone(documents), partition, format!("{}/", log.env))
    }

    pub(crate) fn subjects(&self, tenant: &TenantId) -> Partition {
        self.of(tenant, "audit-subjects")
    }

    /// Begins the ids of all keys of `subject`.
    pub(crate) fn subject_prefix(subject: &UserId) -> String {
        format!("subject/{subject}/")
    }

    pub(crate) fn subject_key(&self, tenant: &TenantId, subject: &UserId, key: KeyId) -> DocKey {
        let id = format!("{}{key}", Self::subject_prefix(subject));
        DocKey::new(&self.subjects(tenant), id)
    }

    pub(crate) fn key(&self, tenant: &TenantId, key: KeyId) -> DocKey {
        DocKey::new(&self.subjects(tenant), format!("key/{key}"))
    }

    /// Says that `subject`, whose name nobody reads out of `mark`, was erased.
    pub(crate) fn tombstone(&self, tenant: &TenantId, mark: &Hash) -> DocKey {
        DocKey::new(&self.subjects(tenant), format!("erased/{mark}"))
    }

    pub(crate) fn epochs(&self) -> Partition {
        Partition::of_system(&self.authority, "audit-epochs")
    }

    pub(crate) fn slots(&self) -> DocKey {
        DocKey::new(&self.epochs(), "slots")
    }

    fn of(&self, tenant: &TenantId, kind: &'static str) -> Partition {
        Partition::of_tenant(&self.authority, tenant, kind)
    }
}
