//! What a server stands on: secrets, keys, the control store, and the router that finds every other backend.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context;
use audit::service::{Audit, AuditDeps};
use control::{
    Control, ControlConfig, ControlDeps, PasswordCost, RoutePlace, RouteTarget, SecretRef, Secrets,
};
use engine_embedded::Embedded;
use flags::{Flags, FlagsDeps};
use gatechain::{AuditedDecisions, GateChain, GateDeps};
use identity::{Clock, Entropy, Guard, Recording, SystemAuthority, TicketOffice, Tokens};
use nexus::{Nexus, NexusDeps};
use privacy::{TrainPrefs, TrainPrefsDeps};
use realtime::{Realtime, RealtimeDeps, Tickets};
use store::{Blobs, Bus, Documents, EventLog, StoreError, Throttle};
use tokio::task::AbortHandle;

use super::{
    backend::Backend,
    databases::RoutedDatabases,
    embedded::EMBEDDED,
    open::{self, Opener},
    profile::control_store,
    routed::{RoutedBlobs, RoutedDocuments, RoutedEvents, RoutedThrottle},
    routed_bus::RoutedBus,
    router::Router,
    tickets::RoutedTickets,
};
use crate::{
    ambient::{self, SystemClock, SystemEntropy, SystemStopwatch},
    audit_log::{AuditParts, Preferences},
    config::Config,
    gates::FlagEnforcement,
    keys, needs,
    nodes::{self, Remembering},
    setup::make_private,
    startup::Missing,
    telemetry,
};

/// How long the control store may take to say that it is there.
const CONTROL_MAX: Duration = Duration::from_secs(12);

/// The parts that exist before the routing registry is asked.
pub(super) struct Foundation {
    pub(super) embedded: Option<Embedded>,
    pub(super) router: Arc<Router>,
    control_store: RouteTarget,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) bootstrap_key: SecretRef,
    pub(super) audit: Option<AuditParts>,
    pub(super) authority: SystemAuthority,
}

impl Foundation {
    /// Opens the store and resolves the secrets; notes everything that is missing.
    ///
    /// # Errors
    /// When no key for the check can be made.
    pub(super) fn lay(config: &Config, missing: &mut Missing) -> anyhow::Result<Option<Self>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let secrets = Arc::new(Secrets::new(ambient::environment));
        let tokens = keys::tokens(&config.auth, &secrets, &clock, missing);
        let bootstrap_key = missing.collect(config.auth.bootstrap_key.parse::<SecretRef>());
        if let Some(reference) = &bootstrap_key {
            missing.collect(secrets.resolve(reference));
        }
        // Also where everything is elsewhere: the audit spool and the search indexes are in it.
        missing.collect(make_private(&config.data));
        let audit = AuditParts::lay(config, &secrets, missing);
        telemetry::check(config, &secrets, missing);
        let control_store = control_store(config)?;
        let embedded = if control_store.backend.to_string() == EMBEDDED {
            let (clock, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
            let Some(opened) = missing.collect(Embedded::open(&config.data, clock, entropy)) else {
                return Ok(None);
            };
            Some(opened)
        } else {
            None
        };
        let Some(bootstrap_key) = bootstrap_key else {
            return Ok(None);
        };
        // Without keys the registry is still checked, so that its faults are named too; nothing is served.
        let tokens = Arc::new(tokens.map_or_else(|| keys::throwaway(&*entropy), Ok)?);
        let opener = Opener {
            secrets: Arc::clone(&secrets),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            authority: SystemAuthority::assume(),
            embedded: embedded.clone(),
            own_s3: OnceLock::new(),
        };
        Ok(Some(Self {
            embedded,
            router: Arc::new(Router::new(opener)),
            control_store,
            clock,
            entropy,
            tokens,
            secrets,
            bootstrap_key,
            audit,
            authority: SystemAuthority::assume(),
        }))
    }

    /// Documents, routed.
    pub(super) fn documents(&self) -> Arc<dyn Documents> {
        Arc::new(RoutedDocuments(Arc::clone(&self.router)))
    }

    /// Event logs, routed.
    pub(super) fn events(&self) -> Arc<dyn EventLog> {
        Arc::new(RoutedEvents(Arc::clone(&self.router)))
    }

    fn throttle(&self) -> Arc<dyn Throttle> {
        Arc::new(RoutedThrottle(Arc::clone(&self.router)))
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(RoutedBus(Arc::clone(&self.router)))
    }

    /// Begins to tell other nodes what changes, and to hear what changes there.
    pub(super) fn join_nodes(
        &self,
        control: &Arc<Control>,
        gates: &GateChain,
        flags: &Arc<Flags>,
        train_prefs: &Arc<TrainPrefs>,
    ) -> [AbortHandle; 2] {
        let remembering = Remembering {
            control: Arc::clone(control),
            gates: gates.clone(),
            flags: Arc::clone(flags),
            train_prefs: Arc::clone(train_prefs),
        };
        nodes::join(&self.bus(), remembering, &self.authority, &*self.entropy)
    }

