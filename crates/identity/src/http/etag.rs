//! Versions of records as entity tags: one form for all routes.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};

use crate::Precondition;

/// The header `ETag` of a record in the state `version`.
#[must_use]
pub fn etag(version: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{version:x}\""))
}

/// The states that the client wants to change (RFC 9110, section 13.1.1).
///
/// What is no strong tag of ours matches no state.
#[must_use]
pub fn precondition(req: &HttpRequest) -> Precondition {
    let mut values = req.headers().get_all(header::IF_MATCH).peekable();
    if values.peek().is_none() {
        return Precondition::Any;
    }
    let mut versions = Vec::new();
    for tag in values.flat_map(|value| value.to_str().unwrap_or_default().split(',')) {
        match tag.trim() {
            "*" => return Precondition::Exists,
            tag => versions.extend(version_of(tag)),
        }
    }
    Precondition::OneOf(versions)
}

fn version_of(tag: &str) -> Option<u64> {
    let hex = tag.strip_prefix('"')?.strip_suffix('"')?;
    let version = u64::from_str_radix(hex, 16).ok()?;
    // Tags are compared as texts: "01" and "A" are none of ours.
    (format!("{version:x}") == hex).then_some(version)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn parsed(values: &[&str]) -> Precondition {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| {
                request.append_header((header::IF_MATCH, *value))
            });
        precondition(&request.to_http_request())
    }

    #[test]
    fn if_match_names_states_and_weak_tags_match_none() {
        assert_eq!(parsed(&[]), Precondition::Any);
        assert_eq!(parsed(&["*"]), Precondition::Exists);
        assert_eq!(parsed(&["\"1\"", "*"]), Precondition::Exists);
        assert_eq!(
            parsed(&["\"a\", \"10\"", "\"b\""]),
            Precondition::OneOf(vec![10, 16, 11])
        );
        for none in ["W/\"a\"", "a", "\"xyz\"", "", "\"01\"", "\"A\"", "\"+1\""] {
            assert_eq!(parsed(&[none]), Precondition::OneOf(vec![]), "{none:?}");
        }
    }

    #[test]
    fn a_tag_that_was_given_out_names_its_state() {
        for version in [0, 9, 10, u64::MAX] {
            let (_, tag) = etag(version);
            assert_eq!(parsed(&[&tag]), Precondition::OneOf(vec![version]));
        }
    }
}
