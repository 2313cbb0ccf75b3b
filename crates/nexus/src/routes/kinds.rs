//! The routes of each kind of records.

use actix_web::{HttpResponse, http::Method, http::StatusCode, web::Data};
use gatechain::http::Gated;
use identity::{
    Problem, Remarks,
    http::{Admitted, Query, Routes, remarked},
};
use utoipa::OpenApi;

use super::{
    handlers,
    objects::Target,
    queries::{EditionQuery, MemoryQuery, PageQuery, PagesQuery, PlaceQuery},
    requests::EventBatch,
    view::{self, AppendedView, Listed, RecordView},
};
use crate::{
    AnalyticsEvent, AppendEvents, Atom, Card, Create, Delete, EffectiveSettings, Maybe, Memory,
    MemoryBody, MergePatch, Model, Nexus, Pack, PageContent, Patch, Publication, Publish,
    ReadSettings, Replace, Restore, Run, RunBody, Seo, Settings, SettingsBody,
};

/// Reading a kind.
macro_rules! looking {
    ($model:ty, $what:literal, $query:ty, $list:literal, $item:literal) => {
        listing!($model, $what, $query, $list);

        #[doc = concat!("Shows one of the ", $what, ".")]
        #[utoipa::path(get, path = $item, tag = "nexus", params(("id" = String, Path)), responses((status = 200, body = RecordView<$model>), (status = 404, description = "There is none")))]
        async fn show(
            admitted: Admitted<<$model as Model>::Read, (), Target<$model>>,
        ) -> Result<HttpResponse, Problem> {
            Ok(view::record(StatusCode::OK, admitted.object.record))
        }
    };
}

/// Listing a kind.
macro_rules! listing {
    ($model:ty, $what:literal, $query:ty, $list:literal) => {
        #[doc = concat!("Lists ", $what, ", in the order in which they were made.")]
        #[utoipa::path(get, path = $list, tag = "nexus", params($query), responses((status = 200, body = Listed<$model>)))]
        async fn list(
            admitted: Admitted<<$model as Model>::Read>,
            query: Query<$query>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::list::<$model, _>($list, &admitted.scope, &query.0, &nexus).await
        }
    };
}

/// Making and changing what is of a kind.
macro_rules! writing {
    ($model:ty, $body:ty, $what:literal, $list:literal, $item:literal) => {
        #[doc = concat!("Makes one of the ", $what, ", behind the gates.")]
        #[utoipa::path(post, path = $list, tag = "nexus", request_body = $body,
            params(("idempotency-key" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
            responses((status = 201, body = RecordView<$model>),
                (status = 409, description = "There is one in its place, or no room for it"),
                (status = 422, description = "It is not valid, or the key was used for another")))]
        async fn create(
            gated: Gated<Create<$model>>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::create($list, &gated.scope, gated.passed, &nexus).await
        }

        #[doc = concat!("Replaces one of the ", $what, ", behind the gates.")]
        #[utoipa::path(put, path = $item, tag = "nexus", request_body = $body,
            params(("id" = String, Path), ("if-match" = String, Header), ("x-approval-id" = Option<String>, Header)),
            responses((status = 200, body = RecordView<$model>),
                (status = 412, description = "It has changed"),
                (status = 428, description = "If-Match is missing")))]
        async fn replace(
            gated: Gated<Replace<$model>>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::replace(&gated.scope, gated.passed, &nexus).await
        }

        #[doc = concat!("Changes a part of one of the ", $what, ", behind the gates.")]
        #[utoipa::path(patch, path = $item, tag = "nexus",
            request_body(content = MergePatch, content_type = "application/merge-patch+json"),
            params(("id" = String, Path), ("if-match" = String, Header), ("x-approval-id" = Option<String>, Header)),
            responses((status = 200, body = RecordView<$model>),
                (status = 412, description = "It has changed"),
                (status = 422, description = "What comes of it is not valid"),
                (status = 428, description = "If-Match is missing")))]
        async fn patch(
            gated: Gated<Patch<$model>>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::patch(&gated.scope, gated.passed, &nexus).await
        }
    };
}

