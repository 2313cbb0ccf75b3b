//! The record of what is done: a port, which an audit log implements.
//!
//! Start at [`Recorder`]. [`http::Routes`](crate::http::Routes) and `realtime`
//! speak to it through [`Recording`], the choice between a recorder and, said
//! aloud, none.
//!
//! **Invariant:** nothing here carries a body, a query, a token or an address.
//! A deed names ids; its remarks are few, short, and chosen by the handler.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use smol_str::{SmolStr, ToSmolStr};

use crate::{Caller, RequestIds, Scope, Seat, UserId};

/// Longest text of a detail, in bytes; a longer one is left out and `too_long` stands for it.
pub const DETAIL_BYTES_MAX: usize = 128;
/// Most details of one deed; further ones are left out.
pub const DETAILS_MAX: usize = 8;
/// A record that is not made after this long counts as degraded; the deed goes on.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// Where a deed is recorded.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In the log of the tenant and environment; the caller is a member there.
    Tenant(Seat<'a>),
    /// In the log of the system, because no membership is proven.
    System {
        /// The user of the token, if one was verified.
        user: Option<&'a UserId>,
    },
}

impl<'a> From<&'a Scope> for Place<'a> {
    fn from(scope: &'a Scope) -> Self {
        Self::Tenant(scope.into())
    }
}

impl<'a> From<&'a Caller> for Place<'a> {
    fn from(caller: &'a Caller) -> Self {
        match caller {
            Caller::Nobody => Self::System { user: None },
            Caller::User(user) => Self::System { user: Some(user) },
            Caller::Member(member) => Self::Tenant(member.seat()),
        }
    }
}

/// What is done, to what, by whom: before it is known how it ends.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// Where it is recorded, and who does it.
    pub place: Place<'a>,
    /// Dotted name, such as `control.member.change`.
    pub action: &'static str,
    /// The HTTP method, in capitals; without a request, the one that would do the same.
    pub method: &'a str,
    /// What it is done to: a path of ids, such as `/control/members/u_x`. Parts
    /// of a request's path that can be no id are masked as `*`.
    pub target: &'a str,
    /// The ids of the request.
    pub ids: &'a RequestIds,
}

/// How a deed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The caller was refused, with this stable code; what they asked for was not done.
    Refused(&'static str),
    /// The caller was told of a fault, with this stable code; whether something
    /// was changed is not known.
    Failed(&'static str),
}

/// What a handler adds to the record of its deed; empty by default.
///
/// Over HTTP a handler adds it to its response with `http::remarked`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    user: Option<UserId>,
    details: Vec<(&'static str, SmolStr)>,
}

impl Remarks {
    /// Names the user, where only the handler knows who acts: at signing up or in.
    #[must_use]
    pub fn by(mut self, user: &UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// Adds a detail: an id, a role, a count, the name of a state. Never an
    /// address, a name that people gave, or anything secret.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_smolstr();
        if self.details.len() < DETAILS_MAX {
            let fits = value.len() <= DETAIL_BYTES_MAX;
            let value = if fits { value } else { "too_long".into() };
            self.details.push((name, value));
        }
        self
    }

    /// The user, where only the handler knew.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// The details, at most [`DETAILS_MAX`] of at most [`DETAIL_BYTES_MAX`] each.
    #[must_use]
    pub fn details(&self) -> &[(&'static str, SmolStr)] {
        &self.details
    }
}

/// The end of a deed, as it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Conclusion<'a> {
    /// How it ended.
    pub outcome: Outcome,
    /// What it made: the path of the new thing, such as `/control/projects/p_x`.
    pub created: Option<&'a str>,
    /// What the handler added.
    pub remarks: &'a Remarks,
}

/// Whether a deed is on record.
#[must_use = "the caller is told whether the record is degraded"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is, durably.
    Durable {
        /// Its place in the log of the deed's [`Place`], from which it can be asked for.
        seq: u64,
    },
    /// It is not yet, or not where it belongs; the deed was done nevertheless.
    Degraded {
        /// Why, for logs and metrics; a short stable word such as `timeout`.
        why: &'static str,
    },
}

