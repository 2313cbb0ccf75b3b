//! Evaluation: pure, over the two layers, a context and a moment.
//!
//! # Which layer decides
//!
//! | system's flag | tenant's flag | decides |
//! | --- | --- | --- |
//! | none | none | nobody: there is no such flag |
//! | none | any | tenant |
//! | any | none | system (inherited) |
//! | `default` | of the same type | tenant |
//! | `default`, `deny_floor` | of another type | system (the override is void) |
//! | `locked` | any, also damaged | system |
//! | `deny_floor` | any | system if that is off, else tenant |
//! | damaged | any | nobody: it is an error |
//! | `default` | damaged | nobody: it is an error |
//!
//! **Invariants:**
//! - a damaged row never serves a value, and never hands the decision to the other layer;
//! - a flag of the system depends on flags of the system alone, so no tenant moves it.

use std::{cell::Cell, sync::Arc};

use identity::Timestamp;
use serde::Serialize;
use smol_str::SmolStr;

use crate::{
    Context, Flag, Kind, Layer, LayerName, Mode, Place, Row, Variant,
    bucket::draw,
    flag::{Prerequisite, Rule, Target},
};

/// Flags that are looked at for one evaluation, at most: what may be stored stays below
/// it, because a tenant's flag reaches 32 of the tenant's and each of those 32 of the system's.
const VISITS_MAX: u32 = 2048;
/// Longest chain of flags that wait for each other; likewise.
const DEPTH_MAX: u32 = 128;

/// Why a variant was served: OpenFeature's standard reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The flag has no rules: everyone gets this.
    Static,
    /// No rule matched.
    Default,
    /// A rule matched, without a rollout.
    TargetingMatch,
    /// A rule matched, and the targeting key was in its rollout or drew this variant.
    Split,
    /// The flag is off, out of its time, or a prerequisite is not met.
    Disabled,
}

impl Reason {
    /// The reason, as OpenFeature writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Disabled => "DISABLED",
        }
    }
}

/// What disabled a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// `enabled` is false.
    Disabled,
    /// It has not begun, or has ended.
    Schedule,
    /// A prerequisite is not met.
    Prerequisite,
}

/// What a flag evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The value, and its name.
    pub variant: Arc<Variant>,
    /// Why.
    pub reason: Reason,
    /// Whose flag decided.
    pub layer: LayerName,
    /// What kind of values the flag has.
    pub kind: Kind,
    /// What the system's flag leaves to tenants, if there is one.
    pub mode: Option<Mode>,
    /// The name of the rule that matched, if it has one.
    pub rule: Option<SmolStr>,
    /// What disabled it.
    pub cause: Option<Cause>,
    /// Whether the tenant has a flag of this key too, whether it counted or not.
    pub overridden: bool,
}

impl Evaluation {
    /// Whether it is a boolean flag that is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.variant.is_true()
    }
}

/// Why a flag has no value; the caller's default applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unevaluated {
    /// There is no such flag.
    #[error("there is no such flag")]
    NotFound,
    /// A rollout needs to know whom the context is about.
    #[error("the context needs a targetingKey, which a rollout of this flag is sticky to")]
    TargetingKeyMissing,
    /// What is stored of it cannot be read.
    #[error("the flag is damaged in the {0} layer")]
    Damaged(LayerName),
    /// It has prerequisites without end.
    #[error("the prerequisites of the flag are too many")]
    TooManyPrerequisites,
}

/// The two layers, and where and when they are asked.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// The operators' flags.
    pub system: &'a Layer,
    /// The tenant's flags.
    pub tenant: &'a Layer,
    /// Where.
    pub place: Place<'a>,
    /// When.
    pub now: Timestamp,
}

/// The decision of one layer's flag.
struct Served<'f> {
    variant: &'f Arc<Variant>,
    reason: Reason,
    rule: Option<&'f SmolStr>,
    cause: Option<Cause>,
}

/// One question to the layers.
struct Asking<'a> {
    layers: Layers<'a>,
    context: &'a Context,
    visits: Cell<u32>,
    depth: Cell<u32>,
}

