//! The gate chain at work: it loads rows, decides, and sees to it that what was
//! decided still holds when the write commits.

mod admit;
mod approvals;
mod change;
mod charge;
mod copies;
mod denied;
mod explain;
mod observe;
mod pay;
mod permit;
mod rows;

use std::{sync::Arc, time::Duration};

use identity::{Clock, Entropy, Member, Scope, SystemAuthority, Timestamp};
use parking_lot::Mutex;
use smol_str::SmolStr;
use store::{Documents, LIST_LIMIT_MAX, Listing, Partition, StoreError, Version};
use tokio::sync::broadcast;

pub use admit::Credentials;
pub use denied::Denied;
pub use explain::{Explained, Explanation};
pub use permit::{CommitRefused, Committed, PERMIT_AGE_MAX, PERMIT_STEPS_MAX, Permit};
pub use rows::Listed;

use crate::{
    Ask, CONTENTION_TRIES_MAX, COPIES, Database, Databases, DecisionLog, Enforcement, Extent,
    GateError, Layer, Level, OneDatabase, Stopwatch, Verdict,
    budget::Budgets,
    chain::run_pure,
    databases::{Copies, FenceCopy},
    fresh::{Fresh, Place},
};

/// How long the store may take to load a layer.
const LOAD_MAX: Duration = Duration::from_secs(2);

/// What [`GateChain`] stands on.
pub struct GateDeps {
    /// Where the rows, the counters and the approvals are, and what is written through permits.
    pub documents: Arc<dyn Documents>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of decisions, approvals and slices.
    pub entropy: Arc<dyn Entropy>,
    /// The authority of the process: operators' rows hold for every tenant.
    pub authority: SystemAuthority,
    /// Whether refusals hold already.
    pub enforcement: Arc<dyn Enforcement>,
    /// Where decisions are recorded.
    pub decisions: Arc<dyn DecisionLog>,
    /// How long gates take.
    pub stopwatch: Arc<dyn Stopwatch>,
}

/// The gate chain of all tenants. Clones share everything.
#[derive(Clone)]
pub struct GateChain {
    core: Arc<Core>,
}

pub(crate) struct Core {
    pub(crate) documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    enforcement: Arc<dyn Enforcement>,
    decisions: Arc<dyn DecisionLog>,
    stopwatch: Arc<dyn Stopwatch>,
    fresh: Fresh,
    budgets: Budgets,
    system_rows: Partition,
    databases: Arc<dyn Databases>,
    copies: Copies,
    /// The partition of copies of the system's fence.
    copies_at: Partition,
    /// Databases that a change of the system's rows has not reached yet.
    pending: Mutex<Vec<Database>>,
    /// Those that were not reached and that no row names, with since when that is known.
    unnamed: Mutex<Vec<(SmolStr, Timestamp)>>,
}

impl GateChain {
    /// A chain over what is stored in `deps.documents`, which is one database.
    ///
    /// Run [`GateChain::tend`] in a task of its own.
    #[must_use]
    pub fn new(deps: GateDeps) -> Self {
        Self::over(deps, Arc::new(OneDatabase))
    }

    /// The same where some tenants are in `databases` of their own; `deps.documents` finds each by its tenant,
    /// and a copy of the fence (in the partition [`COPIES`]) by its id.
    #[must_use]
    pub fn over(deps: GateDeps, databases: Arc<dyn Databases>) -> Self {
        let budgets = Budgets::new(
            Arc::clone(&deps.documents),
            Arc::clone(&deps.clock),
            Arc::clone(&deps.entropy),
        );
        let core = Core {
            documents: deps.documents,
            clock: deps.clock,
            entropy: deps.entropy,
            enforcement: deps.enforcement,
            decisions: deps.decisions,
            stopwatch: deps.stopwatch,
            fresh: Fresh::default(),
            budgets,
            system_rows: Partition::of_system(&deps.authority, ROWS),
            databases,
            copies: Copies::default(),
            copies_at: Partition::of_system(&deps.authority, COPIES),
            pending: Mutex::default(),
            unnamed: Mutex::default(),
        };
        Self {
            core: Arc::new(core),
        }
    }

    /// Gives back what was borrowed of budgets and is not used, and makes changes known in databases that were
    /// not reached with them, until the task is dropped.
    pub async fn tend(self) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.turn().await;
        }
    }

    /// One round of [`GateChain::tend`].
    pub async fn turn(&self) {
        self.core.budgets.tend().await;
        self.core.spread_pending().await;
    }

    /// Gives back everything that was borrowed of budgets and is not used: before a stop.
    pub async fn close(&self) {
        self.core.budgets.give_all_back().await;
    }

    /// Loads the rows that the scope's decisions need, unless they are remembered.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    pub async fn warm(&self, scope: &Scope) -> Result<(), GateError> {
        self.core.layers(&self.core.home(scope)).await?;
        Ok(())
    }

    /// What the pure gates say on the rows that are remembered; `None` when they are not.
    ///
    /// It decides nothing: only [`GateChain::admit`] does.
    #[must_use]
    pub fn remembered(&self, scope: &Scope, ask: &Ask<'_>, extent: Extent) -> Option<Vec<Verdict>> {
        let (core, now) = (&self.core, self.core.clock.now());
        let layer = |place: &Place| core.fresh.get(place, now).ok();
        let tenant = match scope.tenant().is_system() {
            true => None,
            false => Some(layer(&Place::Tenant(scope.tenant().clone(), scope.env()))?),
        };
        let system = layer(&Place::System)?;
        let layers = Layers::here(system, tenant);
        let watch = &*core.stopwatch;
        Some(run_pure(ask, layers.snapshot(), now, extent, watch))
    }

    /// Every change that is made in this process from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Place> {
        self.core.fresh.listen()
    }

    /// Takes it that anything may have changed, because something told elsewhere was missed here.
    pub fn missed(&self) {
        self.core.fresh.forget_all();
    }

    /// Takes a change that another node made; it is not told on.
    pub fn heard(&self, place: &Place) {
        self.core.fresh.forget(place);
    }
}

