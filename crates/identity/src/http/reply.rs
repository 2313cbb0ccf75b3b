//! Problems as HTTP responses.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use crate::{Code, Problem, Remarks, RequestIds};

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code().as_str())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A response without a body; [`edge`](super::edge()), which knows the request's ids, writes it.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// Adds to a response what its handler has to say for the record.
#[must_use]
pub fn remarked(mut response: HttpResponse, remarks: Remarks) -> HttpResponse {
    response.extensions_mut().insert(remarks);
    response
}

/// The whole response: status, headers, RFC 9457 body.
pub(super) fn render(problem: &Problem, ids: &RequestIds) -> HttpResponse {
    let mut response = HttpResponse::build(problem.status_code());
    for (name, value) in problem.headers() {
        response.insert_header((name, value));
    }
    response
        .content_type("application/problem+json")
        .body(problem.to_json(ids).to_string())
}

/// The problem that a response of the framework itself stands for.
pub(super) fn of_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound, "There is no such route."),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            Code::MethodNotAllowed,
            "The route does not have this method.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::BodyTooLarge, "The body is too large."),
        StatusCode::REQUEST_TIMEOUT => {
            Problem::new(Code::RequestTimeout, "The request took too long to arrive.")
        }
        status if status.is_client_error() => {
            Problem::new(Code::BodyInvalid, "The request cannot be read.")
        }
        _ => Problem::new(
            Code::Internal,
            "The fault is ours; it was recorded under the request id.",
        ),
    }
}
