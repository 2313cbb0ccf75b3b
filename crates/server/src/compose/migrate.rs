//! Moving a kind of resource from one backend to another: copied, held, compared, switched by one row, let go.
//!
//! **Invariant:** the row is switched only when both backends hold the same and nothing is written: the row says that
//! it is held, every node knows that before what was copied is compared, and refuses writes with 503. They are let
//! through only when every node follows the new row.

mod documents;
mod events;
mod objects;

use std::{sync::Arc, time::Duration};

use control::{Control, FRESH_MAX, RoutePlace, RouteRow, RouteTarget};
use gatechain::COPIES;
use identity::{Clock, Env, SystemAuthority, TenantId};
use store::{Home, PageRequest, Partition, Versioned};

use super::{
    backend::{Backend, Trouble},
    databases::is_a_tenants,
    fuse::CALL_MAX,
    router::Router,
    start::{Started, open},
};
use crate::{
    config::Config,
    needs::{CONTROL, KINDS, Kind, NEXUS, Port},
    startup::Missing,
};

use documents::copy;
use events::Streams;

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
    /// Documents, events or objects that were copied now, and those that an earlier attempt had copied.
    pub(crate) copied: u64,
    pub(crate) kept: u64,
    /// Why streams that were left behind are not finished with.
    pub(crate) unfinished: Option<String>,
}

/// Carries an order out, or goes on with one that was interrupted.
///
/// # Errors
/// [`StartupError`](crate::StartupError) for a target with faults; otherwise why nothing was switched.
pub(crate) async fn migrate(config: &Config, order: &Order) -> anyhow::Result<Moved> {
    let mut missing = Missing::default();
    let opened = open(config, &mut missing).await?;
    let mover = Mover::new(&opened, order);
    let mut moved = Moved::default();
    let Some(target) = &order.target else {
        mover.finish(&mut moved).await?;
        return Ok(moved);
    };
    mover.check(target).await?;
    if mover
        .row()
        .await?
        .is_some_and(|row| row.value.target == *target)
    {
        // It was interrupted after the switch.
        mover.finish(&mut moved).await?;
        return Ok(moved);
    }
    let source = mover.router.serve(order.kind, &mover.place).await?;
    let goes_on = source.is_held();
    let transfer = Transfer {
        to: mover.router.backend(target, &target.fingerprint())?,
        from: source.backend,
    };
    if !goes_on {
        mover.copy_ahead(&transfer, &mut moved).await?;
    }
    let held = mover.hold().await?;
    match mover.copy_held(&transfer, &mut moved).await {
        Ok(()) => mover.switch(&held, target).await?,
        Err(error) => {
            mover.finish(&mut moved).await?;
            return Err(error);
        }
    }
    mover.finish(&mut moved).await?;
    Ok(moved)
}

/// From where to where.
struct Transfer {
    from: Arc<Backend>,
    to: Arc<Backend>,
}

