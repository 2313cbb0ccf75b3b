//! The routes of each kind of records.

use actix_web::{HttpResponse, http::Method, web::Data};
use gatechain::http::Gated;
use identity::{
    Problem,
    http::{Admitted, Query, Routes},
};
use utoipa::OpenApi;

use super::{
    handlers,
    objects::Target,
    view::{Listed, PageQuery, RecordView},
};
use crate::{Card, Create, Delete, Model, Records, Replace, Restore};

/// Handlers of one kind, each described for OpenAPI.
macro_rules! kind {
    ($module:ident: $model:ident, $what:literal,
     $list:literal, $item:literal, $restore:literal) => {
        pub(super) mod $module {
            use super::*;

            #[doc = concat!("Lists ", $what, ", ordered by id.")]
            #[utoipa::path(get, path = $list, tag = "nexus",
                params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
                responses((status = 200, body = Listed<$model>)))]
            pub(in super::super) async fn list(
                admitted: Admitted<<$model as Model>::Read>,
                query: Query<PageQuery>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::list($list, &admitted.scope, &query.0, &records).await
            }

            #[doc = concat!("Shows one of the ", $what, ".")]
            #[utoipa::path(get, path = $item, tag = "nexus", params(("id" = String, Path)),
                responses((status = 200, body = RecordView<$model>),
                    (status = 404, description = "There is none")))]
            pub(in super::super) async fn show(
                admitted: Admitted<<$model as Model>::Read, (), Target<$model>>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::show(&admitted.scope, &admitted.object.id, &records).await
            }

            #[doc = concat!("Makes one of the ", $what, ", behind the gates.")]
            #[utoipa::path(post, path = $list, tag = "nexus", request_body = $model,
                params(("idempotency-key" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
                responses((status = 201, body = RecordView<$model>),
                    (status = 422, description = "It is not valid, or the key was used for another")))]
            pub(in super::super) async fn create(
                gated: Gated<Create<$model>>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::create($list, &gated.scope, gated.passed, &records).await
            }

            #[doc = concat!("Replaces one of the ", $what, ", behind the gates.")]
            #[utoipa::path(put, path = $item, tag = "nexus", request_body = $model,
                params(("id" = String, Path), ("if-match" = String, Header), ("x-approval-id" = Option<String>, Header)),
                responses((status = 200, body = RecordView<$model>),
                    (status = 412, description = "It has changed"),
                    (status = 428, description = "If-Match is missing")))]
            pub(in super::super) async fn replace(
                gated: Gated<Replace<$model>>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::replace(&gated.scope, gated.passed, &records).await
            }

            #[doc = concat!("Deletes one of the ", $what, ", behind the gates; it can be restored for 30 days.")]
            #[utoipa::path(delete, path = $item, tag = "nexus",
                params(("id" = String, Path), ("if-match" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
                responses((status = 204), (status = 412, description = "It has changed")))]
            pub(in super::super) async fn delete(
                gated: Gated<Delete<$model>>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::delete(&gated.scope, gated.passed, &records).await
            }

            #[doc = concat!("Restores one of the ", $what, " that was deleted, behind the gates.")]
            #[utoipa::path(post, path = $restore, tag = "nexus",
                params(("id" = String, Path), ("x-approval-id" = Option<String>, Header)),
                responses((status = 200, body = RecordView<$model>),
                    (status = 404, description = "None was deleted, or too long ago")))]
            pub(in super::super) async fn restore(
                gated: Gated<Restore<$model>>,
                records: Data<Records<$model>>,
            ) -> Result<HttpResponse, Problem> {
                handlers::restore(&gated.scope, gated.passed, &records).await
            }

            pub(super) fn mount(routes: &mut Routes) {
                routes.tenant(Method::GET, $list, list);
                routes.tenant(Method::POST, $list, create);
                routes.tenant(Method::GET, $item, show);
                routes.tenant(Method::PUT, $item, replace);
                routes.tenant(Method::DELETE, $item, delete);
                routes.tenant(Method::POST, $restore, restore);
            }
        }
    };
}

kind!(cards: Card, "cards", "/nexus/cards", "/nexus/cards/{id}", "/nexus/cards/{id}/restore");

pub(super) fn mount(routes: &mut Routes) {
    cards::mount(routes);
}

#[derive(OpenApi)]
#[openapi(paths(
    cards::list,
    cards::show,
    cards::create,
    cards::replace,
    cards::delete,
    cards::restore,
))]
struct Api;

/// Describes what [`routes`](super::routes) mounts.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
