//! Records: listed, shown.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use identity::{
    Code, Problem, Scope, Timestamp,
    http::{Admitted, Object, Query},
};
use serde::{Deserialize, Serialize};

use super::{ReadAudit, view::EntryView};
use crate::{
    Seq,
    service::{Audit, Filter},
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which records.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    after: Option<String>,
    limit: Option<usize>,
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    trace_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(rename = "tenant_id")]
    _tenant: Option<String>,
    #[serde(rename = "env")]
    _env: Option<String>,
    #[serde(rename = "project_id")]
    _project: Option<String>,
}

impl EventsQuery {
    fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            actor: self.actor.clone(),
            action: self.action.clone(),
            target: self.target.clone(),
            trace_id: self.trace_id.clone(),
            idempotency: None,
            from: moment("from", self.from.as_deref())?,
            to: moment("to", self.to.as_deref())?,
        })
    }

    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(Problem::query("limit", "must be 1 at least")),
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX)),
        }
    }

    fn after(&self) -> Result<u64, Problem> {
        let text = self.after.as_deref().unwrap_or("0");
        text.parse()
            .map_err(|_| Problem::query("after", "is a seq, or what next said"))
    }
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Problem::query(name, "must be an RFC 3339 time"))
}

/// A page of records.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EntryPage {
    items: Vec<EntryView>,
    /// Ask again with `after` set to this. A page may be short, or empty, and go on.
    next: Option<String>,
}

/// Lists the tenant's records in the order of their seqs.
#[utoipa::path(get, path = "/audit/events", tag = "audit",
    params(("after" = Option<u64>, Query, description = "A seq"), ("limit" = Option<u32>, Query),
        ("actor" = Option<String>, Query), ("action" = Option<String>, Query),
        ("target" = Option<String>, Query), ("trace_id" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "RFC 3339"), ("to" = Option<String>, Query)),
    responses((status = 200, body = EntryPage)))]
pub(crate) async fn list(
    admitted: Admitted<ReadAudit>,
    query: Query<EventsQuery>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Query(query) = query;
    let (filter, after, limit) = (query.filter()?, query.after()?, query.limit()?);
    let page = audit.query(&admitted.scope, &filter, after, limit).await?;
    Ok(HttpResponse::Ok().json(EntryPage {
        items: page.entries.iter().map(EntryView::from).collect(),
        next: page.next.map(|seq| seq.to_string()),
    }))
}

/// The place in the log that the path names.
pub(crate) struct Place(pub(super) Seq);

impl Object for Place {
    async fn locate(_: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let text = req.match_info().get("seq").unwrap_or_default();
        let number: Option<u64> = text.parse().ok();
        let seq = number.and_then(|number| Seq::try_from(number).ok());
        seq.map(Self).ok_or_else(missing)
    }
}

fn missing() -> Problem {
    Problem::new(Code::NotFound, "There is no such record.")
}

/// Shows one record.
#[utoipa::path(get, path = "/audit/events/{seq}", tag = "audit", params(("seq" = u64, Path)),
    responses((status = 200, body = EntryView), (status = 404, description = "There is none"),
        (status = 410, description = "Retention has removed it")))]
pub(crate) async fn show(
    admitted: Admitted<ReadAudit, (), Place>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Place(seq) = admitted.object;
    let entry = audit.entry(&admitted.scope, seq).await?;
    let entry = entry.ok_or_else(missing)?;
    Ok(HttpResponse::Ok().json(EntryView::from(&entry)))
}
