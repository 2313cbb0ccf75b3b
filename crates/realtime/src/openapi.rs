//! The OpenAPI description of these routes.

use utoipa::OpenApi;

use crate::routes;

#[derive(OpenApi)]
#[openapi(paths(
    routes::register,
    routes::list,
    routes::show,
    routes::post,
    routes::post_to_stream,
    routes::history,
    routes::follow,
    routes::converse,
    routes::issue,
))]
struct Api;

/// Describes what `routes` mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
