//! What a kind of record is.

use std::borrow::Cow;

use identity::Action;
use serde::{Serialize, de::DeserializeOwned};

/// A kind of record: its fields, and what they may hold.
///
/// Stored values are JSON objects. They evolve by fields with serde defaults.
pub trait Model:
    Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// What the kind is called in the store and in paths, such as `cards`.
    const KIND: &'static str;
    /// What its ids begin with: one or two letters.
    const ID_PREFIX: &'static str;
    /// Whether the search finds records of this kind, by what [`Model::indexed`] gives.
    const SEARCHED: bool = false;

    /// Reading records.
    type Read: Action;
    /// Making one.
    type Create: Action;
    /// Changing one.
    type Update: Action;
    /// Deleting one, and restoring it.
    type Delete: Action;

    /// Refuses values that a record may not hold. Every value that is stored was checked.
    ///
    /// # Errors
    /// The first field that is not acceptable.
    fn check(&self) -> Result<(), Invalid>;

    /// The records that it names: a JSON pointer, the kind, the id. They have to exist in
    /// the same tenant and environment when it is written.
    fn references(&self) -> Vec<Reference<'_>> {
        Vec::new()
    }

    /// What the search finds it by.
    fn indexed(&self) -> Indexed<'_> {
        Indexed::default()
    }
}

/// What a record is found by: its words, and its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed<'a> {
    /// What it is called; its words weigh more.
    pub title: Cow<'a, str>,
    /// What it says.
    pub body: Cow<'a, str>,
    /// Its tags, each as a whole.
    pub tags: &'a [String],
}

/// A record that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// The kind of the record.
    pub kind: &'static str,
    /// Its id.
    pub id: &'a str,
}

/// A value is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {why}")]
pub struct Invalid {
    /// Where, as a JSON pointer into the body.
    pub pointer: String,
    /// Why, for people.
    pub why: String,
}

impl Invalid {
    /// A value at `pointer` is not acceptable.
    pub(crate) fn new(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            why: why.into(),
        }
    }
}

/// Refuses a text that is too long, or holds control characters other than line breaks and tabs.
pub(crate) fn text(pointer: &str, text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.len() > bytes_max {
        let why = format!("has {} bytes; at most {bytes_max}", text.len());
        return Err(Invalid::new(pointer, why));
    }
    let breaks = ['\n', '\r', '\t'];
    match text.chars().find(|c| c.is_control() && !breaks.contains(c)) {
        Some(found) => {
            let why = format!("holds the control character {}", found.escape_unicode());
            Err(Invalid::new(pointer, why))
        }
        None => Ok(()),
    }
}

/// Refuses a text of one line that is empty, too long, or has space around it.
pub(crate) fn line(pointer: &str, value: &str, bytes_max: usize) -> Result<(), Invalid> {
    if value.is_empty() || value.trim() != value {
        return Err(Invalid::new(
            pointer,
            "must not be empty, nor begin or end with space",
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(Invalid::new(pointer, "must be one line of text"));
    }
    text(pointer, value, bytes_max)
}

/// Refuses more than `most` items.
pub(crate) fn count(pointer: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count > most {
        let why = format!("has {count} items; at most {most}");
        return Err(Invalid::new(pointer, why));
    }
    Ok(())
}
