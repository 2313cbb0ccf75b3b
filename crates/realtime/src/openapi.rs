//! The OpenAPI description of these routes.

use utoipa::OpenApi;

use crate::routes;

#[derive(OpenApi)]
#[openapi(paths(
    routes::threads::register,
    routes::threads::list,
    routes::threads::show,
    routes::threads::keep_snippets,
    routes::messages::post,
    routes::messages::post_to_stream,
    routes::messages::history,
    routes::streams::follow,
    routes::streams::converse,
    routes::canvases::post,
    routes::canvases::follow,
    routes::canvases::converse,
    routes::tickets::issue,
))]
struct Api;

/// Describes what `routes` mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
