//! Constraints of a rule: one attribute, one operator, the values it is compared with.
//!
//! **Invariant:** a constraint over an attribute that is missing, or of another type than
//! the operator compares, does not hold; only `not_in` and `not_exists` hold then.

use identity::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use crate::{Context, Invalid, Place, context::ATTRIBUTE_NAME_BYTES_MAX, objects::objects};

/// Most values of one constraint.
pub const VALUES_MAX: usize = 1000;

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are named for what they do")]
pub enum Operator {
    In,
    NotIn,
    StartsWith,
    EndsWith,
    Contains,
    Lt,
    Lte,
    Gt,
    Gte,
    Before,
    After,
    SemverEq,
    SemverLt,
    SemverGt,
    Exists,
    NotExists,
}

/// A constraint, as it is sent and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(remote = "Self")]
pub struct ConstraintDefinition {
    /// A name at the top of the context, `targetingKey`, one of `$tenant`, `$env`,
    /// `$project` and `$mode`, or a JSON pointer such as `/user/country`.
    pub attribute: String,
    /// How it is compared.
    pub op: Operator,
    /// With what: texts, numbers or booleans for `in` and `not_in`, texts for the
    /// operators on texts (any of them suffices), one number, RFC 3339 time or version
    /// for those that order, and nothing for `exists` and `not_exists`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "http", schema(value_type = Vec<Object>))]
    pub values: Vec<Value>,
}

objects!(ConstraintDefinition);

/// Where an attribute is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    TargetingKey,
    Tenant,
    Env,
    Project,
    Mode,
    Named(Box<str>),
    Pointer(Box<str>),
}

/// What an attribute is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    In(Members),
    NotIn(Members),
    StartsWith(Box<[SmolStr]>),
    EndsWith(Box<[SmolStr]>),
    Contains(Box<[SmolStr]>),
    Lt(f64),
    Lte(f64),
    Gt(f64),
    Gte(f64),
    Before(Timestamp),
    After(Timestamp),
    SemverEq(Box<Version>),
    SemverLt(Box<Version>),
    SemverGt(Box<Version>),
    Exists,
    NotExists,
}

/// Scalars of which an attribute may be one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Members {
    /// In order, for a binary search.
    pub(crate) texts: Box<[SmolStr]>,
    pub(crate) numbers: Box<[f64]>,
    yes: bool,
    no: bool,
}

/// A constraint that can be checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) attribute: Attribute,
    pub(crate) test: Test,
}

/// The value of an attribute.
enum Found<'a> {
    Text(&'a str),
    Json(&'a Value),
}

impl Constraint {
    /// # Errors
    /// [`Invalid`] points into `definition`.
    pub(crate) fn new(definition: &ConstraintDefinition) -> Result<Self, Invalid> {
        if definition.values.len() > VALUES_MAX {
            let why = format!("a constraint has at most {VALUES_MAX} values");
            return Err(Invalid::new("/values", why));
        }
        let attribute = attribute(&definition.attribute)?;
        let test = test(definition.op, &definition.values)?;
        Ok(Self { attribute, test })
    }

    pub(crate) fn holds(&self, context: &Context, place: &Place<'_>) -> bool {
        match self.attribute.find(context, place) {
            None => matches!(self.test, Test::NotIn(_) | Test::NotExists),
            Some(found) => self.test.passes(&found),
        }
    }
}

impl Attribute {
    fn find<'a>(&self, context: &'a Context, place: &Place<'a>) -> Option<Found<'a>> {
        let found = match self {
            Self::TargetingKey => Found::Text(context.targeting_key()?),
            Self::Tenant => Found::Text(place.tenant),
            Self::Env => Found::Text(place.env),
            Self::Project => Found::Text(place.project),
            Self::Mode => Found::Text(place.mode),
            Self::Named(name) => Found::Json(context.attributes().get(&**name)?),
            Self::Pointer(path) => Found::Json(point(context, path)?),
        };
        (!matches!(found, Found::Json(Value::Null))).then_some(found)
    }
}

/// Follows a JSON pointer from the top of the context.
fn point<'a>(context: &'a Context, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix('/')?;
    let (first, rest) = path
        .split_once('/')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let first = first.replace("~1", "/").replace("~0", "~");
    let top = context.attributes().get(&first)?;
    match rest {
        None => Some(top),
        Some(rest) => top.pointer(&format!("/{rest}")),
    }
}

