//! Approvals: what is asked of others, what they said, and whether it opens a lock.
//!
//! **Invariants:**
//! - an approval is bound to an action, the hash of a payload and its requester;
//! - nobody approves what they asked for, and nobody counts twice;
//! - it opens once.

use std::{collections::BTreeSet, fmt, time::Duration};

use identity::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    PayloadHash, TargetName,
    pattern::is_action,
    rows::{ApprovalRule, InvalidRow},
};

/// How long an approval holds when no lock says so, in seconds.
const TTL_S_DEFAULT: u32 = 3600;

/// The id of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "SmolStr")]
pub struct ApprovalId(SmolStr);

impl ApprovalId {
    /// What its ids begin with.
    pub(crate) const PREFIX: &'static str = "ap_";

    /// Reads an id; `None` when the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(Self::PREFIX)?;
        let valid = (1..=62).contains(&rest.len())
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        valid.then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ApprovalId> for SmolStr {
    fn from(id: ApprovalId) -> SmolStr {
        id.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What someone asks others to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The action.
    pub action: SmolStr,
    /// What it is done to. A write without a body is approved for a named target alone.
    pub target: Option<TargetName>,
    /// The hash of the payload.
    pub payload_sha256: PayloadHash,
}

impl ApprovalRequest {
    pub(crate) fn check(&self) -> Result<(), InvalidRow> {
        if is_action(&self.action) {
            return Ok(());
        }
        let why = "must be an action such as nexus.cards.create";
        Err(InvalidRow::at("/action", why))
    }
}

/// How far an approval got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Too few approved.
    Pending,
    /// Enough approved.
    Approved,
    /// Someone rejected it; that is final.
    Rejected,
    /// It opened a lock; that is final.
    Used,
    /// It was not used in time.
    Expired,
}

/// An approval as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The action.
    pub action: SmolStr,
    /// The target that it is bound to, if it is.
    pub target: Option<TargetName>,
    /// The payload that it is bound to.
    pub payload_sha256: PayloadHash,
    /// Who asked, and who alone may use it.
    pub requester: UserId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// How many have to approve, as the locks were when it was asked for.
    pub quorum: u8,
    /// When it ends, as the locks were when it was asked for.
    pub expires_at: Timestamp,
    /// Who approved.
    pub approvers: BTreeSet<UserId>,
    /// Who rejected it.
    pub rejected_by: Option<UserId>,
    /// The decision that it opened a lock for.
    pub used_by: Option<SmolStr>,
}

/// Why an approval was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefused {
    /// The requester said something about their own request.
    #[error("nobody approves or rejects their own request")]
    OwnRequest,
    /// Whoever approved has approved already.
    #[error("you have approved this already")]
    Twice,
    /// It is rejected, used or expired.
    #[error("the approval is {}", .0.as_str())]
    Over(ApprovalState),
}

impl ApprovalState {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Used => "used",
            Self::Expired => "expired",
        }
    }
}

impl Approval {
    /// A new request by `requester`; `rules` are those of the locks that it may have to open.
    pub(crate) fn requested(
        request: ApprovalRequest,
        requester: &UserId,
        rules: impl IntoIterator<Item = ApprovalRule>,
        now: Timestamp,
    ) -> Self {
        let strictest = rules.into_iter().reduce(|one, other| ApprovalRule {
            quorum: one.quorum.max(other.quorum),
            ttl_s: one.ttl_s.min(other.ttl_s),
        });
        let rule = strictest.unwrap_or(ApprovalRule {
            quorum: 1,
            ttl_s: TTL_S_DEFAULT,
        });
        Self {
            action: request.action,
            target: request.target,
            payload_sha256: request.payload_sha256,
            requester: requester.clone(),
            requested_at: now,
            quorum: rule.quorum,
            expires_at: now.plus(Duration::from_secs(rule.ttl_s.into())),
            approvers: BTreeSet::new(),
            rejected_by: None,
            used_by: None,
        }
    }

