//! What a reader of JSON says of a value that does not fit, in the words of a client.

/// The pointer and the reason for serde's `error` about the value at `pointer`.
///
/// A member that is missing or there twice is pointed at itself. Places in the text and names of
/// types are left out: the pointer says more, and the names are nobody's business.
#[must_use]
pub fn misfit(pointer: &str, error: &str) -> (String, String) {
    let why = error.rsplit_once(" at line ").map_or(error, |(why, _)| why);
    for (said, means) in [
        ("missing field `", "is missing"),
        ("duplicate field `", "is there twice"),
    ] {
        let member = why.strip_prefix(said);
        if let Some(member) = member.and_then(|rest| rest.strip_suffix('`')) {
            return (format!("{pointer}/{member}"), means.to_owned());
        }
    }
    let why = match why.rsplit_once(", expected ") {
        Some((what, expected)) => format!("{what}, expected {}", plain(expected)),
        None => why.to_owned(),
    };
    (pointer.to_owned(), why)
}

/// What was expected, without the names that Rust has for it.
fn plain(expected: &str) -> &str {
    let types = ["struct ", "internally tagged enum ", "a map"];
    match expected {
        _ if types.iter().any(|name| expected.starts_with(name)) => "an object",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_without_rust() {
        for (error, at, why) in [
            (
                "missing field `title` at line 1 column 2",
                "/a/title",
                "is missing",
            ),
            ("missing field `title`", "/a/title", "is missing"),
            (
                "duplicate field `title` at line 1 column 9",
                "/a/title",
                "is there twice",
            ),
            (
                "invalid type: null, expected struct Card at line 1 column 4",
                "/a",
                "invalid type: null, expected an object",
            ),
            (
                "invalid length 0, expected struct Card with 5 elements at line 1 column 2",
                "/a",
                "invalid length 0, expected an object",
            ),
            (
                "invalid value: integer `-1`, expected u64 at line 1 column 58",
                "/a",
                "invalid value: integer `-1`, expected a whole number that is not negative",
            ),
            (
                "must be a colour at line 1 column 5",
                "/a",
                "must be a colour",
            ),
        ] {
            assert_eq!(
                misfit("/a", error),
                (at.to_owned(), why.to_owned()),
                "{error}"
            );
        }
    }
}
