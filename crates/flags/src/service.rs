//! Flags: asked for every request, changed now and then.

use std::sync::Arc;

use identity::{Clock, Precondition, Role, Scope, SystemAuthority, Timestamp};
use store::{Documents, Page, PageRequest, Versioned};
use tokio::sync::watch;

use crate::{
    Change, Context, DEFINITION_BYTES_MAX, Definition, Evaluation, Flag, FlagKey, FlagsError,
    Invalid, LAYER_BYTES_MAX, LAYER_FLAGS_MAX, LAYER_MEMORY_BYTES_MAX, Layer, LayerName, Layers,
    Mode, Place, Row, StaleFlag, Stored, Unevaluated, depends,
    follow::Following,
    fresh::{Fresh, LayerKey, Memory},
    records::{Home, NextRow, Records, StoredLayer},
    weight,
};

/// How often a change is tried again because others changed the same layer.
const CONTENTION_TRIES_MAX: usize = 24;

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
    records: Records,
    fresh: Fresh,
    clock: Arc<dyn Clock>,
    /// Counts the changes made here, for those who follow them.
    changes: watch::Sender<u64>,
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

/// A flag after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The change.
    pub change: Change,
    /// What is stored since, and its version; `None` after a deletion.
    pub stored: Option<Versioned<Stored>>,
}

impl Changed {
    /// Whether there was no such flag before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.change.before.is_none() && !self.change.before_damaged
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

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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

    /// Makes or replaces a flag; also one that is damaged.
    ///
    /// # Errors
    /// [`FlagsError::RoleForbidden`], [`FlagsError::Stale`], [`FlagsError::Locked`],
    /// [`FlagsError::Invalid`], [`FlagsError::TooLarge`], [`FlagsError::Full`],
    /// [`FlagsError::Unavailable`].
    pub async fn put(
        &self,
        scope: &Scope,
        layer: LayerName,
        key: &FlagKey,
        definition: &Definition,
        precondition: &Precondition,
    ) -> Result<Changed, FlagsError> {
        may_manage(scope, layer)?;
        let bytes = serde_json::to_vec(definition)?.len();
        if bytes > DEFINITION_BYTES_MAX {
            return Err(FlagsError::TooLarge);
        }
        let flag = Flag::new(key.clone(), definition)?;
        if layer == LayerName::Tenant && definition.mode.is_some() {
            return Err(Invalid::new("/mode", "is the system's to say").into());
        }
        self.change(scope, layer, key, precondition, |from, system| {
            admit(&flag, layer, from, system)?;
            let others = from.rows.iter().filter(|(other, _)| *other != key);
            let (mut count, mut all) = (1, bytes);
            for (_, row) in others {
                count += 1;
                all += row.bytes;
            }
            let row = from.layer.get(key.as_str());
            let gone = row.map_or(0, |row| weight::row(key, row));
            let memory = from.layer.memory_bytes() + weight::flag(&flag) - gone;
            if count > LAYER_FLAGS_MAX || all > LAYER_BYTES_MAX || memory > LAYER_MEMORY_BYTES_MAX {
                return Err(FlagsError::Full);
            }
            Ok(Some(definition.clone()))
        })
        .await
    }

    /// Deletes a flag, also one that is damaged: the layer below, or nothing, decides from then on.
    ///
    /// # Errors
    /// [`FlagsError::RoleForbidden`], [`FlagsError::NotFound`], [`FlagsError::Stale`],
    /// [`FlagsError::Unavailable`].
    pub async fn delete(
        &self,
        scope: &Scope,
        layer: LayerName,
        key: &FlagKey,
        precondition: &Precondition,
    ) -> Result<Changed, FlagsError> {
        may_manage(scope, layer)?;
        self.change(scope, layer, key, precondition, |from, _| {
            let there = from.rows.contains_key(key);
            there.then_some(None).ok_or(FlagsError::NotFound)
        })
        .await
    }

