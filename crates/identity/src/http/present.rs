//! What a caller presents, read from an HTTP request; never from its body.

use actix_web::{HttpRequest, http::header, web};
use smol_str::SmolStr;

use crate::{ContextName, Credential, Presented, RequestIds, Selector, StreamTarget};

const TICKET: &str = "ticket";

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
        (Some(value), None) => match value.to_str().ok().and_then(|text| text.split_once(' ')) {
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
        selectors: ContextName::ALL.map(|name| selector(req, name)),
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

fn selector(req: &HttpRequest, name: ContextName) -> Selector<'_> {
    let mut all = req.headers().get_all(name.header());
    match (all.next(), all.next()) {
        (None, _) => Selector::Absent,
        (Some(value), None) => match value.to_str() {
            Ok(text) if !text.contains(',') => Selector::One(text),
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
