//! Which backend serves what: the rows of the routing registry, followed for every call.
//!
//! **Invariant:** nothing is served by anything but what a row names. A batch is on one backend or is refused.

use std::sync::{Arc, OnceLock};

use control::{Control, Fingerprint, Resolved, RoutePlace, RouteTarget};
use gatechain::COPIES;
use identity::Env;
use nexus::assets::{CARE, noted_tenant};
use quick_cache::sync::Cache;
use store::{DocKey, Home, ObjectKey, StoreError};

use super::{backend::Backend, databases, open::Opener};
use crate::needs::{self, Breadth, Kind};

/// Backends that are kept open; each has its connections.
const BACKENDS_MAX: usize = 256;

/// Where something is served.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) backend: Arc<Backend>,
    /// Whether writes wait, because what is there is being moved.
    held: bool,
}

impl Served {
    /// Whether writes wait.
    pub(super) const fn is_held(&self) -> bool {
        self.held
    }

    /// The backend, for a call that changes something.
    ///
    /// # Errors
    /// While what is there is being moved.
    pub(super) fn for_writing(self, kind: &Kind) -> Result<Arc<Backend>, StoreError> {
        if self.held {
            let why = format!("{} is being moved to another engine", kind.name);
            return Err(StoreError::Unavailable(why));
        }
        Ok(self.backend)
    }
}

/// Finds the backend of everything.
pub(super) struct Router {
    control: OnceLock<Arc<Control>>,
    opener: Arc<Opener>,
    backends: Cache<Fingerprint, Arc<Backend>>,
}

impl Router {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            control: OnceLock::new(),
            opener: Arc::new(opener),
            backends: Cache::new(BACKENDS_MAX),
        }
    }

    /// Begins to ask the registry; nothing is routed before.
    pub(super) fn ask(&self, control: &Arc<Control>) {
        // Composition does this once.
        let _ = self.control.set(Arc::clone(control));
    }

    /// How backends are opened.
    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// The backend of a target; targets that say the same share one.
    pub(super) fn backend(
        &self,
        target: &RouteTarget,
        fingerprint: &Fingerprint,
    ) -> Result<Arc<Backend>, StoreError> {
        self.backends.get_or_insert_with(fingerprint, || {
            let name = self
                .opener
                .name_of(target)
                .map_err(StoreError::Unavailable)?;
            let opener = Arc::clone(&self.opener);
            Ok(Arc::new(Backend::new(name, target.clone(), opener)))
        })
    }

    /// The registry, once it is asked.
    pub(super) fn control(&self) -> Result<&Arc<Control>, StoreError> {
        let unasked = || StoreError::Unavailable("the registry is not asked yet".to_owned());
        self.control.get().ok_or_else(unasked)
    }

    /// The row that counts for a kind and a place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none, or it cannot be known.
    pub(super) async fn resolve(
        &self,
        kind: &Kind,
        place: &RoutePlace,
    ) -> Result<Arc<Resolved>, StoreError> {
        let unavailable = |why: &dyn std::fmt::Display| StoreError::Unavailable(why.to_string());
        let name = kind.name.parse().map_err(|error| unavailable(&error))?;
        let found = self.control()?.routes().resolve(&name, place).await;
        found.map_err(|error| unavailable(&error))
    }

    /// Where a kind is served for a place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no row says where, or it cannot be known.
    pub(super) async fn serve(
        &self,
        kind: &Kind,
        place: &RoutePlace,
    ) -> Result<Served, StoreError> {
        let found = self.resolve(kind, place).await?;
        Ok(Served {
            backend: self.backend(found.target(), found.fingerprint())?,
            held: found.is_held(),
        })
    }

    /// Where objects of a kind were served lately: forms that were given out then lead there.
    ///
    /// # Errors
    /// As [`Router::serve`].
    pub(super) async fn former(
        &self,
        kind: &Kind,
        key: &ObjectKey,
    ) -> Result<Vec<Arc<Backend>>, StoreError> {
        let place = RoutePlace::of_env(key.tenant(), key.env());
        let (found, now) = (self.resolve(kind, &place).await?, self.opener.clock.now());
        let former = found.former().iter().filter(|former| former.until > now);
        former
            .map(|former| self.backend(&former.target, &former.target.fingerprint()))
            .collect()
    }

    /// Where something of a kind is served for whom it belongs to.
    pub(super) async fn serve_home(
        &self,
        kind: &Kind,
        home: &Home<'_>,
    ) -> Result<Served, StoreError> {
        let place = match (kind.breadth, home.env) {
            (Breadth::Everyone, _) => RoutePlace::default(),
            (Breadth::Served, _) if home.tenant.is_system() => RoutePlace::default(),
            (Breadth::Env, Some(env)) => RoutePlace::of_env(&home.tenant, env),
            (Breadth::Served | Breadth::Tenant, _) | (Breadth::Env, None) => {
                RoutePlace::of_tenant(&home.tenant)
            }
        };
        self.serve(kind, &place).await
    }

    /// The one backend of all `keys`; `None` when there are none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they are on several: what is committed together is on one engine.
    pub(super) async fn serve_batch(
        &self,
        keys: impl Iterator<Item = &DocKey> + Send,
    ) -> Result<Option<Arc<Backend>>, StoreError> {
        let mut found: Option<(&'static Kind, Arc<Backend>)> = None;
        let (mut last, mut copy): (Option<&DocKey>, Option<&DocKey>) = (None, None);
        for key in keys {
            if last.is_some_and(|last| last.partition == key.partition) {
                continue;
            }
            last = Some(key);
            let (kind, home) = of_key(key)?;
            if home.holds == COPIES {
                copy = Some(key);
                continue;
            }
            let backend = self.serve_home(kind, &home).await?.for_writing(kind)?;
            match &found {
                Some((_, other)) if Arc::ptr_eq(other, &backend) => {}
                None => found = Some((kind, backend)),
                Some((first, _)) => {
                    return Err(StoreError::Unavailable(format!(
                        "{} and {} are written in one batch, and their rows name different backends",
                        first.name, kind.name
                    )));
                }
            }
        }
        let found = found.map(|(_, backend)| backend);
        match copy {
            Some(copy) if !found.as_ref().is_some_and(|it| databases::is_in(copy, it)) => {
                let why = "the write was decided on for another database: the tenant has moved";
                Err(StoreError::Unavailable(why.to_owned()))
            }
            _ => Ok(found),
        }
    }
}

