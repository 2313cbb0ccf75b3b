//! The gates over HTTP (contract, section 5): admit, call one service, answer.
//!
//! Start at [`routes`]. [`Gated`] is the argument that handlers of writes to the
//! outside world begin with. The application needs `Data<GateChain>` and `Data<Audit>`.
//!
//! None of the routes here is gated itself: a kill switch never blocks its own release.

mod approvals;
mod decisions;
mod explain;
mod figures;
mod gated;
mod kinds;
mod openapi;
mod rows;
mod views;
mod wire;

use actix_web::http::Method;
use identity::http::Routes;

pub use gated::{FromRequest, Gated, NoBody, Sent};
pub use openapi::openapi;

identity::action!(ReadGates, "gates.read", Admin);
identity::action!(SetKillSwitch, "gates.kill_switch.set", Admin);
identity::action!(LiftKillSwitch, "gates.kill_switch.lift", Admin);
identity::action!(SetFirearm, "gates.firearm.set", Admin);
identity::action!(LiftFirearm, "gates.firearm.lift", Admin);
identity::action!(SetStrategyLock, "gates.strategy_lock.set", Admin);
identity::action!(LiftStrategyLock, "gates.strategy_lock.lift", Admin);
identity::action!(SetBudget, "gates.budget.set", Admin);
identity::action!(LiftBudget, "gates.budget.lift", Admin);
identity::action!(SetKpi, "gates.kpi.set", Admin);
identity::action!(LiftKpi, "gates.kpi.lift", Admin);
identity::action!(ObserveKpi, "gates.kpi.observe", Admin);
identity::action!(SetTemperature, "gates.temperature.set", Admin);
identity::action!(LiftTemperature, "gates.temperature.lift", Admin);
identity::action!(AddHeat, "gates.temperature.heat", Admin);
identity::action!(ReadApprovals, "gates.approval.read", Member);
identity::action!(RequestApproval, "gates.approval.request", Member);
identity::action!(Approve, "gates.approval.approve", Admin);
identity::action!(Reject, "gates.approval.reject", Admin);
/// Asking what the gates would say. It changes nothing, so one event is its record.
#[derive(Debug)]
pub(crate) enum Explain {}

impl identity::Action for Explain {
    const NAME: &'static str = "gates.explain";
    const ROLE: identity::Role = identity::Role::Viewer;
    const OUTCOME_ONLY: bool = true;
}

/// Everything this crate serves; the server mounts it, and so can you.
pub fn routes(routes: &mut Routes) {
    kinds::mount(routes);
    let kpi = "/gates/kpis/{id}/observations";
    routes.tenant(Method::POST, kpi, figures::observe);
    routes.tenant(Method::POST, "/gates/temperature/{id}/heat", figures::heat);
    routes.tenant(Method::GET, "/gates/approvals", approvals::list);
    routes.tenant(Method::POST, "/gates/approvals", approvals::request);
    routes.tenant(Method::GET, "/gates/approvals/{id}", approvals::show);
    let (approve, reject) = (
        "/gates/approvals/{id}/approve",
        "/gates/approvals/{id}/reject",
    );
    routes.tenant(Method::POST, approve, approvals::approve);
    routes.tenant(Method::POST, reject, approvals::reject);
    routes.tenant(Method::POST, "/gates/explain", explain::explain);
    routes.tenant(Method::GET, "/gates/decisions", decisions::list);
}
