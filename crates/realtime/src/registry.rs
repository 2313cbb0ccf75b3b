//! Who owns a thread: a durable record in the tenant's own partition.
//!
//! **Invariant:** a [`RouteKey`] exists only because the registry found its
//! thread in the caller's tenant, environment and project. Foreign, unknown and
//! malformed ids are refused alike.
//!
//! ```compile_fail
//! // Nobody else can make one.
//! let forged = tenantry_realtime::RouteKey { thread: todo!(), stream: todo!() };
//! ```

use std::sync::Arc;

use identity::{Clock, Entropy, ProjectId, Scope, ThreadId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, DocKey, Documents, Listing, Partition, StoreError, StreamKey};

use crate::RealtimeError;

/// The rail of threads.
pub const CHAT: &str = "chat";
/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;

/// A thread that the caller may use: where its events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKey {
    thread: ThreadId,
    stream: StreamKey,
    /// Whether its messages were kept as snippets when it was found.
    pub(crate) snippets: bool,
}

impl RouteKey {
    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &ThreadId {
        &self.thread
    }
    /// The stream of its events.
    #[must_use]
    pub fn stream(&self) -> &StreamKey {
        &self.stream
    }
}

/// A registered thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its id, unique in its project.
    pub thread_id: ThreadId,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// What people call it.
    pub title: Option<String>,
    /// Who registered it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Whether its messages are handed over as snippets, to be found again.
    #[serde(default)]
    pub snippets: bool,
}

/// A thread to register.
#[derive(Debug, Clone, Default)]
pub struct NewThread {
    /// The id, if the caller chose one.
    pub thread_id: Option<ThreadId>,
    /// The title, at most [`TITLE_BYTES_MAX`].
    pub title: Option<String>,
}

/// The durable registry of threads.
pub struct Registry {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Registry {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            clock,
            entropy,
        }
    }

    /// Registers a thread, or finds it again; the flag says whether it is new.
    ///
    /// # Errors
    /// [`RealtimeError::TitleConflict`] when it exists with another title.
    pub async fn register(
        &self,
        scope: &Scope,
        new: NewThread,
    ) -> Result<(Thread, bool), RealtimeError> {
        let thread = Thread {
            thread_id: new
                .thread_id
                .unwrap_or_else(|| ThreadId::generate(&*self.entropy)),
            project_id: scope.project().clone(),
            title: new.title,
            created_by: scope.user().clone(),
            created_at: self.clock.now(),
            snippets: false,
        };
        let key = key_of(scope, thread.thread_id.as_str());
        let value = serde_json::to_vec(&thread).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let batch = Batch::new().expect_absent(&key).put(&key, value);
        match self.documents.commit(batch).await {
            Ok(_) => Ok((thread, true)),
            Err(CommitError::Conflict(_)) => self.again(scope, &thread).await,
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    async fn again(&self, scope: &Scope, asked: &Thread) -> Result<(Thread, bool), RealtimeError> {
        let known = self.find(scope, asked.thread_id.as_str()).await?;
        let known = known.ok_or(RealtimeError::ThreadAccessDenied)?;
        if asked.title.is_some() && asked.title != known.title {
            return Err(RealtimeError::TitleConflict);
        }
        Ok((known, false))
    }

    /// Finds the thread `id` of the scope, with the key that its events need.
    ///
    /// # Errors
    /// [`RealtimeError::ThreadAccessDenied`], the same for foreign, unknown and malformed ids.
    pub async fn verify_thread_access(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<(RouteKey, Thread), RealtimeError> {
        let denied = RealtimeError::ThreadAccessDenied;
        let id: ThreadId = id.parse().map_err(|_| denied.clone())?;
        let thread = self.find(scope, id.as_str()).await?.ok_or(denied)?;
        let object = object_of(scope, id.as_str());
        let route = RouteKey {
            stream: StreamKey::in_scope(scope, CHAT, &object),
            thread: id,
            snippets: thread.snippets,
        };
        Ok((route, thread))
    }

    /// Says whether messages of the thread `id` are handed over as snippets from now on.
    ///
    /// # Errors
    /// [`RealtimeError::ThreadAccessDenied`], [`RealtimeError::Store`].
    pub async fn keep_snippets(
        &self,
        scope: &Scope,
        id: &ThreadId,
        snippets: bool,
    ) -> Result<Thread, RealtimeError> {
        let key = key_of(scope, id.as_str());
        let found = self.documents.get(&key).await?;
        let found = found.ok_or(RealtimeError::ThreadAccessDenied)?;
        let thread = Thread {
            snippets,
            ..parse(&found.value)?
        };
        let value = serde_json::to_vec(&thread).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let batch = Batch::new().expect_version(&key, found.version);
        match self.documents.commit(batch.put(&key, value)).await {
            Ok(_) => Ok(thread),
            Err(CommitError::Conflict(_)) => {
                let why = "the thread was changed by others meanwhile";
                Err(StoreError::Unavailable(why.to_owned()).into())
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Whether messages of a thread are handed over as snippets now.
    pub(crate) async fn keeps_snippets(
        &self,
        scope: &Scope,
        id: &ThreadId,
    ) -> Result<bool, RealtimeError> {
        let thread = self.find(scope, id.as_str()).await?;
        Ok(thread.is_some_and(|thread| thread.snippets))
    }

    /// Lists the project's threads by id, after `after`.
    ///
    /// # Errors
    /// [`RealtimeError::Store`].
    pub async fn list(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Thread>, RealtimeError> {
        let listing = Listing {
            prefix: object_of(scope, ""),
            after: after.map(|id| object_of(scope, id)),
            limit,
        };
        let found = self.documents.list(&partition(scope), &listing).await?;
        found
            .iter()
            .map(|document| parse(&document.value))
            .collect()
    }

    async fn find(&self, scope: &Scope, id: &str) -> Result<Option<Thread>, RealtimeError> {
        let found = self.documents.get(&key_of(scope, id)).await?;
        found.map(|document| parse(&document.value)).transpose()
    }
}

fn partition(scope: &Scope) -> Partition {
    Partition::in_scope(scope, "threads")
}

/// The thread's name below tenant and environment. The project is part of it,
/// so that projects cannot meet, or learn of each other's ids.
fn object_of(scope: &Scope, id: &str) -> String {
    format!("{}/{id}", scope.project())
}

fn key_of(scope: &Scope, id: &str) -> DocKey {
    DocKey::new(&partition(scope), object_of(scope, id))
}

fn parse(value: &[u8]) -> Result<Thread, RealtimeError> {
    serde_json::from_slice(value).map_err(|e| StoreError::Corrupt(e.to_string()).into())
}