    /// Objects of one kind, routed.
    pub(super) fn blobs(&self, kind: &'static str) -> Arc<dyn Blobs> {
        Arc::new(RoutedBlobs::new(kind, Arc::clone(&self.router)))
    }

    /// The control store, which the configuration names: the registry is in it.
    fn control_backend(&self) -> Result<Arc<Backend>, StoreError> {
        let target = &self.control_store;
        self.router.backend(target, &target.fingerprint())
    }

    /// Whether the control store serves.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn control_is_there(&self) -> Result<(), String> {
        let backend = self.control_backend().map_err(|error| error.to_string())?;
        let checked = backend.check(CONTROL_MAX).await;
        checked.map_err(|trouble| trouble.text().to_owned())
    }

    pub(super) fn control(&self, config: &Config) -> anyhow::Result<Control> {
        let auth = &config.auth;
        Ok(Control::new(ControlDeps {
            documents: self.control_backend()?,
            throttle: self.throttle(),
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
                needs: needs::needs()?,
                known_backends: open::backends(config, &self.control_store)?,
            },
        })?)
    }

    pub(super) fn guard(&self, control: &Control, office: Arc<dyn TicketOffice>) -> Arc<Guard> {
        let (tokens, clock) = (Arc::clone(&self.tokens), Arc::clone(&self.clock));
        let guard = Guard::new(tokens, control.directory(), clock);
        Arc::new(guard.with_tickets(office))
    }

    pub(super) fn realtime(
        &self,
        config: &Config,
        guard: Arc<Guard>,
        tickets: Arc<Tickets>,
        recording: Recording,
    ) -> Arc<Realtime> {
        let realtime = Realtime::new(RealtimeDeps {
            documents: self.documents(),
            log: self.events(),
            throttle: self.throttle(),
            tickets,
            guard,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            recording,
            config: config.realtime.settings(config.public_url.clone()),
        });
        realtime.meet_over(self.bus());
        realtime
    }

    pub(super) fn flags(&self) -> Flags {
        Flags::new(FlagsDeps {
            documents: self.documents(),
            clock: Arc::clone(&self.clock),
            authority: self.authority,
        })
    }

    pub(super) fn gates(&self, flags: &Arc<Flags>, audit: &Arc<Audit>) -> GateChain {
        let deps = GateDeps {
            documents: self.documents(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            authority: self.authority,
            enforcement: Arc::new(FlagEnforcement(Arc::clone(flags))),
            decisions: Arc::new(AuditedDecisions::new(Arc::clone(audit))),
            stopwatch: Arc::new(SystemStopwatch::start()),
        };
        let databases = Arc::new(RoutedDatabases(Arc::clone(&self.router)));
        GateChain::over(deps, databases)
    }

    pub(super) fn nexus(&self, control: &Control) -> Nexus {
        Nexus::new(NexusDeps {
            documents: self.documents(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            directory: control.directory(),
        })
    }

    pub(super) fn train_prefs(&self, control: &Control) -> TrainPrefs {
        TrainPrefs::new(TrainPrefsDeps {
            documents: self.documents(),
            directory: control.directory(),
            clock: Arc::clone(&self.clock),
            authority: self.authority,
        })
    }

    /// Opens the audit log over the store.
    ///
    /// # Errors
    /// When the store, the spool or the anchor cannot be read.
    pub(super) async fn audit(&mut self, prefs: Arc<TrainPrefs>) -> anyhow::Result<Arc<Audit>> {
        let parts = self.audit.take().context("the audit log was laid")?;
        let deps = AuditDeps {
            documents: self.documents(),
            events: self.events(),
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
        let several = self.is_shared(needs::AUDIT_LOG).await?;
        anyhow::ensure!(
            !several || self.is_shared(needs::AUDIT_RECORDS).await?,
            "audit_log is on an engine that several servers share, and audit_records is in the data folder of this one"
        );
        Ok(if several {
            Audit::join(deps, parts.settings).await?
        } else {
            Audit::open(deps, parts.settings).await?
        })
    }

    /// Whether what holds a kind may be in use by other servers: all but the data folder, whose
    /// lock keeps them out.
    async fn is_shared(&self, kind: &'static str) -> anyhow::Result<bool> {
        let kind = needs::named(kind).context("a kind of ours")?;
        let served = self.router.serve(kind, &RoutePlace::default()).await?;
        Ok(served.backend.name() != EMBEDDED)
    }

    pub(super) fn tickets(&self) -> Arc<Tickets> {
        let office = Arc::new(RoutedTickets(Arc::clone(&self.router)));
        Arc::new(Tickets::over(office, Arc::clone(&self.clock)))
    }
}
