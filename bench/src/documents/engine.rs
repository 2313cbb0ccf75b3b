//! The engine as an [`Appender`]: each writer moves a head of its own on.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use store::{Batch, DocKey, Documents, Partition, Version};
use tokio::sync::Mutex;

use super::VALUE_BYTES;
use crate::{append::Appender, cloud::Project};

/// One document per writer, and its state.
pub(super) struct Heads {
    documents: Arc<dyn Documents>,
    heads: Vec<(DocKey, Mutex<Option<Version>>)>,
    value: Bytes,
}

impl Heads {
    pub(super) async fn open(project: &Project, writers: usize) -> Result<Self> {
        let scope = crate::scope::of_one_tenant().await?;
        let partition = Partition::in_scope(&scope, "heads");
        let head = |writer| {
            let key = DocKey::new(&partition, format!("{writers}-{writer}"));
            (key, Mutex::new(None))
        };
        Ok(Self {
            documents: project.documents().await?,
            heads: (0..writers).map(head).collect(),
            value: Bytes::from(vec![b'x'; VALUE_BYTES]),
        })
    }
}

#[async_trait]
impl Appender for Heads {
    async fn append(&self, writer: usize, _: u64) -> Result<()> {
        let (key, version) = self.heads.get(writer).context("a head for each writer")?;
        // One task writes each head, so nobody waits.
        let mut version = version.lock().await;
        let batch = match *version {
            Some(version) => Batch::new().expect_version(key, version),
            None => Batch::new().expect_absent(key),
        };
        let batch = batch.put(key, self.value.clone());
        *version = Some(self.documents.commit(batch).await?);
        Ok(())
    }
}
