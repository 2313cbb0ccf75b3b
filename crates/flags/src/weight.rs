//! About how many bytes a layer takes in memory.
//!
//! A flag takes more there than in the store, and how much more depends on what it is made
//! of: three bytes of JSON may be a rule of a hundred. So what was built is weighed.

use std::mem::size_of;

use semver::Version;
use serde_json::Value;
use smol_str::SmolStr;

use crate::{
    Flag, FlagKey, Row, Variant, VariantName,
    constraint::{Attribute, Constraint, Members, Test},
    flag::{Prerequisite, Rule, Target},
};

/// What the allocator and a tree or table keep for each thing.
const EACH: usize = 32;

/// A row and its key.
pub(crate) fn row(key: &FlagKey, row: &Row) -> usize {
    let flag = match row {
        Row::Flag(it) => flag(it),
        Row::Damaged => 0,
    };
    size_of::<(FlagKey, Row)>() + EACH + key.as_str().len() + flag
}

/// A flag.
pub(crate) fn flag(flag: &Flag) -> usize {
    let variants = flag.variants.iter().map(|one| variant(one));
    let needs = flag.prerequisites.iter().map(prerequisite);
    let rules = flag.rules.iter().map(rule);
    size_of::<Flag>()
        + EACH
        + flag.description.len()
        + variants.chain(needs).chain(rules).sum::<usize>()
}

fn variant(variant: &Variant) -> usize {
    size_of::<Variant>() + EACH + variant.name.as_str().len() + value(&variant.value)
}

fn value(it: &Value) -> usize {
    let inner: usize = match it {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(value).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, it)| size_of::<String>() + EACH + name.len() + value(it))
            .sum(),
    };
    size_of::<Value>() + inner
}

fn prerequisite(it: &Prerequisite) -> usize {
    size_of::<Prerequisite>()
        + it.flag.as_str().len()
        + it.variants.len() * size_of::<VariantName>()
}

fn rule(rule: &Rule) -> usize {
    let target = match &rule.target {
        Target::One(_) => 0,
        Target::Weighted(shares) => size_of_val(&**shares),
    };
    size_of::<Rule>() + EACH + target + rule.constraints.iter().map(constraint).sum::<usize>()
}

fn constraint(it: &Constraint) -> usize {
    let attribute = match &it.attribute {
        Attribute::Named(text) | Attribute::Pointer(text) => EACH + text.len(),
        _ => 0,
    };
    let test = match &it.test {
        Test::In(members) | Test::NotIn(members) => self::members(members),
        Test::StartsWith(all) | Test::EndsWith(all) | Test::Contains(all) => texts(all),
        Test::SemverEq(_) | Test::SemverLt(_) | Test::SemverGt(_) => size_of::<Version>() + EACH,
        _ => 0,
    };
    size_of::<Constraint>() + attribute + test
}

fn members(it: &Members) -> usize {
    texts(&it.texts) + size_of_val(&*it.numbers)
}

fn texts(all: &[SmolStr]) -> usize {
    let heap = |text: &SmolStr| {
        if text.is_heap_allocated() {
            EACH + text.len()
        } else {
            0
        }
    };
    size_of_val(all) + all.iter().map(heap).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn weight(json: Value) -> usize {
        let definition = serde_json::from_value(json).unwrap();
        flag(&Flag::new("f".parse().unwrap(), &definition).unwrap())
    }

    #[test]
    fn whatever_makes_a_flag_larger_weighs() {
        let least = weight(json!({}));
        for (json, at_least) in [
            (json!({"description": "d".repeat(1000)}), 1000),
            (json!({"rules": vec![json!({}); 64]}), 64 * 80),
            (
                json!({"rules": [{"when": [{"attribute": "a", "op": "in", "values": vec![json!("x"); 1]}]}]}),
                100,
            ),
            (
                json!({"rules": [{"when": [{"attribute": "a", "op": "contains", "values": vec![json!("x".repeat(100)); 100]}]}]}),
                10_000,
            ),
            (
                json!({"variants": {"a": {"b": vec![1; 1000]}}, "default_variant": "a"}),
                30_000,
            ),
            (
                json!({"prerequisites": vec![json!({"flag": "a"}); 8]}),
                8 * 40,
            ),
        ] {
            let text = json.to_string();
            assert!(weight(json) >= least + at_least, "{text}");
        }
    }
}
