//! The port [`TicketOffice`]: keys that end by themselves and are deleted once.
//!
//! **Invariant:** the key's name is the SHA-256 of the ticket, so what the server holds opens nothing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deadpool_redis::redis::{self, Value};
use identity::{Clock, DirectoryUnavailable, TicketGrant, TicketOffice};
use sha2::{Digest as _, Sha256};
use store::StoreError;

use crate::{
    error::Fault,
    lanes::{Lanes, Question},
    names::Names,
};

const TICKET_BYTES: usize = 32;
/// Longest ticket that is looked for, in bytes; ours have 43.
const TICKET_TEXT_BYTES_MAX: usize = 64;

pub(crate) struct RedisTickets {
    lanes: Arc<Lanes>,
    names: Names,
    clock: Arc<dyn Clock>,
}

impl RedisTickets {
    pub(crate) fn new(lanes: &Arc<Lanes>, names: &Names, clock: Arc<dyn Clock>) -> Self {
        Self {
            lanes: Arc::clone(lanes),
            names: names.clone(),
            clock,
        }
    }

    /// The key of a ticket; `None` for what no ticket of ours looks like.
    fn key(&self, ticket: &str) -> Option<String> {
        let hash = || URL_SAFE_NO_PAD.encode(Sha256::digest(ticket.as_bytes()));
        (ticket.len() <= TICKET_TEXT_BYTES_MAX).then(|| self.names.ticket(&hash()))
    }

    fn strange(&self) -> DirectoryUnavailable {
        unavailable(&Fault::strange(self.lanes.place()))
    }
}

fn unavailable(error: &StoreError) -> DirectoryUnavailable {
    DirectoryUnavailable(error.to_string())
}

#[async_trait]
impl TicketOffice for RedisTickets {
    async fn grant(&self, grant: &TicketGrant) -> Result<String, DirectoryUnavailable> {
        let mut secret = [0; TICKET_BYTES];
        self.lanes.fill(&mut secret);
        let ticket = URL_SAFE_NO_PAD.encode(secret);
        let key = self.key(&ticket).ok_or_else(|| self.strange())?;
        let value = serde_json::to_vec(grant).map_err(|e| DirectoryUnavailable(e.to_string()))?;
        let life = grant.expires_at.since(self.clock.now());
        let life = life.max(Duration::from_millis(1)).as_millis();
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("PX");
        set.arg(u64::try_from(life).unwrap_or(u64::MAX));
        // The same key and value again do no harm.
        let set = self.lanes.ask(Question::Command(&set)).await;
        set.map(|_| ticket).map_err(|error| unavailable(&error))
    }

    async fn peek(&self, ticket: &str) -> Result<Option<TicketGrant>, DirectoryUnavailable> {
        let Some(key) = self.key(ticket) else {
            return Ok(None);
        };
        let mut get = redis::cmd("GET");
        get.arg(key);
        let found = self.lanes.ask(Question::Command(&get)).await;
        match found.map_err(|error| unavailable(&error))?.0 {
            Value::Nil => Ok(None),
            Value::BulkString(value) => match serde_json::from_slice(&value) {
                Ok(grant) => Ok(Some(grant)),
                Err(damaged) => Err(DirectoryUnavailable(damaged.to_string())),
            },
            _ => Err(self.strange()),
        }
    }

    async fn consume(&self, ticket: &str) -> Result<bool, DirectoryUnavailable> {
        let Some(key) = self.key(ticket) else {
            return Ok(false);
        };
        let mut delete = redis::cmd("DEL");
        delete.arg(key);
        // Not again after a lost connection: it may have been this caller who used it.
        let deleted = self.lanes.once(Question::Command(&delete)).await;
        match deleted.map_err(|error| unavailable(&error))?.0 {
            Value::Int(deleted) => Ok(deleted == 1),
            _ => Err(self.strange()),
        }
    }
}
