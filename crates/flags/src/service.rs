//! Flags: asked for every request, changed now and then.

use std::sync::Arc;

use identity::{Clock, Role, Scope, SystemAuthority, Timestamp};
use store::{Documents, Page, PageRequest, Versioned};
use tokio::sync::{broadcast, watch};

use crate::{
    Change, Context, Evaluation, FlagKey, FlagsError, Layer, LayerName, Layers, Place, StaleFlag,
    Stored, Unevaluated,
    follow::Following,
    fresh::{Fresh, LayerKey, Memory},
    records::{Home, Records},
};

/// What [`Flags`] stands on.
pub struct FlagsDeps {
    /// Where the flags are.
    pub documents: Arc<dyn Documents>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The authority of the process: the system's flags hold in all tenants and environments.
    pub authority: SystemAuthority,
}

/// The flags of everyone.
///
/// ```
/// # async fn show(flags: &tenantry_flags::Flags, scope: &identity::Scope) {
/// use tenantry_flags::Context;
///
/// let context = Context::targeted(scope.user().as_str()).with("plan", "pro");
/// let on = match flags.evaluate(scope, "new-checkout", &context).await {
///     Ok(evaluation) => evaluation.is_on(),
///     Err(_) => false, // the default of this code
/// };
/// # }
/// ```
pub struct Flags {
    pub(crate) records: Records,
    pub(crate) fresh: Fresh,
    pub(crate) clock: Arc<dyn Clock>,
    /// Counts the changes made or heard of here, for those who follow them.
    pub(crate) changes: watch::Sender<u64>,
}

/// Both layers as a request sees them, for any number of evaluations at one moment.
pub struct Snapshot<'s> {
    scope: &'s Scope,
    system: Arc<Layer>,
    tenant: Arc<Layer>,
    now: Timestamp,
}

impl Snapshot<'_> {
    /// What `key` evaluates to for `context`.
    ///
    /// # Errors
    /// [`Unevaluated`]: the caller's default applies.
    pub fn evaluate(&self, key: &str, context: &Context) -> Result<Evaluation, Unevaluated> {
        self.layers().evaluate(key, context)
    }

    /// The keys of both layers, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<FlagKey> {
        let mut keys: Vec<FlagKey> = self
            .system
            .keys()
            .chain(self.tenant.keys())
            .cloned()
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The layers, and where and when they are asked.
    #[must_use]
    pub fn layers(&self) -> Layers<'_> {
        Layers {
            system: &self.system,
            tenant: &self.tenant,
            place: Place::from(self.scope.context()),
            now: self.now,
        }
    }
}

impl Flags {
    /// The flags that are stored in `deps.documents`.
    #[must_use]
    pub fn new(deps: FlagsDeps) -> Self {
        Self {
            records: Records::new(deps.documents, deps.authority),
            fresh: Fresh::new(),
            clock: deps.clock,
            changes: watch::Sender::new(0),
        }
    }

    /// What `key` evaluates to in the scope's tenant and environment.
    ///
    /// # Errors
    /// [`FlagsError::Unevaluated`], [`FlagsError::Unavailable`]: the caller's default applies.
    pub async fn evaluate(
        &self,
        scope: &Scope,
        key: &str,
        context: &Context,
    ) -> Result<Evaluation, FlagsError> {
        let snapshot = self.snapshot(scope).await?;
        Ok(snapshot.evaluate(key, context)?)
    }

