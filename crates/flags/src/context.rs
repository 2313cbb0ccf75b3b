//! Whom a flag is evaluated for: the evaluation context of OpenFeature, and the place
//! of the request, which the caller cannot choose freely.

use serde_json::{Map, Value};

/// Most attributes of a context, at its top.
pub const ATTRIBUTES_MAX: usize = 256;
/// Longest name of an attribute, in bytes.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 128;
/// Longest targeting key, in bytes.
pub const TARGETING_KEY_BYTES_MAX: usize = 1024;
/// The member of a context that says whom it is about.
const TARGETING_KEY: &str = "targetingKey";

/// A context that cannot be evaluated with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContext {
    /// The targeting key is no text, or too long.
    #[error("targetingKey must be a string of at most {TARGETING_KEY_BYTES_MAX} bytes")]
    TargetingKey,
    /// There are too many attributes.
    #[error("a context has at most {ATTRIBUTES_MAX} attributes")]
    TooManyAttributes,
    /// The name of an attribute is too long.
    #[error("the name of an attribute has at most {ATTRIBUTE_NAME_BYTES_MAX} bytes")]
    AttributeName,
}

/// Whom and what a flag is evaluated for.
///
/// ```
/// use tenantry_flags::Context;
///
/// let context = Context::targeted("u_1").with("country", "DE").with("age", 41);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    targeting_key: Option<String>,
    attributes: Map<String, Value>,
}

impl Context {
    /// About nobody, without attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// About whom `targeting_key` names; rollouts are sticky to it.
    #[must_use]
    pub fn targeted(targeting_key: impl Into<String>) -> Self {
        Self {
            targeting_key: Some(targeting_key.into()).filter(|key| !key.is_empty()),
            attributes: Map::new(),
        }
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// The JSON form of a context, as OFREP sends it. An empty targeting key is none.
    ///
    /// # Errors
    /// [`InvalidContext`] names the limit that it exceeds.
    pub fn from_json(mut context: Map<String, Value>) -> Result<Self, InvalidContext> {
        let targeting_key = match context.remove(TARGETING_KEY) {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if key.len() <= TARGETING_KEY_BYTES_MAX => Some(key),
            Some(_) => return Err(InvalidContext::TargetingKey),
        };
        if context.len() > ATTRIBUTES_MAX {
            return Err(InvalidContext::TooManyAttributes);
        }
        if context
            .keys()
            .any(|name| name.len() > ATTRIBUTE_NAME_BYTES_MAX)
        {
            return Err(InvalidContext::AttributeName);
        }
        Ok(Self {
            targeting_key: targeting_key.filter(|key| !key.is_empty()),
            attributes: context,
        })
    }

    /// Whom it is about, if it says so.
    #[must_use]
    pub fn targeting_key(&self) -> Option<&str> {
        self.targeting_key.as_deref()
    }

    /// Its attributes, without the targeting key.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }
}

/// Where flags are evaluated. Rules read it as `$tenant`, `$env`, `$project` and `$mode`;
/// an attribute of a context by such a name is never looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant's id.
    pub tenant: &'a str,
    /// The environment.
    pub env: &'a str,
    /// The project's id.
    pub project: &'a str,
    /// The tenant's mode.
    pub mode: &'a str,
}

impl<'a> From<&'a identity::RequestContext> for Place<'a> {
    fn from(context: &'a identity::RequestContext) -> Self {
        Self {
            tenant: context.tenant().as_str(),
            env: context.env().as_str(),
            project: context.project().as_str(),
            mode: context.mode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(context: Value) -> Result<Context, InvalidContext> {
        match context {
            Value::Object(context) => Context::from_json(context),
            _ => unreachable!("a test wrote an object"),
        }
    }

    #[test]
    fn a_context_is_its_targeting_key_and_its_attributes() {
        let read = |context| read(context).unwrap();
        assert_eq!(
            read(json!({"targetingKey": "u", "plan": "pro"})),
            Context::targeted("u").with("plan", "pro")
        );
        for nobody in [
            json!({}),
            json!({"targetingKey": null}),
            json!({"targetingKey": ""}),
        ] {
            assert_eq!(read(nobody), Context::new());
        }
        assert_eq!(Context::targeted(""), Context::new());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        for bad in [
            json!(1),
            json!({}),
            json!([]),
            json!(true),
            json!("k".repeat(1025)),
        ] {
            let refused = read(json!({ "targetingKey": bad }));
            assert_eq!(refused, Err(InvalidContext::TargetingKey));
        }
        let many: Map<_, _> = (0..=ATTRIBUTES_MAX)
            .map(|n| (n.to_string(), json!(n)))
            .collect();
        assert_eq!(
            Context::from_json(many),
            Err(InvalidContext::TooManyAttributes)
        );
        let refused = read(json!({ "n".repeat(129): 1 }));
        assert_eq!(refused, Err(InvalidContext::AttributeName));
    }
}
