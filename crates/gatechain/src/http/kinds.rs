//! The routes of each kind of rows: `GET` list, `GET`, `PUT`, `DELETE` by id.

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use identity::{
    Problem,
    http::{Admitted, Json, Query, Routes},
};

use super::{
    ReadGates, rows,
    wire::{PageQuery, Rows, Slot},
};
use crate::GateChain;

/// Handlers of one kind, each described for OpenAPI.
macro_rules! kind {
    ($module:ident: $row:ident, $body:ident, $view:ident, $set:ident, $lift:ident,
     $list:literal, $item:literal, $what:literal) => {
        pub(super) mod $module {
            use super::*;
            use super::super::{$set, $lift, views::$view};
            #[allow(unused_imports, reason = "some bodies are the rows themselves")]
            use super::super::views::*;
            #[allow(unused_imports, reason = "some bodies are the rows themselves")]
            use crate::$row;

            #[doc = concat!("Lists the ", $what, " of the caller's level.")]
            #[utoipa::path(get, path = $list, tag = "gates",
                params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
                responses((status = 200, body = Rows<$view>)))]
            pub(in super::super) async fn list(
                admitted: Admitted<ReadGates>,
                query: Query<PageQuery>,
                gates: Data<GateChain>,
            ) -> Result<HttpResponse, Problem> {
                rows::list::<$row>(&admitted.scope, &query.0, &gates).await
            }

            #[doc = concat!("Shows one of the ", $what, ".")]
            #[utoipa::path(get, path = $item, tag = "gates", params(("id" = String, Path)),
                responses((status = 200, body = $view), (status = 404, description = "There is none")))]
            pub(in super::super) async fn show(
                admitted: Admitted<ReadGates, (), Slot>,
                gates: Data<GateChain>,
            ) -> Result<HttpResponse, Problem> {
                rows::show::<$row>(&admitted.scope, &admitted.object.0, &gates).await
            }

            #[doc = concat!("Makes or replaces one of the ", $what, "; it binds at once.")]
            #[utoipa::path(put, path = $item, tag = "gates", request_body = $body,
                params(("id" = String, Path), ("if-match" = Option<String>, Header)),
                responses((status = 200, body = $view), (status = 201, body = $view),
                    (status = 409, description = "There are too many already"),
                    (status = 412, description = "It has changed")))]
            pub(in super::super) async fn put(
                admitted: Admitted<$set, Json<<$row as rows::Served>::Body>, Slot>,
                req: HttpRequest,
                gates: Data<GateChain>,
            ) -> Result<HttpResponse, Problem> {
                let row: $row = admitted.body.0.into();
                rows::put(&admitted.scope, &admitted.object.0, row, &req, &gates).await
            }

            #[doc = concat!("Deletes one of the ", $what, ", which lifts it.")]
            #[utoipa::path(delete, path = $item, tag = "gates",
                params(("id" = String, Path), ("if-match" = Option<String>, Header)),
                responses((status = 204), (status = 404, description = "There is none"),
                    (status = 412, description = "It has changed")))]
            pub(in super::super) async fn delete(
                admitted: Admitted<$lift, (), Slot>,
                req: HttpRequest,
                gates: Data<GateChain>,
            ) -> Result<HttpResponse, Problem> {
                rows::delete::<$row>(&admitted.scope, &admitted.object.0, &req, &gates).await
            }

            pub(super) fn mount(routes: &mut Routes) {
                routes.tenant(Method::GET, $list, list);
                routes.tenant(Method::GET, $item, show);
                routes.tenant(Method::PUT, $item, put);
                routes.tenant(Method::DELETE, $item, delete);
            }
        }
    };
}

kind!(kill_switches: KillSwitch, KillSwitch, KillSwitchView, SetKillSwitch, LiftKillSwitch,
    "/gates/kill-switches", "/gates/kill-switches/{id}", "kill switches");
kind!(firearms: FirearmRow, FirearmBody, FirearmView, SetFirearm, LiftFirearm,
    "/gates/firearms", "/gates/firearms/{id}", "requirements and licences");
kind!(strategy_locks: StrategyLock, StrategyLock, StrategyLockView, SetStrategyLock, LiftStrategyLock,
    "/gates/strategy-locks", "/gates/strategy-locks/{id}", "strategy locks");
kind!(budgets: BudgetRow, BudgetBody, BudgetView, SetBudget, LiftBudget,
    "/gates/budgets", "/gates/budgets/{id}", "budgets");
kind!(kpis: Kpi, Kpi, KpiView, SetKpi, LiftKpi,
    "/gates/kpis", "/gates/kpis/{id}", "figures");
kind!(temperature: Temperature, Temperature, TemperatureView, SetTemperature, LiftTemperature,
    "/gates/temperature", "/gates/temperature/{id}", "temperatures");

pub(super) fn mount(routes: &mut Routes) {
    kill_switches::mount(routes);
    firearms::mount(routes);
    strategy_locks::mount(routes);
    budgets::mount(routes);
    kpis::mount(routes);
    temperature::mount(routes);
}