/// How often unused slices are given back.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// The partition of rows, of their states and of the fence.
const ROWS: &str = "gates";
/// The partition of counters and slices.
const BUDGETS: &str = "gate_budgets";
/// The partition of approvals.
const APPROVALS: &str = "gate_approvals";

/// Where what concerns a scope is.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The place of the tenant's own rows; for `t_system` those of the system.
    own: Place,
    /// The partition of the tenant's own rows.
    rows: Partition,
    budgets: Partition,
    approvals: Partition,
    /// What the name of each of the tenant's partitions begins with.
    prefix: String,
}

impl Home {
    /// Of the system's rows themselves, for which nobody asks.
    fn of_system(rows: &Partition) -> Self {
        Self {
            own: Place::System,
            rows: rows.clone(),
            budgets: rows.clone(),
            approvals: rows.clone(),
            prefix: String::new(),
        }
    }

    fn is_system(&self) -> bool {
        self.own == Place::System
    }

    /// The level whose rows the home has.
    fn level(&self) -> Level {
        if self.is_system() {
            Level::System
        } else {
            Level::Tenant
        }
    }
}

impl Core {
    fn home(&self, scope: &Scope) -> Home {
        let system = scope.tenant().is_system();
        let (own, rows) = if system {
            (Place::System, self.system_rows.clone())
        } else {
            let place = Place::Tenant(scope.tenant().clone(), scope.env());
            (place, Partition::in_scope(scope, ROWS))
        };
        let budgets = Partition::in_scope(scope, BUDGETS);
        let prefix = budgets.as_str().strip_suffix(BUDGETS).unwrap_or_default();
        Home {
            own,
            rows,
            approvals: Partition::in_scope(scope, APPROVALS),
            prefix: prefix.to_owned(),
            budgets,
        }
    }

    /// The rows of the system, and the home's own unless that is the system.
    async fn layers(&self, home: &Home) -> Result<Layers, StoreError> {
        for _ in 0..CONTENTION_TRIES_MAX {
            let system = self.layer(&Place::System, &self.system_rows, None).await?;
            let tenant = match home.is_system() {
                true => None,
                false => Some(self.layer(&home.own, &home.rows, Some(home)).await?),
            };
            let Some(copy) = tenant.as_ref().and_then(Layer::elsewhere) else {
                return Ok(Layers::here(system, tenant));
            };
            let (seen, fence) = (copy.seen(), system.fence());
            match seen {
                Some(seen) if Some(seen.fence) == fence => {
                    let copied = Some((Arc::clone(copy), seen.version));
                    let layers = Layers::here(system, tenant);
                    return Ok(Layers { copied, ..layers });
                }
                _ => self.catch_up(copy, seen, fence).await?,
            }
        }
        let why = "too many concurrent changes of the system's rows";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    /// One layer; `home` is whose it is, unless it is the system's.
    async fn layer(
        &self,
        place: &Place,
        partition: &Partition,
        home: Option<&Home>,
    ) -> Result<Layer, StoreError> {
        if let Ok(layer) = self.fresh.get(place, self.clock.now()) {
            return Ok(layer);
        }
        // Of those who need it at once, one loads it.
        let _turn = self.fresh.turn(place).await;
        let before = match self.fresh.get(place, self.clock.now()) {
            Ok(layer) => return Ok(layer),
            Err(before) => before,
        };
        let copy = match home {
            Some(home) => self.elsewhere(home).await?,
            None => None,
        };
        let layer = self.load(partition, copy).await?;
        self.fresh.keep(place, &layer, &before);
        Ok(layer)
    }

    async fn load(
        &self,
        partition: &Partition,
        copy: Option<Arc<FenceCopy>>,
    ) -> Result<Layer, StoreError> {
        metrics::counter!("tenantry_gates_loads_total").increment(1);
        let documents = tokio::time::timeout(LOAD_MAX, self.all(partition)).await;
        let late = |_| StoreError::Unavailable("the store takes too long".to_owned());
        Ok(Layer::read_in(partition, &documents.map_err(late)??, copy))
    }

    /// All documents of a partition of rows, at one moment: there is one page of them.
    async fn all(&self, partition: &Partition) -> Result<Vec<store::Document>, StoreError> {
        let listing = Listing {
            prefix: String::new(),
            after: None,
            limit: LIST_LIMIT_MAX,
        };
        self.documents.list(partition, &listing).await
    }

    fn forget(&self, home: &Home) {
        self.fresh.forget(&Place::System);
        self.fresh.forget(&home.own);
    }
}

/// The rows of both levels.
pub(crate) struct Layers {
    system: Layer,
    tenant: Option<Layer>,
    /// The copy of the system's fence for a tenant in another database, in the state that stands for `system`.
    copied: Option<(Arc<FenceCopy>, Version)>,
}

impl Layers {
    const fn here(system: Layer, tenant: Option<Layer>) -> Self {
        Self {
            system,
            tenant,
            copied: None,
        }
    }

    fn snapshot(&self) -> crate::Snapshot<'_> {
        crate::Snapshot {
            system: &self.system,
            tenant: self.tenant.as_ref(),
        }
    }
}

/// Who asks, outliving the scope.
#[derive(Debug)]
pub(crate) struct Asker {
    member: Member,
    home: Home,
}
