//! A client of the audit routes, with a role in a tenant.

use std::sync::Arc;

use actix_web::{
    App,
    http::{Method, header::HeaderMap},
    middleware::from_fn,
    test,
    web::Data,
};
use identity::{
    Recording, Role,
    http::{EdgeState, Mounted, Routes, edge},
};
use serde_json::Value;
use tenantry_audit::service::Audit;
use testkit::PROJECT;

use crate::service::house::{House, recorder};

/// A running log and who asks it.
pub(super) struct Server {
    pub(super) house: House,
    pub(super) audit: Arc<Audit>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Status, and the code of the problem if it is one.
    pub(super) fn is(&self) -> (u16, String) {
        let body = self.json();
        let code = body["code"].as_str().unwrap_or_default();
        (self.status, code.to_owned())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What is sent.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Server {
    pub(super) async fn new() -> Self {
        let house = House::new();
        let audit = house.open().await;
        Self { house, audit }
    }

    fn mounted(&self) -> Mounted {
        let mut routes = Routes::new();
        tenantry_audit::routes(&mut routes);
        let recording = Recording::To(Arc::new(recorder(&self.audit)));
        routes.build(recording).unwrap()
    }

    /// A call by nobody.
    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        Call {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A call by `user`, who has `role` in `tenant`, in `dev`.
    pub(super) fn by(&self, tenant: &str, user: &str, role: Role, call: Call) -> Call {
        let world = &self.house.world;
        world.directory.set_role(tenant, user, role);
        call.with("authorization", &format!("Bearer {}", world.token(user)))
            .with("x-tenant-id", tenant)
            .with("x-env", "dev")
            .with("x-project-id", PROJECT)
    }

    /// A call by the owner of `t_a`.
    pub(super) async fn owner(&self, method: Method, path: &str, body: Option<&str>) -> Reply {
        let mut call = self.by("t_a", "u_owner", Role::Owner, self.call(method, path));
        if let Some(body) = body {
            call = call.json(body);
        }
        self.send(call).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.owner(Method::GET, path, None).await
    }

    pub(super) async fn send(&self, call: Call) -> Reply {
        let mut request = test::TestRequest::default()
            .method(call.method)
            .uri(&call.path);
        for (name, value) in &call.headers {
            request = request.append_header((name.as_str(), value.as_str()));
        }
        if let Some(body) = call.body {
            request = request.set_payload(body);
        }
        let mounted = self.mounted();
        let world = &self.house.world;
        let entropy = world.entropy.clone();
        let app = App::new()
            .wrap(from_fn(edge))
            .app_data(Data::new(EdgeState { entropy }))
            .app_data(Data::from(world.guard.clone()))
            .app_data(Data::from(self.audit.clone()))
            .configure(|config| mounted.configure(config));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: test::read_body(response).await.to_vec(),
        }
    }
}

impl Call {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn json(mut self, body: &str) -> Self {
        self.body = Some(body.as_bytes().to_vec());
        self.with("content-type", "application/json")
    }
}
