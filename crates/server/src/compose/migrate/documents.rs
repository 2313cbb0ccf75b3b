//! Copying one partition, and proving that the copy is one.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use store::{Batch, DocKey, Document, Documents, Listing, Partition};

use super::Moved;

/// Documents of a page: with the largest ones, 50 MiB.
const PAGE_DOCUMENTS: usize = 100;
/// Documents and bytes of a batch.
const BATCH_DOCUMENTS: usize = 100;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How often a partition is compared, and copied if it differs, before the copy is given up.
const TRIES_MAX: usize = 3;

/// What a partition holds: how many documents, and a hash over their ids, values and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    documents: u64,
    hash: [u8; 32],
}

/// Makes `partition` the same at `to` as at `from`, if it is not already.
///
/// # Errors
/// When an engine does not answer, or the copy is not one after all.
pub(super) async fn copy(
    from: &dyn Documents,
    to: &dyn Documents,
    partition: &Partition,
    moved: &mut Moved,
) -> anyhow::Result<()> {
    // A document that ends meanwhile is no reason to give up.
    for tries in 0..TRIES_MAX {
        let wanted = sum(from, partition).await?;
        if sum(to, partition).await? == wanted {
            let counted = if tries == 0 {
                &mut moved.kept
            } else {
                &mut moved.copied
            };
            *counted += wanted.documents;
            return Ok(());
        }
        remove_others(from, to, partition).await?;
        let mut pages = Pages::of(from, partition);
        while let Some(page) = pages.next().await? {
            put(to, partition, page).await?;
        }
    }
    anyhow::bail!("the copy of {partition} is not what was copied: somebody writes to one of them")
}

/// Deletes what is at `to` alone: left behind by an earlier attempt.
async fn remove_others(
    from: &dyn Documents,
    to: &dyn Documents,
    partition: &Partition,
) -> anyhow::Result<()> {
    let mut pages = Pages::of(to, partition);
    while let Some(page) = pages.next().await? {
        let mut gone = BTreeSet::new();
        for document in page {
            let key = DocKey::new(partition, document.id);
            if from.get(&key).await?.is_none() {
                gone.insert(key);
            }
        }
        let batch = gone.iter().fold(Batch::new(), Batch::delete);
        if !gone.is_empty() {
            to.commit(batch).await?;
        }
    }
    Ok(())
}

async fn put(to: &dyn Documents, partition: &Partition, page: Vec<Document>) -> anyhow::Result<()> {
    let (mut batch, mut documents) = (Batch::new(), 0);
    for document in page {
        if documents == BATCH_DOCUMENTS || batch.value_bytes() > BATCH_BYTES {
            to.commit(std::mem::take(&mut batch)).await?;
            documents = 0;
        }
        let key = DocKey::new(partition, document.id);
        batch = match document.expires_at {
            Some(end) => batch.put_until(&key, document.value, end),
            None => batch.put(&key, document.value),
        };
        documents += 1;
    }
    to.commit(batch).await?;
    Ok(())
}

async fn sum(documents: &dyn Documents, partition: &Partition) -> anyhow::Result<Sum> {
    let (mut hash, mut count) = (Sha256::new(), 0_u64);
    let mut pages = Pages::of(documents, partition);
    while let Some(page) = pages.next().await? {
        for document in page {
            count += 1;
            hash.update((document.id.len() as u64).to_be_bytes());
            hash.update(&document.id);
            hash.update((document.value.len() as u64).to_be_bytes());
            hash.update(&document.value);
            let ends = document
                .expires_at
                .map_or(i64::MAX, identity::Timestamp::unix_ms);
            hash.update(ends.to_be_bytes());
        }
    }
    Ok(Sum {
        documents: count,
        hash: hash.finalize().into(),
    })
}

/// The pages of a partition, in order; none of them is empty.
struct Pages<'a> {
    documents: &'a dyn Documents,
    partition: &'a Partition,
    after: Option<String>,
    over: bool,
}

impl<'a> Pages<'a> {
    fn of(documents: &'a dyn Documents, partition: &'a Partition) -> Self {
        Self {
            documents,
            partition,
            after: None,
            over: false,
        }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<Document>>> {
        if self.over {
            return Ok(None);
        }
        let listing = Listing {
            prefix: String::new(),
            after: self.after.take(),
            limit: PAGE_DOCUMENTS,
        };
        let page = self.documents.list(self.partition, &listing).await?;
        self.over = page.len() < PAGE_DOCUMENTS;
        self.after = page.last().map(|last| last.id.clone());
        Ok((!page.is_empty()).then_some(page))
    }
}
