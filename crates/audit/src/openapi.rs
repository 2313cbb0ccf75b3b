//! The OpenAPI description of these routes.

use utoipa::OpenApi;

use crate::routes;

#[derive(OpenApi)]
#[openapi(paths(
    routes::events::list,
    routes::events::show,
    routes::proofs::receipt,
    routes::proofs::checkpoint,
    routes::proofs::export,
    routes::training::export,
    routes::subjects::erase,
    routes::subjects::show_hold,
    routes::subjects::set_hold,
    routes::subjects::lift_hold,
))]
struct Api;

/// Describes what [`routes()`](crate::routes()) mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