/// The kind that documents belong to.
pub(super) fn of_documents(
    home: Option<Home<'_>>,
) -> Result<(&'static Kind, Home<'_>), StoreError> {
    let home = home.ok_or_else(|| nobodys("a partition"))?;
    let kind = needs::of_collection(home.holds).ok_or_else(|| nobodys(home.holds))?;
    Ok((kind, home))
}

/// The kind that a document belongs to, and whose it is: notes are their tenants', though listed for all of them.
pub(super) fn of_key(key: &DocKey) -> Result<(&'static Kind, Home<'_>), StoreError> {
    let (kind, home) = of_documents(key.partition.home())?;
    let tenant = match home.holds {
        CARE => noted_tenant(&key.id),
        _ => None,
    };
    match tenant {
        Some(tenant) => Ok((kind, Home { tenant, ..home })),
        None => Ok((kind, home)),
    }
}

/// The kind that a stream belongs to.
pub(super) fn of_stream(home: Option<Home<'_>>) -> Result<(&'static Kind, Home<'_>), StoreError> {
    let home = home.ok_or_else(|| nobodys("a stream"))?;
    let kind = needs::of_rail(home.holds).ok_or_else(|| nobodys(home.holds))?;
    Ok((kind, home))
}

/// The kind of this name.
pub(super) fn named(name: &str) -> Result<&'static Kind, StoreError> {
    needs::named(name).ok_or_else(|| nobodys(name))
}

pub(super) fn nobodys(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} belongs to no kind of resource"))
}

/// The places whose backends are looked at when nobody asks: those of everyone, in each environment.
pub(super) fn everyones(kind: &Kind) -> Vec<RoutePlace> {
    match kind.breadth {
        Breadth::Everyone | Breadth::Served | Breadth::Tenant => vec![RoutePlace::default()],
        Breadth::Env => Env::ALL
            .map(|env| RoutePlace {
                tenant: None,
                env: Some(env),
            })
            .into(),
    }
}
