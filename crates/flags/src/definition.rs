//! Flags as they are sent and stored.

use std::fmt;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ConstraintDefinition, objects::objects};

/// What a flag of the system leaves to tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A tenant may override it.
    #[default]
    Default,
    /// A tenant may not.
    Locked,
    /// It is on only if it is on here and at the tenant.
    DenyFloor,
}

impl Mode {
    /// The mode's name, as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Locked => "locked",
            Self::DenyFloor => "deny_floor",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A flag, as it is sent and stored.
///
/// `{}` is a boolean flag that is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(remote = "Self")]
pub struct Definition {
    /// Of a system's flag alone: what it leaves to tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether rules and the default are looked at; otherwise `off_variant` is served.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The values by name, all booleans, texts, numbers or objects. `{"on":true,"off":false}`
    /// unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<Object>))]
    pub variants: Option<Map<String, Value>>,
    /// What is served when no rule matches; of the boolean flag without variants `off`
    /// if it has rules and `on` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_variant: Option<String>,
    /// What is served when the flag is disabled, out of its time, or a prerequisite is
    /// not met: the variant that is `false` of a boolean flag, else the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_variant: Option<String>,
    /// The first that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleDefinition>,
    /// Flags that must serve certain variants first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<PrerequisiteDefinition>,
    /// When it begins to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub from: Option<Timestamp>,
    /// When it ends to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
    /// When it should be gone from the code; from then on it is reported as stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// Whether it is meant to stay, so that it is never reported as stale.
    #[serde(default, skip_serializing_if = "is_false")]
    pub permanent: bool,
}

/// A rule, as it is sent and stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(remote = "Self")]
pub struct RuleDefinition {
    /// Its name for people; told with what it decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Constraints that must all hold; without any it matches everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<ConstraintDefinition>,
    /// For how many percent of targeting keys it matches, with at most two decimals; 100 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<f64>,
    /// What it serves; this or `weights`. `on` of the boolean flag without variants, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What it serves, by share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<WeightDefinition>,
    /// When it begins to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub from: Option<Timestamp>,
    /// When it ends to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
}

/// The share of a variant, as it is sent and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(remote = "Self")]
pub struct WeightDefinition {
    /// The variant.
    pub variant: String,
    /// Its share of the sum of all weights of the rule.
    pub weight: u32,
}

/// A flag that must serve certain variants, as it is sent and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(remote = "Self")]
pub struct PrerequisiteDefinition {
    /// The other flag: of a system's flag another one of the system, of a tenant's flag
    /// what is effective there.
    pub flag: String,
    /// The variants that will do; the one that is `true` if none is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<String>,
}

objects!(
    Definition,
    RuleDefinition,
    WeightDefinition,
    PrerequisiteDefinition
);

impl Default for Definition {
    fn default() -> Self {
        Self {
            mode: None,
            description: String::new(),
            enabled: true,
            variants: None,
            default_variant: None,
            off_variant: None,
            rules: Vec::new(),
            prerequisites: Vec::new(),
            from: None,
            until: None,
            expires_at: None,
            permanent: false,
        }
    }
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}
