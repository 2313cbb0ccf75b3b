//! The OpenAPI description of these routes.

use utoipa::OpenApi;

use super::{approvals, decisions, explain, figures, kinds};

#[derive(OpenApi)]
#[openapi(paths(
    kinds::kill_switches::list,
    kinds::kill_switches::show,
    kinds::kill_switches::put,
    kinds::kill_switches::delete,
    kinds::firearms::list,
    kinds::firearms::show,
    kinds::firearms::put,
    kinds::firearms::delete,
    kinds::strategy_locks::list,
    kinds::strategy_locks::show,
    kinds::strategy_locks::put,
    kinds::strategy_locks::delete,
    kinds::budgets::list,
    kinds::budgets::show,
    kinds::budgets::put,
    kinds::budgets::delete,
    kinds::kpis::list,
    kinds::kpis::show,
    kinds::kpis::put,
    kinds::kpis::delete,
    kinds::temperature::list,
    kinds::temperature::show,
    kinds::temperature::put,
    kinds::temperature::delete,
    figures::observe,
    figures::heat,
    approvals::list,
    approvals::request,
    approvals::show,
    approvals::approve,
    approvals::reject,
    explain::explain,
    decisions::list,
))]
struct Api;

/// Describes what [`routes`](super::routes) mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