    /// Both layers, not older than [`FRESH_MAX`](crate::FRESH_MAX) and than any change made here.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub async fn snapshot<'s>(&self, scope: &'s Scope) -> Result<Snapshot<'s>, FlagsError> {
        let now = self.clock.now();
        let tenant = LayerKey::Tenant(scope.tenant().clone(), scope.env());
        let home = |layer| self.records.home(scope, layer);
        Ok(Snapshot {
            system: self.layer(LayerKey::System, now, &home).await?,
            tenant: self.layer(tenant, now, &home).await?,
            scope,
            now,
        })
    }

    /// Follows what is effective in the scope's tenant and environment, also when the
    /// scope is gone.
    #[must_use]
    pub fn follow(self: &Arc<Self>, scope: &Scope) -> Following {
        Following {
            flags: Arc::clone(self),
            changes: self.changes.subscribe(),
            tenant: layer_key(scope, LayerName::Tenant),
            homes: [LayerName::System, LayerName::Tenant].map(|it| self.records.home(scope, it)),
        }
    }

    /// Every change that is made in this process from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<LayerKey> {
        self.fresh.listen()
    }

    /// Takes a change that another node made; it is not told on.
    pub fn heard(&self, layer: &LayerKey) {
        self.fresh.forget(layer);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Takes it that anything may have changed, because something told elsewhere was missed here.
    pub fn missed(&self) {
        self.fresh.forget_all();
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// How many tenants' layers are remembered, and about how many bytes they take.
    #[must_use]
    pub fn remembered(&self) -> (usize, u64) {
        self.fresh.size()
    }

    /// One flag of a layer, as it is stored; `None` if the layer has none.
    ///
    /// # Errors
    /// [`FlagsError::RoleForbidden`], [`FlagsError::Unavailable`],
    /// [`FlagsError::Unevaluated`] if it is damaged.
    pub async fn find(
        &self,
        scope: &Scope,
        layer: LayerName,
        key: &FlagKey,
    ) -> Result<Option<Versioned<Stored>>, FlagsError> {
        may_manage(scope, layer)?;
        let home = self.records.home(scope, layer);
        let Some(row) = self.records.row(&home, key).await? else {
            return Ok(None);
        };
        let value = row.stored.ok_or(Unevaluated::Damaged(layer))?;
        let version = row.version;
        Ok(Some(Versioned { value, version }))
    }

    /// A page of the changes of a flag, the oldest first; `None` for one that is damaged.
    ///
    /// # Errors
    /// [`FlagsError::RoleForbidden`], [`FlagsError::Unavailable`].
    pub async fn history(
        &self,
        scope: &Scope,
        layer: LayerName,
        key: &FlagKey,
        page: &PageRequest,
    ) -> Result<Page<Option<Change>>, FlagsError> {
        may_manage(scope, layer)?;
        let home = self.records.home(scope, layer);
        self.records.history(&home, key, page).await
    }

    /// The tenant's flags that should be gone by now; of `t_system` those of the system too.
    ///
    /// # Errors
    /// [`FlagsError::RoleForbidden`], [`FlagsError::Unavailable`].
    pub async fn stale(&self, scope: &Scope) -> Result<Vec<StaleFlag>, FlagsError> {
        may_manage(scope, LayerName::Tenant)?;
        let mut stale = Vec::new();
        for layer in [LayerName::System, LayerName::Tenant] {
            if layer == LayerName::Tenant || scope.tenant().is_system() {
                let home = self.records.home(scope, layer);
                let stored = self.records.load(&home).await?;
                stale.extend(stored.stale(layer, self.clock.now()));
            }
        }
        Ok(stale)
    }

    /// A layer, from memory or from the store.
    pub(crate) async fn layer(
        &self,
        key: LayerKey,
        now: Timestamp,
        home: &(dyn Fn(LayerName) -> Home + Sync),
    ) -> Result<Arc<Layer>, FlagsError> {
        let _turn = match self.fresh.get(&key, now).0 {
            Memory::Fresh(entry) => return Ok(Arc::clone(&entry.layer)),
            Memory::Ageing(entry) => match self.fresh.try_turn(&key) {
                Some(turn) => turn,
                None => return Ok(Arc::clone(&entry.layer)),
            },
            Memory::Old(_) => self.fresh.turn(&key).await,
        };
        let name = match key {
            LayerKey::System => LayerName::System,
            LayerKey::Tenant(..) => LayerName::Tenant,
        };
        // Boxed, so that the future of the usual case stays small.
        Box::pin(self.reload(key, home(name))).await
    }

    /// Compares a layer with the store, after whoever had the turn before.
    async fn reload(&self, key: LayerKey, home: Home) -> Result<Arc<Layer>, FlagsError> {
        let (memory, before) = self.fresh.get(&key, self.clock.now());
        let remembered = match memory {
            Memory::Fresh(entry) => return Ok(Arc::clone(&entry.layer)),
            Memory::Ageing(entry) => Some(entry),
            Memory::Old(entry) => entry,
        };
        if let Some(entry) = remembered
            && self.records.version(&home).await? == entry.layer.version()
        {
            self.fresh.keep(key, Arc::clone(&entry.layer), before);
            return Ok(Arc::clone(&entry.layer));
        }
        let layer = Arc::new(self.records.load(&home).await?.layer);
        self.fresh.keep(key, Arc::clone(&layer), before);
        Ok(layer)
    }
}

pub(crate) fn layer_key(scope: &Scope, name: LayerName) -> LayerKey {
    match name {
        LayerName::System => LayerKey::System,
        LayerName::Tenant => LayerKey::Tenant(scope.tenant().clone(), scope.env()),
    }
}

/// Admins change their tenant's flags, operators those of the system.
pub(crate) fn may_manage(scope: &Scope, layer: LayerName) -> Result<(), FlagsError> {
    let may = scope.auth().role() >= Role::Admin
        && (layer == LayerName::Tenant || scope.tenant().is_system());
    may.then_some(()).ok_or(FlagsError::RoleForbidden)
}
