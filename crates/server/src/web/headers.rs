//! Headers that every response carries.

use actix_web::middleware::DefaultHeaders;

/// Responses are data: never sniffed, framed, cached by default, or run (OWASP REST security).
pub(super) fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("x-content-type-options", "nosniff"))
        .add(("x-frame-options", "DENY"))
        .add(("referrer-policy", "no-referrer"))
        .add((
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .add(("cross-origin-resource-policy", "same-site"))
        .add(("cache-control", "no-store"))
}
