//! Putting the crates together: the only place that names an engine.
//!
//! **Invariant:** what serves a resource is a row of the routing registry. A
//! missing row, backend or secret stops the start, and all of them are named.

mod assets;
mod blobs;
mod canvases;
mod embedded;
mod s3;
mod search;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use audit::service::{Audit, AuditDeps, AuditRecorder};
use canvas::{CanvasService, Exports};
use control::{Control, ControlConfig, ControlDeps, PasswordCost, SecretRef, Secrets};
use engine_embedded::Embedded;
use flags::{Flags, FlagsDeps};
use gatechain::{AuditedDecisions, GateChain, GateDeps};
use identity::{
    Clock, Entropy, Guard, Recording, SystemAuthority, TicketOffice, Tokens, http::Mounted,
};
use metrics_exporter_prometheus::PrometheusHandle;
use nexus::{Nexus, NexusDeps, assets::Assets, search::Search};
use privacy::{TrainPrefs, TrainPrefsDeps};
use realtime::{Realtime, RealtimeDeps, Tickets};
use tokio::task::AbortHandle;

use crate::{
    ambient::{self, SystemClock, SystemEntropy, SystemStopwatch},
    audit_log::{self, AuditParts, Preferences},
    audit_tail::AuditTail,
    config::Config,
    flag_tail::FlagTail,
    gates::FlagEnforcement,
    keys, needs,
    routes::mounted,
    startup::Missing,
    telemetry,
    web::{ApiDescription, Readiness},
};

pub use embedded::backup;

use blobs::Objects;
use embedded::EMBEDDED;

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
    canvases: Data<CanvasService>,
    exports: Data<Exports>,
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
    readiness: Data<Readiness>,
    description: Data<ApiDescription>,
    routes: Mounted,
    engine: Embedded,
    objects: Arc<Objects>,
}

/// The parts that exist before the routing registry is asked.
struct Foundation {
    engine: Embedded,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: Arc<Tokens>,
    secrets: Arc<Secrets>,
    bootstrap_key: SecretRef,
    audit: Option<AuditParts>,
    authority: SystemAuthority,
}

