//! Changing a part of a record: JSON Merge Patch (RFC 7396).

use identity::{Misread, misfit, read_strictly};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Body, Invalid, Model};

/// A merge patch: its members replace those of the same name, `null` removes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema), schema(value_type = Object))]
pub struct MergePatch(pub Value);

impl MergePatch {
    /// What a client would write to say of `record` what this patch makes of it.
    ///
    /// # Errors
    /// Where the result is not acceptable.
    pub(crate) fn applied_to<M: Model>(&self, record: &M) -> Result<M::Body, Invalid> {
        if !self.0.is_object() {
            return Err(Invalid::new("", "must be an object"));
        }
        let before = serde_json::to_value(record.body());
        let before = before.map_err(|error| Invalid::new("", error.to_string()))?;
        let body: M::Body = strictly(merged(before, self.0.clone()))?;
        body.check()?;
        Ok(body)
    }
}

/// The algorithm of RFC 7396, section 2.
fn merged(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    // Those that stay keep their order.
    members.retain(|name, _| !patch.get(name).is_some_and(Value::is_null));
    for (name, value) in patch.into_iter().filter(|(_, value)| !value.is_null()) {
        let before = members.get_mut(&name).map(Value::take);
        members.insert(name, merged(before.unwrap_or_default(), value));
    }
    Value::Object(members)
}

/// Reads a value without members that are unknown. The names of a context may be there: whoever
/// read the request found them to agree with it, and what they say is no part of a record.
fn strictly<T: DeserializeOwned>(value: Value) -> Result<T, Invalid> {
    read_strictly(value, true).map_err(|error| match error {
        Misread::Unknown(pointer) => Invalid::new(pointer, "unknown member"),
        Misread::Unfit(pointer, error) => {
            let (pointer, why) = misfit(&pointer, &error.to_string());
            Invalid::new(pointer, why)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_rfc_7396_hold() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            assert_eq!(
                merged(target.clone(), patch.clone()),
                result,
                "{target} {patch}"
            );
        }
    }
}
