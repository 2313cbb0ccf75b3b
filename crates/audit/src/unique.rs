//! JSON in which no object names a member twice.
//!
//! Readers differ in which of two they believe, so that one record could say two things.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Reads an object with names of type `K`; for `deserialize_with`.
pub(crate) fn entries<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Entries(PhantomData))
}

/// Reads an object with any content; for `deserialize_with`.
pub(crate) fn object<'de, D>(deserializer: D) -> Result<Map<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    let entries: BTreeMap<String, Unique> = entries(deserializer)?;
    let values = entries.into_iter();
    Ok(values.map(|(name, Unique(value))| (name, value)).collect())
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if entries.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is given twice"));
            }
        }
        Ok(entries)
    }
}

/// Any JSON.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything).map(Self)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let entries: BTreeMap<String, Unique> = Entries(PhantomData).visit_map(map)?;
        let values = entries.into_iter();
        let values: Map<String, Value> =
            values.map(|(name, Unique(value))| (name, value)).collect();
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Read(#[serde(deserialize_with = "object")] Map<String, Value>);

    #[test]
    fn any_object_reads_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\n",{"b":{}}],"c":18446744073709551615}"#;
        let Read(read) = serde_json::from_str(text).unwrap();
        assert_eq!(
            Value::from(read),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn a_name_given_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":[{"a":1,"c":{"d":1,"\u0064":2}}]}"#,
        ] {
            let refused = serde_json::from_str::<Read>(text).unwrap_err();
            assert!(
                refused.to_string().starts_with("a name is given twice"),
                "{refused}"
            );
        }
    }
}
