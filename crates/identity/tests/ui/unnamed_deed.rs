//! A public route has a name under which it is recorded.
use tenantry_identity::http::PublicReason;

struct Why;
impl PublicReason for Why {
    const REASON: &'static str = "a test";
}

fn main() {}
