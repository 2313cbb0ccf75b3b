//! What a caller presents, read from an HTTP request; never from its body.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName, HeaderValue},
    web,
};
use smol_str::SmolStr;

use crate::{ContextName, Credential, Presented, RequestIds, Selector, StreamTarget};

const TICKET: &str = "ticket";
/// The names of the context headers, made once: a name made from text is parsed at each use.
static SELECTORS: [HeaderName; 5] = [
    HeaderName::from_static(ContextName::Tenant.header()),
    HeaderName::from_static(ContextName::Env.header()),
    HeaderName::from_static(ContextName::Project.header()),
    HeaderName::from_static(ContextName::Surface.header()),
    HeaderName::from_static(ContextName::App.header()),
];

/// The query, as decoded pairs.
pub(super) type Pairs = Vec<(String, String)>;

/// The query of a request; what cannot be decoded is empty and refused where it is read.
pub(super) fn pairs_of(req: &HttpRequest) -> Pairs {
    match req.query_string() {
        "" => Vec::new(),
        query => web::Query::<Pairs>::from_query(query)
            .map(web::Query::into_inner)
            .unwrap_or_default(),
    }
}

/// The credential of the `Authorization` header alone.
pub(super) fn bearer(req: &HttpRequest) -> Credential<'_> {
    let mut all = req.headers().get_all(header::AUTHORIZATION);
    match (all.next(), all.next()) {
        (None, _) => Credential::Absent,
        (Some(value), None) => match text_of(value).and_then(|text| text.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
                Credential::Bearer(token)
            }
            _ => Credential::Malformed,
        },
        _ => Credential::Malformed,
    }
}

/// The whole presentation of a tenant route.
pub(super) fn presented<'a>(
    req: &'a HttpRequest,
    pairs: &'a Pairs,
    stream: Option<StreamTarget<'a>>,
    ids: &'a RequestIds,
) -> Presented<'a> {
    Presented {
        credential: credential(req, pairs, stream.is_some()),
        selectors: SELECTORS.each_ref().map(|name| selector(req, name)),
        mentions: mentions(req, pairs),
        stream,
        ids,
    }
}

fn credential<'a>(req: &'a HttpRequest, pairs: &'a Pairs, streams: bool) -> Credential<'a> {
    let mut tickets = pairs.iter().filter(|(name, _)| streams && name == TICKET);
    match (tickets.next(), tickets.next(), bearer(req)) {
        (None, _, bearer) => bearer,
        (Some((_, ticket)), None, Credential::Absent) => Credential::Ticket(ticket),
        // Two credentials: which of them counts is not for us to guess (RFC 6750, section 2).
        _ => Credential::Malformed,
    }
}

fn selector<'a>(req: &'a HttpRequest, name: &HeaderName) -> Selector<'a> {
    let mut all = req.headers().get_all(name);
    match (all.next(), all.next()) {
        (None, _) => Selector::Absent,
        (Some(value), None) => match text_of(value) {
            Some(text) if !text.contains(',') => Selector::One(text),
            _ => Selector::Malformed,
        },
        _ => Selector::Malformed,
    }
}

fn mentions(req: &HttpRequest, pairs: &Pairs) -> Vec<(ContextName, SmolStr)> {
    let in_path = req.match_info().iter();
    let in_query = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    in_path
        .chain(in_query)
        .filter_map(|(name, value)| Some((ContextName::from_field(name)?, SmolStr::new(value))))
        .collect()
}

/// The `Origin` header, if there is one that can be read.
pub(super) fn origin(req: &HttpRequest) -> Option<&str> {
    req.headers()
        .get(header::ORIGIN)
        .and_then(|value| value.to_str().ok())
}

/// A header's text. What is not ASCII fails later, in whatever parses it.
fn text_of(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}