/// Deleting what is of a kind, and restoring it.
macro_rules! ending {
    ($model:ty, $what:literal, $item:literal, $restore:literal) => {
        #[doc = concat!("Deletes one of the ", $what, ", behind the gates; it can be restored for 30 days.")]
        #[utoipa::path(delete, path = $item, tag = "nexus",
            params(("id" = String, Path), ("if-match" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
            responses((status = 204), (status = 412, description = "It has changed")))]
        async fn delete(
            gated: Gated<Delete<$model>>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::delete(&gated.scope, gated.passed, &nexus).await
        }

        #[doc = concat!("Restores one of the ", $what, " that was deleted, behind the gates.")]
        #[utoipa::path(post, path = $restore, tag = "nexus",
            params(("id" = String, Path), ("x-approval-id" = Option<String>, Header)),
            responses((status = 200, body = RecordView<$model>),
                (status = 404, description = "None was deleted, or too long ago")))]
        async fn restore(
            gated: Gated<Restore<$model>>,
            nexus: Data<Nexus>,
        ) -> Result<HttpResponse, Problem> {
            handlers::restore(&gated.scope, gated.passed, &nexus).await
        }
    };
}

/// The seven routes of a kind.
macro_rules! kind {
    ($module:ident: $model:ty, $body:ty, $what:literal, $query:ty,
     $list:literal, $item:literal, $restore:literal) => {
        mod $module {
            use super::*;

            looking!($model, $what, $query, $list, $item);
            writing!($model, $body, $what, $list, $item);
            ending!($model, $what, $item, $restore);

            #[derive(OpenApi)]
            #[openapi(paths(list, show, create, replace, patch, delete, restore))]
            pub(super) struct Api;

            pub(super) fn mount(routes: &mut Routes) {
                routes.tenant(Method::GET, $list, list);
                routes.tenant(Method::POST, $list, create);
                routes.tenant(Method::GET, $item, show);
                routes.tenant(Method::PUT, $item, replace);
                routes.tenant(Method::PATCH, $item, patch);
                routes.tenant(Method::DELETE, $item, delete);
                routes.tenant(Method::POST, $restore, restore);
            }
        }
    };
}

/// The eight routes of what is published.
macro_rules! publication {
    ($module:ident: $body:ty, $what:literal,
     $list:literal, $item:literal, $restore:literal, $publish:literal) => {
        mod $module {
            use super::*;

            listing!(Publication<$body>, $what, PagesQuery, $list);
            writing!(Publication<$body>, $body, $what, $list, $item);
            ending!(Publication<$body>, $what, $item, $restore);

            #[doc = concat!("Shows one of the ", $what, ": the draft, or what is published.")]
            #[utoipa::path(get, path = $item, tag = "nexus",
                params(("id" = String, Path), EditionQuery),
                responses((status = 200, body = RecordView<Publication<$body>>),
                    (status = 404, description = "There is none, or nothing is published")))]
            async fn show(
                admitted: Admitted<
                    <Publication<$body> as Model>::Read,
                    (),
                    Target<Publication<$body>>,
                >,
                query: Query<EditionQuery>,
            ) -> Result<HttpResponse, Problem> {
                let mut found = Some(admitted.object.record);
                if query.0.published {
                    found = found.and_then(crate::Record::as_published);
                }
                let record = found.ok_or_else(Problem::not_found)?;
                Ok(view::record(StatusCode::OK, record))
            }

            #[doc = concat!("Publishes the draft of one of the ", $what, ", behind the gates.")]
            #[utoipa::path(post, path = $publish, tag = "nexus",
                params(("id" = String, Path), ("if-match" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
                responses((status = 200, body = RecordView<Publication<$body>>),
                    (status = 412, description = "It has changed")))]
            async fn publish(
                gated: Gated<Publish<$body>>,
                nexus: Data<Nexus>,
            ) -> Result<HttpResponse, Problem> {
                handlers::publish(&gated.scope, gated.passed, &nexus).await
            }

            #[derive(OpenApi)]
            #[openapi(paths(list, show, create, replace, patch, delete, restore, publish))]
            pub(super) struct Api;

            pub(super) fn mount(routes: &mut Routes) {
                routes.tenant(Method::GET, $list, list);
                routes.tenant(Method::POST, $list, create);
                routes.tenant(Method::GET, $item, show);
                routes.tenant(Method::PUT, $item, replace);
                routes.tenant(Method::PATCH, $item, patch);
                routes.tenant(Method::DELETE, $item, delete);
                routes.tenant(Method::POST, $restore, restore);
                routes.tenant(Method::POST, $publish, publish);
            }
        }
    };
}

kind!(cards: Card, Card, "cards", PageQuery,
    "/nexus/cards", "/nexus/cards/{id}", "/nexus/cards/{id}/restore");
kind!(atoms: Atom, Atom, "atoms", PageQuery,
    "/nexus/atoms", "/nexus/atoms/{id}", "/nexus/atoms/{id}/restore");
kind!(packs: Pack, Pack, "packs", PageQuery,
    "/nexus/packs", "/nexus/packs/{id}", "/nexus/packs/{id}/restore");
