//! Modes: what kind of tenancy a tenant has. Data of `t_system`; no code branches on it.
//!
//! **Invariant:** a tenant's mode exists. Whoever gives a tenant a mode expects
//! the mode's state; whoever deletes one first marks it as retiring, so that no
//! tenant can take it any more, and then looks whether one has it. A mark that
//! a crash left behind is lifted by the next replacement or deletion.

use std::{fmt, str::FromStr, sync::Arc};

use identity::{Precondition, Scope, TenantId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use store::{Batch, DocKey, Listing, Page, PageRequest, Versioned};

use crate::{
    ControlError, Name,
    name::is_slug,
    records::{Core, check, encode, settle},
    tenant::operators_only,
};

/// The mode of tenants that sign up.
pub const SIGNUP_MODE: ModeId = ModeId(SmolStr::new_static("saas"));
const ID_BYTES_MAX: usize = 32;
const DESCRIPTION_CHARS_MAX: usize = 1024;
/// The modes that a new deployment begins with.
const SEEDS: [(&str, &str, &str); 3] = [
    (
        "enterprise",
        "Enterprise",
        "One organisation, with backends of its own.",
    ),
    ("saas", "SaaS", "Many tenants that share backends."),
    ("lab", "Lab", "For trying things out."),
];

/// The id of a mode: `[a-z][a-z0-9_-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ModeId(SmolStr);

impl ModeId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModeId {
    type Err = ControlError;
    fn from_str(text: &str) -> Result<Self, ControlError> {
        if is_slug(text, ID_BYTES_MAX) {
            Ok(Self(text.into()))
        } else {
            let why = "must be a lower-case letter and up to 31 of a-z 0-9 _ -";
            Err(ControlError::invalid("/id", why))
        }
    }
}

impl TryFrom<SmolStr> for ModeId {
    type Error = ControlError;
    fn try_from(text: SmolStr) -> Result<Self, ControlError> {
        text.parse()
    }
}

impl From<ModeId> for SmolStr {
    fn from(id: ModeId) -> SmolStr {
        id.0
    }
}

impl fmt::Display for ModeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// Its id, as tenants name it.
    pub id: ModeId,
    /// Its name for people.
    pub title: Name,
    /// What it means.
    pub description: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredMode {
    title: Name,
    #[serde(default)]
    description: String,
    /// Set while a deletion looks for tenants that have the mode.
    #[serde(default)]
    retiring: bool,
}

impl StoredMode {
    fn with_id(self, id: ModeId) -> Mode {
        Mode {
            id,
            title: self.title,
            description: self.description,
        }
    }
}

impl Mode {
    fn to_stored(&self) -> Result<StoredMode, ControlError> {
        if self.description.chars().count() > DESCRIPTION_CHARS_MAX {
            let why = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
            return Err(ControlError::invalid("/description", why));
        }
        Ok(StoredMode {
            title: self.title.clone(),
            description: self.description.clone(),
            retiring: false,
        })
    }
}

/// The modes of the deployment.
pub struct Modes {
    core: Arc<Core>,
}

impl Modes {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Gives a new deployment its first modes; once, so that deleted ones stay deleted.
    pub(crate) async fn seed(&self) -> Result<(), ControlError> {
        let done = DocKey::new(&self.core.tenant(&TenantId::system(), "seeds"), "modes");
        let mut batch = Batch::new().expect_absent(&done).put(&done, b"{}".to_vec());
        for (id, title, description) in SEEDS {
            let stored = StoredMode {
                title: title.parse()?,
                description: description.to_owned(),
                retiring: false,
            };
            batch = batch.put(&self.core.mode_key(&id.parse()?), encode(&stored)?);
        }
        self.core.commit(batch, Vec::new()).await.map(drop)
    }

    /// One page of all modes. Every tenant may read them.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn list(&self, _: &Scope, page: &PageRequest) -> Result<Page<Mode>, ControlError> {
        let partition = self.core.tenant(&TenantId::system(), "modes");
        let stored = self.core.page::<StoredMode>(&partition, page).await?;
        stored.try_map(|(id, stored)| Ok(stored.value.with_id(id.parse()?)))
    }

    /// One mode.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn find(
        &self,
        _: &Scope,
        id: &ModeId,
    ) -> Result<Option<Versioned<Mode>>, ControlError> {
        let stored = self.core.get::<StoredMode>(&self.core.mode_key(id)).await?;
        Ok(stored.map(|stored| stored.map(|stored| stored.with_id(id.clone()))))
    }

    /// Makes a mode; for operators.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when there is one of that id, [`ControlError::Invalid`].
    pub async fn create(&self, scope: &Scope, mode: Mode) -> Result<Versioned<Mode>, ControlError> {
        operators_only(scope)?;
        let key = self.core.mode_key(&mode.id);
        let batch = Batch::new()
            .expect_absent(&key)
            .put(&key, encode(&mode.to_stored()?)?);
        let version = self.core.commit(batch, Vec::new()).await?;
        let version = version.ok_or(ControlError::Conflict("There is a mode of this id."))?;
        Ok(Versioned {
            value: mode,
            version,
        })
    }

    /// Replaces a mode; for operators.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Stale`], [`ControlError::Invalid`].
    pub async fn replace(
        &self,
        scope: &Scope,
        mode: Mode,
        precondition: &Precondition,
    ) -> Result<Versioned<Mode>, ControlError> {
        operators_only(scope)?;
        let stored = mode.to_stored()?;
        let key = self.core.mode_key(&mode.id);
        let replace = |_: StoredMode| Ok(stored.clone());
        let updated = self.core.update(&key, precondition, &[], replace).await?;
        Ok(updated.map(|stored| stored.with_id(mode.id)))
    }

    /// Deletes a mode; for operators.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when a tenant has it or signing up gives it,
    /// [`ControlError::NotFound`], [`ControlError::Stale`].
    pub async fn delete(
        &self,
        scope: &Scope,
        id: &ModeId,
        precondition: &Precondition,
    ) -> Result<(), ControlError> {
        operators_only(scope)?;
        settle!(self.try_delete(id, precondition))
    }

    async fn try_delete(
        &self,
        id: &ModeId,
        precondition: &Precondition,
    ) -> Result<Option<()>, ControlError> {
        let key = self.core.mode_key(id);
        let read = self.core.get::<StoredMode>(&key).await?;
        let read = read.ok_or(ControlError::NotFound)?;
        check(precondition, read.version)?;
        if *id == SIGNUP_MODE {
            return Err(ControlError::Conflict(
                "Tenants that sign up have this mode.",
            ));
        }
        let Some(retiring) = self.mark(&key, &read, true).await? else {
            return Ok(None);
        };
        if self.in_use(id).await? {
            // Whoever overtakes us here has replaced the mode, and unmarked it.
            self.mark(&key, &retiring, false).await?;
            return Err(ControlError::Conflict("A tenant has this mode."));
        }
        let batch = Batch::new()
            .expect_version(&key, retiring.version)
            .delete(&key);
        Ok(self.core.commit(batch, Vec::new()).await?.map(drop))
    }

    async fn mark(
        &self,
        key: &DocKey,
        read: &Versioned<StoredMode>,
        retiring: bool,
    ) -> Result<Option<Versioned<StoredMode>>, ControlError> {
        let value = StoredMode {
            retiring,
            ..read.value.clone()
        };
        let batch = Batch::new()
            .expect_version(key, read.version)
            .put(key, encode(&value)?);
        let version = self.core.commit(batch, Vec::new()).await?;
        Ok(version.map(|version| Versioned { value, version }))
    }

    async fn in_use(&self, id: &ModeId) -> Result<bool, ControlError> {
        let listing = Listing {
            prefix: format!("{id} "),
            after: None,
            limit: 1,
        };
        let partition = self.core.system("mode_tenants");
        let found = self.core.documents.list(&partition, &listing).await?;
        Ok(!found.is_empty())
    }
}

impl Core {
    fn mode_key(&self, id: &ModeId) -> DocKey {
        DocKey::new(&self.tenant(&TenantId::system(), "modes"), id.as_str())
    }

    /// Notes that a tenant has a mode, so that the mode is known to be in use.
    pub(crate) fn mode_use_key(&self, id: &ModeId, tenant: &TenantId) -> DocKey {
        DocKey::new(&self.system("mode_tenants"), format!("{id} {tenant}"))
    }

    /// Gives `tenant` the mode `id` in a batch: demands that the mode is there to stay.
    pub(crate) async fn take_mode(
        &self,
        batch: Batch,
        id: &ModeId,
        tenant: &TenantId,
    ) -> Result<Batch, ControlError> {
        let key = self.mode_key(id);
        let mode = self.get::<StoredMode>(&key).await?;
        let mode = mode
            .filter(|mode| !mode.value.retiring)
            .ok_or_else(|| ControlError::invalid("/mode", "is no mode"))?;
        Ok(batch
            .expect_version(&key, mode.version)
            .put(&self.mode_use_key(id, tenant), b"{}".to_vec()))
    }
}
