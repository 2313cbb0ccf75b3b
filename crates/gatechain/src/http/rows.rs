//! Rows of every kind: listed, shown, put, deleted.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode};
use identity::{
    Problem, Remarks, Scope,
    http::{etag, precondition, remarked},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::Versioned;
use utoipa::ToSchema;

use super::wire::{PageQuery, Rows};
use crate::{
    ActionPattern, BudgetRow, FirearmRow, GateChain, GateError, Heat, KillSwitch, Kpi, Level,
    Observed, Row, RowId, StrategyLock, TargetName, Temperature, Window,
};

/// A kind of rows on the wire.
pub(super) trait Served: Row {
    /// What a client puts.
    type Body: DeserializeOwned + Into<Self> + 'static;
    /// What a client sees.
    type View: Serialize;

    /// Shows a row.
    fn view(
        gates: &GateChain,
        scope: &Scope,
        id: &RowId,
        row: Self,
    ) -> impl Future<Output = Result<Self::View, GateError>>;
}

pub(super) async fn list<T: Served>(
    scope: &Scope,
    query: &PageQuery,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = (query.after_row()?, query.limit()?);
    let listed = gates.list::<T>(scope, after.as_ref(), limit).await?;
    let mut items = Vec::with_capacity(listed.items.len());
    for (id, row) in listed.items {
        items.push(T::view(gates, scope, &id, row.value).await?);
    }
    let own = format!("{}/", T::KIND);
    let damaged = gates.damaged(scope).await?.into_iter();
    let damaged = damaged.filter(|name| name.starts_with(&own) || !name.contains('/'));
    Ok(HttpResponse::Ok().json(Rows {
        items,
        next: listed.next.map(|id| id.to_string()),
        damaged: damaged.map(String::from).collect(),
    }))
}

pub(super) async fn show<T: Served>(
    scope: &Scope,
    id: &RowId,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let row = gates.find::<T>(scope, id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    answer(StatusCode::OK, gates, scope, id, row).await
}

pub(super) async fn put<T: Served>(
    scope: &Scope,
    id: &RowId,
    row: T,
    req: &HttpRequest,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    let remarks = remarks(scope).with("gated_action", row.action());
    let put = gates.put(scope, id, row, &precondition(req)).await?;
    let (row, is_new) = put;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = answer(status, gates, scope, id, row).await?;
    if is_new {
        let place = req.path().parse();
        if let Ok(place) = place {
            let headers = response.headers_mut();
            headers.insert(actix_web::http::header::LOCATION, place);
        }
    }
    Ok(remarked(response, remarks))
}

pub(super) async fn delete<T: Served>(
    scope: &Scope,
    id: &RowId,
    req: &HttpRequest,
    gates: &GateChain,
) -> Result<HttpResponse, Problem> {
    gates.delete(scope, T::KIND, id, &precondition(req)).await?;
    let response = HttpResponse::NoContent().finish();
    Ok(remarked(response, remarks(scope)))
}

fn remarks(scope: &Scope) -> Remarks {
    let level = if scope.tenant().is_system() {
        Level::System
    } else {
        Level::Tenant
    };
    Remarks::default().with("level", level.as_str())
}

async fn answer<T: Served>(
    status: StatusCode,
    gates: &GateChain,
    scope: &Scope,
    id: &RowId,
    row: Versioned<T>,
) -> Result<HttpResponse, Problem> {
    let version = row.version.0;
    let view = T::view(gates, scope, id, row.value).await?;
    Ok(HttpResponseBuilder::new(status)
        .insert_header(etag(version))
        .json(view))
}

/// A row with its id.
#[derive(Serialize, ToSchema)]
pub(super) struct KillSwitchView {
    id: String,
    #[serde(flatten)]
    row: KillSwitch,
}

impl Served for KillSwitch {
    type Body = Self;
    type View = KillSwitchView;

    async fn view(
        _: &GateChain,
        _: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<KillSwitchView, GateError> {
        let id = id.to_string();
        Ok(KillSwitchView { id, row })
    }
}

/// A requirement or a licence, with its id.
#[derive(Serialize, ToSchema)]
pub(super) struct FirearmView {
    id: String,
    #[serde(flatten)]
    #[schema(value_type = FirearmBody)]
    row: FirearmRow,
}

/// A requirement (`kind`, `action`, `target`) or a licence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what FirearmRow reads and writes")]
pub(super) struct FirearmBody {
    /// `requirement` or `licence`.
    kind: String,
    action: String,
    target: Option<String>,
    /// Of a licence: `u_…` or `role:…`.
    subject: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    uses: Option<u32>,
}

impl Served for FirearmRow {
    type Body = Self;
    type View = FirearmView;

    async fn view(
        _: &GateChain,
        _: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<FirearmView, GateError> {
        let id = id.to_string();
        Ok(FirearmView { id, row })
    }
}

/// A row with its id.
#[derive(Serialize, ToSchema)]
pub(super) struct StrategyLockView {
    id: String,
    #[serde(flatten)]
    row: StrategyLock,
}

impl Served for StrategyLock {
    type Body = Self;
    type View = StrategyLockView;

    async fn view(
        _: &GateChain,
        _: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<StrategyLockView, GateError> {
        let id = id.to_string();
        Ok(StrategyLockView { id, row })
    }
}

/// A budget as it is put.
#[derive(Deserialize, ToSchema)]
pub(super) struct BudgetBody {
    #[schema(value_type = String)]
    action: ActionPattern,
    #[schema(value_type = Option<String>)]
    target: Option<TargetName>,
    limit_micros: u64,
    price_micros: u64,
    window: Window,
}

impl From<BudgetBody> for BudgetRow {
    fn from(body: BudgetBody) -> Self {
        Self {
            action: body.action,
            target: body.target,
            limit_micros: body.limit_micros,
            price_micros: body.price_micros,
            window: body.window,
            counter: smol_str::SmolStr::default(),
        }
    }
}

/// A budget, and what the caller's tenant has spent of it.
#[derive(Serialize, ToSchema)]
pub(super) struct BudgetView {
    id: String,
    #[schema(value_type = String)]
    action: ActionPattern,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    target: Option<TargetName>,
    limit_micros: u64,
    price_micros: u64,
    window: Window,
    spent_micros: u64,
    reserved_micros: u64,
}

impl Served for BudgetRow {
    type Body = BudgetBody;
    type View = BudgetView;

    async fn view(
        gates: &GateChain,
        scope: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<BudgetView, GateError> {
        let spending = gates.spending(scope, &row).await?;
        Ok(BudgetView {
            id: id.to_string(),
            action: row.action,
            target: row.target,
            limit_micros: row.limit_micros,
            price_micros: row.price_micros,
            window: row.window,
            spent_micros: spending.spent_micros,
            reserved_micros: spending.reserved_micros,
        })
    }
}

/// A figure's row, and what was last observed.
#[derive(Serialize, ToSchema)]
pub(super) struct KpiView {
    id: String,
    #[serde(flatten)]
    row: Kpi,
    observed: Option<ObservedView>,
}

/// What was last observed.
#[derive(Serialize, ToSchema)]
pub(super) struct ObservedView {
    value: f64,
    as_of: String,
    /// Whether it fell below the floor and has not recovered since.
    fallen: bool,
}

impl From<Observed> for ObservedView {
    fn from(observed: Observed) -> Self {
        Self {
            value: observed.value,
            as_of: observed.as_of.to_string(),
            fallen: observed.fallen,
        }
    }
}

impl Served for Kpi {
    type Body = Self;
    type View = KpiView;

    async fn view(
        gates: &GateChain,
        scope: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<KpiView, GateError> {
        // A damaged observation is none.
        let observed = match gates.observed(scope, id).await {
            Err(GateError::Internal(_)) => None,
            read => read?,
        };
        Ok(KpiView {
            id: id.to_string(),
            row,
            observed: observed.map(ObservedView::from),
        })
    }
}

/// A temperature's row, and how hot it is now.
#[derive(Serialize, ToSchema)]
pub(super) struct TemperatureView {
    id: String,
    #[serde(flatten)]
    row: Temperature,
    /// The temperature now.
    score: f64,
}

impl TemperatureView {
    pub(super) fn of(id: &RowId, row: Temperature, heat: Option<Heat>, gates: &GateChain) -> Self {
        Self {
            id: id.to_string(),
            score: row.at(heat, gates.now()),
            row,
        }
    }
}

impl Served for Temperature {
    type Body = Self;
    type View = TemperatureView;

    async fn view(
        gates: &GateChain,
        scope: &Scope,
        id: &RowId,
        row: Self,
    ) -> Result<TemperatureView, GateError> {
        // A damaged temperature is shown as none; it denies nevertheless.
        let heat = match gates.heat_of(scope, id).await {
            Err(GateError::Internal(_)) => None,
            read => read?,
        };
        Ok(TemperatureView::of(id, row, heat, gates))
    }
}
