//! A flag that can be evaluated, made from its definition once.
//!
//! **Invariant:** every variant that a [`Flag`] may serve exists and is of its one kind.

use std::{fmt, sync::Arc};

use identity::Timestamp;
use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;

use crate::{FlagKey, Mode, VariantName, bucket::Share, constraint::Constraint};

/// Most variants of a flag.
pub const VARIANTS_MAX: usize = 64;
/// Most rules of a flag.
pub const RULES_MAX: usize = 64;
/// Most constraints of a rule.
pub const CONSTRAINTS_MAX: usize = 16;
/// Most prerequisites of a flag.
pub const PREREQUISITES_MAX: usize = 8;
/// Longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Longest name of a rule, in characters.
pub const RULE_NAME_CHARS_MAX: usize = 64;
/// Largest weight of a variant.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// What kind of values a flag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `true` and `false`.
    Boolean,
    /// Texts.
    String,
    /// Numbers.
    Number,
    /// JSON objects.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Object => "object",
        })
    }
}

/// One of the values that a flag may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name.
    pub name: VariantName,
    /// The value.
    pub value: Value,
}

/// From when until when something holds: from `from`, until just before `until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// What a rule serves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    One(Arc<Variant>),
    /// Each variant with the sum of the weights up to its own.
    Weighted(Box<[(u32, Arc<Variant>)]>),
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: Option<SmolStr>,
    pub(crate) window: Window,
    pub(crate) constraints: Box<[Constraint]>,
    pub(crate) rollout: Share,
    pub(crate) target: Target,
}

/// A flag that must serve certain variants first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prerequisite {
    pub(crate) flag: FlagKey,
    /// None: whichever is `true`.
    pub(crate) variants: Box<[VariantName]>,
}

/// A flag that can be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    pub(crate) key: FlagKey,
    pub(crate) kind: Kind,
    pub(crate) mode: Mode,
    pub(crate) description: Box<str>,
    pub(crate) enabled: bool,
    pub(crate) window: Window,
    pub(crate) prerequisites: Box<[Prerequisite]>,
    pub(crate) rules: Box<[Rule]>,
    pub(crate) default: Arc<Variant>,
    pub(crate) off: Arc<Variant>,
    pub(crate) variants: Box<[Arc<Variant>]>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) permanent: bool,
}

impl Window {
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

impl Variant {
    /// Whether it lets through what waits for a boolean.
    pub(crate) fn is_true(&self) -> bool {
        self.value == Value::Bool(true)
    }
}

impl Flag {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> &FlagKey {
        &self.key
    }

    /// What kind of values it has.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it leaves to tenants, if it is the system's.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whether it may serve a variant of that name.
    pub(crate) fn has(&self, name: &VariantName) -> bool {
        self.variants.iter().any(|variant| variant.name == *name)
    }

    /// The moments at which what it serves may change by itself.
    pub(crate) fn boundaries(&self) -> impl Iterator<Item = Timestamp> {
        let windows = std::iter::once(self.window).chain(self.rules.iter().map(|rule| rule.window));
        windows
            .flat_map(|window| [window.from, window.until])
            .flatten()
    }
}
