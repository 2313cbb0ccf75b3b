//! Threads.

use std::sync::Arc;

use identity::{Clock, Entropy, ProjectId, Scope, ThreadId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::Documents;

use super::{Kind, Registered, RouteKey};
use crate::{RealtimeError, rules::CHAT_RULES};

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

impl Kind for Thread {
    type Id = ThreadId;
    const COLLECTION: &'static str = "threads";
    const DENIED: RealtimeError = RealtimeError::ThreadAccessDenied;
    const TITLED: RealtimeError = RealtimeError::TitleConflict;

    fn id(&self) -> &str {
        self.thread_id.as_str()
    }

    fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }
}

/// A thread to register.
#[derive(Debug, Clone, Default)]
pub struct NewThread {
    /// The id, if the caller chose one.
    pub thread_id: Option<ThreadId>,
    /// The title, at most [`crate::TITLE_BYTES_MAX`].
    pub title: Option<String>,
}

/// The durable registry of threads.
pub struct Registry(Registered<Thread>);

impl Registry {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self(Registered::new(documents, clock, entropy))
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
        let made = || ThreadId::generate(&*self.0.entropy);
        let thread = Thread {
            thread_id: new.thread_id.unwrap_or_else(made),
            project_id: scope.project().clone(),
            title: new.title,
            created_by: scope.user().clone(),
            created_at: self.0.clock.now(),
            snippets: false,
        };
        self.0.register(scope, thread).await
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
        let (id, thread) = self.0.verify(scope, id).await?;
        let route = RouteKey::found(scope, &CHAT_RULES, id.as_str());
        let route = if thread.snippets {
            route.with_snippets(id)
        } else {
            route
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
        let change = |thread: &mut Thread| thread.snippets = snippets;
        self.0.change(scope, id.as_str(), change).await
    }

    /// Whether messages of a thread are handed over as snippets now.
    pub(crate) async fn keeps_snippets(
        &self,
        scope: &Scope,
        id: &ThreadId,
    ) -> Result<bool, RealtimeError> {
        let thread = self.0.find(scope, id.as_str()).await?;
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
        self.0.list(scope, after, limit).await
    }
}
