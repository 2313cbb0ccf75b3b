//! How a mounted handler is run: looked at, or done and recorded.
//!
//! **Invariant:** a handler of a mutating method runs only inside [`perform`]:
//! after its intent, before its outcome, and to its end, even if the client is
//! gone. There is no other way from a mutating route to its handler.

use std::{
    borrow::Cow, panic::AssertUnwindSafe, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};

use actix_web::{
    Handler, HttpRequest, HttpResponse, Responder,
    dev::Payload,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use futures_util::FutureExt;
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument;

use super::{
    Args, RecordRule, Stopped,
    edge::{AUDIT_SEQ, AUDIT_STATUS},
    ids_of, reply,
};
use crate::{Caller, Code, Conclusion, Deed, Outcome, Problem, Recorded, Recording, Remarks};

/// An answer that has not begun after this long is given up; a stream begins at once.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Mutations of one worker that run at once. One more waits, and is forgotten if
/// its client leaves; those that run go on without their clients.
pub(super) const MUTATIONS_MAX: usize = 4096;
/// Longest part of a path that may be an id, in bytes.
const PART_BYTES_MAX: usize = 128;

/// What is known of a route wherever it is run; one per route and worker.
pub(super) struct Run {
    pub(super) recording: Recording,
    pub(super) action: &'static str,
    pub(super) rule: RecordRule,
    /// Shared by all routes of a worker.
    pub(super) turns: Arc<Semaphore>,
}

/// A deed's owned parts, alive for as long as it is done.
struct Doing {
    run: Rc<Run>,
    req: HttpRequest,
    caller: Caller,
}

impl Run {
    /// Takes note of a refused attempt.
    fn refused(&self, req: &HttpRequest, caller: &Caller, code: Code) {
        if self.recording.is_on() {
            let (ids, target) = (ids_of(req), target_of(req.path()));
            let deed = self.deed(req.method(), caller, &target, &ids);
            self.recording.refused(&deed, code.as_str());
        }
    }

    fn deed<'a>(
        &self,
        method: &'a Method,
        caller: &'a Caller,
        target: &'a str,
        ids: &'a crate::RequestIds,
    ) -> Deed<'a> {
        Deed {
            place: caller.into(),
            action: self.action,
            method: method.as_str(),
            target,
            ids,
        }
    }

    fn stop(&self, req: &HttpRequest, stopped: Stopped) -> HttpResponse {
        self.refused(req, &stopped.caller, stopped.problem.code());
        refuse(stopped.problem)
    }
}

/// Runs a handler that changes nothing; refused attempts are noted.
pub(super) async fn look<F, A>(
    handler: F,
    req: HttpRequest,
    mut payload: Payload,
    run: Rc<Run>,
) -> HttpResponse
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let answer = async {
        let args = A::take(&req, &mut payload).await?;
        let caller = run.recording.is_on().then(|| args.caller());
        Ok::<_, Box<Stopped>>((handler.call(args).await, caller))
    };
    let mut answer = pin!(answer);
    // Most answers are ready at once; only one that waits needs a timer.
    let outcome = match futures_util::poll!(&mut answer) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => timeout(ANSWER_MAX, answer).await,
    };
    match outcome {
        Ok(Ok((answer, caller))) => {
            let response = answer.respond_to(&req).map_into_boxed_body();
            if let (Some(caller), true) = (caller, response.status().is_client_error()) {
                run.refused(&req, &caller, code_of(&response));
            }
            response
        }
        Ok(Err(stopped)) => run.stop(&req, *stopped),
        Err(_) => late(),
    }
}

/// Runs a handler that may change something, and records what it did.
///
/// It runs in a task of its own: a client that hangs up ends its wait, not the deed.
pub(super) async fn mutate<F, A>(
    handler: F,
    req: HttpRequest,
    mut payload: Payload,
    run: Rc<Run>,
) -> HttpResponse
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let admitted = async {
        let args = A::take(&req, &mut payload).await?;
        let turn = Arc::clone(&run.turns).acquire_owned().await;
        Ok::<_, Box<Stopped>>((args, turn))
    };
    let (args, turn) = match timeout(ANSWER_MAX, admitted).await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(stopped)) => return run.stop(&req, *stopped),
        Err(_) => return late(),
    };
    let doing = Doing {
        run,
        req,
        caller: args.caller(),
    };
    let deed = async move {
        let response = perform(handler, args, doing).await;
        drop(turn);
        response
    };
    let done = actix_web::rt::spawn(deed.in_current_span());
    done.await.unwrap_or_else(|_| broken())
}

