//! The outermost layer: every request has ids, every refusal is a problem.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use super::reply;
use crate::{Entropy, Problem, RequestIds, asks_for_privacy};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where the record of a mutation is.
pub(super) const AUDIT_SEQ: &str = "x-audit-seq";
/// `degraded`, when the record is not durable where it belongs.
pub(super) const AUDIT_STATUS: &str = "x-audit-status";
/// Headers of a refusal that outlive the writing of its body.
static KEPT: [HeaderName; 3] = [
    header::ALLOW,
    HeaderName::from_static(AUDIT_SEQ),
    HeaderName::from_static(AUDIT_STATUS),
];
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What [`edge`] needs; mount it as `Data`.
pub struct EdgeState {
    /// Makes ids for requests that bring none.
    pub entropy: Arc<dyn Entropy>,
}

/// The ids of a request; [`edge`] gave it some.
#[must_use]
pub fn ids_of(req: &HttpRequest) -> RequestIds {
    let given = req.extensions().get::<RequestIds>().cloned();
    given.unwrap_or_else(|| adopt(req.headers(), req.app_data::<Data<EdgeState>>()))
}

fn adopt(headers: &HeaderMap, state: Option<&Data<EdgeState>>) -> RequestIds {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let entropy: &dyn Entropy = state.map_or(&Unmounted, |state| &*state.entropy);
    let gpc = headers.get_all(SEC_GPC).map(HeaderValue::as_bytes);
    RequestIds::from_headers(text(REQUEST_ID), text(TRACEPARENT), entropy)
        .with_gpc(asks_for_privacy(gpc))
}

/// Stands in where an application forgot to mount [`EdgeState`]: ids are then all alike, not absent.
struct Unmounted;

impl Entropy for Unmounted {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// Middleware (`wrap(from_fn(edge))`): takes or makes the request's ids, echoes
/// them, and writes every error as an RFC 9457 problem that carries them.
///
/// # Errors
/// What another middleware fails with; routes do not.
pub async fn edge<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let ids = adopt(req.headers(), req.app_data::<Data<EdgeState>>());
    req.extensions_mut().insert(ids.clone());
    let response = next.call(req).await?.map_into_boxed_body();
    let mut response = explain(response, &ids);
    echo(response.headers_mut(), &ids);
    Ok(response)
}

/// Gives a refusal its body.
fn explain(response: ServiceResponse<BoxBody>, ids: &RequestIds) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let rendered = match response.response().error() {
        Some(error) => match error.as_error::<Problem>() {
            Some(problem) => reply::render(problem, ids),
            None => {
                tracing::warn!(request_id = %ids.request_id, %error, "a request failed");
                reply::render(&reply::of_status(status), ids)
            }
        },
        None if response.headers().contains_key("content-type") => return response,
        None => reply::render(&reply::of_status(status), ids),
    };
    let kept = KEPT.each_ref().map(|name| {
        let value = response.headers().get(name).cloned();
        value.map(|value| (name.clone(), value))
    });
    let mut response = response.into_response(rendered);
    for (name, value) in kept.into_iter().flatten() {
        response.headers_mut().insert(name, value);
    }
    response
}

fn echo(headers: &mut HeaderMap, ids: &RequestIds) {
    for (name, text) in [
        (REQUEST_ID, ids.request_id.as_str()),
        (TRACEPARENT, ids.traceparent.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
}
