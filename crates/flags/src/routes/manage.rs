//! `/flags/{key}` for admins, `/flags/system/{key}` for operators.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use identity::{
    Problem, Scope,
    http::{Admitted, Json, Object, precondition},
};

use super::{
    DeleteFlag, DeleteSystemFlag, PutFlag, PutSystemFlag, ReadFlag, ReadSystemFlag, key_in,
    view::{self, FlagView},
};
use crate::{Definition, FlagKey, Flags, LayerName};

/// The flag that the path names, whether there is one or not.
pub(crate) struct Named(pub(super) FlagKey);

impl Object for Named {
    async fn locate(_: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        key_in(req).map(Self)
    }
}

/// The tenant's flag in this environment, as it is stored: not what is effective.
#[utoipa::path(get, path = "/flags/{key}", tag = "flags", params(("key" = String, Path)),
    responses((status = 200, body = FlagView), (status = 404, description = "There is no override")))]
pub(crate) async fn read(
    admitted: Admitted<ReadFlag, (), Named>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    show(
        &flags,
        &admitted.scope,
        LayerName::Tenant,
        &admitted.object.0,
    )
    .await
}

/// Makes or replaces the tenant's flag in this environment.
#[utoipa::path(put, path = "/flags/{key}", tag = "flags", request_body = Definition,
    params(("key" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 201, body = FlagView), (status = 200, body = FlagView),
        (status = 403, description = "Operators have locked it"),
        (status = 412, description = "It has changed"), (status = 422, description = "It is no flag")))]
pub(crate) async fn put(
    admitted: Admitted<PutFlag, Json<Definition>, Named>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, key) = (&admitted.scope, &admitted.object.0);
    store(
        &flags,
        scope,
        LayerName::Tenant,
        key,
        &admitted.body.0,
        &req,
    )
    .await
}

/// Deletes the tenant's flag in this environment, which restores what is inherited.
#[utoipa::path(delete, path = "/flags/{key}", tag = "flags",
    params(("key" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, description = "There is no override"),
        (status = 412, description = "It has changed")))]
pub(crate) async fn delete(
    admitted: Admitted<DeleteFlag, (), Named>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, key) = (&admitted.scope, &admitted.object.0);
    remove(&flags, scope, LayerName::Tenant, key, &req).await
}

/// The flag that is set for everyone; for operators.
#[utoipa::path(get, path = "/flags/system/{key}", tag = "flags", params(("key" = String, Path)),
    responses((status = 200, body = FlagView), (status = 404, description = "There is no such flag")))]
pub(crate) async fn read_system(
    admitted: Admitted<ReadSystemFlag, (), Named>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    show(
        &flags,
        &admitted.scope,
        LayerName::System,
        &admitted.object.0,
    )
    .await
}

/// Sets a flag for everyone, in all environments; for operators.
#[utoipa::path(put, path = "/flags/system/{key}", tag = "flags", request_body = Definition,
    params(("key" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 201, body = FlagView), (status = 200, body = FlagView),
        (status = 412, description = "It has changed"), (status = 422, description = "It is no flag")))]
pub(crate) async fn put_system(
    admitted: Admitted<PutSystemFlag, Json<Definition>, Named>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, key) = (&admitted.scope, &admitted.object.0);
    store(
        &flags,
        scope,
        LayerName::System,
        key,
        &admitted.body.0,
        &req,
    )
    .await
}

/// Deletes the flag that is set for everyone; for operators.
#[utoipa::path(delete, path = "/flags/system/{key}", tag = "flags",
    params(("key" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, description = "There is no such flag"),
        (status = 412, description = "It has changed")))]
pub(crate) async fn delete_system(
    admitted: Admitted<DeleteSystemFlag, (), Named>,
    req: HttpRequest,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (scope, key) = (&admitted.scope, &admitted.object.0);
    remove(&flags, scope, LayerName::System, key, &req).await
}

async fn show(
    flags: &Flags,
    scope: &Scope,
    layer: LayerName,
    key: &FlagKey,
) -> Result<HttpResponse, Problem> {
    let stored = flags.find(scope, layer, key).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    Ok(view::flag(StatusCode::OK, key, layer, stored))
}

async fn store(
    flags: &Flags,
    scope: &Scope,
    layer: LayerName,
    key: &FlagKey,
    definition: &Definition,
    req: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let changed = flags
        .put(scope, layer, key, definition, &precondition(req))
        .await?;
    Ok(view::changed(key, layer, changed)?)
}

async fn remove(
    flags: &Flags,
    scope: &Scope,
    layer: LayerName,
    key: &FlagKey,
    req: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let changed = flags.delete(scope, layer, key, &precondition(req)).await?;
    Ok(view::changed(key, layer, changed)?)
}