impl Test {
    fn passes(&self, found: &Found<'_>) -> bool {
        match self {
            Self::In(members) => members.have(found),
            Self::NotIn(members) => !members.have(found),
            Self::StartsWith(texts) => any(found, texts, |text, part| text.starts_with(part)),
            Self::EndsWith(texts) => any(found, texts, |text, part| text.ends_with(part)),
            Self::Contains(texts) => any(found, texts, |text, part| text.contains(part)),
            Self::Lt(bound) => found.number().is_some_and(|number| number < *bound),
            Self::Lte(bound) => found.number().is_some_and(|number| number <= *bound),
            Self::Gt(bound) => found.number().is_some_and(|number| number > *bound),
            Self::Gte(bound) => found.number().is_some_and(|number| number >= *bound),
            Self::Before(bound) => found.time().is_some_and(|time| time < *bound),
            Self::After(bound) => found.time().is_some_and(|time| time > *bound),
            Self::SemverEq(bound) => found
                .version()
                .is_some_and(|it| it.cmp_precedence(bound).is_eq()),
            Self::SemverLt(bound) => found
                .version()
                .is_some_and(|it| it.cmp_precedence(bound).is_lt()),
            Self::SemverGt(bound) => found
                .version()
                .is_some_and(|it| it.cmp_precedence(bound).is_gt()),
            Self::Exists => true,
            Self::NotExists => false,
        }
    }
}

fn any(found: &Found<'_>, parts: &[SmolStr], test: impl Fn(&str, &str) -> bool) -> bool {
    let text = found.text();
    text.is_some_and(|text| parts.iter().any(|part| test(text, part)))
}

impl<'a> Found<'a> {
    fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(_) => None,
            Self::Json(value) => value.as_f64(),
        }
    }

    fn time(&self) -> Option<Timestamp> {
        self.text()?.parse().ok()
    }

    fn version(&self) -> Option<Version> {
        Version::parse(self.text()?).ok()
    }
}

impl Members {
    /// # Errors
    /// When a value is no text, number or boolean.
    fn of(values: &[Value]) -> Result<Self, Invalid> {
        let (mut texts, mut numbers, mut members) = (Vec::new(), Vec::new(), Self::default());
        for (at, value) in values.iter().enumerate() {
            match value {
                Value::String(text) => texts.push(SmolStr::new(text)),
                Value::Number(number) => numbers.extend(number.as_f64()),
                Value::Bool(true) => members.yes = true,
                Value::Bool(false) => members.no = true,
                _ => {
                    let why = "must be a string, a number or a boolean";
                    return Err(Invalid::new(format!("/values/{at}"), why));
                }
            }
        }
        texts.sort_unstable();
        texts.dedup();
        members.texts = texts.into();
        members.numbers = numbers.into();
        Ok(members)
    }

    /// Whether the attribute, or one element of an attribute that is a list, is a member.
    fn have(&self, found: &Found<'_>) -> bool {
        match found {
            Found::Text(text) => self.have_text(text),
            Found::Json(Value::Array(elements)) => elements.iter().any(|one| self.have_scalar(one)),
            Found::Json(value) => self.have_scalar(value),
        }
    }

    fn have_scalar(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.have_text(text),
            Value::Number(number) => number
                .as_f64()
                .is_some_and(|number| self.numbers.contains(&number)),
            Value::Bool(true) => self.yes,
            Value::Bool(false) => self.no,
            _ => false,
        }
    }

    fn have_text(&self, text: &str) -> bool {
        self.texts
            .binary_search_by(|member| member.as_str().cmp(text))
            .is_ok()
    }
}

