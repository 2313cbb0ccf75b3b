//! What must not compile, does not.

#[test]
fn forged_proofs_and_unguarded_handlers_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
