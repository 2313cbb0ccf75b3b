//! What is seen of a request: one log line and one latency.

use std::time::Duration;

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use identity::http::ids_of;
use tokio::time::Instant;

/// Middleware: measures and logs a request. Queries are not logged: they may hold tickets.
pub(super) async fn watch<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let response = next.call(req).await?.map_into_boxed_body();
    record(&response, began.elapsed());
    Ok(response)
}

fn record<B>(response: &ServiceResponse<B>, took: Duration) {
    let request = response.request();
    let route = request
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    let status = response.status().as_u16();
    let ids = ids_of(request);
    tracing::info!(
        request_id = %ids.request_id,
        traceparent = ids.traceparent.as_str(),
        method = %request.method(),
        route,
        status,
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    let labels = [
        ("method", known_method(request.method()).to_owned()),
        ("route", route),
        ("status", status.to_string()),
    ];
    metrics::histogram!("tenantry_http_request_seconds", &labels).record(took);
}

/// Methods are told only if they are known: a caller must not make new ones.
pub(super) fn known_method(method: &actix_web::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
