//! Putting the crates together: the only place that names an engine.
//!
//! **Invariant:** what serves a resource is a row of the routing registry. A
//! missing row, backend or secret stops the start, and all of them are named.

mod assets;
mod backend;
mod canvases;
mod carry;
mod databases;
mod embedded;
mod firestore;
mod foundation;
mod fuse;
mod late;
mod migrate;
mod open;
pub(crate) mod profile;
mod redis;
mod routed;
mod routed_bus;
mod routed_tail;
mod router;
mod s3;
mod search;
mod start;
mod tickets;
mod watch;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::web::{Data, ServiceConfig};
use audit::service::{Audit, AuditRecorder};
use control::Control;
use engine_embedded::{Embedded, S3Endpoint};
use flags::Flags;
use gatechain::GateChain;
use identity::{
    Clock, Entropy, Guard, Recording, TicketOffice, Tokens,
    http::{Manifest, Mounted},
};
use metrics_exporter_prometheus::PrometheusHandle;
use nexus::{Nexus, assets::Assets, search::Search};
use parking_lot::Mutex;
use privacy::TrainPrefs;
use realtime::Realtime;
use tokio::task::AbortHandle;

use crate::{
    audit_log,
    audit_tail::AuditTail,
    config::Config,
    flag_tail::FlagTail,
    needs::Seeds,
    routes::mounted,
    web::{ApiDescription, Readiness},
};

pub use embedded::backup;
pub(crate) use migrate::{Moved, Order, migrate};
pub(crate) use start::{check_routes, registry};

use canvases::Canvases;
use foundation::Foundation;
use start::{Started, start};

/// A server that is ready to listen.
pub struct Composed {
    /// Makes ids and secrets.
    pub entropy: Arc<dyn Entropy>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// All issuers.
    pub tokens: Arc<Tokens>,
    /// The control plane.
    pub control: Arc<Control>,
    /// What is measured.
    pub prometheus: PrometheusHandle,
    /// Whether the server is stopping.
    pub draining: Arc<AtomicBool>,
    guard: Data<Guard>,
    realtime: Data<Realtime>,
    canvases: Canvases,
    train_prefs: Data<TrainPrefs>,
    flags: Data<Flags>,
    flag_tail: Data<FlagTail>,
    gates: Data<GateChain>,
    nexus: Data<Nexus>,
    assets: Data<Assets>,
    search: Data<Search>,
    audit: Data<Audit>,
    audit_tail: Data<AuditTail>,
    tending: Vec<AbortHandle>,
    nodes: [AbortHandle; 2],
    readiness: Data<Readiness>,
    description: Data<ApiDescription>,
    routes: Mounted,
    embedded: Option<Embedded>,
    /// The S3 endpoint for development, while it listens.
    endpoint: Mutex<Option<S3Endpoint>>,
}

/// Checks a configuration and changes nothing that serving would not.
///
/// With `seeds` the rows that are missing are made first.
///
/// # Errors
/// [`StartupError`](crate::StartupError) with everything that is missing.
pub(crate) async fn check(config: &Config, seeds: Option<&Seeds>) -> anyhow::Result<()> {
    start(config, seeds).await.map(drop)
}

