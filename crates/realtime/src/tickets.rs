//! Stream tickets: for clients that cannot send headers, such as `EventSource`.
//!
//! **Invariant:** a ticket opens one stream, once. Only its SHA-256 is stored;
//! it is used up by deleting the exact record that was read, so that of all who
//! race, on all nodes, one wins.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{
    AppId, Clock, DirectoryUnavailable, Entropy, Env, ProjectId, Scope, SessionId, SurfaceId,
    SystemAuthority, TenantId, TicketGrant, TicketOffice, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use store::{Batch, CommitError, DocKey, Document, Documents, Partition, StoreError};

use crate::{RealtimeError, RouteKey};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
const TICKET_BYTES: usize = 32;

/// The grant as stored; its fields are those of [`TicketGrant`].
#[derive(Serialize, Deserialize)]
struct Stored {
    user: UserId,
    session: Option<SessionId>,
    tenant: TenantId,
    env: Env,
    project: ProjectId,
    surface: Option<SurfaceId>,
    app: Option<AppId>,
    rail: SmolStr,
    object: SmolStr,
    origin: Option<SmolStr>,
    expires_at: Timestamp,
    access_expires_at: Timestamp,
}

impl From<Stored> for TicketGrant {
    fn from(stored: Stored) -> Self {
        Self {
            user: stored.user,
            session: stored.session,
            tenant: stored.tenant,
            env: stored.env,
            project: stored.project,
            surface: stored.surface,
            app: stored.app,
            rail: stored.rail,
            object: stored.object,
            origin: stored.origin,
            expires_at: stored.expires_at,
            access_expires_at: stored.access_expires_at,
        }
    }
}

/// Gives tickets out and takes them back.
pub struct Tickets {
    documents: Arc<dyn Documents>,
    partition: Partition,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Tickets {
    /// An office over `documents`; tickets are read before a tenant is known,
    /// hence the authority.
    #[must_use]
    pub fn new(
        documents: Arc<dyn Documents>,
        authority: &SystemAuthority,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            partition: Partition::of_system(authority, "tickets"),
            clock,
            entropy,
        }
    }

    /// A ticket for the stream `route`, good for [`TICKET_LIFE`] and from `origin` alone.
    ///
    /// # Errors
    /// [`RealtimeError::Store`].
    pub async fn issue(
        &self,
        scope: &Scope,
        route: &RouteKey,
        origin: Option<&str>,
    ) -> Result<String, RealtimeError> {
        let mut secret = [0; TICKET_BYTES];
        self.entropy.fill(&mut secret);
        let ticket = URL_SAFE_NO_PAD.encode(secret);
        let expires_at = self.clock.now().plus(TICKET_LIFE);
        let context = scope.context();
        let stored = Stored {
            user: scope.user().clone(),
            session: scope.auth().session().cloned(),
            tenant: scope.tenant().clone(),
            env: scope.env(),
            project: scope.project().clone(),
            surface: context.surface().cloned(),
            app: context.app().cloned(),
            rail: route.rail().into(),
            object: route.object().into(),
            origin: origin.map(SmolStr::new),
            expires_at,
            access_expires_at: scope.auth().expires_at(),
        };
        let value = serde_json::to_vec(&stored).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let batch = Batch::new().put_until(&self.key(&ticket), value, expires_at);
        self.documents.commit(batch).await?;
        Ok(ticket)
    }

    fn key(&self, ticket: &str) -> DocKey {
        let hash = Sha256::digest(ticket.as_bytes());
        DocKey::new(&self.partition, URL_SAFE_NO_PAD.encode(hash))
    }

    async fn find(&self, key: &DocKey) -> Result<Option<Document>, DirectoryUnavailable> {
        let found = self.documents.get(key).await;
        found.map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &StoreError) -> DirectoryUnavailable {
    DirectoryUnavailable(error.to_string())
}

#[async_trait]
impl TicketOffice for Tickets {
    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        let Some(document) = self.find(&self.key(ticket)).await? else {
            return Ok(None);
        };
        let stored: Stored = serde_json::from_slice(&document.value)
            .map_err(|e| DirectoryUnavailable(e.to_string()))?;
        Ok(Some(stored.into()))
    }

    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable> {
        let key = self.key(ticket);
        let Some(document) = self.find(&key).await? else {
            return Ok(false);
        };
        let batch = Batch::new()
            .expect_version(&key, document.version)
            .delete(&key);
        match self.documents.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Store(error)) => Err(unavailable(&error)),
        }
    }
}
