//! Nobody outside the guard makes a scope.
fn main() {
    let _ = tenantry_identity::Scope::mint(unreachable!(), unreachable!());
}
