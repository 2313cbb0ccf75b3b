//! Feature flags: what a flag is, who may change it, what it evaluates to.
mod bucket;
mod constraint;
mod context;
mod definition;
mod depends;
mod evaluate;
mod flag;
mod invalid;
mod key;
mod layer;

pub use constraint::{ConstraintDefinition, Operator, VALUES_MAX};
pub use context::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX, Context, InvalidContext, Place,
    TARGETING_KEY_BYTES_MAX,
};
pub use definition::{
    Definition, Mode, PrerequisiteDefinition, RuleDefinition, WeightDefinition,
};
pub use depends::DEPENDENCIES_MAX;
pub use evaluate::{Cause, Evaluation, Layers, Reason, Unevaluated};
pub use flag::{
    CONSTRAINTS_MAX, DESCRIPTION_CHARS_MAX, Flag, Kind, PREREQUISITES_MAX, RULE_NAME_CHARS_MAX,
    RULES_MAX, VARIANTS_MAX, Variant, WEIGHT_MAX,
};
pub use invalid::Invalid;
pub use key::{
    FlagKey, InvalidKey, InvalidVariantName, KEY_BYTES_MAX, VARIANT_NAME_BYTES_MAX, VariantName,
};
pub use layer::{Layer, LayerName, Row};
