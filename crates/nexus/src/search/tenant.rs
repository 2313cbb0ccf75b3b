//! The index of one tenant in one environment.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use identity::Scope;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use store::Partition;
use tokio::sync::{Notify, OnceCell};

use super::{
    feeder::blocking,
    generation::{Fault, Generation},
    kinds::Searched,
};
use crate::{NexusError, feed};

/// What a scope's search is about: whose it is, and where the records are.
pub(super) struct Place {
    /// Names the tenant and the environment.
    pub(super) name: String,
    pub(super) changes: Partition,
    pub(super) kinds: Vec<(Searched, Partition)>,
}

impl Place {
    pub(super) fn of(scope: &Scope) -> Self {
        let kinds = Searched::ALL.into_iter();
        Self {
            name: format!("tenants/{}/{}", scope.tenant(), scope.env()),
            changes: feed::changes(scope),
            kinds: kinds.map(|kind| (kind, kind.partition(scope))).collect(),
        }
    }

    /// Where its index is. Names that differ in case alone are apart on every file system.
    fn folder(&self, root: &Path) -> PathBuf {
        let hash = Sha256::digest(&self.name);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let (shard, rest) = hash.split_at(2);
        root.join(shard).join(rest)
    }

    /// The kind by its name, and where its records are.
    pub(super) fn kind(&self, name: &str) -> Option<&(Searched, Partition)> {
        self.kinds.iter().find(|(kind, _)| kind.kind == name)
    }
}

/// An index and its successor, if that is being built.
pub(super) struct TenantIndex {
    pub(super) place: Place,
    folder: PathBuf,
    opened: OnceCell<()>,
    state: Mutex<State>,
    /// Held by whoever feeds the index that serves, or exchanges it.
    pub(super) feeding: Arc<tokio::sync::Mutex<()>>,
    built: Notify,
}

#[derive(Default)]
struct State {
    serving: Option<Arc<Generation>>,
    building: bool,
    /// Whether somebody catches up with the feed although nobody waits for it.
    draining: bool,
    /// The largest number of a generation so far.
    last: u64,
}

impl TenantIndex {
    pub(super) fn new(place: Place, root: &Path) -> Self {
        Self {
            folder: place.folder(root),
            place,
            opened: OnceCell::new(),
            state: Mutex::new(State::default()),
            feeding: Arc::default(),
            built: Notify::new(),
        }
    }

    /// Opens what is on disk, once: serves the last complete generation, and removes all others.
    pub(super) async fn open(&self) {
        let open = async || {
            if let Err(error) = self.open_now().await {
                let index = self.folder.display();
                tracing::warn!(%error, %index, "the folder of an index is not readable");
            }
        };
        self.opened.get_or_init(open).await;
    }

    async fn open_now(&self) -> Result<(), NexusError> {
        let folder = self.folder.clone();
        let numbers = blocking(move || Ok(numbers_in(&folder)?)).await?;
        self.state.lock().last = numbers.first().copied().unwrap_or(0);
        for number in numbers {
            let folder = self.folder.join(number.to_string());
            let found = match self.serving() {
                Some(_) => None,
                None => self.generation(folder.clone()).await,
            };
            match found {
                Some(found) => self.state.lock().serving = Some(Arc::new(found)),
                None => blocking(move || remove(&folder)).await?,
            }
        }
        Ok(())
    }

    /// The index in `folder`, if it can be used. One that is damaged may even end the thread
    /// that opens it.
    async fn generation(&self, folder: PathBuf) -> Option<Generation> {
        let (place, opened) = (self.place.name.clone(), folder.clone());
        let found = blocking(move || Generation::open(&opened, &place)).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(%error, index = %folder.display(), "a damaged index is made anew");
            None
        })
    }

    /// The index that answers, if there is one.
    pub(super) fn serving(&self) -> Option<Arc<Generation>> {
        self.state.lock().serving.clone()
    }

    /// Whether a successor is being built.
    pub(super) fn is_building(&self) -> bool {
        self.state.lock().building
    }

    /// The folder of a successor, unless one is being built already.
    pub(super) fn begin_build(&self) -> Option<PathBuf> {
        let mut state = self.state.lock();
        if state.building {
            return None;
        }
        state.building = true;
        state.last += 1;
        Some(self.folder.join(state.last.to_string()))
    }

    /// The successor serves from now on, if it was built; gives back what served before.
    pub(super) fn end_build(&self, built: Option<Arc<Generation>>) -> Option<Arc<Generation>> {
        let mut state = self.state.lock();
        state.building = false;
        let before = match built {
            Some(built) => state.serving.replace(built),
            None => None,
        };
        drop(state);
        self.built.notify_waiters();
        before
    }

    /// Waits until something serves or nothing is being built.
    pub(super) async fn until_built(&self) {
        loop {
            let built = self.built.notified();
            {
                let state = self.state.lock();
                if state.serving.is_some() || !state.building {
                    return;
                }
            }
            built.await;
        }
    }

    /// A damaged index serves no longer.
    pub(super) fn discard(&self, damaged: &Arc<Generation>) -> bool {
        let mut state = self.state.lock();
        let serves = state.serving.as_ref();
        let serves = serves.is_some_and(|serving| Arc::ptr_eq(serving, damaged));
        if serves {
            state.serving = None;
        }
        serves
    }

    /// Whether the caller is the one who catches up although nobody waits.
    pub(super) fn begin_drain(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().draining, true)
    }

    pub(super) fn end_drain(&self) {
        self.state.lock().draining = false;
    }
}

/// The generations in a folder, the last one first.
fn numbers_in(folder: &Path) -> io::Result<Vec<u64>> {
    fs::create_dir_all(folder)?;
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Removes what is left of an index.
pub(super) fn remove(folder: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
