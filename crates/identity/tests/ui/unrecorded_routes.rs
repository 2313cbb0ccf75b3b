//! Routes are not mounted without saying where they are recorded.
use tenantry_identity::http::Routes;

fn main() {
    let _ = Routes::new().build();
}
