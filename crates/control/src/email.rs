//! Addresses of people, in the one form in which they are compared.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::ControlError;

/// Longest address, in bytes (RFC 5321, section 4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;
/// Longest part before the `@` (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
/// Longest label of a domain (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// An email address: trimmed, in lower case, a dot-atom at a domain name.
///
/// Compared in lower case on both sides of the `@`, so that one person is one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Email(SmolStr);

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        let text = text.trim();
        let valid = text.len() <= EMAIL_BYTES_MAX
            && text
                .rsplit_once('@')
                .is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
        if valid {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            let why = "is not an email address such as ada@example.com";
            Err(ControlError::invalid("/email", why))
        }
    }
}

/// A dot-atom (RFC 5322, section 3.2.3); quoted forms are not taken.
fn is_local(local: &str) -> bool {
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    local.len() <= LOCAL_BYTES_MAX
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn is_domain(domain: &str) -> bool {
    domain.contains('.')
        && domain.split('.').all(|label| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

impl TryFrom<SmolStr> for Email {
    type Error = ControlError;
    fn try_from(text: SmolStr) -> Result<Self, ControlError> {
        text.parse()
    }
}

impl From<Email> for SmolStr {
    fn from(email: Email) -> SmolStr {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_form() {
        for text in ["ada@example.com", " Ada@Example.COM\n", "ADA@example.com"] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), "ada@example.com");
        }
        assert!("a.b+c/d@x-y.example".parse::<Email>().is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b".repeat(64));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "ada@example",
            ".a@example.com",
            "a..b@example.com",
            "a@-x.com",
            "a@x..com",
            "a@x.com\u{0}",
            "ä@example.com",
            "\"a\"@example.com",
            "a@b@example.com",
            &long,
            &longer,
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?} was taken");
        }
    }
}
