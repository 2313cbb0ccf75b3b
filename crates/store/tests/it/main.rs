//! What must not compile, does not.

#![allow(missing_docs, reason = "tests")]

#[test]
fn names_of_tenant_data_cannot_be_made_without_a_scope() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
