//! Feature flags: what a flag is, who may change it, what it evaluates to.
//!
//! Start at [`Flags`]: it evaluates a flag for a [`Scope`](identity::Scope) and a
//! [`Context`], and lets admins and operators change flags. The rules are pure and
//! stand in [`Layers::evaluate`]. With the feature `http` (on by default)
//! [`routes()`] mounts `/flags` and OFREP, which stock OpenFeature clients speak.
//!
//! # Two layers
//!
//! Operators set flags for everyone, in all environments; a tenant has its own in
//! each environment. A flag of the system says what it leaves to tenants ([`Mode`]):
//!
//! | system | tenant | effective | decided by |
//! | --- | --- | --- | --- |
//! | nothing | nothing | no such flag | |
//! | nothing | T | T | tenant |
//! | S | nothing | S, inherited | system |
//! | S, `default` | T | T | tenant |
//! | S, `locked` | T | S | system |
//! | S, `deny_floor` | T | on only if S and T are on | system if S is off, else tenant |
//!
//! An override of another type than the system's flag is void. Deleting an override
//! restores what is inherited.
//!
//! **Invariants:**
//! - a change that was acknowledged is seen at once in this process, and within
//!   [`FRESH_MAX`] on other nodes;
//! - every change is kept with what was before and after, in the batch that makes it;
//! - a row that was altered in the store evaluates to nothing, in either layer;
//! - whoever is in a rollout stays in it when it is widened.

mod bucket;
mod change;
mod compile;
mod constraint;
mod context;
mod definition;
mod depends;
mod error;
mod evaluate;
mod flag;
mod follow;
mod fresh;
mod invalid;
mod key;
mod layer;
mod objects;
mod records;
#[cfg(feature = "http")]
mod routes;
mod sealed;
mod service;
mod stale;
mod weight;

pub use change::Changed;
pub use constraint::{ConstraintDefinition, Operator, VALUES_MAX};
pub use context::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX, Context, InvalidContext, Place,
    TARGETING_KEY_BYTES_MAX,
};
pub use definition::{Definition, Mode, PrerequisiteDefinition, RuleDefinition, WeightDefinition};
pub use depends::DEPENDENCIES_MAX;
pub use error::FlagsError;
pub use evaluate::{Cause, Evaluation, Layers, Reason, Unevaluated};
pub use flag::{
    CONSTRAINTS_MAX, DESCRIPTION_CHARS_MAX, Flag, Kind, PREREQUISITES_MAX, RULE_NAME_CHARS_MAX,
    RULES_MAX, VARIANTS_MAX, Variant, WEIGHT_MAX,
};
pub use follow::{Configuration, Following};
pub use fresh::{FRESH_MAX, LayerKey, MEMORY_BYTES_MAX};
pub use invalid::Invalid;
pub use key::{
    FlagKey, InvalidKey, InvalidVariantName, KEY_BYTES_MAX, VARIANT_NAME_BYTES_MAX, VariantName,
};
pub use layer::{Layer, LayerName, Row};
pub use records::{
    Change, DEFINITION_BYTES_MAX, HISTORY_KEPT, LAYER_BYTES_MAX, LAYER_FLAGS_MAX,
    LAYER_MEMORY_BYTES_MAX, Stored,
};
#[cfg(feature = "http")]
pub use routes::{openapi, routes};
pub use service::{Flags, FlagsDeps, Snapshot};
pub use stale::{SETTLED_AFTER, StaleFlag, Staleness, staleness};
