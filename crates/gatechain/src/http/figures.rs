//! Figures are observed, things are heated.

use actix_web::{HttpResponse, web::Data};
use identity::{
    Problem, Timestamp,
    http::{Admitted, Json},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    AddHeat, ObserveKpi,
    views::{ObservedView, TemperatureView},
    wire::Slot,
};
use crate::{GateChain, Temperature};

/// A figure as it was observed.
#[derive(Deserialize, ToSchema)]
pub(super) struct ObserveBody {
    value: f64,
    /// When it was so; now unless said. One older than the last changes nothing.
    #[schema(value_type = Option<String>)]
    as_of: Option<Timestamp>,
}

/// Takes note of a figure.
#[utoipa::path(post, path = "/gates/kpis/{id}/observations", tag = "gates", request_body = ObserveBody,
    params(("id" = String, Path)),
    responses((status = 200, body = ObservedView), (status = 404, description = "There is none")))]
pub(super) async fn observe(
    admitted: Admitted<ObserveKpi, Json<ObserveBody>, Slot>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let (Slot(id), Json(body)) = (admitted.object, admitted.body);
    let observed = gates
        .observe(&admitted.scope, &id, body.value, body.as_of)
        .await?;
    Ok(HttpResponse::Ok().json(ObservedView::from(observed)))
}

/// How much hotter (or, below 0, cooler) it became.
#[derive(Deserialize, ToSchema)]
pub(super) struct HeatBody {
    by: f64,
}

/// Heats something.
#[utoipa::path(post, path = "/gates/temperature/{id}/heat", tag = "gates", request_body = HeatBody,
    params(("id" = String, Path)),
    responses((status = 200, body = TemperatureView), (status = 404, description = "There is none")))]
pub(super) async fn heat(
    admitted: Admitted<AddHeat, Json<HeatBody>, Slot>,
    gates: Data<GateChain>,
) -> Result<HttpResponse, Problem> {
    let (Slot(id), Json(body)) = (admitted.object, admitted.body);
    let heat = gates.heat(&admitted.scope, &id, body.by).await?;
    let row = gates.find::<Temperature>(&admitted.scope, &id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let view = TemperatureView::of(&id, row.value, Some(heat), &gates);
    Ok(HttpResponse::Ok().json(view))
}
