//! The HTTP server: what surrounds the routes.

mod headers;
mod serve;
mod system;
mod watch;

pub(crate) use serve::start;
pub(crate) use system::{ApiDescription, Probe, Readiness, routes as system_routes};
