//! What a request about an asset is about, and what is done for every shelf alike.

use std::marker::PhantomData;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode, http::header, web::Data,
};
use gatechain::{
    Permit,
    http::{FromRequest, NoBody, Sent},
};
use identity::{
    AssetId, Problem, Remarks, Scope,
    http::{Object, remarked},
};
use serde::{Deserialize, de::DeserializeOwned};
use store::{Page, PageRequest};

use super::{
    assets_view::{Files, MediaUpload, PresignedView, RawUpload, RegisterBody, View},
    queries::rest,
};
use crate::assets::{
    Asset, Assets, Filter, Media, Presign, RawStorage, Register, Remove, Shelf, Upload,
};

/// A shelf as it is asked for.
pub trait Served: Shelf {
    /// What asks for a form.
    type Upload: DeserializeOwned + Into<Upload> + 'static;
    /// The path of its list.
    const LIST: &'static str;
}

impl Served for RawStorage {
    type Upload = RawUpload;
    const LIST: &'static str = "/nexus/raw-storage";
}

impl Served for Media {
    type Upload = MediaUpload;
    const LIST: &'static str = "/media";
}

/// A registered asset of a shelf.
pub(super) struct Found<S> {
    pub(super) asset: Asset,
    shelf: PhantomData<fn() -> S>,
}

/// A registered asset of media that was made from something.
pub(super) struct FoundArtifact {
    pub(super) asset: Asset,
}

/// An asset or an upload that is there to be deleted.
pub struct Removable<S> {
    id: AssetId,
    shelf: PhantomData<fn() -> S>,
}

fn assets_of(req: &HttpRequest) -> Result<&Data<Assets>, Problem> {
    let assets = req.app_data::<Data<Assets>>();
    assets.ok_or_else(|| Problem::unavailable(&"no assets are mounted"))
}

/// The id in the path; malformed ids are unknown ones.
fn id_in(req: &HttpRequest) -> Result<AssetId, Problem> {
    let id = req.match_info().get("asset_id");
    let id = id.and_then(|id| id.parse().ok());
    id.ok_or_else(Problem::not_found)
}

impl<S: Shelf> Object for Found<S> {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let asset = assets_of(req)?.find::<S>(scope, &id_in(req)?).await?;
        let asset = asset.ok_or_else(Problem::not_found)?;
        Ok(Self {
            asset,
            shelf: PhantomData,
        })
    }
}

impl Object for FoundArtifact {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let asset = Found::<Media>::locate(scope, req).await?.asset;
        let made = asset.facts.parent.is_some().then_some(Self { asset });
        made.ok_or_else(Problem::not_found)
    }
}

impl<S: Shelf> Object for Removable<S> {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req)?;
        if !assets_of(req)?.holds::<S>(scope, &id).await? {
            return Err(Problem::not_found());
        }
        Ok(Self {
            id,
            shelf: PhantomData,
        })
    }
}

impl<S: Served> FromRequest for Presign<S> {
    type Body = S::Upload;
    type Object = ();

    fn from_request(_: &Scope, (): &(), sent: Sent<S::Upload>) -> Result<Self, Problem> {
        Ok(Self::new(sent.body.into(), sent.sha256))
    }
}

impl<S: Served> FromRequest for Register<S> {
    type Body = RegisterBody;
    type Object = ();

    fn from_request(_: &Scope, (): &(), sent: Sent<RegisterBody>) -> Result<Self, Problem> {
        Ok(Self::new(sent.body.asset_id, sent.sha256))
    }
}

impl<S: Served> FromRequest for Remove<S> {
    type Body = NoBody;
    type Object = Removable<S>;

    fn from_request(_: &Scope, object: &Removable<S>, _: Sent<NoBody>) -> Result<Self, Problem> {
        Ok(Self::new(object.id.clone()))
    }
}

/// The query of a list of media.
#[derive(Deserialize)]
pub(super) struct MediaQuery {
    after: Option<String>,
    limit: Option<usize>,
    parent: Option<String>,
    kind: Option<String>,
}

/// The query of a list of artifacts.
#[derive(Deserialize)]
pub(super) struct ArtifactQuery {
    pub(super) after: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) parent: Option<String>,
}

/// A part of a query, or the problem with it.
pub(super) fn queried<T>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: T::Err| Problem::query(name, error.to_string()))
}

impl MediaQuery {
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        Ok(PageRequest::parse(self.after.as_deref(), self.limit)?)
    }

    pub(super) fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            parent: queried("parent", self.parent.as_deref())?,
            kind: queried("kind", self.kind.as_deref())?,
        })
    }

    /// What the next page is asked for with, beside its cursor.
    pub(super) fn rest(&self) -> String {
        let (parent, kind) = (self.parent.as_deref(), self.kind.as_deref());
        rest(self.limit, [("parent", parent), ("kind", kind)])
    }
}

pub(super) async fn presign<S: Served>(
    scope: &Scope,
    permit: Permit<Presign<S>>,
    assets: &Assets,
) -> Result<HttpResponse, Problem> {
    let presigned = assets.presign(scope, permit).await?;
    let remarks = Remarks::default().with("asset_id", &presigned.id);
    let response = HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(PresignedView::from(presigned));
    Ok(remarked(response, remarks))
}

pub(super) async fn register<S: Served, V: View>(
    scope: &Scope,
    permit: Permit<Register<S>>,
    assets: &Assets,
) -> Result<HttpResponse, Problem> {
    let registered = assets.register(scope, permit).await?;
    let asset = registered.asset;
    let status = match registered.duplicate {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    let remarks = Remarks::default()
        .with("asset_id", &asset.id)
        .with("size", asset.facts.size);
    let place = format!("{}/{}", S::LIST, asset.id);
    let response = HttpResponseBuilder::new(status)
        .insert_header((header::LOCATION, place))
        .json(V::of(scope, asset)?);
    Ok(remarked(response, remarks))
}

pub(super) async fn delete<S: Served>(
    scope: &Scope,
    permit: Permit<Remove<S>>,
    assets: &Assets,
) -> Result<HttpResponse, Problem> {
    assets.delete(scope, permit).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Answers with a page of the list at `path`, whose next one is asked for with `rest`.
pub(super) fn listed<V: View>(
    scope: &Scope,
    path: &str,
    rest: &str,
    page: Page<Asset>,
) -> Result<HttpResponse, Problem> {
    let files = Files::<V>::of(scope, page)?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = &files.next {
        let link = format!("<{path}?after={next}{rest}>; rel=\"next\"");
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(files))
}

/// Sends the client to the bytes of an asset, at a URL that ends soon and that nobody keeps.
pub(super) async fn content(
    scope: &Scope,
    asset: &Asset,
    assets: &Assets,
) -> Result<HttpResponse, Problem> {
    let url = assets.content(scope, asset).await?;
    let response = HttpResponse::Found()
        .insert_header((header::LOCATION, url.url))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish();
    Ok(response)
}