impl Composed {
    /// Puts a server together; with `seeds` the rows that are missing are made first.
    /// `/metrics` shows what `prometheus` has.
    ///
    /// # Errors
    /// [`StartupError`](crate::StartupError) with everything that is missing.
    pub(crate) async fn new(
        config: &Config,
        prometheus: PrometheusHandle,
        seeds: Option<&Seeds>,
    ) -> anyhow::Result<Self> {
        let Started {
            mut foundation,
            control,
            endpoint,
        } = start(config, seeds).await?;
        let train_prefs = Arc::new(foundation.train_prefs(&control));
        let audit = foundation.audit(Arc::clone(&train_prefs)).await?;
        let flags = Arc::new(foundation.flags());
        let gates = foundation.gates(&flags, &audit);
        let nexus = foundation.nexus(&control);
        let search = search::search(&foundation, config);
        let assets = assets::assets(&foundation, &gates, &config.storage);
        let tickets = foundation.tickets();
        let office: Arc<dyn TicketOffice> = tickets.clone();
        let guard = foundation.guard(&control, office);
        let recording = Recording::To(Arc::new(AuditRecorder::new(Arc::clone(&audit))));
        let realtime = foundation.realtime(config, Arc::clone(&guard), tickets, recording.clone());
        let canvases = Canvases::lay(&foundation, &realtime, &assets, &guard, recording.clone());
        search::keep_snippets(&realtime, &nexus, &gates);
        let flag_tail = FlagTail::new(Arc::clone(&flags), &realtime, &*foundation.entropy);
        let draining = Arc::new(AtomicBool::new(false));
        let (backends, watching) = watch::watch(Arc::clone(&foundation.router)).await;
        let nodes = foundation.join_nodes(&control, &gates, &flags, &train_prefs);
        let Foundation {
            embedded,
            clock,
            entropy,
            tokens,
            ..
        } = foundation;
        let mut probes = vec![audit_log::probe(&audit)];
        probes.extend(embedded.as_ref().map(embedded::probe));
        Ok(Self {
            clock,
            entropy,
            tokens,
            embedded,
            endpoint: Mutex::new(endpoint),
            control,
            prometheus,
            readiness: Data::new(Readiness {
                probes,
                backends,
                draining: Arc::clone(&draining),
            }),
            draining,
            audit_tail: Data::new(AuditTail::new(Arc::clone(&audit), &realtime)),
            guard: Data::from(guard),
            realtime: Data::from(realtime),
            canvases,
            train_prefs: Data::from(train_prefs),
            flag_tail: Data::new(flag_tail),
            flags: Data::from(flags),
            nexus: Data::new(nexus),
            search: Data::new(search),
            assets: Data::from(Arc::clone(&assets)),
            tending: vec![
                tokio::spawn(Arc::clone(&audit).tend()).abort_handle(),
                tokio::spawn(gates.clone().tend()).abort_handle(),
                tokio::spawn(Arc::clone(&assets).tend()).abort_handle(),
                watching,
            ],
            nodes,
            gates: Data::new(gates),
            audit: Data::from(audit),
            description: Data::new(ApiDescription::collect()),
            routes: mounted(recording)?,
        })
    }

    /// Adds everything to an actix application; called once a worker.
    pub fn mount(&self, app: &mut ServiceConfig) {
        self.canvases.mount(app);
        app.app_data(self.guard.clone())
            .app_data(Data::from(Arc::clone(&self.control)))
            .app_data(self.realtime.clone())
            .app_data(self.train_prefs.clone())
            .app_data(self.flags.clone())
            .app_data(self.flag_tail.clone())
            .app_data(self.gates.clone())
            .app_data(self.nexus.clone())
            .app_data(self.search.clone())
            .app_data(self.assets.clone())
            .app_data(self.audit.clone())
            .app_data(self.audit_tail.clone())
            .app_data(self.readiness.clone())
            .app_data(self.description.clone())
            .app_data(Data::new(self.prometheus.clone()));
        self.routes.configure(app);
    }

    /// All routes.
    pub(crate) fn manifest(&self) -> Manifest {
        self.routes.manifest()
    }

    /// Tells open streams to reconnect elsewhere, spread over half of `within`.
    pub async fn drain_streams(&self, within: Duration) {
        let left = self.realtime.drain(within / 2, within).await;
        if left > 0 {
            tracing::warn!(left, "streams were still open when the drain ended");
        }
    }

    /// Signs and commits what waits, and releases the data folder.
    pub async fn close(&self) {
        let tasks = self.tending.iter().chain(&self.nodes);
        tasks.for_each(AbortHandle::abort);
        self.gates.close().await;
        self.audit.close().await;
        let endpoint = self.endpoint.lock().take();
        if let Some(mut endpoint) = endpoint {
            endpoint.close().await;
        }
        if let Some(engine) = &self.embedded {
            engine.close().await;
        }
    }
}
