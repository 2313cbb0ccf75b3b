//! `/privacy/train-prefs/tenant` for admins, `/privacy/train-prefs/system` for operators.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use identity::{
    Problem,
    http::{Admitted, Json, precondition},
};

use super::{
    SetSystem, SetTenant, WithdrawSystem, WithdrawTenant,
    view::{self, LevelView, TrainPrefBody},
};
use crate::TrainPrefs;

/// Says something for the whole tenant.
#[utoipa::path(put, path = "/privacy/train-prefs/tenant", tag = "privacy", request_body = TrainPrefBody,
    params(("if-match" = Option<String>, Header)),
    responses((status = 200, body = LevelView), (status = 412, description = "It has changed")))]
pub(crate) async fn set_tenant(
    admitted: Admitted<SetTenant, Json<TrainPrefBody>>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let (scope, to) = (&admitted.scope, admitted.body.0.training);
    let stored = prefs.set_tenant(scope, to, &precondition(&req)).await?;
    Ok(view::changed(to, stored))
}

/// Withdraws what was said for the whole tenant.
#[utoipa::path(delete, path = "/privacy/train-prefs/tenant", tag = "privacy",
    params(("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 412, description = "It has changed")))]
pub(crate) async fn withdraw_tenant(
    admitted: Admitted<WithdrawTenant>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let scope = &admitted.scope;
    let left = prefs.withdraw_tenant(scope, &precondition(&req)).await?;
    Ok(view::withdrawn(left))
}

/// Says something for everyone on this system; for operators.
#[utoipa::path(put, path = "/privacy/train-prefs/system", tag = "privacy", request_body = TrainPrefBody,
    params(("if-match" = Option<String>, Header)),
    responses((status = 200, body = LevelView), (status = 412, description = "It has changed")))]
pub(crate) async fn set_system(
    admitted: Admitted<SetSystem, Json<TrainPrefBody>>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let (scope, to) = (&admitted.scope, admitted.body.0.training);
    let stored = prefs.set_system(scope, to, &precondition(&req)).await?;
    Ok(view::changed(to, stored))
}

/// Withdraws what was said for everyone on this system; for operators.
#[utoipa::path(delete, path = "/privacy/train-prefs/system", tag = "privacy",
    params(("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 412, description = "It has changed")))]
pub(crate) async fn withdraw_system(
    admitted: Admitted<WithdrawSystem>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let scope = &admitted.scope;
    let left = prefs.withdraw_system(scope, &precondition(&req)).await?;
    Ok(view::withdrawn(left))
}
