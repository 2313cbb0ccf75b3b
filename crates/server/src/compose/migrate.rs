//! Moving a kind of documents from one engine to another: held, copied, compared, switched by one row, let go.
//!
//! **Invariant:** while anything is copied, nothing of it is written: the row says that it is held, every node
//! knows that before the first document is read, and refuses writes with 503. The row is switched only when
//! both engines hold the same, and writes are let through only when every node follows the new row.

mod copy;

use std::{sync::Arc, time::Duration};

use control::{Control, FRESH_MAX, RoutePlace, RouteRow, RouteTarget};
use identity::{Env, SystemAuthority, TenantId};
use store::{PageRequest, Partition, Versioned};

use super::{
    backend::{Backend, Trouble},
    fuse::CALL_MAX,
    router::Router,
    start::{Started, open},
};
use crate::{
    config::Config,
    needs::{CONTROL, KINDS, Kind, Port},
    startup::Missing,
};

use copy::copy;

/// How long the new backend may take to say that it is there.
const TARGET_MAX: Duration = Duration::from_secs(12);

/// What is moved, and to where.
pub(crate) struct Order {
    /// The kind, with all kinds that follow it.
    pub(crate) kind: &'static Kind,
    /// One tenant, or everyone who is not elsewhere by a row of their own.
    pub(crate) tenant: Option<TenantId>,
    /// The new place; without one, a hold that was left behind is taken away.
    pub(crate) target: Option<RouteTarget>,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Documents that were copied now, and those that an earlier attempt had copied.
    pub(crate) copied: u64,
    pub(crate) kept: u64,
}

/// Carries an order out, or goes on with one that was interrupted.
///
/// # Errors
/// [`StartupError`](crate::StartupError) for a target with faults; otherwise why nothing was switched.
pub(crate) async fn migrate(config: &Config, order: &Order) -> anyhow::Result<Moved> {
    let mut missing = Missing::default();
    let opened = open(config, &mut missing).await?;
    let mover = Mover::new(&opened, order);
    let Some(target) = &order.target else {
        mover.let_go().await?;
        return Ok(Moved::default());
    };
    mover.check(target).await?;
    if mover
        .row()
        .await?
        .is_some_and(|row| row.value.target == *target)
    {
        // It was interrupted after the switch.
        mover.let_go().await?;
        return Ok(Moved::default());
    }
    let source = mover.router.serve(order.kind, &mover.place).await?.backend;
    let to = mover.router.backend(target, &target.fingerprint())?;
    let held = mover.hold().await?;
    let outcome = mover.copy_all(&source, &to).await;
    match outcome {
        Ok(moved) => {
            mover.switch(&held, target).await?;
            mover.let_go().await?;
            Ok(moved)
        }
        Err(error) => {
            mover.let_go().await?;
            Err(error)
        }
    }
}

struct Mover<'a> {
    order: &'a Order,
    place: RoutePlace,
    control: &'a Control,
    router: &'a Router,
    authority: SystemAuthority,
    /// How long until every node follows a row, and what was written by the old one has ended.
    settles: Duration,
}

impl<'a> Mover<'a> {
    fn new(opened: &'a Started, order: &'a Order) -> Self {
        // The engine in this process has one process: no other node has to hear of the row.
        let alone = opened.foundation.embedded.is_some();
        Self {
            order,
            place: RoutePlace {
                tenant: order.tenant.clone(),
                env: None,
            },
            control: &opened.control,
            router: &opened.foundation.router,
            authority: opened.foundation.authority,
            settles: if alone {
                Duration::ZERO
            } else {
                FRESH_MAX + CALL_MAX
            },
        }
    }

    /// Refuses what cannot be moved, or not to there.
    async fn check(&self, target: &RouteTarget) -> anyhow::Result<()> {
        let kind = self.order.kind;
        if let Some(leader) = kind.follows {
            anyhow::bail!("{} is moved with {leader}", kind.name);
        }
        if kind.port != Port::Documents || kind.name == CONTROL {
            anyhow::bail!(
                "{} is not moved by this command: see docs/routing.md",
                kind.name
            );
        }
        let mut missing = Missing::default();
        let row = RouteRow::new(kind.name.parse()?, self.place.clone(), target.clone());
        for found in self.control.check_route(&row).await.problems {
            missing.note(format!("the route of {}: {}", found.kind, found.problem));
        }
        missing.finish()?;
        let backend = self.router.backend(target, &target.fingerprint())?;
        let mut missing = Missing::default();
        let checked = backend.check(TARGET_MAX).await;
        missing.collect(checked.as_ref().map_err(Trouble::text));
        Ok(missing.finish()?)
    }

