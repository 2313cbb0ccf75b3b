//! Prerequisites that end: no cycles, and few enough to be evaluated in no time.
//!
//! Flags of the system depend on flags of the system, so their cycles are found there.
//! A flag of a tenant may depend on both, and from there on only on the tenant's own.

use std::collections::BTreeSet;

use crate::{Flag, FlagKey, Invalid, Layer, LayerName, Row};

/// Flags that may be looked at for one flag of a layer, with repetition.
pub const DEPENDENCIES_MAX: u32 = 32;

/// Checks the prerequisites of `flag`, which is about to be stored in `layer`; for a
/// tenant's flag `system` is the layer below.
///
/// # Errors
/// [`Invalid`] when a prerequisite is unknown, has no such variant, waits for `flag`
/// itself, or has too many of its own.
pub(crate) fn check(
    flag: &Flag,
    name: LayerName,
    layer: &Layer,
    system: &Layer,
) -> Result<(), Invalid> {
    for (at, prerequisite) in flag.prerequisites.iter().enumerate() {
        let pointer = || format!("/prerequisites/{at}");
        let key = prerequisite.flag.as_str();
        let rows = match name {
            LayerName::System => [layer.get(key), None],
            LayerName::Tenant => [layer.get(key), system.get(key)],
        };
        let known = || rows.iter().flatten();
        if known().next().is_none() {
            return Err(Invalid::new(
                format!("{}/flag", pointer()),
                "there is no such flag",
            ));
        }
        let unknown = prerequisite.variants.iter().position(|variant| {
            !known().any(|row| matches!(row, Row::Flag(flag) if flag.has(variant)))
        });
        if let Some(of) = unknown {
            let pointer = format!("{}/variants/{of}", pointer());
            return Err(Invalid::new(pointer, "is none of that flag's variants"));
        }
    }
    if let Err(why) = Walk::from(flag, layer).visit(flag) {
        return Err(Invalid::new("/prerequisites", why));
    }
    // What waits for this flag waits for its prerequisites too.
    for (key, row) in layer.rows() {
        if let Row::Flag(other) = row
            && *key != flag.key
            && !other.prerequisites.is_empty()
            && let Err(why) = Walk::from(flag, layer).visit(other)
        {
            return Err(Invalid::new("/prerequisites", format!("of {key}, {why}")));
        }
    }
    Ok(())
}

/// A walk over the prerequisites within a layer, in which `changed` is already stored.
struct Walk<'a> {
    changed: &'a Flag,
    layer: &'a Layer,
    /// The flags from the first to here.
    path: BTreeSet<&'a FlagKey>,
    visits: u32,
}

impl<'a> Walk<'a> {
    const fn from(changed: &'a Flag, layer: &'a Layer) -> Self {
        Self {
            changed,
            layer,
            path: BTreeSet::new(),
            visits: 0,
        }
    }

    fn visit(&mut self, flag: &'a Flag) -> Result<(), String> {
        self.visits += 1;
        if self.visits > DEPENDENCIES_MAX {
            return Err(format!(
                "more than {DEPENDENCIES_MAX} flags would be looked at"
            ));
        }
        if !self.path.insert(&flag.key) {
            return Err(format!("{} waits for itself in turn", flag.key));
        }
        for prerequisite in &flag.prerequisites {
            if let Some(next) = self.find(&prerequisite.flag) {
                self.visit(next)?;
            }
        }
        self.path.remove(&flag.key);
        Ok(())
    }

    fn find(&self, key: &FlagKey) -> Option<&'a Flag> {
        if *key == self.changed.key {
            return Some(self.changed);
        }
        match self.layer.get(key.as_str()) {
            Some(Row::Flag(flag)) => Some(flag),
            _ => None,
        }
    }
}
