//! Firearms: actions that need a licence, and the licences.

use std::{fmt, str::FromStr};

use identity::{Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{InvalidRow, Row, RowKind};
use crate::{ActionPattern, TargetName};

/// Most uses of a licence.
const USES_MAX: u32 = 1_000_000;

/// Says that actions need a licence, or is one.
///
/// A requirement asks for a licence of its own level: an operator's is met by
/// operators' licences, a tenant's by the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub enum FirearmRow {
    /// These actions need a licence.
    Requirement {
        /// Which.
        action: ActionPattern,
        /// On this target alone.
        target: Option<TargetName>,
    },
    /// Someone may do these actions.
    Licence {
        /// Which.
        action: ActionPattern,
        /// On this target alone.
        target: Option<TargetName>,
        /// Who.
        subject: Subject,
        /// When and how often; always without them.
        terms: Option<Box<Terms>>,
    },
}

/// When and how often a licence may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// From when on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// How often; as often as they like without it.
    pub uses: Option<u32>,
}

impl Terms {
    pub(crate) fn in_time(&self, now: Timestamp) -> bool {
        let begun = self.not_before.is_none_or(|from| from <= now);
        begun && self.not_after.is_none_or(|to| now < to)
    }
}

/// Who holds a licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub enum Subject {
    /// One user.
    User(UserId),
    /// Whoever has this role, or one above it.
    Role(Role),
}

/// A text names no holder of a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a user such as u_1, or a role such as role:member")]
pub struct InvalidSubject;

impl Subject {
    pub(crate) fn is(&self, user: &UserId, role: Role) -> bool {
        match self {
            Self::User(holder) => holder == user,
            Self::Role(least) => role >= *least,
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;
    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        match text.strip_prefix("role:") {
            Some(role) => role.parse().map(Self::Role).map_err(|_| InvalidSubject),
            None => text.parse().map(Self::User).map_err(|_| InvalidSubject),
        }
    }
}

impl TryFrom<SmolStr> for Subject {
    type Error = InvalidSubject;
    fn try_from(text: SmolStr) -> Result<Self, InvalidSubject> {
        text.parse()
    }
}

impl From<Subject> for SmolStr {
    fn from(subject: Subject) -> SmolStr {
        SmolStr::new(subject.to_string())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "{user}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}

/// A row as it is sent and stored: flat, so that each member can be pointed at.
#[derive(Serialize, Deserialize)]
struct Flat {
    kind: SmolStr,
    action: ActionPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<TargetName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
}

const REQUIREMENT: SmolStr = SmolStr::new_static("requirement");
const LICENCE: SmolStr = SmolStr::new_static("licence");

impl TryFrom<Flat> for FirearmRow {
    type Error = &'static str;

    fn try_from(flat: Flat) -> Result<Self, &'static str> {
        let terms = Terms {
            not_before: flat.not_before,
            not_after: flat.not_after,
            uses: flat.uses,
        };
        let terms = (terms != Terms::default()).then(|| Box::new(terms));
        match (flat.kind.as_str(), flat.subject, terms) {
            ("requirement", None, None) => Ok(Self::Requirement {
                action: flat.action,
                target: flat.target,
            }),
            ("requirement", ..) => Err("a requirement has an action and a target alone"),
            ("licence", Some(subject), terms) => Ok(Self::Licence {
                action: flat.action,
                target: flat.target,
                subject,
                terms,
            }),
            ("licence", None, _) => Err("a licence has a subject"),
            _ => Err("kind must be requirement or licence"),
        }
    }
}

impl From<FirearmRow> for Flat {
    fn from(row: FirearmRow) -> Self {
        match row {
            FirearmRow::Requirement { action, target } => Self {
                kind: REQUIREMENT,
                action,
                target,
                subject: None,
                not_before: None,
                not_after: None,
                uses: None,
            },
            FirearmRow::Licence {
                action,
                target,
                subject,
                terms,
            } => {
                let terms = terms.map_or_else(Terms::default, |terms| *terms);
                Self {
                    kind: LICENCE,
                    action,
                    target,
                    subject: Some(subject),
                    not_before: terms.not_before,
                    not_after: terms.not_after,
                    uses: terms.uses,
                }
            }
        }
    }
}

/// How often a licence was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LicenceUses {
    pub(crate) used: u32,
}

/// What is left of a licence that was taken back, so that its holder is told so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub(crate) action: ActionPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetName>,
    pub(crate) subject: Subject,
}

impl Revoked {
    /// What is left of `row`, if it was a licence.
    pub(crate) fn of(row: &FirearmRow) -> Option<Self> {
        match row {
            FirearmRow::Requirement { .. } => None,
            FirearmRow::Licence {
                action,
                target,
                subject,
                ..
            } => Some(Self {
                action: action.clone(),
                target: target.clone(),
                subject: subject.clone(),
            }),
        }
    }
}

impl Row for FirearmRow {
    const KIND: RowKind = RowKind::Firearms;

    fn action(&self) -> &ActionPattern {
        match self {
            Self::Requirement { action, .. } | Self::Licence { action, .. } => action,
        }
    }

    fn target(&self) -> Option<&TargetName> {
        match self {
            Self::Requirement { target, .. } | Self::Licence { target, .. } => target.as_ref(),
        }
    }

    fn check(&self, _: Timestamp) -> Result<(), InvalidRow> {
        let Self::Licence {
            terms: Some(terms), ..
        } = self
        else {
            return Ok(());
        };
        if let (Some(from), Some(to)) = (terms.not_before, terms.not_after)
            && from >= to
        {
            return Err(InvalidRow::at("/not_after", "must be after not_before"));
        }
        match terms.uses {
            Some(uses) if !(1..=USES_MAX).contains(&uses) => {
                let why = format!("must be 1 to {USES_MAX}");
                Err(InvalidRow::at("/uses", why))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_requirement_or_a_licence() {
        let read = |text: &str| serde_json::from_str::<FirearmRow>(text);
        for good in [
            r#"{"kind":"requirement","action":"nexus.*"}"#,
            r#"{"kind":"licence","action":"nexus.*","subject":"u_1","uses":3}"#,
            r#"{"kind":"licence","action":"nexus.*","subject":"role:member"}"#,
        ] {
            let row = read(good).unwrap();
            assert_eq!(serde_json::to_string(&row).unwrap(), good);
        }
        for bad in [
            r#"{"kind":"requirement","action":"nexus.*","subject":"u_1"}"#,
            r#"{"kind":"licence","action":"nexus.*"}"#,
            r#"{"kind":"licence","action":"nexus.*","subject":"role:king"}"#,
            r#"{"kind":"pistol","action":"nexus.*"}"#,
            r#"{"action":"nexus.*"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_includes_those_above_it() {
        let user = "u_1".parse().unwrap();
        let members: Subject = "role:member".parse().unwrap();
        assert!(members.is(&user, Role::Admin));
        assert!(!members.is(&user, Role::Viewer));
    }
}
