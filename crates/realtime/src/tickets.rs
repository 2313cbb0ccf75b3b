//! Stream tickets: for clients that cannot send headers, such as `EventSource`.
//!
//! **Invariant:** a ticket opens one stream, once. Only its SHA-256 is stored;
//! it is used up by deleting the exact record that was read, so that of all who
//! race, on all nodes, one wins.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{
    Clock, DirectoryUnavailable, Entropy, Scope, SystemAuthority, TicketGrant, TicketOffice,
};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use store::{Batch, CommitError, DocKey, Document, Documents, Partition, StoreError};

use crate::{RealtimeError, RouteKey};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
const TICKET_BYTES: usize = 32;

/// Gives tickets out and takes them back.
pub struct Tickets {
    office: Arc<dyn TicketOffice>,
    clock: Arc<dyn Clock>,
}

impl Tickets {
    /// Tickets that are kept in `documents`; they are read before a tenant is known,
    /// hence the authority.
    #[must_use]
    pub fn new(
        documents: Arc<dyn Documents>,
        authority: &SystemAuthority,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let office = DocumentTickets {
            documents,
            partition: Partition::of_system(authority, "tickets"),
            entropy,
        };
        Self::over(Arc::new(office), clock)
    }

    /// Tickets of another office.
    #[must_use]
    pub fn over(office: Arc<dyn TicketOffice>, clock: Arc<dyn Clock>) -> Self {
        Self { office, clock }
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
        let context = scope.context();
        let grant = TicketGrant {
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
            expires_at: self.clock.now().plus(TICKET_LIFE),
            access_expires_at: scope.auth().expires_at(),
        };
        let given = self.office.grant(&grant).await;
        Ok(given.map_err(|DirectoryUnavailable(why)| StoreError::Unavailable(why))?)
    }
}

#[async_trait]
impl TicketOffice for Tickets {
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable> {
        self.office.grant(grant).await
    }

    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        self.office.peek(ticket).await
    }

    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable> {
        self.office.consume(ticket).await
    }
}

/// Tickets as documents that end by themselves.
struct DocumentTickets {
    documents: Arc<dyn Documents>,
    partition: Partition,
    entropy: Arc<dyn Entropy>,
}

impl DocumentTickets {
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
impl TicketOffice for DocumentTickets {
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable> {
        let mut secret = [0; TICKET_BYTES];
        self.entropy.fill(&mut secret);
        let ticket = URL_SAFE_NO_PAD.encode(secret);
        let value = serde_json::to_vec(grant).map_err(|e| DirectoryUnavailable(e.to_string()))?;
        let batch = Batch::new().put_until(&self.key(&ticket), value, grant.expires_at);
        match self.documents.commit(batch).await {
            Ok(_) => Ok(ticket),
            Err(error) => Err(DirectoryUnavailable(error.to_string())),
        }
    }

    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        let Some(document) = self.find(&self.key(ticket)).await? else {
            return Ok(None);
        };
        let grant = serde_json::from_slice(&document.value);
        grant
            .map(Some)
            .map_err(|e| DirectoryUnavailable(e.to_string()))
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
