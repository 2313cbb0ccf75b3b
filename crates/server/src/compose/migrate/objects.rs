//! Moving objects: copied while they are uploaded, then once more while no form is given out and nothing is deleted.
//!
//! A form that was given out before leads to the old place for as long as it lives; what comes by it is fetched when
//! it is registered (`compose/late.rs`), so the row remembers the old place for [`UNREGISTERED_KEPT`].

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use control::{FormerTarget, RoutePlace, RouteRow, RouteTarget};
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join, stream};
use identity::{Env, TenantId};
use nexus::assets::{Media, RawStorage, Shelf, UNREGISTERED_KEPT};
use store::{
    BlobRelocation, KEYS_MAX, ObjectHead, ObjectKey, ObjectPrefix, PageRequest, StoreError,
};

use super::{Moved, Mover, Transfer};
use crate::{
    compose::carry::carry,
    needs::{Kind, Port},
};

/// Objects that are compared or copied at a time.
const AT_ONCE: usize = 8;
/// How often an object is copied before the move is given up, and the pause before it is copied again.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Which of the two passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Objects come and go meanwhile.
    Ahead,
    /// They do not.
    Held,
}

/// What became of an object.
enum Settled {
    Kept,
    Copied,
    /// It was deleted meanwhile.
    Gone,
}

/// The former targets of `row` once it leads to `next`: forms that were given out lead there.
///
/// # Errors
/// When it was moved too often lately.
pub(super) fn former(
    mover: &Mover<'_>,
    row: &RouteRow,
    next: &RouteTarget,
) -> anyhow::Result<Vec<FormerTarget>> {
    if mover.order.kind.port != Port::Objects {
        return Ok(Vec::new());
    }
    let now = mover.clock.now();
    Ok(row.followed_by(next, now, now.plus(UNREGISTERED_KEPT))?)
}

/// Copies what is there while objects come and go.
///
/// # Errors
/// When a store does not answer, or a copy is not one after all.
pub(super) async fn copy_ahead(
    mover: &Mover<'_>,
    transfer: &Transfer,
    moved: &mut Moved,
) -> anyhow::Result<()> {
    let counted = copy(mover, transfer, Pass::Ahead).await?;
    moved.copied += counted.copied;
    Ok(())
}

/// Makes the objects of everyone whom the row serves the same at the new place as at the old one.
///
/// # Errors
/// As [`copy_ahead`].
pub(super) async fn copy_held(
    mover: &Mover<'_>,
    transfer: &Transfer,
    moved: &mut Moved,
) -> anyhow::Result<()> {
    if let (Some(row), Some(target)) = (mover.row().await?, &mover.order.target) {
        // Better now than when everything is copied.
        former(mover, &row.value, target)?;
    }
    let counted = copy(mover, transfer, Pass::Held).await?;
    // What was copied ahead is there now.
    moved.kept += counted.kept.saturating_sub(moved.copied);
    moved.copied += counted.copied;
    Ok(())
}

async fn copy(mover: &Mover<'_>, transfer: &Transfer, pass: Pass) -> anyhow::Result<Counted> {
    let stores = Stores {
        from: transfer.from.movable_objects().await?,
        to: transfer.to.movable_objects().await?,
        pass,
    };
    let mut counted = Counted::default();
    let everyone = mover.order.tenant.is_none();
    let mut next = everyone.then(PageRequest::largest);
    let mut tenants = vec![mover.order.tenant.clone().unwrap_or_else(TenantId::system)];
    loop {
        for tenant in tenants.drain(..) {
            stores
                .copy_tenant(mover, transfer, &tenant, &mut counted)
                .await?;
        }
        let Some(request) = next else {
            return Ok(counted);
        };
        let page = mover.control.tenants().ids(&mover.authority, &request);
        let page = page.await?;
        next = request.following(&page);
        tenants = page.items;
        tenants.retain(|tenant| !tenant.is_system());
    }
}

/// What became of the objects of one pass.
#[derive(Default)]
struct Counted {
    copied: u64,
    kept: u64,
}

struct Stores {
    from: Arc<dyn BlobRelocation>,
    to: Arc<dyn BlobRelocation>,
    pass: Pass,
}

impl Stores {
    async fn copy_tenant(
        &self,
        mover: &Mover<'_>,
        transfer: &Transfer,
        tenant: &TenantId,
        counted: &mut Counted,
    ) -> anyhow::Result<()> {
        let area = area_of(mover.order.kind)?;
        for env in Env::ALL {
            if mover.serves(transfer, tenant, env).await? {
                let prefix = ObjectPrefix::of_tenant(&mover.authority, (tenant, env), area);
                self.copy_prefix(&prefix, counted).await?;
            }
        }
        Ok(())
    }

