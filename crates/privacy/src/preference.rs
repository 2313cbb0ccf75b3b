//! What was said about training: who said it, when, and what it comes to.

use std::{collections::BTreeMap, fmt, str::FromStr};

use identity::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a model may be trained on what someone wrote or did.
///
/// Ordered: the more restrictive is the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Training {
    /// It must not.
    Deny,
    /// It may.
    Allow,
}

impl fmt::Display for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        })
    }
}

/// A text is neither `allow` nor `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be allow or deny")]
pub struct InvalidTraining;

impl FromStr for Training {
    type Err = InvalidTraining;
    fn from_str(text: &str) -> Result<Self, InvalidTraining> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(InvalidTraining),
        }
    }
}

/// Read from a text, because `serde_json` takes an enum that is no text for a
/// syntax error, which would be the wrong refusal.
impl TryFrom<String> for Training {
    type Error = InvalidTraining;
    fn try_from(text: String) -> Result<Self, InvalidTraining> {
        text.parse()
    }
}

/// On whose word a preference rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "http", schema(rename_all = "lowercase"))]
pub enum Source {
    /// The user's own.
    User,
    /// That of an admin of the tenant.
    Admin,
    /// That of an operator.
    Operator,
    /// `Sec-GPC: 1` on this request.
    Gpc,
    /// Nobody said anything.
    Unknown,
    /// What was said cannot be read now.
    Unreadable,
}

impl Source {
    /// Its name, as it is shown and recorded.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Gpc => "gpc",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Who can say something about training.
///
/// In the order in which they are named when they say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Party {
    User,
    Admin,
    Operator,
}

impl From<Party> for Source {
    fn from(party: Party) -> Self {
        match party {
            Party::User => Self::User,
            Party::Admin => Self::Admin,
            Party::Operator => Self::Operator,
        }
    }
}

/// What one party said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub training: Training,
    /// Who.
    pub source: Source,
    /// When.
    pub at: Timestamp,
}

/// What a level (the system, a tenant, a user) says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preference {
    /// The most restrictive of what was said there; `None` when nothing was, or all is withdrawn.
    pub said: Option<Said>,
    /// Rises by one with each change of this level; 0 when there never was one.
    pub version: u64,
}

/// What a preference is about. A record with a purpose that is not known here is unreadable.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    #[default]
    Training,
}

/// The record of a level. It stays when all is withdrawn, so that its version goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoredPreference {
    purpose: Purpose,
    version: u64,
    said: BTreeMap<Party, StoredSaid>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct StoredSaid {
    training: Training,
    at: Timestamp,
}

impl StoredPreference {
    /// Whether `party` said anything.
    pub(crate) fn heard(&self, party: Party) -> bool {
        self.said.contains_key(&party)
    }

    /// Lets `party` say something else, or withdraw what it said.
    pub(crate) fn change(mut self, party: Party, to: Option<Training>, at: Timestamp) -> Self {
        match to {
            Some(training) => {
                self.said.insert(party, StoredSaid { training, at });
            }
            None => {
                self.said.remove(&party);
            }
        }
        self.version = self.version.saturating_add(1);
        self
    }

    /// What it comes to.
    pub(crate) fn sum_up(&self) -> Preference {
        let said = self.said.iter().map(|(party, said)| Said {
            training: said.training,
            source: (*party).into(),
            at: said.at,
        });
        Preference {
            // Of equals the first, which is the user's own word.
            said: said.min_by_key(|said| said.training),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(said: &[(Party, Training)]) -> Option<(Training, Source)> {
        let at = Timestamp::from_unix_ms(0);
        let stored = said
            .iter()
            .fold(StoredPreference::default(), |stored, (party, training)| {
                stored.change(*party, Some(*training), at)
            });
        let preference = stored.sum_up();
        assert_eq!(preference.version, said.len() as u64);
        preference.said.map(|said| (said.training, said.source))
    }

    #[test]
    fn the_most_restrictive_word_counts_whoever_said_it_and_in_whatever_order() {
        use Training::{Allow, Deny};
        let (user, admin) = (Party::User, Party::Admin);
        assert_eq!(summed(&[]), None);
        assert_eq!(summed(&[(user, Allow)]), Some((Allow, Source::User)));
        assert_eq!(summed(&[(admin, Allow)]), Some((Allow, Source::Admin)));
        for (own, other, expected) in [
            (Allow, Allow, (Allow, Source::User)),
            (Allow, Deny, (Deny, Source::Admin)),
            (Deny, Allow, (Deny, Source::User)),
            (Deny, Deny, (Deny, Source::User)),
        ] {
            assert_eq!(summed(&[(user, own), (admin, other)]), Some(expected));
            assert_eq!(summed(&[(admin, other), (user, own)]), Some(expected));
        }
    }

    #[test]
    fn a_record_says_what_it_is_about_and_another_purpose_is_not_understood() {
        let at = Timestamp::from_unix_ms(1_767_225_600_000);
        let stored = StoredPreference::default().change(Party::User, Some(Training::Deny), at);
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(
            text,
            r#"{"purpose":"training","version":1,"said":{"user":{"training":"deny","at":"2026-01-01T00:00:00.000Z"}}}"#
        );
        assert!(serde_json::from_str::<StoredPreference>(&text).is_ok());
        let other = text.replace("\"training\",", "\"advertising\",");
        assert!(serde_json::from_str::<StoredPreference>(&other).is_err());
    }
}
