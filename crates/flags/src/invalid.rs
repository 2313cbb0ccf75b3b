//! What is wrong with a flag that someone wants to store.

/// A definition that is no flag, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {why}")]
pub struct Invalid {
    /// A JSON pointer into the definition.
    pub pointer: String,
    /// Why, for people.
    pub why: String,
}

impl Invalid {
    pub(crate) fn new(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            why: why.into(),
        }
    }

    /// The same, seen from further out.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.pointer.insert_str(0, outer);
        self
    }
}
