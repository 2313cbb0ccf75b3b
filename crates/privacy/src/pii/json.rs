//! Personal data in JSON values.

use std::{collections::HashMap, mem::take};

use serde_json::{Map, Value};

use super::strip::{scan, strip};

/// Strips every string, number and key of `value`, however deeply it is nested.
///
/// The key of a member is context for its string or number, so that
/// `{"ssn": "536904399"}` is understood. A number that is personal data
/// becomes the string of its placeholder. Two keys of one object that become
/// equal are told apart by a number, so that no member is lost.
///
/// Works without recursion; memory is that of the result.
pub fn strip_json(value: &mut Value) {
    if let Some(stripped) = strip_scalar("", value) {
        *value = stripped;
    }
    let mut pending = vec![value];
    while let Some(next) = pending.pop() {
        match next {
            Value::Array(items) => {
                for item in items {
                    if let Some(stripped) = strip_scalar("", item) {
                        *item = stripped;
                    }
                    pending.push(item);
                }
            }
            Value::Object(members) => {
                strip_members(members);
                pending.extend(members.values_mut());
            }
            _ => {}
        }
    }
}

fn strip_members(members: &mut Map<String, Value>) {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (key, mut value) in take(members) {
        if let Some(stripped) = strip_scalar(&key, &value) {
            value = stripped;
        }
        let mut unused = strip(&key).into_owned();
        while members.contains_key(&unused) {
            let number = taken.entry(strip(&key).into_owned()).or_insert(1);
            *number += 1;
            unused = format!("{} ({number})", strip(&key));
        }
        members.insert(unused, value);
    }
}

/// The stripped form of a string or number; `None` when nothing is personal.
fn strip_scalar(key: &str, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => strip_after(key, text).map(Value::String),
        Value::Number(number) => strip_after(key, &number.to_string()).map(Value::String),
        _ => None,
    }
}

/// Strips `text` as if it stood behind the label `key`.
fn strip_after(key: &str, text: &str) -> Option<String> {
    let label = format!("{key}: ");
    let labelled = format!("{label}{text}");
    let mut stripped = String::new();
    let mut copied = label.len();
    for finding in scan(&labelled) {
        if finding.end > label.len() {
            stripped.push_str(labelled.get(copied..finding.start).unwrap_or_default());
            stripped.push_str(finding.kind.placeholder());
            copied = finding.end;
        }
    }
    if copied == label.len() {
        return None;
    }
    stripped.push_str(labelled.get(copied..)?);
    Some(stripped)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(mut value: Value, expect: &Value) {
        strip_json(&mut value);
        assert_eq!(&value, expect);
        strip_json(&mut value);
        assert_eq!(&value, expect, "a second time");
    }

    #[test]
    fn strings_numbers_and_keys_are_stripped() {
        check(
            json!({"to": ["ada@example.com", {"card": 4_111_111_111_111_111_u64}], "n": 7}),
            &json!({"to": ["<EMAIL>", {"card": "<CARD>"}], "n": 7}),
        );
        check(json!("ada@example.com"), &json!("<EMAIL>"));
        check(json!({"ada@example.com": true}), &json!({"<EMAIL>": true}));
    }

    #[test]
    fn a_key_is_context() {
        check(
            json!({"ssn": "536904399", "id": "536904399"}),
            &json!({"ssn": "<SSN>", "id": "536904399"}),
        );
    }

    #[test]
    fn a_secret_that_begins_in_a_key_is_stripped_from_its_value() {
        let key = "-----BEGIN PRIVATE KEY-----";
        let mut value = json!({key: "MIIEvQIBADANBgkq"});
        strip_json(&mut value);
        assert!(!value.to_string().contains("MIIE"), "{value}");
    }

    #[test]
    fn members_whose_keys_become_equal_are_kept() {
        check(
            json!({"a@example.com": 1, "b@example.com": 2, "c@example.com": 3}),
            &json!({"<EMAIL>": 1, "<EMAIL> (2)": 2, "<EMAIL> (3)": 3}),
        );
    }

    #[test]
    fn depth_does_not_matter() {
        const DEPTH: usize = 200_000;
        let mut value = json!("ada@example.com");
        for _ in 0..DEPTH {
            value = Value::Array(vec![value]);
        }
        strip_json(&mut value);
        // Taken apart from the outside, because dropping it whole would recurse.
        for _ in 0..DEPTH {
            let Value::Array(mut items) = value else {
                panic!("an array")
            };
            value = items.remove(0);
        }
        assert_eq!(value, json!("<EMAIL>"));
    }
}
