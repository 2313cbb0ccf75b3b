//! What must not compile.

#[test]
fn permits_are_earned_and_used_once() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