/// Who decides: the first flag, unless it is a floor that lets the second decide.
struct Deciding<'a> {
    flag: &'a Flag,
    layer: LayerName,
    beyond_floor: Option<Result<&'a Flag, Unevaluated>>,
    mode: Option<Mode>,
    overridden: bool,
}

impl Layers<'_> {
    /// What `key` evaluates to for `context`.
    ///
    /// # Errors
    /// [`Unevaluated`]: the caller's default applies.
    pub fn evaluate(&self, key: &str, context: &Context) -> Result<Evaluation, Unevaluated> {
        let asking = Asking {
            layers: *self,
            context,
            visits: Cell::new(0),
            depth: Cell::new(0),
        };
        asking.effective(key)
    }
}

impl<'a> Deciding<'a> {
    fn new(layers: &Layers<'a>, key: &str) -> Result<Self, Unevaluated> {
        let (system, tenant) = (layers.system.get(key), layers.tenant.get(key));
        let system = match system {
            None => return Self::by_tenant(tenant),
            Some(row) => readable(row, LayerName::System)?,
        };
        let of_system = Self {
            flag: system,
            layer: LayerName::System,
            beyond_floor: None,
            mode: Some(system.mode),
            overridden: tenant.is_some(),
        };
        let Some(row) = tenant else {
            return Ok(of_system);
        };
        let read = readable(row, LayerName::Tenant);
        let fits = !matches!(read, Ok(flag) if flag.kind != system.kind);
        match system.mode {
            Mode::Default if fits => Ok(Self {
                flag: read?,
                layer: LayerName::Tenant,
                ..of_system
            }),
            Mode::DenyFloor if fits => Ok(Self {
                beyond_floor: Some(read),
                ..of_system
            }),
            _ => Ok(of_system),
        }
    }

    fn by_tenant(row: Option<&'a Row>) -> Result<Self, Unevaluated> {
        let row = row.ok_or(Unevaluated::NotFound)?;
        Ok(Self {
            flag: readable(row, LayerName::Tenant)?,
            layer: LayerName::Tenant,
            beyond_floor: None,
            mode: None,
            overridden: true,
        })
    }
}

fn readable(row: &Row, layer: LayerName) -> Result<&Flag, Unevaluated> {
    match row {
        Row::Flag(flag) => Ok(flag),
        Row::Damaged => Err(Unevaluated::Damaged(layer)),
    }
}

impl<'a> Asking<'a> {
    /// What a flag evaluates to over both layers.
    fn effective(&self, key: &str) -> Result<Evaluation, Unevaluated> {
        let deciding = Deciding::new(&self.layers, key)?;
        let (mut flag, mut layer) = (deciding.flag, deciding.layer);
        let mut served = self.serve(flag, layer)?;
        if let Some(beyond) = deciding.beyond_floor
            && served.variant.is_true()
        {
            (flag, layer) = (beyond?, LayerName::Tenant);
            served = self.serve(flag, layer)?;
        }
        Ok(Evaluation {
            variant: Arc::clone(served.variant),
            reason: served.reason,
            layer,
            kind: flag.kind,
            mode: deciding.mode,
            rule: served.rule.cloned(),
            cause: served.cause,
            overridden: deciding.overridden,
        })
    }

