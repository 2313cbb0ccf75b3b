//! The body of an OFREP request, and its refusals as OFREP wants them.

use actix_web::{HttpRequest, dev::Payload};
use identity::{
    Code, Problem, RequestContext,
    http::{Body, Json},
};
use serde_json::Value;

use super::key_text;
use crate::{Context, Unevaluated};

/// For whom flags are evaluated: `{"context":{"targetingKey":"u",…}}`.
pub(crate) struct Question {
    pub(super) context: Context,
}

/// Why a request or a flag could not be evaluated, by OFREP's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    ParseError,
    TargetingKeyMissing,
    InvalidContext,
    FlagNotFound,
    General,
}

impl ErrorCode {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ParseError => "PARSE_ERROR",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::General => "GENERAL",
        }
    }

    pub(super) const fn of(why: Unevaluated) -> Self {
        match why {
            Unevaluated::NotFound => Self::FlagNotFound,
            Unevaluated::TargetingKeyMissing => Self::TargetingKeyMissing,
            Unevaluated::Damaged(_) | Unevaluated::TooManyPrerequisites => Self::General,
        }
    }
}

/// `problem` with what OFREP demands of errors; a problem about one flag names its key.
pub(super) fn explained(
    req: &HttpRequest,
    problem: Problem,
    code: ErrorCode,
    details: &str,
) -> Problem {
    let problem = problem
        .with("errorCode", code.as_str())
        .with("errorDetails", details);
    if req.match_info().get("key").is_none() {
        return problem;
    }
    problem.with("key", key_text(req))
}

fn refused(req: &HttpRequest, code: ErrorCode, details: &str) -> Problem {
    explained(req, Problem::new(Code::BodyInvalid, details), code, details)
}

impl Body for Question {
    async fn read(
        req: &HttpRequest,
        payload: &mut Payload,
        context: Option<&RequestContext>,
    ) -> Result<Self, Problem> {
        let body = Json::<Value>::read(req, payload, context).await;
        let Json(body) = body.map_err(|problem| match problem.code() {
            Code::BodyInvalid | Code::ValidationFailed => {
                let details = "The body is not a JSON object, or not sent as application/json.";
                refused(req, ErrorCode::ParseError, details)
            }
            _ => explained(req, problem, ErrorCode::General, "The request was refused."),
        })?;
        let Value::Object(mut body) = body else {
            let details = "The body must be an object with the member context.";
            return Err(refused(req, ErrorCode::ParseError, details));
        };
        let context = match body.remove("context") {
            None | Some(Value::Null) => Ok(Context::new()),
            Some(Value::Object(context)) => {
                Context::from_json(context).map_err(|error| error.to_string())
            }
            Some(_) => Err("context must be an object".to_owned()),
        };
        let context = context.map_err(|why| refused(req, ErrorCode::InvalidContext, &why))?;
        Ok(Self { context })
    }
}
