//! The control plane over HTTP (contract, section 2): admit, call one service, answer.
//!
//! Start at [`routes()`]. What each route takes and gives is in the bodies and
//! views beside its handler, and in [`openapi`].

mod auth;
mod members;
mod modes;
mod named;
mod openapi;
mod registry;
mod tenants;
mod wire;

use identity::http::Routes;

use crate::{Apps, Projects, Surfaces};

pub use openapi::openapi;

/// Everything this crate serves; mount `Data<Control>` beside it.
pub fn routes(routes: &mut Routes) {
    auth::mount(routes);
    members::mount(routes);
    named::mount::<Projects>(routes);
    named::mount::<Surfaces>(routes);
    named::mount::<Apps>(routes);
    tenants::mount(routes);
    modes::mount(routes);
    registry::mount(routes);
}
