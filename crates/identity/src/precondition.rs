//! Preconditions of a change.

/// Which states of a record the caller wants to change (RFC 9110, section 13.1.1, `If-Match`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any, also none.
    #[default]
    Any,
    /// Any that exists (`*`).
    Exists,
    /// One of these versions.
    OneOf(Vec<u64>),
}

impl Precondition {
    /// Whether a record in the state `version` may be changed; `None` when there is none.
    #[must_use]
    pub fn holds(&self, version: Option<u64>) -> bool {
        match (self, version) {
            (Self::Any, _) => true,
            (Self::Exists, version) => version.is_some(),
            (Self::OneOf(versions), Some(version)) => versions.contains(&version),
            (Self::OneOf(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_states_are_changed() {
        let one_of = Precondition::OneOf(vec![3, 5]);
        for (precondition, version, holds) in [
            (Precondition::Any, None, true),
            (Precondition::Any, Some(1), true),
            (Precondition::Exists, None, false),
            (Precondition::Exists, Some(1), true),
            (one_of.clone(), Some(5), true),
            (one_of.clone(), Some(4), false),
            (one_of, None, false),
        ] {
            assert_eq!(precondition.holds(version), holds, "{precondition:?}");
        }
    }
}
