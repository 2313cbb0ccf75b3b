//! The routes of raw storage, of media, and of the artifacts among it.

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::Data,
};
use gatechain::http::Gated;
use identity::{
    Problem, Remarks, Scope,
    http::{Admitted, Query, Routes, remarked},
};
use store::PageRequest;
use utoipa::OpenApi;

use super::{
    assets_view::{
        FileView, Files, LineageView, MediaUpload, MediaView, PresignedView, RawUpload,
        RegisterBody, View,
    },
    assets_wire::{self as wire, ArtifactQuery, Found, FoundArtifact, MediaQuery, Served, queried},
    queries::{PageQuery, rest},
};
use crate::assets::{
    Asset, Assets, Filter, Media, Parent, Presign, RawStorage, ReadMedia, ReadRawStorage, Register,
    Remove,
};

/// The handlers that both shelves have.
macro_rules! shelf {
    ($module:ident: $shelf:ident, $read:ident, $upload:ident, $view:ident, $tag:literal,
     $presign:literal, $register:literal, $item:literal, $content:literal) => {
        pub(super) mod $module {
            use super::*;

            /// Opens an upload, behind the gates: a form that the store holds to what is promised
            /// here. What is not registered within a day is deleted.
            #[utoipa::path(post, path = $presign, tag = $tag, request_body = $upload,
                params(("x-approval-id" = Option<String>, Header)),
                responses((status = 201, body = PresignedView),
                    (status = 422, description = "The promise is not valid")))]
            pub(in super::super) async fn presign(
                gated: Gated<Presign<$shelf>>,
                assets: Data<Assets>,
            ) -> Result<HttpResponse, Problem> {
                wire::presign(&gated.scope, gated.passed, &assets).await
            }

            /// Registers an upload, behind the gates, once the store has it as promised.
            #[utoipa::path(post, path = $register, tag = $tag, request_body = RegisterBody,
                params(("x-approval-id" = Option<String>, Header)),
                responses((status = 201, body = $view),
                    (status = 200, body = $view, description = "It was registered before"),
                    (status = 404, description = "Foreign, unknown or swept"),
                    (status = 409, description = "Nothing was uploaded"),
                    (status = 422, description = "What was uploaded is not what was promised")))]
            pub(in super::super) async fn register(
                gated: Gated<Register<$shelf>>,
                assets: Data<Assets>,
            ) -> Result<HttpResponse, Problem> {
                wire::register::<_, $view>(&gated.scope, gated.passed, &assets).await
            }

            /// Shows a registered file.
            #[utoipa::path(get, path = $item, tag = $tag, params(("asset_id" = String, Path)),
                responses((status = 200, body = $view),
                    (status = 404, description = "Foreign, unknown or not registered")))]
            pub(in super::super) async fn show(
                admitted: Admitted<$read, (), Found<$shelf>>,
            ) -> Result<HttpResponse, Problem> {
                let Admitted { scope, object, .. } = admitted;
                Ok(HttpResponse::Ok().json($view::of(&scope, object.asset)?))
            }

            /// Sends the client to the bytes of a registered file, at a URL that ends after five
            /// minutes.
            #[utoipa::path(get, path = $content, tag = $tag, params(("asset_id" = String, Path)),
                responses((status = 302, description = "`Location` is where the bytes are"),
                    (status = 404, description = "Foreign, unknown or not registered"),
                    (status = 409, description = "The store has not the bytes that were registered")))]
            pub(in super::super) async fn content(
                admitted: Admitted<$read, (), Found<$shelf>>,
                assets: Data<Assets>,
            ) -> Result<HttpResponse, Problem> {
                wire::content(&admitted.scope, &admitted.object.asset, &assets).await
            }

            /// Deletes a file and its bytes, behind the gates; or calls its upload off.
            #[utoipa::path(delete, path = $item, tag = $tag,
                params(("asset_id" = String, Path), ("x-approval-id" = Option<String>, Header)),
                responses((status = 204), (status = 404, description = "Foreign or unknown")))]
            pub(in super::super) async fn delete(
                gated: Gated<Remove<$shelf>>,
                assets: Data<Assets>,
            ) -> Result<HttpResponse, Problem> {
                wire::delete(&gated.scope, gated.passed, &assets).await
            }

            pub(super) fn mount(routes: &mut Routes) {
                routes.tenant(Method::POST, $presign, presign);
                routes.tenant(Method::POST, $register, register);
                routes.tenant(Method::GET, $item, show);
                routes.tenant(Method::DELETE, $item, delete);
                routes.tenant(Method::GET, $content, content);
            }
        }
    };
}

shelf!(raw: RawStorage, ReadRawStorage, RawUpload, FileView, "raw storage",
    "/nexus/raw-storage/presign", "/nexus/raw-storage/register",
    "/nexus/raw-storage/{asset_id}", "/nexus/raw-storage/{asset_id}/content");
shelf!(media: Media, ReadMedia, MediaUpload, MediaView, "media",
    "/media/presign", "/media/register", "/media/{asset_id}", "/media/{asset_id}/content");

/// Lists the registered files of raw storage, ordered by id.
#[utoipa::path(get, path = "/nexus/raw-storage", tag = "raw storage",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = Files<FileView>)))]
pub(super) async fn list_raw(
    admitted: Admitted<ReadRawStorage>,
    query: Query<PageQuery>,
    assets: Data<Assets>,
) -> Result<HttpResponse, Problem> {
    let (scope, rest) = (&admitted.scope, rest(query.0.limit, []));
    let page = PageRequest::try_from(&query.0)?;
    let page = assets
        .list::<RawStorage>(scope, &Filter::default(), &page)
        .await?;
    wire::listed::<FileView>(scope, RawStorage::LIST, &rest, page)
}

