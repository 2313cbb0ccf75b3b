//! `/privacy/train-prefs` of the caller, `/privacy/train-prefs/users/{user_id}`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use identity::{
    Problem, Scope,
    http::{Admitted, Json, Object, precondition},
};

use super::{
    ReadTrainPrefs, SetUser, WithdrawUser, gpc, prefs_of,
    view::{self, EffectiveView, LevelView, TrainPrefBody},
};
use crate::{Subject, TrainPrefs, prefs::may_speak_of};

impl Object for Subject {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = req.match_info().get("user_id").unwrap_or_default();
        // Before the id is read: who may not speak of others learns nothing from it.
        may_speak_of(scope, id)?;
        let user = id.parse().map_err(|_| Problem::not_found())?;
        Ok(prefs_of(req)?.subject(scope, &user).await?)
    }
}

/// Whether a model may be trained on what the caller does here, and why.
#[utoipa::path(get, path = "/privacy/train-prefs", tag = "privacy",
    params(("sec-gpc" = Option<String>, Header, description = "`1` denies for this request")),
    responses((status = 200, body = EffectiveView)))]
pub(crate) async fn read_own(
    Admitted { scope, .. }: Admitted<ReadTrainPrefs>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> HttpResponse {
    let levels = prefs.levels(&scope, scope.user()).await;
    view::effective(scope.user(), &levels, gpc(&req))
}

/// Whether a model may be trained on what a member did here; for them and for admins.
#[utoipa::path(get, path = "/privacy/train-prefs/users/{user_id}", tag = "privacy",
    params(("user_id" = String, Path)),
    responses((status = 200, body = EffectiveView), (status = 404, description = "Foreign or unknown")))]
pub(crate) async fn read(
    admitted: Admitted<ReadTrainPrefs, (), Subject>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> HttpResponse {
    let (scope, user) = (&admitted.scope, admitted.object.user());
    let levels = prefs.levels(scope, user).await;
    // The signal is the asking user's, and says nothing of another.
    view::effective(user, &levels, user == scope.user() && gpc(&req))
}

/// Says something about a member: they for themselves, admins for others.
#[utoipa::path(put, path = "/privacy/train-prefs/users/{user_id}", tag = "privacy", request_body = TrainPrefBody,
    params(("user_id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 200, body = LevelView), (status = 404, description = "Foreign or unknown"),
        (status = 412, description = "It has changed")))]
pub(crate) async fn set(
    admitted: Admitted<SetUser, Json<TrainPrefBody>, Subject>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let (subject, to) = (&admitted.object, admitted.body.0.training);
    let stored = prefs.set_user(subject, to, &precondition(&req)).await?;
    Ok(view::changed(to, stored))
}

/// Withdraws what the caller's side said about a member.
#[utoipa::path(delete, path = "/privacy/train-prefs/users/{user_id}", tag = "privacy",
    params(("user_id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, description = "Foreign or unknown"),
        (status = 412, description = "It has changed")))]
pub(crate) async fn withdraw(
    admitted: Admitted<WithdrawUser, (), Subject>,
    req: HttpRequest,
    prefs: Data<TrainPrefs>,
) -> Result<HttpResponse, Problem> {
    let subject = &admitted.object;
    let left = prefs.withdraw_user(subject, &precondition(&req)).await?;
    Ok(view::withdrawn(left))
}