    /// What one flag of a layer serves.
    fn serve<'f>(&self, flag: &'f Flag, layer: LayerName) -> Result<Served<'f>, Unevaluated> {
        if let Some(cause) = self.disabled(flag, layer)? {
            return Ok(Served {
                variant: &flag.off,
                reason: Reason::Disabled,
                rule: None,
                cause: Some(cause),
            });
        }
        for rule in &flag.rules {
            if let Some((variant, reason)) = self.apply(rule, flag)? {
                return Ok(Served {
                    variant,
                    reason,
                    rule: rule.name.as_ref(),
                    cause: None,
                });
            }
        }
        Ok(Served {
            variant: &flag.default,
            reason: if flag.rules.is_empty() {
                Reason::Static
            } else {
                Reason::Default
            },
            rule: None,
            cause: None,
        })
    }

    fn disabled(&self, flag: &Flag, layer: LayerName) -> Result<Option<Cause>, Unevaluated> {
        self.count()?;
        if !flag.enabled {
            return Ok(Some(Cause::Disabled));
        }
        if !flag.window.holds(self.layers.now) {
            return Ok(Some(Cause::Schedule));
        }
        self.depth.set(self.depth.get() + 1);
        for prerequisite in &flag.prerequisites {
            if !self.met(prerequisite, layer)? {
                self.depth.set(self.depth.get() - 1);
                return Ok(Some(Cause::Prerequisite));
            }
        }
        self.depth.set(self.depth.get() - 1);
        Ok(None)
    }

    fn count(&self) -> Result<(), Unevaluated> {
        self.visits.set(self.visits.get() + 1);
        if self.visits.get() > VISITS_MAX || self.depth.get() > DEPTH_MAX {
            return Err(Unevaluated::TooManyPrerequisites);
        }
        Ok(())
    }

    /// Whether a prerequisite of a flag of `layer` is met; a flag that is gone meets none.
    fn met(&self, prerequisite: &Prerequisite, layer: LayerName) -> Result<bool, Unevaluated> {
        let key = prerequisite.flag.as_str();
        let served = match layer {
            LayerName::System => self.of_system(key),
            LayerName::Tenant => self.effective(key).map(|evaluation| evaluation.variant),
        };
        match served {
            Ok(variant) if prerequisite.variants.is_empty() => Ok(variant.is_true()),
            Ok(variant) => Ok(prerequisite.variants.contains(&variant.name)),
            Err(Unevaluated::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn of_system(&self, key: &str) -> Result<Arc<Variant>, Unevaluated> {
        let row = self.layers.system.get(key).ok_or(Unevaluated::NotFound)?;
        let flag = readable(row, LayerName::System)?;
        let served = self.serve(flag, LayerName::System)?;
        Ok(Arc::clone(served.variant))
    }

    /// What a rule serves, if it matches.
    fn apply<'f>(
        &self,
        rule: &'f Rule,
        flag: &Flag,
    ) -> Result<Option<(&'f Arc<Variant>, Reason)>, Unevaluated> {
        let (context, place) = (self.context, &self.layers.place);
        let matches = rule.window.holds(self.layers.now)
            && rule.constraints.iter().all(|one| one.holds(context, place));
        if !matches {
            return Ok(None);
        }
        let key = flag.key.as_str();
        let sticky_to = || {
            context
                .targeting_key()
                .ok_or(Unevaluated::TargetingKeyMissing)
        };
        if !rule.rollout.is_all() && !rule.rollout.includes(key, sticky_to()?) {
            return Ok(None);
        }
        let variant = match &rule.target {
            Target::One(variant) if rule.rollout.is_all() => {
                return Ok(Some((variant, Reason::TargetingMatch)));
            }
            Target::One(variant) => Some(variant),
            Target::Weighted(shares) => pick(shares, key, sticky_to()?),
        };
        Ok(variant.map(|variant| (variant, Reason::Split)))
    }
}

/// The variant that a targeting key draws; `None` only of no shares.
fn pick<'f>(
    shares: &'f [(u32, Arc<Variant>)],
    flag: &str,
    targeting_key: &str,
) -> Option<&'f Arc<Variant>> {
    let (total, _) = shares.last()?;
    let drawn = draw(flag, targeting_key, *total);
    let found = shares.iter().find(|(sum, _)| drawn <= *sum);
    found.map(|(_, variant)| variant)
}

impl Rule {
    /// Whether it matches everyone at `now`, with one and the same variant.
    pub(crate) fn is_for_everyone(&self, now: Timestamp) -> bool {
        let one = matches!(self.target, Target::One(_));
        one && self.constraints.is_empty() && self.rollout.is_all() && self.window.holds(now)
    }
}
