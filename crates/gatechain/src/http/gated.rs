//! The argument of handlers that write to the outside world.

use actix_web::{HttpRequest, web::Data};
use identity::{
    Code, Problem, Scope,
    http::{Check, Checked, JsonAsSent, Object},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{ApprovalId, CommitRefused, Credentials, GateChain, Mutation, PayloadHash, Permit};

/// The header that shows an approval.
const APPROVAL: &str = "x-approval-id";

/// A caller who was admitted, whose body was read, and whose write passed the gates:
/// `gated.scope`, `gated.object`, and in `gated.passed` the [`Permit`].
///
/// The order is the guard's, then the body, then the gates; a refusal of each is answered
/// in place of the handler.
pub type Gated<M> = Checked<Permit<M>>;

/// A body, and the hash that an approval of it is bound to.
#[derive(Debug, Clone)]
pub struct Sent<T> {
    /// The body.
    pub body: T,
    /// SHA-256 of its RFC 8785 form; `None` when numbers in it have no exact form.
    pub sha256: Option<PayloadHash>,
}

/// The body of writes that have none: `{}`, or nothing.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct NoBody {}

/// A mutation that is read from a request.
pub trait FromRequest: Mutation + Sized {
    /// The JSON body; [`NoBody`] for writes without one.
    type Body: DeserializeOwned + 'static;
    /// What the path names.
    type Object: Object;

    /// What the request asks to be written. Keep `sent.sha256`:
    /// [`Mutation::payload_sha256`] returns it.
    ///
    /// # Errors
    /// A problem, usually 422, when the body can be read but is wrong.
    fn from_request(
        scope: &Scope,
        object: &Self::Object,
        sent: Sent<Self::Body>,
    ) -> Result<Self, Problem>;
}

impl<M: FromRequest> Check for Permit<M> {
    const NAME: &'static str = "gates";
    type Action = M::Action;
    type Body = JsonAsSent<M::Body>;
    type Object = M::Object;

    async fn check(
        scope: &Scope,
        object: &M::Object,
        body: JsonAsSent<M::Body>,
        req: &HttpRequest,
    ) -> Result<Self, Problem> {
        let sent = Sent {
            sha256: PayloadHash::of_json(&body.bytes),
            body: body.value,
        };
        let mutation = M::from_request(scope, object, sent)?;
        let credentials = Credentials {
            approval: approval(req)?,
        };
        let gates = gates_of(req)?;
        let permit = gates.admit(scope, mutation, credentials).await;
        permit.map_err(|denied| Problem::from(*denied))
    }
}

/// The approval that a request shows.
fn approval(req: &HttpRequest) -> Result<Option<ApprovalId>, Problem> {
    let mut values = req.headers().get_all(APPROVAL);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(ApprovalId::parse);
    match (id, values.next()) {
        (Some(id), None) => Ok(Some(id)),
        _ => Err(Problem::new(
            Code::HeaderInvalid,
            "X-Approval-Id is one id of an approval.",
        )),
    }
}

/// The gates, for those who run before the handler's arguments.
pub(super) fn gates_of(req: &HttpRequest) -> Result<&Data<GateChain>, Problem> {
    req.app_data::<Data<GateChain>>()
        .ok_or_else(|| Problem::unavailable(&"no gates are mounted"))
}

impl From<CommitRefused> for Problem {
    fn from(refused: CommitRefused) -> Self {
        match refused {
            CommitRefused::Denied(denied) => (*denied).into(),
            CommitRefused::Conflict(_) => Self::new(
                Code::PreconditionFailed,
                "Someone else has changed it meanwhile.",
            ),
            CommitRefused::Foreign => {
                tracing::error!("a write was meant for another place than its permit");
                Self::new(
                    Code::Internal,
                    "The fault is ours; it was recorded under the request id.",
                )
            }
            CommitRefused::Store(error) => crate::GateError::from(error).into(),
        }
    }
}
