//! The routes of all crates, as one server has them.

use identity::{
    Recording,
    http::{DuplicateRoute, Mounted, Routes},
};

use crate::{
    audit_tail, flag_tail,
    web::{self, ApiDescription},
};

/// All routes of the server, which record what is done through them with `recording`.
///
/// # Errors
/// [`DuplicateRoute`] when two handlers would answer the same request.
pub fn mounted(recording: Recording) -> Result<Mounted, DuplicateRoute> {
    let mut routes = Routes::new();
    web::system_routes(&mut routes);
    audit::routes(&mut routes);
    audit_tail::routes(&mut routes);
    canvas::routes(&mut routes);
    control::routes(&mut routes);
    flags::routes(&mut routes);
    flag_tail::routes(&mut routes);
    gatechain::http::routes(&mut routes);
    nexus::asset_routes(&mut routes);
    nexus::routes(&mut routes);
    nexus::search_routes(&mut routes);
    privacy::routes(&mut routes);
    realtime::routes(&mut routes);
    routes.build(recording)
}

/// The `OpenAPI` description of [`mounted`].
#[must_use]
pub fn api_description() -> String {
    ApiDescription::collect().0
}
