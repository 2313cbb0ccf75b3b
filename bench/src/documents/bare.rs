//! The baseline: the generated client, with the requests as they are.

use std::collections::HashMap;

use anyhow::{Context, Result};
use async_trait::async_trait;
use gcloud_sdk::google::firestore::v1::{
    CommitRequest, Document, GetDocumentRequest, Precondition, Value, Write,
    firestore_client::FirestoreClient, precondition::ConditionType, value::ValueType,
    write::Operation,
};
use tokio::sync::Mutex;
use tonic::{Request, metadata::MetadataValue, transport::Channel};

use super::VALUE_BYTES;
use crate::{append::Appender, cloud::Project};

/// A connection and a collection.
pub(crate) struct Bare {
    client: FirestoreClient<Channel>,
    database: String,
}

impl Bare {
    /// # Errors
    /// When the emulator does not answer.
    pub(crate) async fn open(project: &Project) -> Result<Self> {
        let channel = Channel::from_shared(format!("http://{}", project.host))?;
        Ok(Self {
            client: FirestoreClient::new(channel.connect().await?),
            database: project.database(),
        })
    }

    /// Makes a document.
    ///
    /// # Errors
    /// When it is there already.
    pub(crate) async fn put(&self, id: &str) -> Result<()> {
        let absent = ConditionType::Exists(false);
        self.commit(id, 0, absent).await.map(drop)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) async fn read(&self, id: &str) -> Result<()> {
        let request = GetDocumentRequest {
            name: self.name(id),
            ..GetDocumentRequest::default()
        };
        self.client.clone().get_document(owned(request)).await?;
        Ok(())
    }

    /// Writes it if `expected` holds; what holds afterwards.
    async fn commit(&self, id: &str, n: u64, expected: ConditionType) -> Result<ConditionType> {
        let write = Write {
            operation: Some(Operation::Update(self.document(id, n))),
            current_document: Some(Precondition {
                condition_type: Some(expected),
            }),
            ..Write::default()
        };
        let request = CommitRequest {
            database: self.database.clone(),
            writes: vec![write],
            ..CommitRequest::default()
        };
        let answer = self.client.clone().commit(owned(request)).await?;
        let result = answer.into_inner().write_results.into_iter().next();
        let updated = result.and_then(|result| result.update_time);
        let updated = updated.context("a commit says when it was")?;
        Ok(ConditionType::UpdateTime(updated))
    }

    fn name(&self, id: &str) -> String {
        format!("{}/documents/bare/{id}", self.database)
    }

    /// A document that is never as it was: otherwise its update time would stay.
    fn document(&self, id: &str, n: u64) -> Document {
        let value = |value_type| Value {
            value_type: Some(value_type),
        };
        let bytes = value(ValueType::BytesValue(vec![b'x'; VALUE_BYTES]));
        let number = value(ValueType::IntegerValue(n.cast_signed()));
        Document {
            name: self.name(id),
            fields: HashMap::from([("value".to_owned(), bytes), ("n".to_owned(), number)]),
            create_time: None,
            update_time: None,
        }
    }
}

/// A request that the emulator takes for its owner's.
fn owned<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let owner = MetadataValue::from_static("Bearer owner");
    request.metadata_mut().insert("authorization", owner);
    request
}

/// One document per writer, and what must hold of it.
pub(super) struct Heads {
    bare: Bare,
    heads: Vec<(String, Mutex<ConditionType>)>,
}

impl Heads {
    pub(super) async fn open(project: &Project, writers: usize) -> Result<Self> {
        let absent = || Mutex::new(ConditionType::Exists(false));
        let head = |writer| (format!("{writers}-{writer}"), absent());
        Ok(Self {
            bare: Bare::open(project).await?,
            heads: (0..writers).map(head).collect(),
        })
    }
}

#[async_trait]
impl Appender for Heads {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        let (id, expected) = self.heads.get(writer).context("a head for each writer")?;
        // One task writes each head, so nobody waits.
        let mut expected = expected.lock().await;
        *expected = self.bare.commit(id, n, *expected).await?;
        Ok(())
    }
}
