//! A flag that can be evaluated, made from its definition once.
//!
//! **Invariant:** every variant that a [`Flag`] may serve exists and is of its one kind.

use std::{collections::BTreeSet, fmt, sync::Arc};

use identity::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::{
    Definition, FlagKey, Invalid, Mode, PrerequisiteDefinition, RuleDefinition, VariantName,
    WeightDefinition, bucket::Share, constraint::Constraint,
};

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

    fn new(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, Invalid> {
        match (from, until) {
            (Some(from), Some(until)) if from >= until => {
                Err(Invalid::new("/until", "must be after from"))
            }
            _ => Ok(Self { from, until }),
        }
    }
}

impl Variant {
    /// Whether it lets through what waits for a boolean.
    pub(crate) fn is_true(&self) -> bool {
        self.value == Value::Bool(true)
    }
}

impl Flag {
    /// A flag as `definition` describes it.
    ///
    /// # Errors
    /// [`Invalid`] points at what is wrong.
    pub fn new(key: FlagKey, definition: &Definition) -> Result<Self, Invalid> {
        let variants = Variants::new(definition.variants.as_ref())?;
        check_description(&definition.description)?;
        let default = match &definition.default_variant {
            Some(name) => variants.find("/default_variant", name)?,
            None => variants.default(definition)?,
        };
        let off = match &definition.off_variant {
            Some(name) => variants.find("/off_variant", name)?,
            None => variants
                .boolean(false)
                .unwrap_or_else(|| Arc::clone(&default)),
        };
        let mode = definition.mode.unwrap_or_default();
        if mode == Mode::DenyFloor && variants.kind != Kind::Boolean {
            return Err(Invalid::new("/mode", "deny_floor is for boolean flags"));
        }
        Ok(Self {
            prerequisites: prerequisites(&key, &definition.prerequisites)?,
            key,
            kind: variants.kind,
            mode,
            description: definition.description.as_str().into(),
            enabled: definition.enabled,
            window: Window::new(definition.from, definition.until)?,
            rules: rules(&definition.rules, &variants)?,
            default,
            off,
            variants: variants.all,
            expires_at: definition.expires_at,
            permanent: definition.permanent,
        })
    }

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

/// The variants of a definition.
struct Variants {
    kind: Kind,
    all: Box<[Arc<Variant>]>,
    /// Whether nobody wrote them down.
    implied: bool,
}

impl Variants {
    fn new(given: Option<&Map<String, Value>>) -> Result<Self, Invalid> {
        let Some(given) = given else {
            let variant = |name, value: bool| {
                let value = value.into();
                Arc::new(Variant { name, value })
            };
            return Ok(Self {
                kind: Kind::Boolean,
                all: [
                    variant(VariantName::on(), true),
                    variant(VariantName::off(), false),
                ]
                .into(),
                implied: true,
            });
        };
        if given.is_empty() || given.len() > VARIANTS_MAX {
            let why = format!("a flag has 1 to {VARIANTS_MAX} variants");
            return Err(Invalid::new("/variants", why));
        }
        let (mut kind, mut all) = (None, Vec::with_capacity(given.len()));
        for (name, value) in given {
            let pointer = || format!("/variants/{}", name.replace('~', "~0").replace('/', "~1"));
            let its = kind_of(value).map_err(|why| Invalid::new(pointer(), why))?;
            if *kind.get_or_insert(its) != its {
                return Err(Invalid::new(pointer(), "all variants must be of one type"));
            }
            let name: VariantName = parsed(pointer, name)?;
            let value = value.clone();
            all.push(Arc::new(Variant { name, value }));
        }
        Ok(Self {
            kind: kind.unwrap_or(Kind::Boolean),
            all: all.into(),
            implied: false,
        })
    }

    fn find(&self, pointer: &str, name: &str) -> Result<Arc<Variant>, Invalid> {
        let found = self
            .all
            .iter()
            .find(|variant| variant.name.as_str() == name);
        found
            .cloned()
            .ok_or_else(|| Invalid::new(pointer, "is none of the variants"))
    }

    fn boolean(&self, wanted: bool) -> Option<Arc<Variant>> {
        let found = self
            .all
            .iter()
            .find(|variant| variant.value == Value::Bool(wanted));
        found.cloned()
    }

    fn default(&self, definition: &Definition) -> Result<Arc<Variant>, Invalid> {
        let implied = || self.boolean(definition.rules.is_empty());
        let found = self.implied.then(implied).flatten();
        found.ok_or_else(|| Invalid::new("/default_variant", "is missing"))
    }
}

fn kind_of(value: &Value) -> Result<Kind, &'static str> {
    match value {
        Value::Bool(_) => Ok(Kind::Boolean),
        Value::String(_) => Ok(Kind::String),
        Value::Number(_) => Ok(Kind::Number),
        Value::Object(_) => Ok(Kind::Object),
        Value::Null | Value::Array(_) => Err("must be a boolean, a string, a number or an object"),
    }
}

fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
    pointer: impl FnOnce() -> String,
    text: &str,
) -> Result<T, Invalid> {
    text.parse()
        .map_err(|error: T::Err| Invalid::new(pointer(), error.to_string()))
}