    async fn row(&self) -> anyhow::Result<Option<Versioned<RouteRow>>> {
        let kind = self.order.kind.name.parse()?;
        Ok(self.control.routes().row(&kind, &self.place).await?)
    }

    /// Makes every node refuse writes, and waits until none is under way.
    async fn hold(&self) -> anyhow::Result<Versioned<RouteRow>> {
        let (kind, read) = (self.order.kind, self.row().await?);
        let row = match &read {
            Some(read) => read.value.clone(),
            // A tenant without a row of its own gets one that says what everyone's does.
            None => {
                let name = kind.name.parse()?;
                let found = self.control.routes().resolve(&name, &self.place).await?;
                RouteRow::new(name, self.place.clone(), found.target().clone())
            }
        };
        let row = RouteRow { held: true, ..row };
        self.control.routes().store(&row, read.as_ref()).await?;
        tracing::info!(kind = kind.name, "writes are held");
        tokio::time::sleep(self.settles).await;
        let held = self.row().await?.filter(|read| read.value == row);
        held.ok_or_else(|| anyhow::anyhow!("somebody else changes the row of {}", kind.name))
    }

    async fn switch(&self, held: &Versioned<RouteRow>, target: &RouteTarget) -> anyhow::Result<()> {
        let row = RouteRow {
            target: target.clone(),
            ..held.value.clone()
        };
        self.control.routes().store(&row, Some(held)).await?;
        // Until then some node reads from the old engine, which holds the same.
        tokio::time::sleep(self.settles).await;
        Ok(())
    }

    /// Lets writes through again.
    async fn let_go(&self) -> anyhow::Result<()> {
        let Some(read) = self.row().await?.filter(|read| read.value.held) else {
            return Ok(());
        };
        let row = RouteRow {
            held: false,
            ..read.value.clone()
        };
        Ok(self.control.routes().store(&row, Some(&read)).await?)
    }

    async fn copy_all(&self, source: &Arc<Backend>, to: &Arc<Backend>) -> anyhow::Result<Moved> {
        let mut moved = Moved::default();
        let system = self.order.tenant.is_none();
        let mut next = system.then(PageRequest::largest);
        let mut tenants: Vec<TenantId> = self.order.tenant.iter().cloned().collect();
        if system {
            self.copy_tenant(&TenantId::system(), (source, to), &mut moved)
                .await?;
        }
        loop {
            for tenant in tenants
                .drain(..)
                .filter(|tenant| !(system && tenant.is_system()))
            {
                self.copy_tenant(&tenant, (source, to), &mut moved).await?;
            }
            let Some(request) = next else {
                return Ok(moved);
            };
            let page = self
                .control
                .tenants()
                .ids(&self.authority, &request)
                .await?;
            next = request.following(&page);
            tenants = page.items;
        }
    }

    async fn copy_tenant(
        &self,
        tenant: &TenantId,
        (source, to): (&Arc<Backend>, &Arc<Backend>),
        moved: &mut Moved,
    ) -> anyhow::Result<()> {
        for partition in self.partitions(tenant) {
            let Some(home) = partition.home() else {
                continue;
            };
            let served = self.router.serve_home(self.order.kind, &home).await?;
            // Who has a more exact row is elsewhere, or at least not held.
            if !served.is_held() || !Arc::ptr_eq(&served.backend, source) {
                continue;
            }
            copy(&**source, &**to, &partition, moved).await?;
        }
        Ok(())
    }

    /// Every partition that a tenant can have of the kind and of those that follow it.
    fn partitions(&self, tenant: &TenantId) -> Vec<Partition> {
        let moves = |kind: &&Kind| {
            kind.name == self.order.kind.name || kind.follows == Some(self.order.kind.name)
        };
        let collections = KINDS.iter().filter(moves).flat_map(|kind| kind.holds);
        let authority = &self.authority;
        let mut partitions = Vec::new();
        for collection in collections {
            if tenant.is_system() {
                partitions.push(Partition::of_system(authority, collection));
            }
            partitions.push(Partition::of_tenant(authority, tenant, collection));
            let of_env = |env| Partition::of_env(authority, tenant, env, collection);
            partitions.extend(Env::ALL.map(of_env));
        }
        partitions
    }
}