/// Intent, deed, outcome.
async fn perform<F, A>(handler: F, args: A, doing: Doing) -> HttpResponse
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let Doing { run, req, caller } = doing;
    let (ids, target) = (ids_of(&req), target_of(req.path()));
    let deed = run.deed(req.method(), &caller, &target, &ids);
    let intent = match run.rule {
        RecordRule::OutcomeOnly => None,
        _ => Some(run.recording.intend(&deed).await),
    };
    let mut response = act(handler, args, &req).await;
    let remarks = response.extensions_mut().remove::<Remarks>();
    let remarks = remarks.unwrap_or_default();
    let conclusion = Conclusion {
        outcome: outcome_of(&response),
        created: created_by(&response),
        remarks: &remarks,
    };
    let recorded = match (intent, conclusion.outcome) {
        (Some(intent), _) => intent.conclude(conclusion).await,
        (None, Outcome::Refused(code)) => {
            run.recording.refused(&deed, code);
            None
        }
        (None, _) => run.recording.note(&deed, conclusion).await,
    };
    if let Some(recorded) = recorded {
        tell(&mut response, &deed, recorded);
    }
    response
}

/// The handler's answer, or what stands for it when there is none.
async fn act<F, A>(handler: F, args: A, req: &HttpRequest) -> HttpResponse
where
    F: Handler<A>,
    F::Output: Responder,
    A: Args,
{
    let answer = async {
        let answer = handler.call(args).await;
        answer.respond_to(req).map_into_boxed_body()
    };
    match timeout(ANSWER_MAX, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => broken(),
        Err(_) => late(),
    }
}

/// Says in the response where the record is.
fn tell(response: &mut HttpResponse, deed: &Deed<'_>, recorded: Recorded) {
    if let Recorded::Degraded { why } = recorded {
        let (action, request_id) = (deed.action, &deed.ids.request_id);
        tracing::warn!(action, %request_id, why, "the record of a deed is degraded");
    }
    let (name, value) = record_header(recorded);
    response.headers_mut().insert(name, value);
}

/// The response header that says where a record is, or that it is degraded.
#[must_use]
pub fn record_header(recorded: Recorded) -> (HeaderName, HeaderValue) {
    match recorded {
        Recorded::Durable { seq } => (HeaderName::from_static(AUDIT_SEQ), seq.into()),
        Recorded::Degraded { .. } => {
            let value = HeaderValue::from_static("degraded");
            (HeaderName::from_static(AUDIT_STATUS), value)
        }
    }
}

fn outcome_of(response: &HttpResponse) -> Outcome {
    match response.status() {
        status if status.is_client_error() => Outcome::Refused(code_of(response).as_str()),
        status if status.is_server_error() => Outcome::Failed(code_of(response).as_str()),
        _ => Outcome::Done,
    }
}

fn code_of(response: &HttpResponse) -> Code {
    let problem = response.error().and_then(|error| error.as_error());
    match problem {
        Some(problem) => Problem::code(problem),
        None => reply::of_status(response.status()).code(),
    }
}

/// What a 201 names in `Location` (RFC 9110, section 15.3.2), if that is a path of ours.
fn created_by(response: &HttpResponse) -> Option<&str> {
    if response.status() != StatusCode::CREATED {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    let location = location.to_str().ok()?;
    let ours = location.starts_with('/') && location.split('/').all(names_an_id);
    ours.then_some(location)
}

/// The path, without what a caller may have written where an id should be.
fn target_of(path: &str) -> Cow<'_, str> {
    if path.split('/').all(names_an_id) {
        return path.into();
    }
    let masked = path
        .split('/')
        .map(|part| if names_an_id(part) { part } else { "*" });
    masked.collect::<Vec<_>>().join("/").into()
}

/// Ids begin with a letter: an address, a number of a phone or a card do not pass.
fn names_an_id(part: &str) -> bool {
    let first = part.bytes().next();
    part.len() <= PART_BYTES_MAX
        && first.is_none_or(|first| first.is_ascii_alphabetic())
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn refuse(problem: Problem) -> HttpResponse {
    actix_web::Error::from(problem).into()
}

fn late() -> HttpResponse {
    refuse(Problem::unavailable(&"the answer took too long"))
}

/// What is answered for a handler that panicked.
fn broken() -> HttpResponse {
    refuse(reply::of_status(StatusCode::INTERNAL_SERVER_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_holds_ids_alone() {
        for (path, target) in [
            ("/control/members/u_x", "/control/members/u_x"),
            ("/control/modes/lab-2.b", "/control/modes/lab-2.b"),
            ("/control/members/ada@example.com", "/control/members/*"),
            ("/control/members/ada%40example.com", "/control/members/*"),
            (
                "/chat/threads/4111-1111-1111/messages",
                "/chat/threads/*/messages",
            ),
            ("/a/+49", "/a/*"),
            ("/", "/"),
        ] {
            assert_eq!(target_of(path), target);
        }
        assert_eq!(target_of(&format!("/a/{}", "x".repeat(129))), "/a/*");
    }

    #[test]
    fn only_a_created_path_of_ours_is_a_target() {
        let created = |status: u16, location: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = HttpResponse::new(status);
            let location = HeaderValue::from_static(location);
            response.headers_mut().insert(header::LOCATION, location);
            created_by(&response).map(str::to_owned)
        };
        assert_eq!(created(201, "/a/p_x").as_deref(), Some("/a/p_x"));
        assert_eq!(created(302, "/a/p_x"), None);
        assert_eq!(created(201, "https://elsewhere/p_x"), None);
        assert_eq!(created(201, "/a/p_x?ticket=1"), None);
    }
}
