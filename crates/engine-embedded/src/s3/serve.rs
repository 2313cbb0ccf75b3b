//! Connections: how many, how long they may dawdle, and what browsers are told.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{HttpResponse, service::S3Service};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::cors;

/// Further connections wait.
const CONNECTIONS_MAX: usize = 256;
/// A request's head arrives in this time, or its connection is closed.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted, because of a lack of file handles, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves whoever connects, until the task is aborted; its connections end with it.
pub(super) async fn accept(listener: TcpListener, service: S3Service) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((connection, _)) => {
                connections.spawn(serve(connection, service.clone(), place));
            }
            Err(cause) => {
                tracing::warn!(%cause, "the S3 endpoint could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(connection: TcpStream, service: S3Service, place: OwnedSemaphorePermit) {
    let answer = service_fn(|request| answer(service.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .serve_connection(TokioIo::new(connection), answer)
        .await;
    if let Err(cause) = served {
        tracing::debug!(%cause, "a connection of the S3 endpoint ended early");
    }
    drop(place);
}

async fn answer(
    service: S3Service,
    request: Request<Incoming>,
) -> Result<HttpResponse, Infallible> {
    if let Some(allowed) = cors::preflight(request.method(), request.headers()) {
        return Ok(allowed);
    }
    let answered = hyper::service::Service::call(&service, request).await;
    let mut response = answered.unwrap_or_else(|cause| {
        let cause: s3s::StdError = cause.into();
        tracing::warn!(%cause, "the S3 endpoint failed");
        let mut failed = HttpResponse::default();
        *failed.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    });
    cors::allow(response.headers_mut());
    Ok(response)
}
