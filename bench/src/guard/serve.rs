//! The routes that are compared: bare, guarded, and guarded behind the edge.
//!
//! Each is served by one worker, so that the load has a core of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::Server,
    http::Method,
    middleware::from_fn,
    rt::System,
    web::{self, Data},
};
use anyhow::{Context, Result};
use identity::{
    Guard, Recording,
    http::{Admitted, EdgeState, Mounted, Routes, edge},
};

use crate::ambient::SystemEntropy;

identity::action!(Look, "bench.look", Viewer);

/// The path of every route here.
pub(super) const PATH: &str = "/look";
/// What every route here answers.
const ANSWER: &str = r#"{"ok":true}"#;
const WORKERS: usize = 1;

/// A handler on actix-web alone.
pub(super) fn bare() -> Result<SocketAddr> {
    serve(|listener| {
        let server = HttpServer::new(|| App::new().route(PATH, web::get().to(answer)));
        Ok(server.workers(WORKERS).listen(listener)?.run())
    })
}

/// The same handler behind the guard.
pub(super) fn guarded(guard: Arc<Guard>) -> Result<SocketAddr> {
    let routes = routes()?;
    serve(move |listener| {
        let server = HttpServer::new(move || {
            let routes = routes.clone();
            App::new()
                .app_data(Data::from(guard.clone()))
                .configure(move |config| routes.configure(config))
        });
        Ok(server.workers(WORKERS).listen(listener)?.run())
    })
}

/// The guarded handler with the layer that gives every request its ids.
pub(super) fn edged(guard: Arc<Guard>) -> Result<SocketAddr> {
    let routes = routes()?;
    serve(move |listener| {
        let server = HttpServer::new(move || {
            let routes = routes.clone();
            let entropy = Arc::new(SystemEntropy);
            App::new()
                .app_data(Data::from(guard.clone()))
                .app_data(Data::new(EdgeState { entropy }))
                .wrap(from_fn(edge))
                .configure(move |config| routes.configure(config))
        });
        Ok(server.workers(WORKERS).listen(listener)?.run())
    })
}

fn routes() -> Result<Mounted> {
    let mut routes = Routes::new();
    routes.tenant(Method::GET, PATH, answer_member);
    Ok(routes.build(Recording::Nothing {
        reason: "a benchmark of the guard",
    })?)
}

async fn answer() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(ANSWER)
}

async fn answer_member(_: Admitted<Look>) -> HttpResponse {
    answer().await
}

/// Serves until the process ends.
pub(crate) fn serve(
    make: impl FnOnce(TcpListener) -> Result<Server> + Send + 'static,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let (report, started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async {
            let server = make(listener);
            let (server, outcome) = match server {
                Ok(server) => (Some(server), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // The receiver waits below.
            let _received = report.send(outcome);
            match server {
                Some(server) => server.await,
                None => Ok(()),
            }
        })
    });
    started.recv().context("the server's thread ended")??;
    Ok(addr)
}
