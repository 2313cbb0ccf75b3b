//! Records over HTTP (contract, section 9): admit, pass the gates, call one service, answer.

mod assets;
mod assets_view;
mod assets_wire;
mod handlers;
mod kinds;
mod objects;
mod queries;
mod requests;
mod search;
mod view;

use identity::http::Routes;

pub use assets::artifact_made;
pub use assets_view::{MediaUpload, RawUpload, RegisterBody};
pub use assets_wire::{Removable, Served};
pub use objects::{Changing, Deleted, New};
pub use requests::EventBatch;

/// The records that this crate serves; the server mounts them, and so can you. The application
/// needs `Data<Nexus>` and `Data<GateChain>`.
pub fn routes(routes: &mut Routes) {
    kinds::mount(routes);
}

/// Describes what [`routes`] mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    kinds::openapi()
}

/// The routes of raw storage and media. The application needs `Data<Assets>`, and `Data<GateChain>`.
pub fn asset_routes(routes: &mut Routes) {
    assets::mount(routes);
}

/// Describes what [`asset_routes`] mounts.
#[must_use]
pub fn asset_openapi() -> utoipa::openapi::OpenApi {
    assets::openapi()
}

/// The routes of the search. The application needs `Data<Search>`.
pub fn search_routes(routes: &mut Routes) {
    search::mount(routes);
}

/// Describes what [`search_routes`] mounts.
#[must_use]
pub fn search_openapi() -> utoipa::openapi::OpenApi {
    search::openapi()
}