impl Foundation {
    /// Opens the store and resolves the secrets; notes everything that is missing.
    ///
    /// # Errors
    /// When no key for the check can be made.
    fn lay(config: &Config, missing: &mut Missing) -> anyhow::Result<Option<Self>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let secrets = Arc::new(Secrets::new(ambient::environment));
        let tokens = keys::tokens(&config.auth, &secrets, &clock, missing);
        let bootstrap_key = missing.collect(config.auth.bootstrap_key.parse::<SecretRef>());
        if let Some(reference) = &bootstrap_key {
            missing.collect(secrets.resolve(reference));
        }
        let audit = AuditParts::lay(config, &secrets, missing);
        let engine = missing.collect(Embedded::open(
            &config.data,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        ));
        let (Some(engine), Some(bootstrap_key)) = (engine, bootstrap_key) else {
            return Ok(None);
        };
        // Without keys the registry is still checked, so that its faults are named too; nothing is served.
        let tokens = Arc::new(tokens.map_or_else(|| keys::throwaway(&*entropy), Ok)?);
        let authority = SystemAuthority::assume();
        Ok(Some(Self {
            engine,
            clock,
            entropy,
            tokens,
            secrets,
            bootstrap_key,
            audit,
            authority,
        }))
    }

    fn control(&self, config: &Config) -> anyhow::Result<Control> {
        let auth = &config.auth;
        Ok(Control::new(ControlDeps {
            documents: self.engine.documents(),
            throttle: self.engine.throttle(),
            tokens: Arc::clone(&self.tokens),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            secrets: Arc::clone(&self.secrets),
            authority: self.authority,
            config: ControlConfig {
                access_ttl: Duration::from_secs(auth.access_ttl_s),
                refresh_ttl: Duration::from_secs(auth.refresh_ttl_s),
                bootstrap_key: self.bootstrap_key.clone(),
                password_cost: PasswordCost::OWASP,
                required_kinds: needs::kinds()?,
                known_backends: vec![embedded::backend()?, s3::backend(config)?],
            },
        })?)
    }

    fn realtime(
        &self,
        config: &Config,
        guard: Arc<Guard>,
        tickets: Arc<Tickets>,
        recording: Recording,
    ) -> Arc<Realtime> {
        Realtime::new(RealtimeDeps {
            documents: self.engine.documents(),
            log: self.engine.events(),
            throttle: self.engine.throttle(),
            tickets,
            guard,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            recording,
            config: config.realtime.settings(config.public_url.clone()),
        })
    }

    fn flags(&self) -> Flags {
        Flags::new(FlagsDeps {
            documents: self.engine.documents(),
            clock: Arc::clone(&self.clock),
            authority: self.authority,
        })
    }

    fn gates(&self, flags: &Arc<Flags>, audit: &Arc<Audit>) -> GateChain {
        GateChain::new(GateDeps {
            documents: self.engine.documents(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            authority: self.authority,
            enforcement: Arc::new(FlagEnforcement(Arc::clone(flags))),
            decisions: Arc::new(AuditedDecisions::new(Arc::clone(audit))),
            stopwatch: Arc::new(SystemStopwatch::start()),
        })
    }

    fn nexus(&self, control: &Control) -> Nexus {
        Nexus::new(NexusDeps {
            documents: self.engine.documents(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            directory: control.directory(),
        })
    }

    fn train_prefs(&self, control: &Control) -> TrainPrefs {
        TrainPrefs::new(TrainPrefsDeps {
            documents: self.engine.documents(),
            directory: control.directory(),
            clock: Arc::clone(&self.clock),
            authority: self.authority,
        })
    }

    /// Opens the audit log over the store.
    ///
    /// # Errors
    /// When the store, the spool or the anchor cannot be read.
    async fn audit(&mut self, prefs: Arc<TrainPrefs>) -> anyhow::Result<Arc<Audit>> {
        let parts = self.audit.take().context("the audit log was laid")?;
        let deps = AuditDeps {
            documents: self.engine.documents(),
            events: self.engine.events(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            authority: self.authority,
            signers: parts.signers,
            wrapping: parts.wrapping,
            training: Arc::new(Preferences {
                prefs,
                authority: self.authority,
            }),
        };
        Ok(Audit::open(deps, parts.settings).await?)
    }

    fn tickets(&self) -> Arc<Tickets> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Arc::new(Tickets::new(
            self.engine.documents(),
            &self.authority,
            clock,
            entropy,
        ))
    }
}

/// Opens the store, resolves secrets, and asks the routing registry.
///
/// With `seed` the rows that are missing are made first: for `init` and `dev`.
///
/// # Errors
/// [`StartupError`](crate::StartupError) with everything that is missing.
async fn checked(
    config: &Config,
    seed: bool,
) -> anyhow::Result<(Foundation, Arc<Control>, Arc<Objects>)> {
    let mut missing = Missing::default();
    let Some(foundation) = Foundation::lay(config, &mut missing)? else {
        missing.finish()?;
        anyhow::bail!("the store was not opened");
    };
    let control = Arc::new(foundation.control(config)?);
    if seed {
        let objects = config.s3_endpoint.as_ref().map(s3::seeded).transpose()?;
        needs::seed(&control, EMBEDDED, objects.as_ref()).await?;
    }
    needs::check(&control, &mut missing).await?;
    let (secrets, clock) = (&foundation.secrets, &foundation.clock);
    let objects = Objects::lay(config, &control, secrets, clock, &mut missing).await?;
    missing.finish()?;
    control.seed().await?;
    Ok((foundation, control, objects))
}

/// Checks a configuration and changes nothing that serving would not.
///
/// # Errors
/// [`StartupError`](crate::StartupError) with everything that is missing.
pub async fn check(config: &Config, seed: bool) -> anyhow::Result<()> {
    checked(config, seed).await.map(drop)
}

impl Composed {
    /// Puts a server together.
    ///
    /// # Errors
    /// [`StartupError`](crate::StartupError) with everything that is missing.
    pub async fn new(config: &Config, seed: bool) -> anyhow::Result<Self> {
        let (mut foundation, control, objects) = checked(config, seed).await?;
        let train_prefs = Arc::new(foundation.train_prefs(&control));
        let audit = foundation.audit(Arc::clone(&train_prefs)).await?;
        let flags = Arc::new(foundation.flags());
        let gates = foundation.gates(&flags, &audit);
        let nexus = foundation.nexus(&control);
        let search = search::search(&foundation, config);
        let assets = assets::assets(&foundation, &objects, &config.storage);
        let tickets = foundation.tickets();
        let office: Arc<dyn TicketOffice> = tickets.clone();
        let guard = Guard::new(
            Arc::clone(&foundation.tokens),
            control.directory(),
            Arc::clone(&foundation.clock),
        );
        let guard = Arc::new(guard.with_tickets(office));
        let recording = Recording::To(Arc::new(AuditRecorder::new(Arc::clone(&audit))));
        let realtime = foundation.realtime(config, Arc::clone(&guard), tickets, recording.clone());
        let (canvases, exports) = canvases::services(&foundation, &realtime, &assets);
        search::keep_snippets(&realtime, &nexus, &gates);
        let flag_tail = FlagTail::new(Arc::clone(&flags), &realtime, &*foundation.entropy);
        let draining = Arc::new(AtomicBool::new(false));
        let (s3, watching) = objects.watch();
        let Foundation {
            engine,
            clock,
            entropy,
            tokens,
            ..
        } = foundation;
        let probes = vec![embedded::probe(&engine), audit_log::probe(&audit), s3];
        Ok(Self {
            clock,
            entropy,
            tokens,
            engine,
            objects,
            control,
            prometheus: telemetry::start_metrics()?,
            readiness: Data::new(Readiness {
                probes,
                draining: Arc::clone(&draining),
            }),
            draining,
            audit_tail: Data::new(AuditTail::new(Arc::clone(&audit), &realtime)),
            guard: Data::from(guard),
            realtime: Data::from(realtime),
            canvases,
            exports,
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
            gates: Data::new(gates),
            audit: Data::from(audit),
            description: Data::new(ApiDescription::collect()),
            routes: mounted(recording)?,
        })
    }

    /// Adds everything to an actix application; called once a worker.
    pub fn mount(&self, app: &mut ServiceConfig) {
        app.app_data(self.guard.clone())
            .app_data(Data::from(Arc::clone(&self.control)))
            .app_data(self.realtime.clone())
            .app_data(self.canvases.clone())
            .app_data(self.exports.clone())
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

    /// Tells open streams to reconnect elsewhere, spread over half of `within`.
    pub async fn drain_streams(&self, within: Duration) {
        let left = self.realtime.drain(within / 2, within).await;
        if left > 0 {
            tracing::warn!(left, "streams were still open when the drain ended");
        }
    }

    /// Signs and commits what waits, and releases the data folder.
    pub async fn close(&self) {
        self.tending.iter().for_each(AbortHandle::abort);
        self.gates.close().await;
        self.audit.turn().await;
        self.objects.close().await;
        self.engine.close().await;
    }
}
