//! A handler that does not begin with a gate cannot be mounted.
use actix_web::{HttpResponse, http::Method, web::Data};
use tenantry_identity::http::Routes;

async fn naked(_: Data<String>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let mut routes = Routes::new();
    routes.tenant(Method::GET, "/naked", naked);
}
