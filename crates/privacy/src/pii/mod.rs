//! Personal data and secrets in text: found, and replaced by typed placeholders.
//!
//! Start at [`strip`] for a text, [`strip_json`] for a JSON value and
//! [`Stripper`] for a text that arrives in pieces; [`scan`] says where what was
//! found. What is recognised, and how it is validated, is said by [`Kind`] and
//! by the modules: checksums, ranges and numbering plans, not the shape alone.
//!
//! **Not recognised:** names of people, postal addresses, dates of birth and
//! whatever else takes understanding the text. Nor is what was written to be
//! overlooked (`ada at example dot com`). Where only words around a number
//! tell what it is (nine digits, a bare telephone number), a number without
//! such words stays. Whoever needs more keeps the text out. The whole list is
//! in `docs/pii.md`; precision and recall are measured with the module `corpus`
//! (feature `corpus`).
//!
//! **Invariants:** time is linear in the text and memory of a stream bounded,
//! whatever the text is. Findings are in order, do not overlap, and lie on
//! character boundaries. A stripped text contains no finding. A stream gives
//! the same text wherever it was cut.

mod card;
mod context;
#[cfg(feature = "corpus")]
pub mod corpus;
mod crypto;
mod domain;
mod email;
mod iban;
mod ipv4;
mod ipv6;
mod json;
mod keys;
mod kind;
#[cfg(test)]
mod linear;
mod mac;
mod nhs;
mod number;
mod pem;
mod phone;
mod scanner;
mod ssn;
mod stream;
mod strip;
mod token;
mod url;
mod window;

pub use json::strip_json;
pub use kind::{Finding, Kind};
pub use stream::{HOLD_BACK_BYTES_MAX, Stripper};
pub use strip::{scan, strip};

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `text`, as kinds and the pieces of text.
    pub(super) fn check(text: &str, expect: &[(Kind, &str)]) {
        let found: Vec<_> = scan(text)
            .iter()
            .map(|finding| (finding.kind, &text[finding.start..finding.end]))
            .collect();
        assert_eq!(found, expect, "in {text:?}");
    }
}
