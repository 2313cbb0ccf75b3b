//! The `OpenFeature` Remote Evaluation Protocol 0.3, as stock clients speak it.
//!
//! Success always has `variant` and a standard `reason`; layer and inheritance are in
//! `metadata`. Refusals are problems that carry OFREP's members as well.

use actix_web::{HttpRequest, HttpResponse, http::header::ETag, web::Data};
use identity::{Code, Problem, http::Admitted};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Evaluate, key_text,
    question::{ErrorCode, Question, explained},
    tag::{known, tag},
};
use crate::{Cause, Evaluation, FlagKey, Flags, FlagsError, Kind, LayerName, Mode, Unevaluated};

/// What a flag evaluates to.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuccessView<'e> {
    key: &'e str,
    #[schema(value_type = Object)]
    value: &'e Value,
    reason: &'static str,
    variant: &'e str,
    metadata: MetadataView<'e>,
}

/// Who decided, and how: texts and booleans alone, as OFREP demands.
#[derive(Serialize, ToSchema)]
struct MetadataView<'e> {
    layer: &'static str,
    r#type: Kind,
    /// What the system's flag leaves to tenants, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    /// Whether the tenant has said nothing, so that the system's word holds.
    inherited: bool,
    /// The rule that matched, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'e str>,
    /// What disabled the flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cause: Option<Cause>,
}

/// Why one flag of a bulk evaluation has no value.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureView<'e> {
    key: &'e str,
    error_code: &'static str,
    error_details: String,
}

/// A flag of a bulk evaluation.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum OneView<'e> {
    Success(SuccessView<'e>),
    Failure(FailureView<'e>),
}

/// All flags.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllView<'e> {
    flags: Vec<OneView<'e>>,
    #[schema(value_type = Object)]
    metadata: AllMetadata<'e>,
}

/// Where all flags were evaluated.
#[derive(Serialize)]
struct AllMetadata<'e> {
    tenant: &'e str,
    env: &'e str,
}

impl<'e> SuccessView<'e> {
    fn new(key: &'e str, evaluation: &'e Evaluation) -> Self {
        let by_system = evaluation.layer == LayerName::System;
        Self {
            key,
            value: &evaluation.variant.value,
            reason: evaluation.reason.as_str(),
            variant: evaluation.variant.name.as_str(),
            metadata: MetadataView {
                layer: evaluation.layer.as_str(),
                r#type: evaluation.kind,
                mode: evaluation.mode,
                inherited: by_system && !evaluation.overridden,
                rule: evaluation.rule.as_deref(),
                cause: evaluation.cause,
            },
        }
    }
}

/// Evaluates one flag.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{key}", tag = "flags",
    params(("key" = String, Path)), request_body = Object,
    responses((status = 200, body = SuccessView), (status = 400, description = "The context does not do"),
        (status = 404, description = "There is no such flag")))]
pub(crate) async fn one(
    admitted: Admitted<Evaluate, Question>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, context) = (&admitted.scope, &admitted.body.context);
    let key = key_text(&req);
    if let Err(invalid) = key.parse::<FlagKey>() {
        let details = format!("the key of a flag {invalid}");
        let problem = Problem::new(Code::BodyInvalid, details.as_str());
        return Err(explained(&req, problem, ErrorCode::General, &details));
    }
    match flags.evaluate(scope, &key, context).await {
        Ok(evaluation) => Ok(HttpResponse::Ok().json(SuccessView::new(&key, &evaluation))),
        Err(FlagsError::Unevaluated(why)) => {
            let problem = FlagsError::Unevaluated(why).into();
            Err(explained(
                &req,
                problem,
                ErrorCode::of(why),
                &why.to_string(),
            ))
        }
        Err(error) => Err(unavailable(&req, error)),
    }
}

/// Evaluates all flags, unless the client has the answer already.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", tag = "flags",
    params(("if-none-match" = Option<String>, Header)), request_body = Object,
    responses((status = 200, body = AllView), (status = 304, description = "The tag still holds"),
        (status = 400, description = "The context does not do")))]
pub(crate) async fn all(
    admitted: Admitted<Evaluate, Question>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, context) = (&admitted.scope, &admitted.body.context);
    let snapshot = flags.snapshot(scope).await;
    let snapshot = snapshot.map_err(|error| unavailable(&req, error))?;
    let tag = tag(&snapshot.layers(), context);
    if known(&req, &tag) {
        return Ok(HttpResponse::NotModified()
            .insert_header(ETag(tag))
            .finish());
    }
    let keys = snapshot.keys();
    let evaluated: Vec<_> = keys
        .iter()
        .map(|key| (key.as_str(), snapshot.evaluate(key.as_str(), context)))
        .collect();
    let flags = evaluated
        .iter()
        .map(|(key, evaluated)| view(key, evaluated));
    Ok(HttpResponse::Ok().insert_header(ETag(tag)).json(AllView {
        flags: flags.collect(),
        metadata: AllMetadata {
            tenant: scope.tenant().as_str(),
            env: scope.env().as_str(),
        },
    }))
}

fn view<'e>(key: &'e str, evaluated: &'e Result<Evaluation, Unevaluated>) -> OneView<'e> {
    match evaluated {
        Ok(evaluation) => OneView::Success(SuccessView::new(key, evaluation)),
        Err(why) => OneView::Failure(FailureView {
            key,
            error_code: ErrorCode::of(*why).as_str(),
            error_details: why.to_string(),
        }),
    }
}

fn unavailable(req: &HttpRequest, error: FlagsError) -> Problem {
    let details = "Flags cannot be evaluated now. Try again later.";
    explained(req, error.into(), ErrorCode::General, details)
}
