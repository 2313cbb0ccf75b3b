//! What is put and shown of each kind of rows.

use identity::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::Served;
use crate::{
    ActionPattern, BudgetRow, FirearmRow, GateChain, GateError, Heat, KillSwitch, Kpi, Observed,
    RowId, StrategyLock, TargetName, Temperature, Window,
};

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
