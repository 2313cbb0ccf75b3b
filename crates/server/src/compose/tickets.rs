//! The office of stream tickets, which the registry names.

use std::sync::Arc;

use async_trait::async_trait;
use control::RoutePlace;
use identity::{DirectoryUnavailable, TicketGrant, TicketOffice};
use store::StoreError;

use super::{
    backend::Backend,
    router::{Router, named},
};
use crate::needs::STREAM_TICKETS;

/// Tickets, at one office for everyone: they are looked at before a tenant is known.
pub(super) struct RoutedTickets(pub(super) Arc<Router>);

impl RoutedTickets {
    async fn office(&self) -> Result<Arc<Backend>, StoreError> {
        let everyone = RoutePlace::default();
        let served = self.0.serve(named(STREAM_TICKETS)?, &everyone);
        Ok(served.await?.backend)
    }
}

#[async_trait]
impl TicketOffice for RoutedTickets {
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable> {
        self.office().await?.grant(grant).await
    }

    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        self.office().await?.peek(ticket).await
    }

    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable> {
        self.office().await?.consume(ticket).await
    }
}
