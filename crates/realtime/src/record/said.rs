//! What members do without a request of its own: messages and newer tokens that
//! come over a socket.

use identity::{Conclusion, Outcome, Problem, Recorded, Refusal, Remarks, Scope};
use store::Appended;

use super::{deed, done, place, warned};
use crate::{Realtime, RealtimeError, RouteKey, meters::Transport};

/// What a message's record says of its event.
pub(crate) fn remarks_on(appended: &Appended) -> Remarks {
    let remarks = Remarks::default().with("event", appended.cursor);
    if appended.duplicate {
        remarks.with("duplicate", true)
    } else {
        remarks
    }
}

impl Realtime {
    /// Records the end of a message that came without a request of its own.
    pub(crate) async fn record_post(
        &self,
        scope: &Scope,
        route: &RouteKey,
        answer: &Result<Appended, RealtimeError>,
    ) -> Option<Recorded> {
        let appended = match answer {
            Ok(appended) => appended,
            Err(error) => return self.record_failed_post(scope, route, error).await,
        };
        let target = posted_to(route);
        let deed = deed(scope, route.rules().posts, "POST", &target);
        let remarks = remarks_on(appended);
        warned(&deed, self.recording.note(&deed, done(&remarks)).await)
    }

    async fn record_failed_post(
        &self,
        scope: &Scope,
        route: &RouteKey,
        error: &RealtimeError,
    ) -> Option<Recorded> {
        let problem = Problem::from(error.clone());
        if problem.code().status() < 500 {
            self.refused_post(scope, route, &problem);
            return None;
        }
        let target = posted_to(route);
        let deed = deed(scope, route.rules().posts, "POST", &target);
        let conclusion = Conclusion {
            outcome: Outcome::Failed(problem.code().as_str()),
            created: None,
            remarks: &Remarks::default(),
        };
        warned(&deed, self.recording.note(&deed, conclusion).await)
    }

    /// Records that a socket goes on with a newer token, or takes note that it may not.
    pub(crate) async fn record_renewal(
        &self,
        scope: &Scope,
        route: &RouteKey,
        answer: &Result<Scope, Refusal>,
    ) {
        let target = place(Transport::Ws, route);
        let deed = deed(scope, route.rules().renews, "GET", &target);
        match answer {
            Ok(_) => {
                let recorded = self.recording.note(&deed, done(&Remarks::default())).await;
                // A degraded record is logged; no frame tells of it.
                let _ = warned(&deed, recorded);
            }
            Err(refusal) => {
                let code = Problem::from(refusal.clone()).code();
                self.recording.refused(&deed, code.as_str());
            }
        }
    }

    /// Takes note of a message that was refused.
    pub(crate) fn refused_post(&self, scope: &Scope, route: &RouteKey, problem: &Problem) {
        let target = posted_to(route);
        let deed = deed(scope, route.rules().posts, "POST", &target);
        self.recording.refused(&deed, problem.code().as_str());
    }
}

fn posted_to(route: &RouteKey) -> String {
    route.rules().posted_to(route.object())
}