fn check_description(text: &str) -> Result<(), Invalid> {
    if text.chars().count() <= DESCRIPTION_CHARS_MAX {
        return Ok(());
    }
    let why = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
    Err(Invalid::new("/description", why))
}

fn prerequisites(
    key: &FlagKey,
    given: &[PrerequisiteDefinition],
) -> Result<Box<[Prerequisite]>, Invalid> {
    if given.len() > PREREQUISITES_MAX {
        let why = format!("a flag has at most {PREREQUISITES_MAX} prerequisites");
        return Err(Invalid::new("/prerequisites", why));
    }
    let one = |(at, given): (usize, &PrerequisiteDefinition)| {
        let pointer = || format!("/prerequisites/{at}/flag");
        let flag: FlagKey = parsed(pointer, &given.flag)?;
        if flag == *key {
            return Err(Invalid::new(pointer(), "a flag does not wait for itself"));
        }
        if given.variants.len() > VARIANTS_MAX {
            let why = format!("at most {VARIANTS_MAX} variants");
            return Err(Invalid::new(format!("/prerequisites/{at}/variants"), why));
        }
        let variant = |(of, name): (usize, &String)| {
            parsed(|| format!("/prerequisites/{at}/variants/{of}"), name)
        };
        let variants = given
            .variants
            .iter()
            .enumerate()
            .map(variant)
            .collect::<Result<_, _>>()?;
        Ok(Prerequisite { flag, variants })
    };
    given.iter().enumerate().map(one).collect()
}

fn rules(given: &[RuleDefinition], variants: &Variants) -> Result<Box<[Rule]>, Invalid> {
    if given.len() > RULES_MAX {
        return Err(Invalid::new(
            "/rules",
            format!("a flag has at most {RULES_MAX} rules"),
        ));
    }
    let one = |(at, given): (usize, &RuleDefinition)| {
        rule(given, variants).map_err(|invalid| invalid.within(&format!("/rules/{at}")))
    };
    given.iter().enumerate().map(one).collect()
}

fn rule(given: &RuleDefinition, variants: &Variants) -> Result<Rule, Invalid> {
    if given
        .name
        .as_ref()
        .is_some_and(|name| name.chars().count() > RULE_NAME_CHARS_MAX)
    {
        let why = format!("must have at most {RULE_NAME_CHARS_MAX} characters");
        return Err(Invalid::new("/name", why));
    }
    if given.when.len() > CONSTRAINTS_MAX {
        let why = format!("a rule has at most {CONSTRAINTS_MAX} constraints");
        return Err(Invalid::new("/when", why));
    }
    let constraint = |(at, given)| {
        Constraint::new(given).map_err(|invalid: Invalid| invalid.within(&format!("/when/{at}")))
    };
    let rollout = match given.rollout {
        None => Share::ALL,
        Some(percent) => Share::of_percent(percent).ok_or_else(|| {
            Invalid::new("/rollout", "must be 0 to 100, with at most two decimals")
        })?,
    };
    Ok(Rule {
        name: given.name.as_deref().map(SmolStr::new),
        window: Window::new(given.from, given.until)?,
        constraints: given
            .when
            .iter()
            .enumerate()
            .map(constraint)
            .collect::<Result<_, _>>()?,
        rollout,
        target: target(given, variants)?,
    })
}

fn target(given: &RuleDefinition, variants: &Variants) -> Result<Target, Invalid> {
    match (&given.variant, given.weights.as_slice()) {
        (Some(name), []) => Ok(Target::One(variants.find("/variant", name)?)),
        (None, []) => {
            let on = variants.implied.then(|| variants.boolean(true)).flatten();
            let on = on.ok_or_else(|| Invalid::new("/variant", "is missing"))?;
            Ok(Target::One(on))
        }
        (None, weights) => weighted(weights, variants),
        (Some(_), _) => Err(Invalid::new("/weights", "goes without variant")),
    }
}

fn weighted(given: &[WeightDefinition], variants: &Variants) -> Result<Target, Invalid> {
    if given.len() > VARIANTS_MAX {
        return Err(Invalid::new(
            "/weights",
            format!("at most {VARIANTS_MAX} weights"),
        ));
    }
    let (mut sum, mut named, mut shares) = (0, BTreeSet::new(), Vec::with_capacity(given.len()));
    for (at, one) in given.iter().enumerate() {
        let pointer = format!("/weights/{at}");
        if one.weight > WEIGHT_MAX {
            let why = format!("must be at most {WEIGHT_MAX}");
            return Err(Invalid::new(format!("{pointer}/weight"), why));
        }
        if !named.insert(&one.variant) {
            return Err(Invalid::new(format!("{pointer}/variant"), "is named twice"));
        }
        sum += one.weight;
        shares.push((
            sum,
            variants.find(&format!("{pointer}/variant"), &one.variant)?,
        ));
    }
    if sum == 0 {
        return Err(Invalid::new("/weights", "must not all be 0"));
    }
    Ok(Target::Weighted(shares.into()))
}
