//! Legal holds that are ordered on a node that follows: the node that leads carries them out.
//!
//! An order is a document. It is carried out, and removed, by one commit; whoever gave it
//! waits until it is gone, or takes it back.

use std::time::Duration;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, DocKey, Document, LIST_LIMIT_MAX, Listing, StoreError};
use tokio::time::Instant;

use super::super::{Audit, LogId, layout::Layout, logs::Log};

/// How long an order may take.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// When an order that nobody took back ends by itself.
const ENDS_MS: i64 = 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Order {
    tenant: identity::TenantId,
    env: identity::Env,
    on: bool,
}

impl Audit {
    /// Has the node that leads put a hold on, or lift it.
    pub(in super::super) async fn order_hold(&self, log: &Log, on: bool) -> Result<(), StoreError> {
        let order = Order {
            tenant: log.id.tenant.clone(),
            env: log.id.env,
            on,
        };
        let mut id = [0; 8];
        self.entropy.fill(&mut id);
        let id = format!("{}{:016x}", Layout::orders(), u64::from_be_bytes(id));
        let key = DocKey::new(&self.layout.epochs(), id);
        let value =
            serde_json::to_vec(&order).map_err(|why| StoreError::Corrupt(why.to_string()))?;
        let ends = self.clock.now().unix_ms().saturating_add(ENDS_MS);
        let batch = Batch::new().expect_absent(&key);
        let batch = batch.put_until(&key, value, Timestamp::from_unix_ms(ends));
        let given = self.documents.commit(batch).await.map_err(unordered)?;
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            match self.documents.get(&key).await {
                Ok(None) => return self.was_obeyed(log, on).await,
                Ok(Some(_)) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        let taken_back = Batch::new().expect_version(&key, given).delete(&key);
        match self.documents.commit(taken_back).await {
            Ok(_) => {
                let why = "no node leads the audit log at the moment";
                Err(StoreError::Unavailable(why.to_owned()))
            }
            Err(CommitError::Conflict(_)) => self.was_obeyed(log, on).await,
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// An order that is gone was carried out, or has ended.
    async fn was_obeyed(&self, log: &Log, on: bool) -> Result<(), StoreError> {
        if self.head_of(log).await?.flags.legal_hold == on {
            return Ok(());
        }
        let why = "the hold was changed by someone else meanwhile";
        Err(StoreError::Unavailable(why.to_owned()))
    }

    /// Carries out what other nodes have ordered. Part of a round of the node that leads.
    pub(in super::super) async fn obey(&self) {
        if self.nodes.is_some()
            && let Err(error) = self.obey_all().await
        {
            tracing::warn!(%error, "holds are put on later");
        }
    }

    async fn obey_all(&self) -> Result<(), StoreError> {
        let listing = Listing {
            prefix: Layout::orders().to_owned(),
            after: None,
            limit: LIST_LIMIT_MAX,
        };
        let orders = self.documents.list(&self.layout.epochs(), &listing).await?;
        for order in orders {
            if self.frozen().is_some() || !self.leads() {
                break;
            }
            if let Err(error) = self.carry_out(&order).await {
                tracing::warn!(order = order.id, %error, "a hold is put on later");
            }
        }
        Ok(())
    }

    async fn carry_out(&self, stored: &Document) -> Result<(), StoreError> {
        let key = DocKey::new(&self.layout.epochs(), stored.id.clone());
        let done = Batch::new()
            .expect_version(&key, stored.version)
            .delete(&key);
        let Ok(Order { tenant, env, on }) = serde_json::from_slice(&stored.value) else {
            return Err(StoreError::Corrupt(format!("the order {}", stored.id)));
        };
        let log = self.logs.find(&LogId { tenant, env }).await?;
        let log = log.ok_or_else(|| StoreError::Corrupt(format!("the order {}", stored.id)))?;
        // What changes meanwhile is carried out with the next round.
        self.try_hold(&log, on, done).await.map(drop)
    }
}

impl Layout {
    /// Begins the ids of all orders.
    const fn orders() -> &'static str {
        "order/"
    }
}

fn unordered(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        CommitError::Conflict(key) => StoreError::Unavailable(key.id),
    }
}
