//! Where documents are in the database.
//!
//! `tenantry/{partition}/docs/{id}`, and `tenantry/{partition}/receipts/{token}` for what is known
//! of a commit. A partition's name begins with a part of its hash, so that partitions, whose
//! order matters to nobody, lie apart and do not become one hot range of rows. Ids keep
//! the order of their bytes, because lists are in that order.
//!
//! **Invariant:** names are one to one, and ids sort as what they were made from does.

use sha2::{Digest as _, Sha256};
use store::{DocKey, Partition};

/// The collections of a partition.
pub(crate) const DOCS: &str = "docs";
const RECEIPTS: &str = "receipts";
/// Bytes of a partition's hash that are shown.
const HASH_BYTES: usize = 4;
/// What every id begins with: the service keeps ids of the form `__…__` for itself.
const START: char = '=';

/// Who made a commit: different for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) [u8; 16]);

/// The names of one database.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    database: String,
}

impl Names {
    pub(crate) fn new(database: String) -> Self {
        Self { database }
    }

    /// The database, `projects/…/databases/…`.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The document above a partition's collections; it does not exist itself.
    pub(crate) fn partition(&self, partition: &Partition) -> String {
        let text = partition.as_str();
        let hash = Sha256::digest(text);
        let shown = hex(hash.get(..HASH_BYTES).unwrap_or_default());
        let database = &self.database;
        format!("{database}/documents/tenantry/{shown}{}", escaped(text))
    }

    pub(crate) fn document(&self, key: &DocKey) -> String {
        self.id(&key.partition, &key.id)
    }

    /// The document `id` of `partition`, or where it would be.
    pub(crate) fn id(&self, partition: &Partition, id: &str) -> String {
        format!("{}/{DOCS}/{}", self.partition(partition), escaped(id))
    }

    /// The first name after those of all ids that begin with `prefix`.
    pub(crate) fn beyond(&self, partition: &Partition, prefix: &str) -> String {
        let beyond = successor(&escaped(prefix));
        format!("{}/{DOCS}/{beyond}", self.partition(partition))
    }

    pub(crate) fn receipt(&self, partition: &Partition, token: Token) -> String {
        format!("{}/{RECEIPTS}/{}", self.partition(partition), hex(&token.0))
    }

    /// Where nothing ever is: a question about it tells whether the database answers.
    pub(crate) fn nothing(&self) -> String {
        format!("{}/documents/tenantry/nothing", self.database)
    }
}

/// The id in a document's name.
pub(crate) fn id_in(name: &str) -> Option<String> {
    let (_, id) = name.rsplit_once('/')?;
    let mut rest = id.strip_prefix(START)?.chars();
    let mut text = String::with_capacity(id.len());
    while let Some(c) = rest.next() {
        text.push(match c {
            '.' => match rest.next()? {
                '0' => '.',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

/// A slash would end the id, and `.` alone is none. The two are neighbours in ASCII, so both
/// can begin with a full stop and keep their places.
fn escaped(text: &str) -> String {
    let mut id = String::with_capacity(text.len() + 1);
    id.push(START);
    for c in text.chars() {
        match c {
            '.' => id.push_str(".0"),
            '/' => id.push_str(".1"),
            c => id.push(c),
        }
    }
    id
}

/// The least text that is more than all that begin with `text`, which begins with [`START`].
fn successor(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            c => char::from_u32(u32::from(c) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            break;
        }
    }
    chars.into_iter().collect()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble))
            .copied()
            .map_or('0', char::from)
    };
    let both = |byte: &u8| [digit(byte >> 4), digit(byte & 0xf)];
    bytes.iter().flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reserved(id: &str) -> bool {
        id == "." || id == ".." || id.contains('/') || (id.starts_with("__") && id.ends_with("__"))
    }

    /// Text in which what is special is frequent.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![r"[./_0-1~\-a=]{0,6}", r"\PC{0,8}"]
    }

    proptest! {
        #[test]
        fn ids_come_back_and_the_service_takes_them(text in any_text()) {
            let id = escaped(&text);
            prop_assert!(!reserved(&id) && !id.is_empty());
            prop_assert!(id.len() <= 2 * text.len() + 1);
            prop_assert_eq!(id_in(&format!("a/{id}")), Some(text));
        }

        #[test]
        fn ids_sort_as_their_texts(one in any_text(), other in any_text()) {
            prop_assert_eq!(escaped(&one).cmp(&escaped(&other)), one.cmp(&other));
        }

        #[test]
        fn a_successor_parts_what_begins_so_from_what_follows(prefix in any_text(), other in any_text()) {
            let (beyond, id) = (successor(&escaped(&prefix)), escaped(&other));
            prop_assert!(escaped(&prefix) < beyond);
            prop_assert_eq!(other.starts_with(&prefix), escaped(&prefix) <= id && id < beyond);
        }
    }

    #[test]
    fn the_last_characters_have_successors() {
        assert_eq!(successor("=\u{d7ff}"), "=\u{e000}");
        assert_eq!(successor("=a\u{10ffff}\u{10ffff}"), "=b");
        assert_eq!(successor("=\u{10ffff}"), ">");
    }

    #[test]
    fn names_that_were_not_made_here_are_none() {
        for bad in ["", "a", "a/b", "a/=.", "a/=.2"] {
            assert_eq!(id_in(bad), None, "{bad}");
        }
    }
}
