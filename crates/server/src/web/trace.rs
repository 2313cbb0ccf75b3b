//! A request as a span: it continues the caller's trace, and all that the request causes continues it.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};
use identity::{TRACE, Traceparent, asks_for_privacy};
use tracing::{Instrument, Span, debug_span, field::Empty};

use super::watch::known_method;
use crate::telemetry::context;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Middleware, outside of whatever reads `traceparent`: events, records and answers name this
/// server's own span, so that what is done elsewhere continues it. A caller that sent a valid
/// `traceparent` is answered with it.
pub(super) async fn trace<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let sent = parent(req.headers());
    let span = begin(&req, sent.as_ref());
    let ours = span.in_scope(context::current);
    if let Some(value) = ours.as_ref().and_then(header) {
        req.headers_mut().insert(TRACEPARENT, value);
    }
    // Inside of a span that is not kept, none is made.
    let kept = ours.as_ref().is_some_and(Traceparent::is_sampled);
    let inside = if kept { span.clone() } else { Span::none() };
    let response = next.call(req).instrument(inside).await?;
    let mut response = response.map_into_boxed_body();
    end(&span, &response);
    if let Some(value) = sent.as_ref().and_then(header) {
        response.headers_mut().insert(TRACEPARENT, value);
    }
    Ok(response)
}

/// The caller's span. Two of them are none.
fn parent(headers: &HeaderMap) -> Option<Traceparent> {
    let mut values = headers.get_all(TRACEPARENT);
    match (values.next(), values.next()) {
        (Some(one), None) => Traceparent::parse(one.to_str().ok()?),
        _ => None,
    }
}

fn begin(req: &ServiceRequest, parent: Option<&Traceparent>) -> Span {
    let headers = req.headers();
    let state = headers
        .get(TRACESTATE)
        .and_then(|state| state.to_str().ok());
    // What a caller's vendor noted about the caller stays here, if the caller asks for privacy.
    let private = asks_for_privacy(headers.get_all(SEC_GPC).map(HeaderValue::as_bytes));
    let state = state.filter(|_| !private);
    let _elsewhere = parent.map(|parent| context::remote(parent, state).attach());
    debug_span!(
        target: TRACE,
        "HTTP",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = known_method(req.method()),
        http.route = Empty,
        http.response.status_code = Empty,
        traceparent = Empty,
    )
}

fn end(span: &Span, response: &ServiceResponse<BoxBody>) {
    let request = response.request();
    let method = known_method(request.method());
    if let Some(route) = request.match_pattern() {
        span.record("http.route", route.as_str());
        span.in_scope(|| context::rename(format!("{method} {route}")));
    }
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "error");
    }
}

fn header(trace: &Traceparent) -> Option<HeaderValue> {
    HeaderValue::from_str(trace.as_str()).ok()
}
