//! `/control/routes`: the routing registry, for operators.
//!
//! A row's `tenant` and `env` say for whom it is; they are data, not the
//! context of the operator's request.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use identity::{
    Problem, Remarks, Scope,
    http::{Admitted, Json, Object, Query, Routes, precondition, remarked},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wire::{PageQuery, control_of, created, found, id_in, listed, record};
use crate::{
    CheckReport, Control, ControlError, RegistryProblem, Route, RouteId, RoutePlace, RouteRow,
    RouteTarget,
};

identity::action!(ReadRoutes, "control.route.read", Admin, System);
identity::action!(WriteRoutes, "control.route.write", Admin, System);
identity::action!(CheckRoutes, "control.route.check", Admin, System);

const LIST: &str = "/control/routes";

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, LIST, list);
    routes.tenant(Method::POST, LIST, create);
    routes.tenant(Method::POST, "/control/routes/check", check);
    routes.tenant(Method::PUT, "/control/routes/{id}", replace);
    routes.tenant(Method::DELETE, "/control/routes/{id}", delete);
}

/// For whom a row is.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaceView {
    /// A tenant, or `*`.
    tenant: String,
    /// An environment, or `*`.
    env: String,
}

fn all() -> String {
    "*".to_owned()
}

impl From<&RoutePlace> for PlaceView {
    fn from(place: &RoutePlace) -> Self {
        Self {
            tenant: place.tenant_text().to_owned(),
            env: place.env_text().to_owned(),
        }
    }
}

impl PlaceView {
    fn place(&self) -> Result<RoutePlace, ControlError> {
        let invalid = ControlError::invalid;
        let tenant = match self.tenant.as_str() {
            "*" => None,
            text => Some(
                text.parse()
                    .map_err(|_| invalid("/tenant", "is no tenant and not *"))?,
            ),
        };
        let env = match self.env.as_str() {
            "*" => None,
            text => Some(
                text.parse()
                    .map_err(|_| invalid("/env", "is no environment and not *"))?,
            ),
        };
        Ok(RoutePlace { tenant, env })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct RouteView {
    id: String,
    resource_kind: String,
    #[serde(flatten)]
    place: PlaceView,
    backend: String,
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// References such as `env:NAME`; values are never shown.
    secrets: BTreeMap<String, String>,
    /// Whether writes are refused for now, because what is there is being moved.
    held: bool,
}

impl From<Route> for RouteView {
    fn from(route: Route) -> Self {
        let target = route.row.target;
        let secrets = target.secrets.into_iter();
        Self {
            id: route.id.to_string(),
            resource_kind: route.row.kind.to_string(),
            place: (&route.row.place).into(),
            backend: target.backend.to_string(),
            config: target.config,
            secrets: secrets
                .map(|(name, reference)| (name, reference.to_string()))
                .collect(),
            held: route.row.held,
        }
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct TargetBody {
    backend: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// `env:NAME` or `file:/path`, by the name that the backend gives them.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

impl TargetBody {
    fn target(self) -> Result<RouteTarget, ControlError> {
        let secrets = self.secrets.into_iter().map(|(name, text)| {
            let reference = text.parse();
            let reference = reference.map_err(|error: crate::InvalidSecretRef| {
                ControlError::invalid("/secrets", error.to_string())
            });
            Ok((name, reference?))
        });
        Ok(RouteTarget {
            backend: self.backend.parse()?,
            config: self.config,
            secrets: secrets.collect::<Result<_, ControlError>>()?,
        })
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RouteBody {
    /// What is to be served, such as `chat_bus`.
    resource_kind: String,
    /// A tenant, or `*`.
    #[serde(default = "all")]
    tenant: String,
    /// An environment, or `*`.
    #[serde(default = "all")]
    env: String,
    backend: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// `env:NAME` or `file:/path`, by the name that the backend gives them.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

impl RouteBody {
    fn row(self) -> Result<RouteRow, ControlError> {
        let target = TargetBody {
            backend: self.backend,
            config: self.config,
            secrets: self.secrets,
        };
        let (tenant, env) = (self.tenant, self.env);
        Ok(RouteRow::new(
            self.resource_kind.parse()?,
            PlaceView { tenant, env }.place()?,
            target.target()?,
        ))
    }
}

struct Target(RouteId);

impl Object for Target {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req, "id")?;
        found(control_of(req)?.routes().find(scope, &id).await)?;
        Ok(Self(id))
    }
}

async fn list(
    Admitted { scope, .. }: Admitted<ReadRoutes>,
    query: Query<PageQuery>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let page = control.routes().list(&scope, &query.0.try_into()?).await?;
    Ok(listed::<_, RouteView>(page))
}

async fn create(
    Admitted { scope, body, .. }: Admitted<WriteRoutes, Json<RouteBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let made = control.routes().create(&scope, &body.0.row()?).await?;
    let view = RouteView::from(made.value);
    let response = created(LIST, &view.id, made.version, &view);
    let remarks = Remarks::default().with("resource_kind", &view.resource_kind);
    Ok(remarked(response, remarks.with("backend", &view.backend)))
}

async fn replace(
    admitted: Admitted<WriteRoutes, Json<TargetBody>, Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (Target(id), target) = (admitted.object, admitted.body.0.target()?);
    let stored = control
        .routes()
        .replace(&admitted.scope, &id, &target, &precondition(&req))
        .await?;
    let view = RouteView::from(stored.value);
    let response = record(StatusCode::OK, stored.version, &view);
    let remarks = Remarks::default().with("resource_kind", &view.resource_kind);
    Ok(remarked(response, remarks.with("backend", &view.backend)))
}

async fn delete(
    admitted: Admitted<WriteRoutes, (), Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let Target(id) = admitted.object;
    control
        .routes()
        .delete(&admitted.scope, &id, &precondition(&req))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize, ToSchema)]
pub(super) struct CheckView {
    ok: bool,
    problems: Vec<ProblemView>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProblemView {
    resource_kind: String,
    #[serde(flatten)]
    place: PlaceView,
    problem: String,
}

impl From<RegistryProblem> for ProblemView {
    fn from(found: RegistryProblem) -> Self {
        Self {
            resource_kind: found.kind.to_string(),
            place: (&found.place).into(),
            problem: found.problem,
        }
    }
}

impl From<CheckReport> for CheckView {
    fn from(report: CheckReport) -> Self {
        Self {
            ok: report.is_ok(),
            problems: report.problems.into_iter().map(Into::into).collect(),
        }
    }
}

async fn check(_: Admitted<CheckRoutes>, control: Data<Control>) -> Result<HttpResponse, Problem> {
    let report = control.check_routes().await?;
    Ok(HttpResponse::Ok().json(CheckView::from(report)))
}
