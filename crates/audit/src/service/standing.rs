//! What the stored heads say, when the work is taken up: of which logs there are, what the last
//! epoch tells of them, and which have records that are in no tree.

use futures_util::{StreamExt, TryStreamExt, stream};
use store::{LIST_LIMIT_MAX, Listing, StoreError};

use super::{
    Audit,
    logs::Log,
    recover::{OpenAuditError, Unfinished},
    stored::StoredHead,
};
use crate::{
    Hash,
    log::{Ask, Frontier},
};

/// Heads whose records are looked at at the same time.
const LOOKS_AT_ONCE: usize = 32;

/// What the heads that are stored say.
#[derive(Default)]
pub(super) struct Standing {
    /// By slot, as of the last epoch.
    pub(super) told: Vec<Hash>,
    /// Heads that no epoch tells of yet.
    pub(super) waiting: Vec<(u64, Hash)>,
    pub(super) unfinished: Vec<Unfinished>,
}

/// The same, of one head.
struct Taken {
    told: Option<Hash>,
    waiting: Option<(u64, Hash)>,
    unfinished: Option<Unfinished>,
}

impl Audit {
    /// A page of heads after the id `after`, in the order of their slots.
    pub(super) async fn list_heads(
        &self,
        after: Option<String>,
    ) -> Result<Vec<(String, Result<StoredHead, StoreError>)>, StoreError> {
        let listing = Listing {
            prefix: String::new(),
            after,
            limit: LIST_LIMIT_MAX,
        };
        let rows = self.documents.list(&self.layout.heads(), &listing).await?;
        let read = rows.into_iter();
        let read = read.map(|row| (row.id, StoredHead::decode(&row.value)));
        Ok(read.collect())
    }

    /// Reads all heads, in the order of their slots.
    pub(super) async fn find_heads(&self, epoch: u64) -> Result<Standing, OpenAuditError> {
        let mut found = Standing::default();
        // Another process that goes down at this moment may still begin a log.
        let begun = self.assigned().await?;
        let mut slots = 0;
        let mut after = None;
        loop {
            let rows = self.list_heads(after).await?;
            after = rows.last().map(|(id, _)| id.clone());
            let whole = rows.len() < LIST_LIMIT_MAX;
            let mut heads = Vec::with_capacity(rows.len());
            for ((id, head), slot) in rows.into_iter().zip(slots..) {
                match head {
                    Ok(head) if head.slot == slot && id == self.layout.head(slot).id => {
                        heads.push(head);
                    }
                    Ok(_) => self.suspect(format!("slot {slot} has no head of its own")),
                    Err(why) => self.suspect(format!("slot {slot}: {why}")),
                }
                slots = slot + 1;
            }
            let taken = stream::iter(heads).map(|head| self.take_up(head, epoch));
            let mut taken = taken.buffered(LOOKS_AT_ONCE);
            while let Some(one) = taken.try_next().await? {
                found.told.extend(one.told);
                found.waiting.extend(one.waiting);
                found.unfinished.extend(one.unfinished);
            }
            if whole || !self.stays().await {
                break;
            }
        }
        let assigned = begun..=self.assigned().await?;
        if !assigned.contains(&slots) {
            self.suspect(format!(
                "{slots} heads are stored, and {assigned:?} logs have begun"
            ));
        }
        Ok(found)
    }

    /// How many logs have begun.
    async fn assigned(&self) -> Result<u32, StoreError> {
        match self.logs.assigned().await {
            Err(StoreError::Corrupt(why)) => {
                self.suspect(format!("the number of logs: {why}"));
                Ok(0)
            }
            answer => answer,
        }
    }

    async fn take_up(&self, head: StoredHead, epoch: u64) -> Result<Taken, StoreError> {
        let log = self.logs.remember(&head.log, head.slot);
        log.has_integrated(head.state.size());
        let mut taken = Taken {
            told: head.said_in(epoch).map(|said| head.leaf(&said).leaf_hash()),
            waiting: None,
            unfinished: None,
        };
        if head.epoch > epoch {
            let leaf = head.leaf(&head.said());
            taken.waiting = Some((head.slot.into(), leaf.leaf_hash()));
            if head.epoch > epoch + 1 || !self.continues(&log, &head).await? {
                self.suspect(format!(
                    "{}: its head does not follow epoch {epoch}",
                    log.id
                ));
            }
        }
        let bounds = self.events.bounds(&log.records).await?;
        let stored = bounds.head;
        if bounds.oldest > head.oldest() {
            self.suspect(format!(
                "{}: retention kept the records from {}, they begin with {}",
                log.id,
                head.oldest(),
                bounds.oldest
            ));
        }
        if stored < head.state.size() {
            self.suspect(format!(
                "{}: {} records are integrated, {stored} are stored",
                log.id,
                head.state.size()
            ));
        }
        if stored > head.state.size() || head.epoch == 0 {
            self.logs.mark(&log);
        }
        if stored > head.state.size() || !head.open.is_empty() {
            taken.unfinished = Some((log, head));
        }
        Ok(taken)
    }
}

impl Audit {
    /// Whether the log of a head that no epoch tells of yet begins with what was told before.
    async fn continues(&self, log: &Log, head: &StoredHead) -> Result<bool, StoreError> {
        let Some(before) = &head.before else {
            return Ok(true);
        };
        let size = before.size;
        if size > head.state.size() {
            return Ok(false);
        }
        let hashes = match self.prove(log, &head.state, Ask::Frontier { size }).await {
            Err(StoreError::Corrupt(_)) => return Ok(false),
            answer => answer?,
        };
        let then = Frontier::from_parts(size, hashes);
        Ok(then.is_some_and(|then| then.root() == before.root()))
    }
}
