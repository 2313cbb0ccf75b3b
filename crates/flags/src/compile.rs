//! Definitions made into flags that can be evaluated; what is wrong is pointed at.

use std::{collections::BTreeSet, fmt, sync::Arc};

use identity::Timestamp;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::{
    CONSTRAINTS_MAX, DESCRIPTION_CHARS_MAX, Definition, Flag, FlagKey, Invalid, Kind, Mode,
    PREREQUISITES_MAX, PrerequisiteDefinition, RULE_NAME_CHARS_MAX, RULES_MAX, RuleDefinition,
    VARIANTS_MAX, Variant, VariantName, WEIGHT_MAX, WeightDefinition,
    bucket::Share,
    constraint::Constraint,
    flag::{Prerequisite, Rule, Target, Window},
};

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
}

impl Window {
    fn new(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, Invalid> {
        match (from, until) {
            (Some(from), Some(until)) if from >= until => {
                Err(Invalid::new("/until", "must be after from"))
            }
            _ => Ok(Self { from, until }),
        }
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

    /// The variant of that value; of several the first by name, whatever their order.
    fn boolean(&self, wanted: bool) -> Option<Arc<Variant>> {
        let found = self.all.iter().filter(|it| it.value == Value::Bool(wanted));
        found
            .min_by(|one, other| one.name.cmp(&other.name))
            .cloned()
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
