//! A gate that does not come first is no gate.
use actix_web::{HttpResponse, http::Method, web::Data};
use tenantry_identity::http::{Admitted, Routes};

tenantry_identity::action!(Look, "test.look", Viewer);

async fn late(_: Data<String>, _: Admitted<Look>) -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let mut routes = Routes::new();
    routes.tenant(Method::GET, "/late", late);
}
