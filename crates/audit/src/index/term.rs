//! What records can be searched by.

use super::entry::{TERM_FIRST, TERM_MAX};
use crate::Hash;

const DOMAIN: &[u8] = b"tenantry/audit/index/";

/// A field that is indexed, the rarest values first.
///
/// The order is that in which a query looks at its terms: a trace that a segment does
/// not have spares looking for an action that it has everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IndexField {
    /// The caller's idempotency key.
    Idempotency,
    /// The request that caused it.
    TraceId,
    /// What was acted upon.
    Target,
    /// Who acted.
    Actor,
    /// What was attempted or done.
    Action,
}

impl IndexField {
    const fn name(self) -> &'static str {
        match self {
            Self::Idempotency => "idempotency",
            Self::TraceId => "trace_id",
            Self::Target => "target",
            Self::Actor => "actor",
            Self::Action => "action",
        }
    }
}

/// A value of a field, as the index knows it: 48 bits of its hash.
///
/// Two values may share a term; a billion of them give one query in 250,000 a
/// candidate that does not match. A term is not secret: for a person's id, pass a
/// value that is lost with the person's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term {
    field: IndexField,
    hash: u64,
}

impl Term {
    /// The term of `value` in `field`: the first 6 bytes of
    /// `SHA-256("tenantry/audit/index/" | field | 0x00 | value)`.
    #[must_use]
    pub fn new(field: IndexField, value: &[u8]) -> Self {
        let hash = Hash::of(&[DOMAIN, field.name().as_bytes(), &[0], value]);
        let first = hash.as_bytes().iter().take(6);
        let hash = first.fold(0, |number, byte| (number << 8) | u64::from(*byte));
        // The lowest numbers are those of marks of time.
        let hash = hash.clamp(TERM_FIRST, TERM_MAX);
        Self { field, hash }
    }

    pub(super) const fn hash(self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_term_is_that_of_its_field_and_value() {
        let term = Term::new(IndexField::Action, b"control.member.remove");
        // printf 'tenantry/audit/index/action\0control.member.remove' | sha256sum
        assert_eq!(term.hash(), 0x4135_990f_a72d);
        let same = Term::new(IndexField::Action, b"control.member.remove");
        assert_eq!(term, same);
        assert_ne!(
            term,
            Term::new(IndexField::Target, b"control.member.remove")
        );
        assert_ne!(term, Term::new(IndexField::Action, b"control.member.add"));
    }
}