struct Mover<'a> {
    order: &'a Order,
    place: RoutePlace,
    control: &'a Control,
    router: &'a Router,
    authority: SystemAuthority,
    clock: &'a dyn Clock,
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
            clock: &*opened.foundation.clock,
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
        let moves = matches!(kind.port, Port::Documents | Port::Events | Port::Objects);
        if !moves || kind.name == CONTROL {
            anyhow::bail!("{} is not moved: see docs/routing.md", kind.name);
        }
        let mut missing = Missing::default();
        let row = RouteRow::new(kind.name.parse()?, self.place.clone(), target.clone());
        for found in self.control.check_route(&row).await.problems {
            missing.note(format!("the route of {}: {}", found.kind, found.problem));
        }
        missing.finish()?;
        if kind.name == NEXUS
            && self.order.tenant.is_none()
            && is_a_tenants(self.router, target).await?
        {
            anyhow::bail!("a tenant has this database for its own: move it to everyone's first");
        }
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

    /// Copies what need not be copied while writes are held.
    async fn copy_ahead(&self, transfer: &Transfer, moved: &mut Moved) -> anyhow::Result<()> {
        match self.order.kind.port {
            Port::Events => Streams::new(self, transfer).copy_ahead(moved).await,
            Port::Objects => objects::copy_ahead(self, transfer, moved).await,
            // Documents change in place: what was copied ahead would be compared and copied again.
            _ => Ok(()),
        }
    }

    /// Copies what there is, and proves that the copy is one.
    async fn copy_held(&self, transfer: &Transfer, moved: &mut Moved) -> anyhow::Result<()> {
        match self.order.kind.port {
            Port::Events => Streams::new(self, transfer).copy_held(moved).await,
            Port::Objects => objects::copy_held(self, transfer, moved).await,
            _ => self.copy_documents(transfer, moved).await,
        }
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
                RouteRow {
                    former: found.former().to_vec(),
                    ..RouteRow::new(name, self.place.clone(), found.target().clone())
                }
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
            former: objects::former(self, &held.value, target)?,
            moved_from: Some(held.value.target.clone()),
            ..held.value.clone()
        };
        self.control.routes().store(&row, Some(held)).await?;
        // Until then some node reads from the old engine, which holds the same.
        tokio::time::sleep(self.settles).await;
        Ok(())
    }

    /// Sees to what was left behind, if the row was switched, and lets writes through again.
    async fn finish(&self, moved: &mut Moved) -> anyhow::Result<()> {
        let Some(read) = self.row().await?.filter(|read| read.value.held) else {
            return Ok(());
        };
        if let Some(left) = &read.value.moved_from {
            // What is in use now does not wait for what is not.
            moved.unfinished = self.leave(left).await.err().map(|why| format!("{why:#}"));
        }
        let row = RouteRow {
            held: false,
            moved_from: None,
            ..read.value.clone()
        };
        Ok(self.control.routes().store(&row, Some(&read)).await?)
    }

    /// Makes what was left behind harmless.
    async fn leave(&self, left: &RouteTarget) -> anyhow::Result<()> {
        if self.order.kind.port != Port::Events {
            return Ok(());
        }
        let transfer = Transfer {
            from: self.router.backend(left, &left.fingerprint())?,
            to: self
                .router
                .serve(self.order.kind, &self.place)
                .await?
                .backend,
        };
        Streams::new(self, &transfer).renew_left().await
    }

    /// Whether what is somebody's is moved from `backend`: who has a more exact row is elsewhere, or is not held.
    async fn moves(
        &self,
        home: &Home<'_>,
        backend: &Arc<Backend>,
        held: bool,
    ) -> anyhow::Result<bool> {
        let other = |tenant: &TenantId| *tenant != home.tenant;
        if self.order.tenant.as_ref().is_some_and(other) {
            return Ok(false);
        }
        let served = self.router.serve_home(self.order.kind, home).await?;
        Ok(served.is_held() == held && Arc::ptr_eq(&served.backend, backend))
    }

    async fn copy_documents(&self, transfer: &Transfer, moved: &mut Moved) -> anyhow::Result<()> {
        let system = self.order.tenant.is_none();
        let mut next = system.then(PageRequest::largest);
        let mut tenants: Vec<TenantId> = self.order.tenant.iter().cloned().collect();
        if system {
            let tenant = TenantId::system();
            self.copy_tenant(&tenant, transfer, moved).await?;
        }
        loop {
            for tenant in tenants
                .drain(..)
                .filter(|tenant| !(system && tenant.is_system()))
            {
                self.copy_tenant(&tenant, transfer, moved).await?;
            }
            let Some(request) = next else {
                return Ok(());
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
        Transfer { from, to }: &Transfer,
        moved: &mut Moved,
    ) -> anyhow::Result<()> {
        for partition in self.partitions(tenant) {
            let Some(home) = partition.home() else {
                continue;
            };
            if self.moves(&home, from, true).await? {
                copy(&**from, &**to, &partition, moved).await?;
            }
        }
        Ok(())
    }

    /// Every partition that a tenant can have of the kind and of those that follow it.
    fn partitions(&self, tenant: &TenantId) -> Vec<Partition> {
        let moves = |kind: &&Kind| {
            kind.name == self.order.kind.name || kind.follows == Some(self.order.kind.name)
        };
        let collections = KINDS.iter().filter(moves).flat_map(|kind| kind.holds);
        // Copies of the system's fence belong to a database, and are made anew in another one.
        let collections = collections.filter(|collection| **collection != COPIES);
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