/// Keeps a durable record of deeds.
///
/// Laws:
/// 1. When `intend` returns, the intent is durable, or its [`Pending`] knows
///    that it is not and concludes as [`Recorded::Degraded`].
/// 2. `note` that returned [`Recorded::Durable`] is never lost; so is `conclude`.
/// 3. Nothing here fails and nothing panics: what cannot be recorded is degraded,
///    counted, and kept for later.
/// 4. `refused` returns at once: it neither waits nor blocks. Under a flood it may
///    sample, and then records how many were left out.
/// 5. Every future may be dropped at any moment; what it would have recorded is
///    then recorded nevertheless, an intent as `unknown`.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Records, before a mutation, that it will be tried.
    async fn intend(&self, deed: &Deed<'_>) -> Box<dyn Pending>;

    /// Records, with one event, what has happened: a stream that opened or
    /// closed, a deed that needs no intent.
    async fn note(&self, deed: &Deed<'_>, conclusion: Conclusion<'_>) -> Recorded;

    /// Takes note of an attempt that was refused with `code`, without waiting.
    fn refused(&self, deed: &Deed<'_>, code: &'static str);
}

/// A recorded intent whose outcome is not yet known.
///
/// Law: dropped without a conclusion (a panic, a stop) it is closed as `unknown`,
/// and so it is after a crash, when the recorder opens its log again.
#[async_trait]
pub trait Pending: Send {
    /// Records how the deed ended.
    async fn conclude(self: Box<Self>, conclusion: Conclusion<'_>) -> Recorded;
}

/// Where deeds are recorded: the choice that whoever mounts routes must make.
#[derive(Clone)]
pub enum Recording {
    /// With this recorder.
    To(Arc<dyn Recorder>),
    /// Nowhere.
    Nothing {
        /// Why that is right for this program; it is logged.
        reason: &'static str,
    },
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(_) => f.write_str("To(..)"),
            Self::Nothing { reason } => f.debug_struct("Nothing").field("reason", reason).finish(),
        }
    }
}

impl Recording {
    /// Whether anything is recorded.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self, Self::To(_))
    }

    /// Records that `deed` will be tried; waits at most five seconds.
    pub async fn intend(&self, deed: &Deed<'_>) -> Intent {
        let Self::To(recorder) = self else {
            return Intent(State::Unrecorded);
        };
        match tokio::time::timeout(RECORD_MAX, recorder.intend(deed)).await {
            Ok(pending) => Intent(State::Made(pending)),
            Err(_) => Intent(State::Late),
        }
    }

    /// Records `deed` with one event; `None` where nothing is recorded. Waits at
    /// most five seconds.
    pub async fn note(&self, deed: &Deed<'_>, conclusion: Conclusion<'_>) -> Option<Recorded> {
        let Self::To(recorder) = self else {
            return None;
        };
        Some(in_time(recorder.note(deed, conclusion)).await)
    }

    /// Takes note of a refused attempt, without waiting.
    pub fn refused(&self, deed: &Deed<'_>, code: &'static str) {
        if let Self::To(recorder) = self {
            recorder.refused(deed, code);
        }
    }
}

/// An intent that was made, or could not be; see [`Recording::intend`].
#[must_use = "an intent without a conclusion is recorded as unknown"]
pub struct Intent(State);

enum State {
    Unrecorded,
    Late,
    Made(Box<dyn Pending>),
}

impl Intent {
    /// Records how the deed ended; `None` where nothing is recorded. Waits at
    /// most five seconds.
    pub async fn conclude(self, conclusion: Conclusion<'_>) -> Option<Recorded> {
        match self.0 {
            State::Unrecorded => None,
            State::Late => Some(LATE),
            State::Made(pending) => Some(in_time(pending.conclude(conclusion)).await),
        }
    }
}

const LATE: Recorded = Recorded::Degraded { why: "timeout" };

async fn in_time(record: impl Future<Output = Recorded>) -> Recorded {
    tokio::time::timeout(RECORD_MAX, record)
        .await
        .unwrap_or(LATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_bounded() {
        let long = "x".repeat(DETAIL_BYTES_MAX + 1);
        let remarks = (0..20).fold(Remarks::default(), |remarks, _| {
            remarks.with("role", "admin").with("text", &long)
        });
        assert_eq!(remarks.details().len(), DETAILS_MAX);
        assert_eq!(remarks.details()[0], ("role", "admin".into()));
        assert_eq!(remarks.details()[1], ("text", "too_long".into()));
    }
}
