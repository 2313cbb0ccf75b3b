//! What the queries of lists ask for.

use std::future::Future;

use identity::{AppId, Problem, Scope, SurfaceId};
use serde::Deserialize;
use store::{InvalidPage, Page, PageRequest};
use url::form_urlencoded;
use utoipa::IntoParams;

use crate::{
    Invalid, Memory, Model, Publication, Publishable, Record, Records,
    kinds::{check_page, check_session},
};

/// A query that selects records of a list.
pub(super) trait Selection<M: Model> {
    /// The page that it asks for.
    fn page(
        &self,
        scope: &Scope,
        records: &Records<M>,
    ) -> impl Future<Output = Result<Page<Record<M>>, Problem>>;

    /// What the query of the next page has beside its cursor, with a leading `&`.
    fn rest(&self) -> String;
}

/// The query of a list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct PageQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// At most this many, up to 1,000; 100 unless said.
    pub(super) limit: Option<usize>,
}

/// The query of a list of memory.
#[derive(Deserialize, IntoParams)]
pub(crate) struct MemoryQuery {
    /// The `next` of the page before, with the same `session_id`.
    after: Option<String>,
    /// At most this many, up to 1,000; 100 unless said.
    limit: Option<usize>,
    /// Only that of this session.
    session_id: Option<String>,
}

/// The query of a list of what is published.
#[derive(Deserialize, IntoParams)]
pub(crate) struct PagesQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// At most this many, up to 1,000; 100 unless said.
    limit: Option<usize>,
    /// Only what is for this page, on the surface.
    page: Option<String>,
    /// The surface; that of `X-Surface-Id` unless said. Used with `page` alone.
    #[param(value_type = Option<String>)]
    surface_id: Option<SurfaceId>,
    /// Only what is published, as it was then; what is not is left out.
    #[serde(default)]
    published: bool,
}

/// The query of one thing that is published.
#[derive(Deserialize, IntoParams)]
pub(crate) struct EditionQuery {
    /// As it was when it was last published.
    #[serde(default)]
    pub(super) published: bool,
}

/// The query for what holds at a place.
#[derive(Deserialize, IntoParams)]
pub(crate) struct PlaceQuery {
    /// The surface; that of `X-Surface-Id` unless said.
    #[param(value_type = Option<String>)]
    surface_id: Option<SurfaceId>,
    /// The app; that of `X-App-Id` unless said.
    #[param(value_type = Option<String>)]
    app_id: Option<AppId>,
}

fn request(after: Option<&String>, limit: Option<usize>) -> Result<PageRequest, InvalidPage> {
    PageRequest::parse(after.map(String::as_str), limit)
}

impl TryFrom<&PageQuery> for PageRequest {
    type Error = InvalidPage;

    fn try_from(query: &PageQuery) -> Result<Self, InvalidPage> {
        request(query.after.as_ref(), query.limit)
    }
}

impl<M: Model> Selection<M> for PageQuery {
    async fn page(&self, scope: &Scope, records: &Records<M>) -> Result<Page<Record<M>>, Problem> {
        Ok(records.list(scope, &PageRequest::try_from(self)?).await?)
    }

    fn rest(&self) -> String {
        rest(self.limit, [])
    }
}

impl Selection<Memory> for MemoryQuery {
    async fn page(
        &self,
        scope: &Scope,
        records: &Records<Memory>,
    ) -> Result<Page<Record<Memory>>, Problem> {
        let page = request(self.after.as_ref(), self.limit)?;
        let Some(session) = &self.session_id else {
            return Ok(records.list(scope, &page).await?);
        };
        check_session("session_id", session).map_err(|invalid| unreadable(&invalid))?;
        Ok(records.list_group(scope, session, &page).await?)
    }

    fn rest(&self) -> String {
        rest(self.limit, [("session_id", self.session_id.as_deref())])
    }
}

impl<B: Publishable> Selection<Publication<B>> for PagesQuery {
    async fn page(
        &self,
        scope: &Scope,
        records: &Records<Publication<B>>,
    ) -> Result<Page<Record<Publication<B>>>, Problem> {
        let request = request(self.after.as_ref(), self.limit)?;
        let mut page = match &self.page {
            None => records.list(scope, &request).await?,
            Some(page) => {
                check_page("page", page).map_err(|invalid| unreadable(&invalid))?;
                let surface = self.surface_id.as_ref().or(scope.context().surface());
                let slot = Publication::<B>::slot_of(page, surface);
                Page::whole(records.find_in_slot(scope, &slot).await?)
            }
        };
        if self.published {
            let records = std::mem::take(&mut page.items).into_iter();
            page.items = records.filter_map(Record::as_published).collect();
        }
        Ok(page)
    }

    fn rest(&self) -> String {
        rest(
            self.limit,
            [("published", self.published.then_some("true"))],
        )
    }
}

impl PlaceQuery {
    /// The surface and the app, of which the context says what the query does not.
    pub(super) fn place<'a>(
        &'a self,
        scope: &'a Scope,
    ) -> (Option<&'a SurfaceId>, Option<&'a AppId>) {
        let here = scope.context();
        (
            self.surface_id.as_ref().or(here.surface()),
            self.app_id.as_ref().or(here.app()),
        )
    }
}

pub(super) fn unreadable(invalid: &Invalid) -> Problem {
    Problem::query(&invalid.pointer, &invalid.why)
}

/// The rest of a query that goes on with the same `limit` and the other pairs that are said.
pub(super) fn rest<const N: usize>(
    limit: Option<usize>,
    pairs: [(&str, Option<&str>); N],
) -> String {
    let limit = limit.map(|limit| limit.to_string());
    let pairs = pairs.into_iter().chain([("limit", limit.as_deref())]);
    let mut rest = form_urlencoded::Serializer::new(String::new());
    rest.extend_pairs(pairs.filter_map(|(name, value)| Some((name, value?))));
    match rest.finish() {
        rest if rest.is_empty() => rest,
        rest => format!("&{rest}"),
    }
}