/// Lists registered media: all of it, what was made from something, or what is of one kind.
#[utoipa::path(get, path = "/media", tag = "media",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
        ("parent" = Option<String>, Query), ("kind" = Option<String>, Query)),
    responses((status = 200, body = Files<MediaView>)))]
pub(super) async fn list_media(
    admitted: Admitted<ReadMedia>,
    query: Query<MediaQuery>,
    assets: Data<Assets>,
) -> Result<HttpResponse, Problem> {
    let (scope, query) = (&admitted.scope, query.0);
    let (filter, page) = (query.filter()?, query.page()?);
    let page = assets.list::<Media>(scope, &filter, &page).await?;
    wire::listed::<MediaView>(scope, Media::LIST, &query.rest(), page)
}

/// Shows what registered media descends from.
#[utoipa::path(get, path = "/media/{asset_id}/lineage", tag = "media",
    params(("asset_id" = String, Path)),
    responses((status = 200, body = LineageView),
        (status = 404, description = "Foreign, unknown or not registered")))]
pub(super) async fn lineage(
    admitted: Admitted<ReadMedia, (), Found<Media>>,
    assets: Data<Assets>,
) -> Result<HttpResponse, Problem> {
    let Admitted { scope, object, .. } = admitted;
    let lineage = assets.lineage(&scope, object.asset).await?;
    Ok(HttpResponse::Ok().json(LineageView::of(&scope, lineage)?))
}

/// Lists artifacts: media that was made from something, or from `parent` alone.
#[utoipa::path(get, path = "/artifacts", tag = "media",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
        ("parent" = Option<String>, Query)),
    responses((status = 200, body = Files<MediaView>)))]
pub(super) async fn list_artifacts(
    admitted: Admitted<ReadMedia>,
    query: Query<ArtifactQuery>,
    assets: Data<Assets>,
) -> Result<HttpResponse, Problem> {
    let (scope, query) = (&admitted.scope, query.0);
    let parent = queried::<Parent>("parent", query.parent.as_deref())?;
    let page = PageRequest::parse(query.after.as_deref(), query.limit)?;
    let page = assets.artifacts(scope, parent.as_ref(), &page).await?;
    let rest = rest(query.limit, [("parent", query.parent.as_deref())]);
    wire::listed::<MediaView>(scope, "/artifacts", &rest, page)
}

/// Shows an artifact.
#[utoipa::path(get, path = "/artifacts/{asset_id}", tag = "media",
    params(("asset_id" = String, Path)),
    responses((status = 200, body = MediaView), (status = 404, description = "Foreign or unknown")))]
pub(super) async fn show_artifact(
    admitted: Admitted<ReadMedia, (), FoundArtifact>,
) -> Result<HttpResponse, Problem> {
    let Admitted { scope, object, .. } = admitted;
    Ok(HttpResponse::Ok().json(MediaView::of(&scope, object.asset)?))
}

/// Sends the client to the bytes of an artifact, at a URL that ends after five minutes.
#[utoipa::path(get, path = "/artifacts/{asset_id}/content", tag = "media",
    params(("asset_id" = String, Path)),
    responses((status = 302, description = "`Location` is where the bytes are"),
        (status = 404, description = "Foreign or unknown"),
        (status = 409, description = "The store has not the bytes that were registered")))]
pub(super) async fn artifact_content(
    admitted: Admitted<ReadMedia, (), FoundArtifact>,
    assets: Data<Assets>,
) -> Result<HttpResponse, Problem> {
    wire::content(&admitted.scope, &admitted.object.asset, &assets).await
}

/// Answers that the system has made an artifact, and what it is.
///
/// # Errors
/// When it has no key, which is a fault of ours.
pub fn artifact_made(scope: &Scope, asset: Asset) -> Result<HttpResponse, Problem> {
    let remarks = Remarks::default()
        .with("asset_id", &asset.id)
        .with("size", asset.facts.size);
    // Its record is of the artifact, and names what it was made from as well.
    let remarks = match &asset.facts.parent {
        Some(Parent::Canvas(canvas)) => remarks.with("canvas_id", canvas),
        Some(Parent::Asset(parent)) => remarks.with("parent_asset_id", parent),
        None => remarks,
    };
    let response = HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/artifacts/{}", asset.id)))
        .json(MediaView::of(scope, asset)?);
    Ok(remarked(response, remarks))
}

pub(super) fn mount(routes: &mut Routes) {
    raw::mount(routes);
    media::mount(routes);
    routes.tenant(Method::GET, RawStorage::LIST, list_raw);
    routes.tenant(Method::GET, Media::LIST, list_media);
    routes.tenant(Method::GET, "/media/{asset_id}/lineage", lineage);
    routes.tenant(Method::GET, "/artifacts", list_artifacts);
    routes.tenant(Method::GET, "/artifacts/{asset_id}", show_artifact);
    routes.tenant(
        Method::GET,
        "/artifacts/{asset_id}/content",
        artifact_content,
    );
}

#[derive(OpenApi)]
#[openapi(paths(
    raw::presign,
    raw::register,
    raw::show,
    raw::content,
    raw::delete,
    list_raw,
    media::presign,
    media::register,
    media::show,
    media::content,
    media::delete,
    list_media,
    lineage,
    list_artifacts,
    show_artifact,
    artifact_content,
))]
struct Api;

/// Describes what [`mount`] mounts.
pub(super) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
