//! What must not compile, does not; and whose an object is can be read off its key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests"
)]

mod object_keys;

#[test]
fn names_of_tenant_data_cannot_be_made_without_a_scope() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