kind!(settings: Settings, SettingsBody, "settings", PageQuery,
    "/nexus/settings", "/nexus/settings/{id}", "/nexus/settings/{id}/restore");
kind!(runs: Run, RunBody, "runs", PageQuery,
    "/nexus/runs", "/nexus/runs/{id}", "/nexus/runs/{id}/restore");
kind!(memory: Memory, MemoryBody, "caller's memories", MemoryQuery,
    "/nexus/memory", "/nexus/memory/{id}", "/nexus/memory/{id}/restore");
kind!(maybes: Maybe, Maybe, "caller's scratch notes", PageQuery,
    "/nexus/maybes", "/nexus/maybes/{id}", "/nexus/maybes/{id}/restore");
publication!(page_content: PageContent, "contents of pages",
    "/nexus/page-content", "/nexus/page-content/{id}", "/nexus/page-content/{id}/restore",
    "/nexus/page-content/{id}/publish");
publication!(seo: Seo, "SEO records",
    "/nexus/seo", "/nexus/seo/{id}", "/nexus/seo/{id}/restore", "/nexus/seo/{id}/publish");

/// Events are appended in batches, and do not change.
mod analytics_events {
    use super::*;

    looking!(
        AnalyticsEvent,
        "events",
        PageQuery,
        "/nexus/analytics-events",
        "/nexus/analytics-events/{id}"
    );
    ending!(
        AnalyticsEvent,
        "events",
        "/nexus/analytics-events/{id}",
        "/nexus/analytics-events/{id}/restore"
    );

    /// Appends events, behind the gates: all of them or none.
    #[utoipa::path(post, path = "/nexus/analytics-events", tag = "nexus", request_body = EventBatch,
        params(("idempotency-key" = Option<String>, Header), ("x-approval-id" = Option<String>, Header)),
        responses((status = 201, body = AppendedView),
            (status = 422, description = "One is not valid, or without consent; or the key was used for others")))]
    async fn append(
        gated: Gated<AppendEvents>,
        nexus: Data<Nexus>,
    ) -> Result<HttpResponse, Problem> {
        let records = nexus.records::<AnalyticsEvent>();
        let appended = records.append(&gated.scope, gated.passed).await?;
        let remarks = Remarks::default().with("events", appended.ids.len());
        let view = AppendedView::from(appended);
        Ok(remarked(HttpResponse::Created().json(view), remarks))
    }

    #[derive(OpenApi)]
    #[openapi(paths(list, show, append, delete, restore))]
    pub(super) struct Api;

    pub(super) fn mount(routes: &mut Routes) {
        let (list_path, item) = ("/nexus/analytics-events", "/nexus/analytics-events/{id}");
        routes.tenant(Method::GET, list_path, list);
        routes.tenant(Method::POST, list_path, append);
        routes.tenant(Method::GET, item, show);
        routes.tenant(Method::DELETE, item, delete);
        let restored = "/nexus/analytics-events/{id}/restore";
        routes.tenant(Method::POST, restored, restore);
    }
}

/// Shows which settings hold for a surface and an app, and where each value is from.
#[utoipa::path(get, path = "/nexus/settings/effective", tag = "nexus", params(PlaceQuery),
    responses((status = 200, body = EffectiveSettings)))]
async fn effective(
    admitted: Admitted<ReadSettings>,
    query: Query<PlaceQuery>,
    nexus: Data<Nexus>,
) -> Result<HttpResponse, Problem> {
    let (surface, app) = query.0.place(&admitted.scope);
    let records = nexus.records::<Settings>();
    let effective = records.effective(&admitted.scope, surface, app).await?;
    Ok(HttpResponse::Ok().json(effective))
}

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, "/nexus/settings/effective", effective);
    for mount in [
        cards::mount,
        atoms::mount,
        packs::mount,
        settings::mount,
        runs::mount,
        memory::mount,
        maybes::mount,
        analytics_events::mount,
        page_content::mount,
        seo::mount,
    ] {
        mount(routes);
    }
}

#[derive(OpenApi)]
#[openapi(paths(effective))]
struct Api;

/// Describes what [`mount`] mounts.
pub(super) fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    for kind in [
        cards::Api::openapi(),
        atoms::Api::openapi(),
        packs::Api::openapi(),
        settings::Api::openapi(),
        runs::Api::openapi(),
        memory::Api::openapi(),
        maybes::Api::openapi(),
        analytics_events::Api::openapi(),
        page_content::Api::openapi(),
        seo::Api::openapi(),
    ] {
        api.merge(kind);
    }
    api
}
