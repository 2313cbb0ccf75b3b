//! The HTTP server: what surrounds the routes.

mod headers;
mod serve;
mod system;
mod trace;
mod watch;

pub(crate) use serve::start;
pub(crate) use system::{
    ApiDescription, BackendState, BackendStates, Probe, Readiness, routes as system_routes,
};
