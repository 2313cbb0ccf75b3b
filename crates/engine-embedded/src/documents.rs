//! The port [`Documents`] over the writer and the readers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use identity::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use store::{
    Batch, CommitError, DocKey, Document, Documents, LIST_LIMIT_MAX, Listing, Partition,
    StoreError, Version,
};

use crate::{engine::Core, error::read_error, writer::Command};

pub(crate) struct EmbeddedDocuments(pub(crate) Arc<Core>);

#[async_trait]
impl Documents for EmbeddedDocuments {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let (key, now) = (key.clone(), self.0.shared.clock.now());
        self.0
            .readers
            .run(move |connection| get(connection, &key, now).map_err(|cause| read_error(&cause)))
            .await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let (partition, listing) = (partition.clone(), listing.clone());
        let now = self.0.shared.clock.now();
        self.0
            .readers
            .run(move |connection| {
                list(connection, &partition, &listing, now).map_err(|cause| read_error(&cause))
            })
            .await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        batch.check()?;
        let bytes = batch.value_bytes();
        let command = |reply| Command::Commit { batch, reply };
        self.0.ask(bytes, command).await
    }
}

fn get(
    connection: &Connection,
    key: &DocKey,
    now: Timestamp,
) -> rusqlite::Result<Option<Document>> {
    connection
        .prepare_cached(
            "SELECT id, version, value, expires_at FROM documents
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND id = ?2
               AND (expires_at IS NULL OR expires_at > ?3)",
        )?
        .query_row((key.partition.as_str(), &key.id, now.unix_ms()), document)
        .optional()
}

fn list(
    connection: &Connection,
    partition: &Partition,
    listing: &Listing,
    now: Timestamp,
) -> rusqlite::Result<Vec<Document>> {
    let limit = listing.limit.clamp(1, LIST_LIMIT_MAX);
    let mut select = connection.prepare_cached(
        "SELECT id, version, value, expires_at FROM documents
         WHERE partition = (SELECT id FROM partitions WHERE name = ?1)
           AND id >= ?2 AND id <> ?3 AND (expires_at IS NULL OR expires_at > ?4)
         ORDER BY id LIMIT ?5",
    )?;
    let after = listing.after.as_deref().unwrap_or("");
    let from = after.max(listing.prefix.as_str());
    let mut rows = select.query((partition.as_str(), from, after, now.unix_ms(), limit as i64))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let found = document(row)?;
        if !found.id.starts_with(&listing.prefix) {
            break;
        }
        page.push(found);
    }
    Ok(page)
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        id: row.get(0)?,
        version: Version(row.get::<_, i64>(1)?.cast_unsigned()),
        value: Bytes::from(row.get::<_, Vec<u8>>(2)?),
        expires_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_unix_ms),
    })
}
