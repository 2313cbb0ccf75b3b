//! A scope cannot be kept by copying it.
fn keep(scope: &tenantry_identity::Scope) -> tenantry_identity::Scope {
    scope.clone()
}
fn main() {
    let _ = keep;
}