fn attribute(text: &str) -> Result<Attribute, Invalid> {
    let invalid = |why: &str| Err(Invalid::new("/attribute", why));
    Ok(match text {
        "targetingKey" => Attribute::TargetingKey,
        "$tenant" => Attribute::Tenant,
        "$env" => Attribute::Env,
        "$project" => Attribute::Project,
        "$mode" => Attribute::Mode,
        "" => return invalid("must not be empty"),
        text if text.len() > ATTRIBUTE_NAME_BYTES_MAX => {
            return invalid("must have at most 128 bytes");
        }
        text if text.starts_with('$') => {
            return invalid("must be $tenant, $env, $project or $mode if it begins with $");
        }
        text if text.starts_with('/') => Attribute::Pointer(text.into()),
        text => Attribute::Named(text.into()),
    })
}

fn test(op: Operator, values: &[Value]) -> Result<Test, Invalid> {
    Ok(match op {
        Operator::In => Test::In(Members::of(some(values)?)?),
        Operator::NotIn => Test::NotIn(Members::of(some(values)?)?),
        Operator::StartsWith => Test::StartsWith(texts(values)?),
        Operator::EndsWith => Test::EndsWith(texts(values)?),
        Operator::Contains => Test::Contains(texts(values)?),
        Operator::Lt => Test::Lt(number(values)?),
        Operator::Lte => Test::Lte(number(values)?),
        Operator::Gt => Test::Gt(number(values)?),
        Operator::Gte => Test::Gte(number(values)?),
        Operator::Before => Test::Before(time(values)?),
        Operator::After => Test::After(time(values)?),
        Operator::SemverEq => Test::SemverEq(version(values)?),
        Operator::SemverLt => Test::SemverLt(version(values)?),
        Operator::SemverGt => Test::SemverGt(version(values)?),
        Operator::Exists => none(values, Test::Exists)?,
        Operator::NotExists => none(values, Test::NotExists)?,
    })
}

fn some(values: &[Value]) -> Result<&[Value], Invalid> {
    if values.is_empty() {
        return Err(Invalid::new("/values", "must not be empty"));
    }
    Ok(values)
}

fn none(values: &[Value], test: Test) -> Result<Test, Invalid> {
    if values.is_empty() {
        return Ok(test);
    }
    Err(Invalid::new(
        "/values",
        "must be left out for this operator",
    ))
}

fn texts(values: &[Value]) -> Result<Box<[SmolStr]>, Invalid> {
    let text = |(at, value): (usize, &Value)| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(SmolStr::new).ok_or_else(|| {
            Invalid::new(
                format!("/values/{at}"),
                "must be a string that is not empty",
            )
        })
    };
    some(values)?.iter().enumerate().map(text).collect()
}

/// The only value, which is `what` if `read` can read it.
fn only<'v, T>(
    values: &'v [Value],
    what: &str,
    read: impl Fn(&'v Value) -> Option<T>,
) -> Result<T, Invalid> {
    match values {
        [value] => read(value).ok_or_else(|| Invalid::new("/values/0", format!("must be {what}"))),
        _ => Err(Invalid::new(
            "/values",
            format!("must be {what}, and nothing else"),
        )),
    }
}

fn number(values: &[Value]) -> Result<f64, Invalid> {
    only(values, "a number", Value::as_f64)
}

fn time(values: &[Value]) -> Result<Timestamp, Invalid> {
    let what = "an RFC 3339 time";
    only(values, what, |value| value.as_str()?.parse().ok())
}

fn version(values: &[Value]) -> Result<Box<Version>, Invalid> {
    let what = "a semantic version such as 1.2.3";
    only(values, what, |value| {
        Version::parse(value.as_str()?).ok().map(Box::new)
    })
}
