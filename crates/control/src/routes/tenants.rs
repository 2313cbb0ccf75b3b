//! `/control/tenants`, for operators.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use identity::{
    Problem, Remarks, Scope, TenantId,
    http::{Admitted, Json, Object, Query, Routes, precondition, remarked},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{PageQuery, control_of, created, found, id_in, listed, record};
use crate::{Control, ControlError, Email, ModeId, Tenant, TenantChange, TenantState};

identity::action!(ListTenants, "control.tenant.list", Admin, System);
identity::action!(CreateTenant, "control.tenant.create", Admin, System);
identity::action!(ReadTenant, "control.tenant.read", Admin, System);
identity::action!(ChangeTenant, "control.tenant.change", Admin, System);

const LIST: &str = "/control/tenants";

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, LIST, list);
    routes.tenant(Method::POST, LIST, create);
    routes.tenant(Method::GET, "/control/tenants/{id}", read);
    routes.tenant(Method::PATCH, "/control/tenants/{id}", change);
}

#[derive(Serialize, ToSchema)]
pub(super) struct TenantView {
    id: String,
    name: String,
    mode: String,
    state: TenantState,
    default_project_id: String,
    created_at: String,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.into(),
            mode: tenant.mode.to_string(),
            state: tenant.state,
            default_project_id: tenant.default_project.to_string(),
            created_at: tenant.created_at.to_string(),
        }
    }
}

struct Target(TenantId);

impl Object for Target {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req, "id")?;
        found(control_of(req)?.tenants().find(scope, &id).await)?;
        Ok(Self(id))
    }
}

async fn list(
    Admitted { scope, .. }: Admitted<ListTenants>,
    query: Query<PageQuery>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let page = control.tenants().list(&scope, &query.0.try_into()?).await?;
    Ok(listed::<_, TenantView>(page))
}

async fn read(
    Admitted { scope, object, .. }: Admitted<ReadTenant, (), Target>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let stored = found(control.tenants().find(&scope, &object.0).await)?;
    let view = TenantView::from(stored.value);
    Ok(record(StatusCode::OK, stored.version, &view))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateTenantBody {
    name: String,
    /// `saas` unless another is given.
    mode: Option<String>,
    /// Who owns it, invited if unknown; the caller if absent.
    owner_email: Option<String>,
}

async fn create(
    Admitted { scope, body, .. }: Admitted<CreateTenant, Json<CreateTenantBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let mode = body.0.mode.as_deref().map(mode).transpose()?;
    let owner = body.0.owner_email.as_deref().map(owner).transpose()?;
    let name = body.0.name.parse()?;
    let made = control.tenants().create(&scope, name, mode, owner).await?;
    let remarks = Remarks::default().with("mode", &made.value.mode);
    let view = TenantView::from(made.value);
    let response = created(LIST, &view.id, made.version, &view);
    Ok(remarked(response, remarks))
}

fn mode(text: &str) -> Result<ModeId, ControlError> {
    text.parse()
        .map_err(|_| ControlError::invalid("/mode", "is no mode"))
}

fn owner(text: &str) -> Result<Email, ControlError> {
    text.parse()
        .map_err(|_| ControlError::invalid("/owner_email", "is not an email address"))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeTenantBody {
    name: Option<String>,
    mode: Option<String>,
    state: Option<TenantState>,
}

fn state(state: TenantState) -> &'static str {
    match state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
    }
}

async fn change(
    admitted: Admitted<ChangeTenant, Json<ChangeTenantBody>, Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (Target(id), Json(body)) = (admitted.object, admitted.body);
    let change = TenantChange {
        name: body.name.as_deref().map(str::parse).transpose()?,
        mode: body.mode.as_deref().map(mode).transpose()?,
        state: body.state,
    };
    let stored = control
        .tenants()
        .change(&admitted.scope, &id, &change, &precondition(&req))
        .await?;
    let remarks = Remarks::default()
        .with("mode", &stored.value.mode)
        .with("state", state(stored.value.state));
    let view = TenantView::from(stored.value);
    let response = record(StatusCode::OK, stored.version, &view);
    Ok(remarked(response, remarks))
}