    /// How far it got.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        if self.used_by.is_some() {
            ApprovalState::Used
        } else if self.rejected_by.is_some() {
            ApprovalState::Rejected
        } else if self.expires_at <= now {
            ApprovalState::Expired
        } else if self.approvers.len() < usize::from(self.quorum) {
            ApprovalState::Pending
        } else {
            ApprovalState::Approved
        }
    }

    fn open_to(&self, user: &UserId, now: Timestamp) -> Result<(), ApprovalRefused> {
        match self.state(now) {
            ApprovalState::Pending | ApprovalState::Approved if *user != self.requester => Ok(()),
            ApprovalState::Pending | ApprovalState::Approved => Err(ApprovalRefused::OwnRequest),
            over => Err(ApprovalRefused::Over(over)),
        }
    }

    /// The approval after `user` approved it.
    ///
    /// # Errors
    /// [`ApprovalRefused`].
    pub fn approve(mut self, user: &UserId, now: Timestamp) -> Result<Self, ApprovalRefused> {
        self.open_to(user, now)?;
        if self.approvers.insert(user.clone()) {
            Ok(self)
        } else {
            Err(ApprovalRefused::Twice)
        }
    }

    /// The approval after `user` rejected it.
    ///
    /// # Errors
    /// [`ApprovalRefused`].
    pub fn reject(mut self, user: &UserId, now: Timestamp) -> Result<Self, ApprovalRefused> {
        self.open_to(user, now)?;
        self.rejected_by = Some(user.clone());
        Ok(self)
    }

    /// Why it does not open a lock with `rule` for this write; `None` when it does.
    pub(crate) fn refuses(
        &self,
        rule: ApprovalRule,
        write: &ToApprove<'_>,
        now: Timestamp,
    ) -> Option<&'static str> {
        let ttl = Duration::from_secs(rule.ttl_s.into());
        let bound_target = self.target.as_ref().map(TargetName::as_str);
        let bare = write.bare && write.target.is_some();
        if self.requester != *write.user {
            Some("The approval was asked for by someone else.")
        } else if self.action != write.action {
            Some("The approval is for another action.")
        } else if Some(self.payload_sha256) != write.payload {
            Some("The approval is for another payload.")
        } else if (bare || bound_target.is_some()) && bound_target != write.target {
            Some("The approval is not for this target.")
        } else if self.used_by.is_some() {
            Some("The approval was used.")
        } else if self.rejected_by.is_some() {
            Some("The approval was rejected.")
        } else if self.expires_at <= now || self.requested_at.plus(ttl) <= now {
            Some("The approval has expired.")
        } else if self.approvers.len() < usize::from(rule.quorum.max(1)) {
            Some("Too few have approved.")
        } else {
            None
        }
    }
}

/// The write that an approval is held against.
pub(crate) struct ToApprove<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) action: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) payload: Option<PayloadHash>,
    /// Whether there is no body: then the payload says nothing.
    pub(crate) bare: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: ApprovalRule = ApprovalRule {
        quorum: 2,
        ttl_s: 60,
    };
    const NOW: Timestamp = Timestamp::from_unix_ms(0);
    const LATE: Timestamp = Timestamp::from_unix_ms(60_000);

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    fn payload(text: &str) -> PayloadHash {
        PayloadHash::of_json(text.as_bytes()).unwrap()
    }

    fn requested() -> Approval {
        let request = ApprovalRequest {
            action: "nexus.cards.create".into(),
            target: None,
            payload_sha256: payload(r#"{"a":1}"#),
        };
        Approval::requested(request, &user("u_asks"), [RULE], NOW)
    }

    fn approved() -> Approval {
        let approval = requested().approve(&user("u_1"), NOW).unwrap();
        approval.approve(&user("u_2"), NOW).unwrap()
    }

    #[test]
    fn a_quorum_of_others_approves() {
        let asks = requested();
        assert_eq!(asks.state(NOW), ApprovalState::Pending);
        let own = asks.clone().approve(&user("u_asks"), NOW);
        assert_eq!(own, Err(ApprovalRefused::OwnRequest));
        let one = asks.approve(&user("u_1"), NOW).unwrap();
        let again = one.clone().approve(&user("u_1"), NOW);
        assert_eq!(again, Err(ApprovalRefused::Twice));
        assert_eq!(one.state(NOW), ApprovalState::Pending);
        assert_eq!(approved().state(NOW), ApprovalState::Approved);
        assert_eq!(approved().state(LATE), ApprovalState::Expired);
        let rejected = approved().reject(&user("u_3"), NOW).unwrap();
        assert_eq!(
            rejected.approve(&user("u_4"), NOW),
            Err(ApprovalRefused::Over(ApprovalState::Rejected))
        );
    }

    #[test]
    fn it_opens_what_was_asked_for_and_nothing_else() {
        let (asks, other) = (user("u_asks"), user("u_1"));
        let write = || ToApprove {
            user: &asks,
            action: "nexus.cards.create",
            target: Some("cd_1"),
            payload: Some(payload(r#"{"a":1}"#)),
            bare: false,
        };
        let approval = approved();
        assert_eq!(approval.refuses(RULE, &write(), NOW), None);
        let refused = |write: &ToApprove<'_>| approval.refuses(RULE, write, NOW).is_some();
        let wrong = [
            ToApprove {
                user: &other,
                ..write()
            },
            ToApprove {
                action: "nexus.cards.replace",
                ..write()
            },
            ToApprove {
                payload: Some(payload(r#"{"a":2}"#)),
                ..write()
            },
            ToApprove {
                payload: None,
                ..write()
            },
            ToApprove {
                bare: true,
                ..write()
            },
        ];
        assert!(wrong.iter().all(refused));
        assert!(approval.refuses(RULE, &write(), LATE).is_some());
        let stricter = ApprovalRule {
            quorum: 3,
            ttl_s: 60,
        };
        assert!(approval.refuses(stricter, &write(), NOW).is_some());
        let shorter = ApprovalRule {
            quorum: 2,
            ttl_s: 1,
        };
        let later = Timestamp::from_unix_ms(1_000);
        assert!(approval.refuses(shorter, &write(), later).is_some());
        let used = Approval {
            used_by: Some("gd_1".into()),
            ..approved()
        };
        assert!(used.refuses(RULE, &write(), NOW).is_some());
    }
}
