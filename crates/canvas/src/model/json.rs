//! Values of properties: JSON in its one canonical form (RFC 8785).
//!
//! **Invariant:** the text of a [`Json`] is canonical, so equal texts are equal values.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};

use super::limits::PROP_DEPTH_MAX;

/// Largest distance from zero: beyond it whole numbers are not exact (RFC 8785, section 3.2.2.3).
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidJson(String);

/// A JSON value.
///
/// Reading one with serde takes its text as it is: for what this crate has written itself.
/// What others sent is read by [`Json::parse`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Reads a value that someone sent.
    ///
    /// # Errors
    /// When it is no JSON, has a name twice in one object, nests deeper than
    /// [`PROP_DEPTH_MAX`], or holds a number further than 2⁵³ − 1 from zero.
    pub fn parse(text: &str) -> Result<Self, InvalidJson> {
        let invalid = |error: &dyn fmt::Display| InvalidJson(error.to_string());
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict {
            left: PROP_DEPTH_MAX,
        }
        .deserialize(&mut reader)
        .map_err(|error| invalid(&error))?;
        reader.end().map_err(|error| invalid(&error))?;
        let text = serde_json_canonicalizer::to_string(&value).map_err(|error| invalid(&error))?;
        let raw = RawValue::from_string(text).map_err(|error| invalid(&error))?;
        Ok(Self(raw.into()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a value strictly; `left` more levels are allowed.
struct Strict {
    left: usize,
}

impl Strict {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        left.map(|left| Self { left })
            .ok_or_else(|| E::custom(format!("nests deeper than {PROP_DEPTH_MAX}")))
    }
}

fn too_large<E: Error>() -> E {
    E::custom("a number is at most 2^53-1 from zero")
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > NUMBER_MAX {
            return Err(too_large());
        }
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > NUMBER_MAX {
            return Err(too_large());
        }
        Ok(value.into())
    }
    #[expect(clippy::cast_precision_loss, reason = "2^53-1 is exact")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Written the other way round this would let NaN pass.
        if value.abs() <= NUMBER_MAX as f64 {
            return Number::from_f64(value)
                .map(Value::Number)
                .ok_or_else(too_large);
        }
        Err(too_large())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.deeper()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(self.deeper()?)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice in one object"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_form() {
        for (sent, kept) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1e2", "100"),
            (
                r#"{"b":[1, 2.50],"a":"\u00e9\u000f/"}"#,
                r#"{"a":"é\u000f/","b":[1,2.5]}"#,
            ),
            (" null ", "null"),
            ("9007199254740991", "9007199254740991"),
        ] {
            assert_eq!(Json::parse(sent).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn what_has_no_one_form_is_refused() {
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        for bad in [
            "",
            "NaN",
            "Infinity",
            "1e999",
            "9007199254740992",
            "-9007199254740992",
            "123456789012345678901234567890",
            "1e16",
            r#"{"a":1,"a":1}"#,
            r#"[{"a":{"b":1,"b":2}}]"#,
            "1 2",
            "{",
            r#""\ud800""#,
            &deep,
        ] {
            assert!(Json::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        assert!(Json::parse(&deep).is_ok());
    }
}
