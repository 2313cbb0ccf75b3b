//! Changing flags: one row of a layer at a time, over the layers as they are.
//!
//! **Invariant:** a change is computed from one state of its layer and committed over that
//! state alone; when others were faster it is computed again.

use identity::{Precondition, Scope};
use store::Versioned;

use crate::{
    Change, DEFINITION_BYTES_MAX, Definition, Flag, FlagKey, Flags, FlagsError, Invalid,
    LAYER_BYTES_MAX, LAYER_FLAGS_MAX, LAYER_MEMORY_BYTES_MAX, Layer, LayerName, Mode, Row, Stored,
    depends,
    records::{Home, NextRow, Records, StoredLayer},
    service::{layer_key, may_manage},
    weight,
};

/// How often a change is tried again because others changed the same layer.
const CONTENTION_TRIES_MAX: usize = 24;

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
        let forgotten = self.fresh.forget_afterwards(layer_key(scope, name));
        let committed = self.records.commit(home, from, &next).await;
        drop(forgotten);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(committed?.map(|version| Changed {
            stored: stored.map(|value| Versioned { value, version }),
            change,
        }))
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
