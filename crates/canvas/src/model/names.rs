//! Names in a canvas: one newtype per kind, valid from birth.
//!
//! All are ASCII, so that the order of their bytes is the order of RFC 8785 as well.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A text is no name of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 bytes of the form {0}")]
pub struct InvalidName(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $form:literal, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = InvalidName;
            fn try_from(text: SmolStr) -> Result<Self, InvalidName> {
                let first: fn(u8) -> bool = $first;
                let rest: fn(u8) -> bool = $rest;
                let good = text.len() <= NAME_BYTES_MAX
                    && text.bytes().next().is_some_and(first)
                    && text.bytes().skip(1).all(rest);
                if good { Ok(Self(text)) } else { Err(InvalidName($form)) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                SmolStr::new(text).try_into()
            }
        }

        impl From<$name> for SmolStr {
            fn from(name: $name) -> SmolStr {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

const fn id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn mark(byte: u8) -> bool {
    id(byte) || matches!(byte, b'.' | b':')
}

name!(
    /// A node; unique in its canvas, chosen by whoever makes it.
    NodeId, "[A-Za-z0-9_-]+", id, id
);
name!(
    /// What a node is: `frame`, `shape.rect`, … The vocabulary is the clients'.
    NodeType, "[a-z][a-z0-9_.-]*",
    |byte| byte.is_ascii_lowercase(),
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
);
name!(
    /// A property of a node.
    PropName, "[A-Za-z_][A-Za-z0-9_.-]*",
    |byte| byte.is_ascii_alphabetic() || byte == b'_',
    |byte| id(byte) || byte == b'.'
);
name!(
    /// A command; unique in its batch.
    CommandId, "[A-Za-z0-9_.:-]+", mark, mark
);
name!(
    /// A client: one tab, one device, one run of an agent.
    ClientId, "[A-Za-z0-9_.:-]+", mark, mark
);
name!(
    /// A batch; unique among those of its user and client.
    BatchId, "[A-Za-z0-9_.:-]+", mark, mark
);
name!(
    /// An agent that acts on behalf of a user.
    AgentName, "[a-z][a-z0-9_.-]*",
    |byte| byte.is_ascii_lowercase(),
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for good in ["a", "A-9_", &"x".repeat(64)] {
            assert_eq!(good.parse::<NodeId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a.b", "é", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
        assert!("shape.rect-2".parse::<NodeType>().is_ok());
        assert!("Shape".parse::<NodeType>().is_err());
        assert!("_x.y-Z9".parse::<PropName>().is_ok());
        assert!("9x".parse::<PropName>().is_err());
        assert!("019-ab:c.d".parse::<BatchId>().is_ok());
        assert!(serde_json::from_str::<CommandId>("\"a b\"").is_err());
    }
}
