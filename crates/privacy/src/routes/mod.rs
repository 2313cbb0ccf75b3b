//! Preferences over HTTP (contract, section 7): admit, call one service, answer.

pub(crate) mod levels;
pub(crate) mod users;
mod view;
pub(crate) mod well_known;

use actix_web::{HttpRequest, http::Method, web::Data};
use identity::{
    Problem,
    http::{Routes, ids_of},
};
use utoipa::OpenApi;

use crate::TrainPrefs;

identity::action!(ReadTrainPrefs, "privacy.train_prefs.read", Viewer);
identity::action!(SetTenant, "privacy.train_prefs.set_tenant", Admin);
identity::action!(WithdrawTenant, "privacy.train_prefs.withdraw_tenant", Admin);
identity::action!(SetSystem, "privacy.train_prefs.set_system", Admin, System);
identity::action!(
    WithdrawSystem,
    "privacy.train_prefs.withdraw_system",
    Admin,
    System
);
identity::action!(
    /// Every member speaks for themselves; who speaks of another needs to be an
    /// admin, which [`Subject`](crate::Subject) holds.
    SetUser, "privacy.train_prefs.set_user", Viewer
);
identity::action!(
    /// As [`SetUser`].
    WithdrawUser, "privacy.train_prefs.withdraw_user", Viewer
);

/// Everything this crate serves; mount `Data<TrainPrefs>` beside it.
pub fn routes(routes: &mut Routes) {
    let (tenant, system) = ("/privacy/train-prefs/tenant", "/privacy/train-prefs/system");
    let user = "/privacy/train-prefs/users/{user_id}";
    routes.tenant(Method::GET, "/privacy/train-prefs", users::read_own);
    routes.tenant(Method::PUT, tenant, levels::set_tenant);
    routes.tenant(Method::DELETE, tenant, levels::withdraw_tenant);
    routes.tenant(Method::PUT, system, levels::set_system);
    routes.tenant(Method::DELETE, system, levels::withdraw_system);
    routes.tenant(Method::GET, user, users::read);
    routes.tenant(Method::PUT, user, users::set);
    routes.tenant(Method::DELETE, user, users::withdraw);
    routes.public(Method::GET, "/.well-known/gpc.json", well_known::gpc);
}

#[derive(OpenApi)]
#[openapi(paths(
    levels::set_system,
    levels::set_tenant,
    levels::withdraw_system,
    levels::withdraw_tenant,
    users::read,
    users::read_own,
    users::set,
    users::withdraw,
    well_known::gpc,
))]
struct Api;

/// Describes what [`routes`] mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// Whether a request carries the signal of Global Privacy Control, `Sec-GPC: 1`.
#[must_use]
pub fn gpc(req: &HttpRequest) -> bool {
    ids_of(req).gpc
}

/// The preferences, for those who run before the handler's arguments.
fn prefs_of(req: &HttpRequest) -> Result<&Data<TrainPrefs>, Problem> {
    req.app_data::<Data<TrainPrefs>>()
        .ok_or_else(|| Problem::unavailable(&"no training preferences are mounted"))
}
