//! Listening, answering, and stopping without cutting anyone off mid-answer.

use std::{
    any::Any,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_cors::Cors;
use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    middleware::{Condition, from_fn},
    rt::net::TcpStream,
    web::Data,
};
use identity::http::{EdgeState, edge};
use socket2::SockRef;

use super::{headers::security_headers, trace::trace, watch::watch};
use crate::{compose::Composed, config::HttpConfig};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// Metrics are tidied this often.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// A server that listens.
pub(crate) struct Serving {
    /// Where it listens; the port is known even if 0 was asked for.
    pub(crate) address: SocketAddr,
    server: actix_web::dev::Server,
    composed: Arc<Composed>,
    drain: Duration,
}

/// Binds the address and starts the workers; `traced` says whether requests are spans.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn start(
    composed: Arc<Composed>,
    listen: SocketAddr,
    config: &HttpConfig,
    traced: bool,
) -> anyhow::Result<Serving> {
    let listener = bind(listen)?;
    let address = listener.local_addr()?;
    let stalled = Duration::from_secs(config.stalled_peer_s);
    let origins: Arc<[String]> = config.allowed_origins.clone().into();
    let shared = Arc::clone(&composed);
    let mut server = HttpServer::new(move || {
        let composed = Arc::clone(&shared);
        App::new()
            .app_data(Data::new(EdgeState {
                entropy: Arc::clone(&composed.entropy),
            }))
            .configure(move |app| composed.mount(app))
            .wrap(from_fn(watch))
            .wrap(from_fn(edge))
            .wrap(Condition::new(traced, from_fn(trace)))
            .wrap(cors(&origins))
            .wrap(security_headers())
    })
    .disable_signals()
    .backlog(u32::try_from(BACKLOG).unwrap_or(1024))
    .max_connections(config.connections_per_worker)
    .client_request_timeout(Duration::from_secs(config.head_timeout_s))
    // Otherwise a client that is gone is noticed only when something is written to it.
    .h1_allow_half_closed(false)
    .keep_alive(Duration::from_secs(config.keep_alive_s))
    .shutdown_timeout(config.drain_s)
    .on_connect(move |connection, _| tune(connection, stalled));
    if config.workers > 0 {
        server = server.workers(config.workers);
    }
    let server = server.listen(listener)?.run();
    Ok(Serving {
        address,
        server,
        composed,
        drain: Duration::from_secs(config.drain_s),
    })
}

fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let bound = socket
        .bind(&listen.into())
        .and_then(|()| socket.listen(BACKLOG));
    bound.map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}"))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Small writes leave at once; a peer that takes no bytes is cut off by the kernel,
/// because a body is not polled while its peer's buffer is full.
fn tune(connection: &dyn Any, stalled: Duration) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let socket = SockRef::from(stream);
        let tuned = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_user_timeout(Some(stalled)));
        if let Err(error) = tuned {
            tracing::debug!(%error, "a connection could not be tuned");
        }
    }
}

/// Browsers of these origins may call; of others, and by default of all, they may not.
fn cors(origins: &[String]) -> Cors {
    origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin))
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "last-event-id",
            "traceparent",
            "x-app-id",
            "x-approval-id",
            "x-env",
            "x-project-id",
            "x-request-id",
            "x-surface-id",
            "x-tenant-id",
        ])
        .expose_headers([
            "etag",
            "link",
            "location",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "traceparent",
            "x-audit-seq",
            "x-audit-status",
            "x-request-id",
        ])
        .max_age(3600)
}

impl Serving {
    /// Serves until the process is told to stop, then drains.
    ///
    /// # Errors
    /// When the server fails.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let upkeep = tokio::spawn(tidy_metrics(self.composed.prometheus.clone()));
        let stopping = tokio::spawn(stop_when_told(
            handle,
            Arc::clone(&self.composed),
            self.drain,
        ));
        let served = self.server.await;
        stopping.abort();
        upkeep.abort();
        self.composed.close().await;
        Ok(served?)
    }
}

async fn tidy_metrics(prometheus: metrics_exporter_prometheus::PrometheusHandle) {
    let mut every = tokio::time::interval(METRICS_UPKEEP);
    loop {
        every.tick().await;
        prometheus.run_upkeep();
    }
}

/// On SIGTERM or SIGINT: not ready, streams told to move on, then the listener closes.
async fn stop_when_told(server: ServerHandle, composed: Arc<Composed>, drain: Duration) {
    if let Err(error) = told_to_stop().await {
        tracing::error!(%error, "signals cannot be heard");
        return;
    }
    tracing::info!("stopping: open streams are told to reconnect");
    composed.draining.store(true, Ordering::Relaxed);
    composed.drain_streams(drain).await;
    server.stop(true).await;
}

async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
