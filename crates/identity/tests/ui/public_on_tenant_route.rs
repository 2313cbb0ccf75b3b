//! A public gate does not mount a tenant route.
use actix_web::{HttpResponse, http::Method};
use tenantry_identity::http::{Public, PublicReason, Routes};

struct Why;
impl PublicReason for Why {
    const REASON: &'static str = "a test";
    const ACTION: &'static str = "test.open";
}

async fn open(_: Public<Why>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let mut routes = Routes::new();
    routes.tenant(Method::GET, "/open", open);
}
