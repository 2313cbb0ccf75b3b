//! The control plane, put together.

use std::{sync::Arc, time::Duration};

use identity::{Clock, Directory, Entropy, SystemAuthority, Tokens};
use store::{Documents, Throttle};

use crate::{
    Accounts, Apps, Backend, Bootstrap, CheckReport, ControlError, Invalidations, LiveDirectory,
    Members, Modes, NamedRecords, Need, PasswordCost, Projects, Registry, RouteRow, SecretRef,
    Secrets, Sessions, Surfaces, Tenants, password::Passwords, records::Core,
};

/// What the control plane stands on.
pub struct ControlDeps {
    /// Where its records are.
    pub documents: Arc<dyn Documents>,
    /// Where rates are counted.
    pub throttle: Arc<dyn Throttle>,
    /// Mints access tokens.
    pub tokens: Arc<Tokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Resolves secret references.
    pub secrets: Arc<Secrets>,
    /// The authority of the process: control data belongs to no single tenant.
    pub authority: SystemAuthority,
    /// What can be set.
    pub config: ControlConfig,
}

/// What can be set.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// How long an access token lives.
    pub access_ttl: Duration,
    /// How long a session lives without a refresh.
    pub refresh_ttl: Duration,
    /// Where the bootstrap key is.
    pub bootstrap_key: SecretRef,
    /// How dear a password hash is; [`PasswordCost::OWASP`] outside tests.
    pub password_cost: PasswordCost,
    /// The kinds of resources that the mounted routes need a backend for.
    pub needs: Vec<Need>,
    /// The backends that the server was composed with.
    pub known_backends: Vec<Backend>,
}

/// The control plane.
pub struct Control {
    core: Arc<Core>,
    directory: Arc<LiveDirectory>,
    accounts: Arc<Accounts>,
    sessions: Arc<Sessions>,
    bootstrap: Bootstrap,
    members: Members,
    projects: NamedRecords<Projects>,
    surfaces: NamedRecords<Surfaces>,
    apps: NamedRecords<Apps>,
    tenants: Tenants,
    modes: Modes,
    registry: Registry,
    config: ControlConfig,
}

impl Control {
    /// Puts the control plane together. Computes one password hash.
    ///
    /// # Errors
    /// [`ControlError::Internal`] when the cost of passwords is impossible.
    pub fn new(deps: ControlDeps) -> Result<Self, ControlError> {
        let config = deps.config;
        let core = Arc::new(Core {
            documents: deps.documents,
            throttle: deps.throttle,
            authority: deps.authority,
            clock: deps.clock,
            entropy: deps.entropy,
            changes: Arc::default(),
        });
        let passwords = Passwords::new(config.password_cost, Arc::clone(&core.entropy))?;
        let passwords = Arc::new(passwords);
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&core),
            deps.tokens,
            config.access_ttl,
            config.refresh_ttl,
        ));
        let accounts = Arc::new(Accounts::new(
            Arc::clone(&core),
            Arc::clone(&sessions),
            Arc::clone(&passwords),
        ));
        Ok(Self {
            directory: Arc::new(LiveDirectory::new(Arc::clone(&core))),
            bootstrap: Bootstrap::new(
                Arc::clone(&core),
                Arc::clone(&accounts),
                passwords,
                Arc::clone(&deps.secrets),
                config.bootstrap_key.clone(),
            ),
            accounts,
            sessions,
            members: Members::new(Arc::clone(&core)),
            projects: NamedRecords::new(Arc::clone(&core)),
            surfaces: NamedRecords::new(Arc::clone(&core)),
            apps: NamedRecords::new(Arc::clone(&core)),
            tenants: Tenants::new(Arc::clone(&core)),
            modes: Modes::new(Arc::clone(&core)),
            registry: Registry::new(Arc::clone(&core), deps.secrets),
            core,
            config,
        })
    }

    /// Gives a new deployment the records that it begins with. Run it at every start.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn seed(&self) -> Result<(), ControlError> {
        self.modes.seed().await
    }

    /// What the guard asks.
    #[must_use]
    pub fn directory(&self) -> Arc<dyn Directory> {
        Arc::clone(&self.directory) as Arc<dyn Directory>
    }

    /// Changes as they happen; feed those of other nodes into it.
    #[must_use]
    pub fn invalidations(&self) -> &Arc<Invalidations> {
        &self.core.changes
    }

    /// Checks the routing registry against what this deployment needs and has.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`]; what is wrong with the rows is in the report.
    pub async fn check_routes(&self) -> Result<CheckReport, ControlError> {
        let (needs, backends) = (&self.config.needs, &self.config.known_backends);
        self.registry.check(needs, backends).await
    }

    /// Checks one row before it is stored.
    pub async fn check_route(&self, row: &RouteRow) -> CheckReport {
        let (needs, backends) = (&self.config.needs, &self.config.known_backends);
        self.registry.check_one(row, needs, backends).await
    }

    /// Signing up and in.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }
    /// Sessions and refresh tokens.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
    /// The first operator.
    #[must_use]
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }
    /// Members and invitations.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }
    /// Projects.
    #[must_use]
    pub fn projects(&self) -> &NamedRecords<Projects> {
        &self.projects
    }
    /// Surfaces.
    #[must_use]
    pub fn surfaces(&self) -> &NamedRecords<Surfaces> {
        &self.surfaces
    }
    /// Apps.
    #[must_use]
    pub fn apps(&self) -> &NamedRecords<Apps> {
        &self.apps
    }
    /// Tenants, for operators.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }
    /// Modes.
    #[must_use]
    pub fn modes(&self) -> &Modes {
        &self.modes
    }
    /// The routing registry.
    #[must_use]
    pub fn routes(&self) -> &Registry {
        &self.registry
    }
}
