//! What a budget looks like from outside.

use serde::Serialize;
use store::{Document, LIST_LIMIT_MAX, Listing, StoreError};

use super::{
    Account, Budgets,
    counter::{Counter, Slice, opened},
};

/// What is spent and reserved of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spending {
    /// What writes cost that were done, in micro-units.
    pub spent_micros: u64,
    /// What is kept for writes that are being done, in micro-units.
    pub reserved_micros: u64,
}

impl Budgets {
    /// What is spent and reserved; what this process holds without using it is neither.
    pub(crate) async fn view(&self, account: &Account) -> Result<Spending, StoreError> {
        let listing = Listing {
            prefix: account.key.id.clone(),
            after: None,
            limit: LIST_LIMIT_MAX,
        };
        let partition = &account.key.partition;
        let documents = self.documents.list(partition, &listing).await?;
        let Some(counter) = documents.iter().find(|one| one.id == account.key.id) else {
            return Ok(Spending::default());
        };
        let counter: Counter = opened(&account.key, &counter.value)?;
        let idle = self.pools.lock().get(account).map(|pool| pool.idle_ids());
        let idle = idle.unwrap_or_default();
        let mut spending = Spending {
            spent_micros: counter.spent,
            reserved_micros: 0,
        };
        let now = self.clock.now();
        for (id, lent) in &counter.slices {
            let slice = slice(account, id, &documents)?;
            // A slice that is not there cannot be; if it is, all of it counts as spent.
            let spent = slice.map_or(lent.granted, |slice| slice.spent);
            spending.spent_micros = spending.spent_micros.saturating_add(spent);
            let unused = idle.contains(id) || lent.until <= now;
            if !unused {
                let kept = lent.granted.saturating_sub(spent);
                spending.reserved_micros = spending.reserved_micros.saturating_add(kept);
            }
        }
        Ok(spending)
    }
}

fn slice(account: &Account, id: &str, documents: &[Document]) -> Result<Option<Slice>, StoreError> {
    let key = account.slice(id);
    let document = documents.iter().find(|document| document.id == key.id);
    document
        .map(|document| opened(&key, &document.value))
        .transpose()
}
