//! Where tenants are whose writes are committed in another database than everyone's.

use std::sync::Arc;

use async_trait::async_trait;
use identity::TenantId;
use parking_lot::Mutex;
use serde_json::Value;
use smol_str::SmolStr;
use store::{DocKey, Documents, Partition, StoreError, Version};

/// Most databases beside everyone's in which tenants are.
pub const DATABASES_MAX: usize = 256;
/// The partition of a copy of the system's fence: in each database that is not everyone's, one document, whose
/// id is that of the database.
pub const COPIES: &str = "gate_copies";

/// A database that is not everyone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Tells it from others; at most 64 bytes of `a-z` and digits. Two ids may mean one database.
    pub id: SmolStr,
    /// How it is reached, for whoever serves [`Databases`]; it holds no secret.
    pub told: Value,
}

/// Which databases there are: the rows and the writes of most tenants are in everyone's, those of some in
/// one of their own.
#[async_trait]
pub trait Databases: Send + Sync {
    /// The database of a tenant that is not `t_system`; `None` for everyone's.
    async fn of(&self, tenant: &TenantId) -> Result<Option<Database>, StoreError>;

    /// All databases that a tenant may be in, from the registry itself: for mending what was remembered.
    async fn named(&self) -> Result<Vec<Database>, StoreError>;

    /// The documents of everyone's database, without those of tenants elsewhere.
    async fn everyones(&self) -> Result<Arc<dyn Documents>, StoreError>;

    /// The documents of a database.
    ///
    /// # Errors
    /// When nobody knows how it is reached.
    fn documents(&self, database: &Database) -> Result<Arc<dyn Documents>, StoreError>;
}

/// All tenants are in one database.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneDatabase;

#[async_trait]
impl Databases for OneDatabase {
    async fn of(&self, _: &TenantId) -> Result<Option<Database>, StoreError> {
        Ok(None)
    }

    async fn named(&self) -> Result<Vec<Database>, StoreError> {
        Ok(Vec::new())
    }

    async fn everyones(&self) -> Result<Arc<dyn Documents>, StoreError> {
        Err(StoreError::Unavailable("there is one database".to_owned()))
    }

    fn documents(&self, database: &Database) -> Result<Arc<dyn Documents>, StoreError> {
        let why = format!("there is no database {}", database.id);
        Err(StoreError::Unavailable(why))
    }
}

/// What was seen of a copy: it was in the state `version`, and that of the system's fence was `fence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) fence: Version,
}

/// The copy of the system's fence in one database, shared by all layers of tenants who are there.
#[derive(Debug)]
pub(crate) struct FenceCopy {
    pub(crate) database: Database,
    pub(crate) key: DocKey,
    seen: Mutex<Option<Seen>>,
    /// Whoever looks at it or advances it holds this.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl FenceCopy {
    pub(crate) fn seen(&self) -> Option<Seen> {
        *self.seen.lock()
    }

    pub(crate) fn keep(&self, seen: Seen) {
        *self.seen.lock() = Some(seen);
    }

    /// Forgets that it was in the state `version`: it is not any more.
    pub(crate) fn forget(&self, version: Version) {
        let mut seen = self.seen.lock();
        if seen.is_some_and(|seen| seen.version == version) {
            *seen = None;
        }
    }
}

/// The copies that this process has met.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<Vec<Arc<FenceCopy>>>);

impl Copies {
    /// The copy in `database`, whose partition is `copies`.
    pub(crate) fn of(&self, database: Database, copies: &Partition) -> Arc<FenceCopy> {
        let mut known = self.0.lock();
        if let Some(copy) = known.iter().find(|copy| copy.database == database) {
            return Arc::clone(copy);
        }
        if known.len() >= DATABASES_MAX {
            // Layers keep those that they have; others are looked at once more.
            known.clear();
        }
        let copy = Arc::new(FenceCopy {
            key: DocKey::new(copies, database.id.as_str()),
            database,
            seen: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        });
        known.push(Arc::clone(&copy));
        copy
    }
}
