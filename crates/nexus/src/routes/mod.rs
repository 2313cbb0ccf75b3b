//! Records over HTTP (contract, section 9): admit, pass the gates, call one service, answer.

mod handlers;
mod kinds;
mod objects;
mod view;

use identity::http::Routes;

pub use kinds::openapi;
pub use objects::{Changing, Deleted, New};

/// Everything this crate serves; the server mounts it, and so can you. The application
/// needs `Data<Records<M>>` for each kind, and `Data<GateChain>`.
pub fn routes(routes: &mut Routes) {
    kinds::mount(routes);
}
