//! Typed queries, refused with a problem that names the parameter.

use actix_web::{HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::Extra;
use crate::{Problem, misfit};

/// The query as a `T`; an argument after the gate.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> Extra for Query<T> {
    fn extract(req: &HttpRequest, _: &mut Payload) -> Result<Self, Problem> {
        read(req.query_string()).map(Self)
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
    read.map_err(|error| {
        let parameter = match error.path().iter().next() {
            Some(Segment::Map { key }) => format!("/{key}"),
            _ => String::new(),
        };
        let (parameter, why) = misfit(&parameter, &error.inner().to_string());
        Problem::query(parameter.trim_start_matches('/'), why)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Code, RequestIds};

    #[derive(Debug, Deserialize)]
    struct Wanted {
        q: String,
        limit: Option<usize>,
    }

    #[test]
    fn a_query_is_read_and_what_is_wrong_with_it_is_named() {
        let wanted: Wanted = read("q=a%20b+c&limit=7&other=1").unwrap();
        assert_eq!((wanted.q.as_str(), wanted.limit), ("a b c", Some(7)));
        let ids = RequestIds::from_headers(Some("r"), None, &crate::test_entropy::Ones);
        for (text, parameter) in [
            ("q=a&limit=x", Some("limit")),
            ("q=a&q=b", Some("q")),
            ("", Some("q")),
        ] {
            let problem = read::<Wanted>(text).unwrap_err();
            assert_eq!(problem.code(), Code::QueryInvalid);
            let said = problem.to_json(&ids);
            let named = said.pointer("/errors/0/parameter");
            assert_eq!(named.and_then(|name| name.as_str()), parameter, "{said}");
        }
    }
}
