//! Reading a value without members that nobody asked for, and saying where it is wrong.

use serde::{Deserializer, de::DeserializeOwned};
use serde_ignored::Path;
use serde_path_to_error::{Segment, Track};

use crate::ContextName;

/// Why a value was not read, and where: an RFC 6901 pointer.
#[derive(Debug)]
pub enum Misread<E> {
    /// A member that nobody knows.
    Unknown(String),
    /// What is at the pointer does not fit, or the text cannot be read.
    Unfit(String, E),
}

impl<E> Misread<E> {
    /// Where it is wrong.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Unknown(pointer) | Self::Unfit(pointer, _) => pointer,
        }
    }
}

/// Reads a value and refuses unknown members. The names of a context, such as `tenant_id`, may be
/// there when `with_context`: whoever read the request found them to agree with it.
///
/// # Errors
/// [`Misread`].
pub fn read_strictly<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    reader: D,
    with_context: bool,
) -> Result<T, Misread<D::Error>> {
    let (mut unknown, mut track) = (None, Track::new());
    let tracked = serde_path_to_error::Deserializer::new(reader, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| {
        if !(with_context && is_context(&path)) {
            unknown.get_or_insert_with(|| ignored(&path));
        }
    });
    match (read, unknown) {
        (Err(error), _) => Err(Misread::Unfit(tracked_to(track), error)),
        (Ok(_), Some(pointer)) => Err(Misread::Unknown(pointer)),
        (Ok(value), None) => Ok(value),
    }
}

fn is_context(path: &Path<'_>) -> bool {
    let member = ignored(path);
    let member = member.strip_prefix('/').unwrap_or_default();
    ContextName::from_field(member).is_some()
}

fn tracked_to(track: Track) -> String {
    let path = track.path();
    let steps = path.iter().filter_map(|step| match step {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(step_to(key)),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    steps.collect()
}

fn ignored(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", ignored(parent)),
        Path::Map { parent, key } => ignored(parent) + &step_to(key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => ignored(parent),
    }
}

/// A step to a member, escaped (RFC 6901, section 3).
fn step_to(member: &str) -> String {
    format!("/{}", member.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Thing {
        #[serde(rename = "parts")]
        _parts: BTreeMap<String, Vec<Part>>,
    }
    #[derive(Debug, Deserialize)]
    struct Part {
        #[serde(rename = "size")]
        _size: Option<u8>,
    }

    fn place_of(value: Value, with_context: bool) -> Option<String> {
        let read = read_strictly::<Thing, _>(value, with_context);
        read.err().map(|misread| misread.pointer().to_owned())
    }

    #[test]
    fn what_is_wrong_is_where_the_pointer_says() {
        let good = json!({"parts": {"a.b": [{"size": 1}, {"size": null}, {}]}});
        assert_eq!(place_of(good, false), None);
        for (value, place) in [
            (
                json!({"parts": {"a/b~c": [{"size": 999}]}}),
                "/parts/a~1b~0c/0/size",
            ),
            (
                json!({"parts": {"a.b": [{}, {"c/d": 1}]}}),
                "/parts/a.b/1/c~1d",
            ),
            (json!({"parts": {"": [{"": 1}]}}), "/parts//0/"),
            (json!([]), ""),
        ] {
            assert_eq!(
                place_of(value.clone(), false).as_deref(),
                Some(place),
                "{value}"
            );
        }
    }

    #[test]
    fn a_context_may_be_named_at_the_top_alone() {
        let top = json!({"parts": {}, "tenant_id": "t_a"});
        assert_eq!(place_of(top.clone(), true), None);
        assert_eq!(place_of(top, false).as_deref(), Some("/tenant_id"));
        let below = json!({"parts": {"a": [{"tenant_id": "t_a"}]}});
        assert_eq!(
            place_of(below, true).as_deref(),
            Some("/parts/a/0/tenant_id")
        );
    }
}
