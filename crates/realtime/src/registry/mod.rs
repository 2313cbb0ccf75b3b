//! Who owns a thread or a canvas: a durable record in the tenant's own partition.
//!
//! **Invariant:** the key of a stream exists only because a registry found its thread or canvas
//! in the caller's tenant, environment and project. Foreign, unknown and malformed ids are
//! refused alike.

mod canvases;
mod route;
mod threads;

use std::{marker::PhantomData, str::FromStr, sync::Arc};

use identity::{Clock, Entropy, Scope};
use serde::{Serialize, de::DeserializeOwned};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Page, PageRequest, Partition,
    StoreError,
};

use crate::RealtimeError;

pub use canvases::{Canvas, CanvasKey, Canvases, NewCanvas};
pub use route::RouteKey;
pub use threads::{NewThread, Registry, Thread};

/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;

/// What is registered: a thread, a canvas.
trait Kind: Serialize + DeserializeOwned {
    /// Its id.
    type Id: FromStr;
    /// The collection of its records.
    const COLLECTION: &'static str;
    /// Why a foreign, unknown or malformed one is refused.
    const DENIED: RealtimeError;
    /// Why one with another title is not registered again.
    const TITLED: RealtimeError;

    fn id(&self) -> &str;
    fn title(&self) -> Option<&str>;
}

/// The durable registry of one kind.
struct Registered<T> {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Kind> Registered<T> {
    fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            clock,
            entropy,
            kind: PhantomData,
        }
    }

    /// Registers `asked`, or finds it again; the flag says whether it is new.
    async fn register(&self, scope: &Scope, asked: T) -> Result<(T, bool), RealtimeError> {
        let key = key_of::<T>(scope, asked.id());
        let batch = Batch::new().expect_absent(&key).put(&key, write(&asked)?);
        match self.documents.commit(batch).await {
            Ok(_) => Ok((asked, true)),
            Err(CommitError::Conflict(_)) => {
                let known = self.find(scope, asked.id()).await?.ok_or(T::DENIED)?;
                if asked.title().is_some() && asked.title() != known.title() {
                    return Err(T::TITLED);
                }
                Ok((known, false))
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Finds the one that `id` names in the scope.
    async fn verify(&self, scope: &Scope, id: &str) -> Result<(T::Id, T), RealtimeError> {
        let parsed = id.parse().map_err(|_| T::DENIED)?;
        let found = self.find(scope, id).await?.ok_or(T::DENIED)?;
        Ok((parsed, found))
    }

    async fn find(&self, scope: &Scope, id: &str) -> Result<Option<T>, RealtimeError> {
        let found = self.documents.get(&key_of::<T>(scope, id)).await?;
        found.as_ref().map(parse).transpose()
    }

    /// Changes the one that `id` names.
    async fn change(
        &self,
        scope: &Scope,
        id: &str,
        change: impl FnOnce(&mut T),
    ) -> Result<T, RealtimeError> {
        let key = key_of::<T>(scope, id);
        let found = self.documents.get(&key).await?.ok_or(T::DENIED)?;
        let mut changed = parse(&found)?;
        change(&mut changed);
        let batch = Batch::new().expect_version(&key, found.version);
        match self
            .documents
            .commit(batch.put(&key, write(&changed)?))
            .await
        {
            Ok(_) => Ok(changed),
            Err(CommitError::Conflict(_)) => {
                let why = "it was changed by others meanwhile";
                Err(StoreError::Unavailable(why.to_owned()).into())
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The project's, by id, after the one that `after` names.
    async fn list(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<T>, RealtimeError> {
        let listing = Listing {
            prefix: object_of(scope, ""),
            after: after.map(|id| object_of(scope, id)),
            limit,
        };
        let found = self
            .documents
            .list(&partition::<T>(scope), &listing)
            .await?;
        found.iter().map(parse).collect()
    }

    /// A page of the project's, by id.
    async fn page(&self, scope: &Scope, page: &PageRequest) -> Result<Page<T>, RealtimeError> {
        let (partition, prefix) = (partition::<T>(scope), object_of(scope, ""));
        let found = page
            .read_prefixed(&*self.documents, &partition, &prefix)
            .await?;
        found.try_map(|document| parse(&document))
    }
}

fn partition<T: Kind>(scope: &Scope) -> Partition {
    Partition::in_scope(scope, T::COLLECTION)
}

/// The object's name below tenant and environment. The project is part of it,
/// so that projects cannot meet, or learn of each other's ids.
fn object_of(scope: &Scope, id: &str) -> String {
    format!("{}/{id}", scope.project())
}

fn key_of<T: Kind>(scope: &Scope, id: &str) -> DocKey {
    DocKey::new(&partition::<T>(scope), object_of(scope, id))
}

fn parse<T: Kind>(document: &Document) -> Result<T, RealtimeError> {
    serde_json::from_slice(&document.value).map_err(|e| StoreError::Corrupt(e.to_string()).into())
}

fn write<T: Kind>(value: &T) -> Result<Vec<u8>, RealtimeError> {
    serde_json::to_vec(value).map_err(|e| StoreError::Corrupt(e.to_string()).into())
}