    async fn copy_prefix(
        &self,
        prefix: &ObjectPrefix,
        counted: &mut Counted,
    ) -> anyhow::Result<()> {
        let mut keys = Keys::of(&*self.from, prefix);
        while let Some(page) = keys.page().await? {
            let settled = stream::iter(page).map(|key| self.settle(key));
            let mut settled = settled.buffer_unordered(AT_ONCE);
            while let Some(settled) = settled.try_next().await? {
                match settled {
                    Settled::Kept => counted.kept += 1,
                    Settled::Copied => counted.copied += 1,
                    Settled::Gone => {}
                }
            }
            let Counted { copied, kept } = counted;
            tracing::info!(%prefix, copied, kept, "objects are at the new place");
        }
        match self.pass {
            Pass::Ahead => Ok(()),
            Pass::Held => self.remove_others(prefix).await,
        }
    }

    /// Makes one object the same at both places.
    async fn settle(&self, key: ObjectKey) -> anyhow::Result<Settled> {
        for tries in 0..=TRIES_MAX {
            let (wanted, found) = try_join(self.from.head(&key), self.to.head(&key)).await?;
            let Some(wanted) = wanted else {
                return Ok(Settled::Gone);
            };
            if found.is_some_and(|found| is_copy(&wanted, &found)) {
                return Ok(if tries == 0 {
                    Settled::Kept
                } else {
                    Settled::Copied
                });
            }
            match carry(&*self.from, &*self.to, &key).await {
                Ok(_) => {}
                Err(StoreError::Unavailable(why)) if tries < TRIES_MAX => {
                    tracing::warn!(%key, why, "an object was not copied, and is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error).with_context(|| key.to_string()),
            }
        }
        anyhow::bail!("the copy of {key} is not what was copied: somebody writes to one of them")
    }

    /// Deletes what is at the new place alone: left behind by an earlier attempt, or deleted since it was copied.
    async fn remove_others(&self, prefix: &ObjectPrefix) -> anyhow::Result<()> {
        let mut keys = Keys::of(&*self.to, prefix);
        while let Some(page) = keys.page().await? {
            let removed = stream::iter(page).map(|key| async move {
                if self.from.head(&key).await?.is_none() {
                    self.to.delete(&key).await?;
                }
                Ok::<_, StoreError>(())
            });
            let removed = removed.buffer_unordered(AT_ONCE);
            removed.try_collect::<()>().await?;
        }
        Ok(())
    }
}

/// Whether what is at the new place is what is at the old one: a copy has the tag of its object and a hash that was
/// verified when it was made, and the tag changes with the object.
fn is_copy(object: &ObjectHead, found: &ObjectHead) -> bool {
    let hash = found.sha256.is_some() && (object.sha256.is_none() || object.sha256 == found.sha256);
    hash && object.size == found.size
        && object.etag == found.etag
        && object.content_type == found.content_type
}

fn area_of(kind: &Kind) -> anyhow::Result<&'static str> {
    let areas = [
        (RawStorage::KIND, RawStorage::AREA),
        (Media::KIND, Media::AREA),
    ];
    let found = areas.into_iter().find(|(name, _)| *name == kind.name);
    let (_, area) = found.with_context(|| format!("{} has no objects", kind.name))?;
    Ok(area.in_keys())
}

impl Mover<'_> {
    /// Whether the objects of a tenant's environment are moved: not if a more exact row says where they are.
    async fn serves(
        &self,
        transfer: &Transfer,
        tenant: &TenantId,
        env: Env,
    ) -> anyhow::Result<bool> {
        let kind = self.order.kind.name.parse()?;
        let place = RoutePlace::of_env(tenant, env);
        let found = self.control.routes().resolve(&kind, &place).await?;
        let exactness = |place: &RoutePlace| (place.tenant.is_some(), place.env.is_some());
        if exactness(found.place()) > exactness(&self.place) {
            return Ok(false);
        }
        let backend = self.router.backend(found.target(), found.fingerprint())?;
        if !Arc::ptr_eq(&backend, &transfer.from) {
            // The new row would count for these objects, and not lead to where they are.
            anyhow::bail!(
                "{} of {tenant} in {env} is elsewhere, by a row for everyone in {env}: give it a row of its own first",
                self.order.kind.name
            );
        }
        Ok(true)
    }
}

/// The keys below a prefix, in pages none of which is empty.
struct Keys<'a> {
    store: &'a dyn BlobRelocation,
    prefix: &'a ObjectPrefix,
    after: Option<ObjectKey>,
    over: bool,
}

impl<'a> Keys<'a> {
    fn of(store: &'a dyn BlobRelocation, prefix: &'a ObjectPrefix) -> Self {
        Self {
            store,
            prefix,
            after: None,
            over: false,
        }
    }

    async fn page(&mut self) -> anyhow::Result<Option<Vec<ObjectKey>>> {
        if self.over {
            return Ok(None);
        }
        let listed = self.store.keys(self.prefix, self.after.as_ref(), KEYS_MAX);
        let page = listed.await?;
        self.over = page.len() < KEYS_MAX;
        self.after = page.last().cloned();
        Ok((!page.is_empty()).then_some(page))
    }
}
