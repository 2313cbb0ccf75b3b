//! What of a stream's life is recorded: that it opened, that it went on with a
//! newer token, that it closed and why, and each message.
//!
//! **Invariant:** a stream that opened has an opening on record, and its place
//! among the open streams is given back only after its closing is recorded.

mod said;

use std::sync::Arc;

use identity::{Conclusion, Deed, Outcome, Recorded, Recording, Remarks, Role, Scope};

pub(crate) use said::remarks_on;

use crate::{
    Realtime, RouteKey,
    limits::Connection,
    meters::{Transport, TransportMeters},
    watch::End,
};

/// Why a stream closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The client left, or was not there any more.
    Client,
    /// The server stops.
    Drained,
    /// The token or the session ended.
    TokenEnded,
    /// The member may not follow the stream any more.
    AccessRevoked,
    /// Whether access holds could not be known for too long.
    Unverified,
    /// The client was too slow.
    Slow,
    /// The client said nothing for too long.
    Silent,
    /// The client broke the protocol.
    Protocol,
    /// The client did not heed a rate.
    Throttled,
    /// The log did not go on where it was, so that the client must resume.
    Restarted,
    /// The log could not be read.
    Failed,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Drained => "drained",
            Self::TokenEnded => "token_ended",
            Self::AccessRevoked => "access_revoked",
            Self::Unverified => "unverified",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Protocol => "protocol",
            Self::Throttled => "throttled",
            Self::Restarted => "restarted",
            Self::Failed => "failed",
        }
    }
}

impl From<End> for Reason {
    fn from(end: End) -> Self {
        match end {
            End::TokenEnded => Self::TokenEnded,
            End::AccessRevoked => Self::AccessRevoked,
            End::Drain => Self::Drained,
        }
    }
}

/// Where a stream is, as the target of its record.
fn place(transport: Transport, route: &RouteKey) -> String {
    format!(
        "/{}/{}/{}",
        transport.as_str(),
        route.rail(),
        route.object()
    )
}

fn deed<'a>(scope: &'a Scope, action: &'static str, method: &'a str, target: &'a str) -> Deed<'a> {
    Deed {
        place: scope.into(),
        action,
        method,
        target,
        ids: scope.ids(),
    }
}

const fn done(remarks: &Remarks) -> Conclusion<'_> {
    Conclusion {
        outcome: Outcome::Done,
        created: None,
        remarks,
    }
}

/// A stream to open: who may follow it, and how that is recorded and counted.
pub(crate) struct Followed {
    pub(crate) opens: &'static str,
    pub(crate) closes: &'static str,
    pub(crate) role: Role,
    /// A path of ids.
    pub(crate) target: String,
    pub(crate) meters: Arc<TransportMeters>,
}

impl Followed {
    /// The stream of a thread or canvas.
    pub(crate) fn of(realtime: &Realtime, route: &RouteKey, transport: Transport) -> Self {
        let rules = route.rules();
        Self {
            opens: rules.opens,
            closes: rules.closes,
            role: rules.follower,
            target: place(transport, route),
            meters: Arc::clone(realtime.meters.of(rules).over(transport)),
        }
    }
}

/// A stream that opened, until its closing is recorded.
pub(crate) struct Opened {
    recording: Recording,
    followed: Followed,
    reason: Option<Reason>,
    connection: Connection,
}

impl Opened {
    pub(crate) fn new(recording: Recording, followed: Followed, connection: Connection) -> Self {
        Self {
            recording,
            followed,
            reason: None,
            connection,
        }
    }

    pub(crate) fn followed(&self) -> &Followed {
        &self.followed
    }

    /// Records the opening; `None` where nothing is recorded.
    pub(crate) async fn open(&self, scope: &Scope) -> Option<Recorded> {
        let Followed { opens, target, .. } = &self.followed;
        let deed = deed(scope, opens, "GET", target);
        let remarks = Remarks::default();
        let recorded = self.recording.note(&deed, done(&remarks)).await;
        warned(&deed, recorded)
    }

    /// Says why the stream ends; the first reason counts.
    pub(crate) fn ends(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
    }

    /// Records the closing, in a task of its own: who drops a stream cannot wait.
    pub(crate) fn close(self, scope: Arc<Scope>) {
        if !self.recording.is_on() {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.closed(scope))),
            Err(_) => {
                tracing::warn!(
                    "a stream was dropped outside a runtime; its closing is not recorded"
                );
            }
        }
    }

    async fn closed(self, scope: Arc<Scope>) {
        let Followed { closes, target, .. } = &self.followed;
        let deed = deed(&scope, closes, "GET", target);
        let reason = self.reason.unwrap_or(Reason::Client);
        let remarks = Remarks::default().with("reason", reason.as_str());
        let recorded = self.recording.note(&deed, done(&remarks)).await;
        let _ = warned(&deed, recorded);
        drop(self.connection);
    }
}

/// Logs a degraded record; its reader is told as well.
fn warned(deed: &Deed<'_>, recorded: Option<Recorded>) -> Option<Recorded> {
    if let Some(Recorded::Degraded { why }) = recorded {
        let (action, request_id) = (deed.action, &deed.ids.request_id);
        tracing::warn!(action, %request_id, why, "the record of a deed is degraded");
    }
    recorded
}