    /// Changes a row to what `to` says of the layers as they are.
    async fn change(
        &self,
        scope: &Scope,
        name: LayerName,
        key: &FlagKey,
        precondition: &Precondition,
        to: impl Fn(&StoredLayer, &Layer) -> Result<Option<Definition>, FlagsError>,
    ) -> Result<Changed, FlagsError> {
        let home = self.records.home(scope, name);
        for _ in 0..CONTENTION_TRIES_MAX {
            let from = self.records.load(&home).await?;
            let version = from.rows.get(key).map(|row| row.version.0);
            if !precondition.holds(version) {
                return Err(FlagsError::Stale);
            }
            let system = match name {
                LayerName::System => Layer::default(),
                LayerName::Tenant => {
                    let home = self.records.home(scope, LayerName::System);
                    self.records.load(&home).await?.layer
                }
            };
            let definition = to(&from, &system)?;
            let step = self.step(scope, &home, &from, key, definition);
            if let Some(changed) = self.commit(scope, name, &home, &from, key, step).await? {
                return Ok(changed);
            }
        }
        Err(FlagsError::Unavailable(
            "too many concurrent changes of the same layer".to_owned(),
        ))
    }

    /// The next state of a row, and the change that it is.
    fn step(
        &self,
        scope: &Scope,
        home: &Home,
        from: &StoredLayer,
        key: &FlagKey,
        definition: Option<Definition>,
    ) -> (Option<Stored>, Change) {
        let now = self.clock.now();
        let revision = Records::next_revision(home, from, now);
        let row = from.rows.get(key);
        let before = row.and_then(|row| row.stored.as_ref());
        let change = Change {
            revision,
            at: now,
            by: scope.user().clone(),
            request_id: scope.ids().request_id.to_string(),
            before: before.map(|stored| stored.definition.clone()),
            after: definition.clone(),
            before_damaged: row.is_some() && before.is_none(),
        };
        let stored = definition.map(|definition| Stored {
            definition,
            revision,
            changed_at: now,
            changed_by: scope.user().clone(),
            created_at: before.map_or(now, |stored| stored.created_at),
        });
        (stored, change)
    }

    /// `None` when others changed the layer meanwhile.
    async fn commit(
        &self,
        scope: &Scope,
        name: LayerName,
        home: &Home,
        from: &StoredLayer,
        key: &FlagKey,
        (stored, change): (Option<Stored>, Change),
    ) -> Result<Option<Changed>, FlagsError> {
        let next = NextRow {
            key,
            stored: stored.as_ref(),
            change: &change,
        };
        // However the commit ends: one whose outcome is unknown may have been applied.
        let forgotten = self.fresh.forget_afterwards(&layer_key(scope, name));
        let committed = self.records.commit(home, from, &next).await;
        drop(forgotten);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(committed?.map(|version| Changed {
            stored: stored.map(|value| Versioned { value, version }),
            change,
        }))
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

fn layer_key(scope: &Scope, name: LayerName) -> LayerKey {
    match name {
        LayerName::System => LayerKey::System,
        LayerName::Tenant => LayerKey::Tenant(scope.tenant().clone(), scope.env()),
    }
}

/// Whether a flag may be stored in `layer` as it is now, over the system's flags.
fn admit(
    flag: &Flag,
    layer: LayerName,
    from: &StoredLayer,
    system: &Layer,
) -> Result<(), FlagsError> {
    if layer == LayerName::Tenant {
        match system.get(flag.key.as_str()) {
            Some(Row::Flag(below)) if below.mode == Mode::Locked => return Err(FlagsError::Locked),
            Some(Row::Flag(below)) if below.kind != flag.kind => {
                let why = format!("the system's flag is of the type {}", below.kind);
                return Err(Invalid::new("/variants", why).into());
            }
            _ => {}
        }
    }
    Ok(depends::check(flag, layer, &from.layer, system)?)
}

/// Admins change their tenant's flags, operators those of the system.
pub(crate) fn may_manage(scope: &Scope, layer: LayerName) -> Result<(), FlagsError> {
    let may = scope.auth().role() >= Role::Admin
        && (layer == LayerName::Tenant || scope.tenant().is_system());
    may.then_some(()).ok_or(FlagsError::RoleForbidden)
}
