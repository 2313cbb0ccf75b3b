//! The port [`Documents`] over the three calls.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, Document as Stored, DocumentMask,
    batch_get_documents_response::Result as Got,
};
use identity::{Clock, Entropy};
use prost_types::Timestamp as Moment;
use store::{
    Batch, CommitError, DOCUMENT_ID_BYTES_MAX, DocKey, Document, Documents, LIST_LIMIT_MAX,
    Listing, Partition, StoreError, Version,
};
use tokio::time::{Instant, sleep};

use crate::{
    answer::{Damaged, Fault},
    commit::Commit,
    connection::Connection,
    ends::Ends,
    names::Names,
    query::Range,
    record,
    tries::{OPERATION_WAIT_MAX, Tries},
};

/// How long the emulator shows some documents of a commit and not yet the others, at most and nearly always.
const EMULATOR_TEARS_MAX: Duration = Duration::from_millis(5);
/// Longest wait for a page, which may be many bytes.
const LIST_WAIT_MAX: Duration = Duration::from_secs(30);

/// What everything is done with.
pub(crate) struct Core {
    pub(crate) connection: Connection,
    pub(crate) names: Names,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ends: Ends,
    /// The emulator answers, whose queries see commits half done.
    pub(crate) tears: bool,
}

impl Core {
    /// A fault that lasted, for a caller whose request was in order.
    pub(crate) fn failed(&self, fault: &Fault) -> StoreError {
        let text = format!("{}: {}", self.names.database(), fault.why());
        match fault {
            Fault::Damaged => StoreError::Corrupt(text),
            Fault::Unmet
            | Fault::Contended
            | Fault::Unsent(_)
            | Fault::Lost(_)
            | Fault::Refused(_) => StoreError::Unavailable(text),
        }
    }

    /// Asks until there is an answer, or no more time.
    async fn ask<T, A>(
        &self,
        wait_max: Duration,
        ask: impl Fn(Instant) -> A,
    ) -> Result<T, StoreError>
    where
        A: Future<Output = Result<T, Fault>>,
    {
        let mut tries = Tries::within(wait_max, &*self.entropy);
        loop {
            let fault = match ask(tries.deadline()).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tries
                .pause(fault)
                .await
                .map_err(|fault| self.failed(&fault))?;
        }
    }

    /// The documents of these names that are stored, as they are at one moment, with these
    /// fields of theirs or all.
    pub(crate) async fn read(
        &self,
        names: Vec<String>,
        fields: Option<&[&str]>,
        deadline: Instant,
    ) -> Result<HashMap<String, Stored>, Fault> {
        let asked = names.len();
        let mask = fields.map(|fields| DocumentMask {
            field_paths: fields.iter().map(|&field| field.to_owned()).collect(),
        });
        let request = BatchGetDocumentsRequest {
            database: self.names.database().to_owned(),
            documents: names,
            mask,
            ..BatchGetDocumentsRequest::default()
        };
        let answers = self.connection.get(request, deadline).await?;
        let (mut found, mut answered) = (HashMap::new(), 0);
        for answer in answers.into_iter().filter_map(|answer| answer.result) {
            answered += 1;
            if let Got::Found(stored) = answer {
                found.insert(stored.name.clone(), stored);
            }
        }
        // A document that nothing was said of is not one that is missing.
        if answered < asked {
            return Err(Fault::Lost("its answer broke off"));
        }
        Ok(found)
    }

    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        let name = self.names.document(key);
        let ask = |deadline| self.read(vec![name.clone()], None, deadline);
        let mut found = self.ask(OPERATION_WAIT_MAX, ask).await?;
        let Some(stored) = found.remove(&name) else {
            return Ok(None);
        };
        self.living(&key.partition, stored)
    }

    /// The document, unless it has ended.
    fn living(
        &self,
        partition: &Partition,
        stored: Stored,
    ) -> Result<Option<Document>, StoreError> {
        let read = record::read(stored).map_err(|Damaged| self.failed(&Fault::Damaged));
        let (document, state) = read?;
        let key = DocKey::new(partition, document.id.as_str());
        self.ends.note(&key, state.version, state.ends);
        Ok(state.lives(self.clock.now()).then_some(document))
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let limit = listing.limit.clamp(1, LIST_LIMIT_MAX);
        let mut range = Range::of(&self.names, partition, listing);
        let (mut page, mut moment) = (Vec::new(), self.settled(&range).await?);
        loop {
            let missing = limit - page.len();
            let (stored, read_at) = self.page(&range, missing, moment).await?;
            let (read, last) = (stored.len(), stored.last().map(|last| last.name.clone()));
            for stored in stored {
                page.extend(self.living(partition, stored)?);
            }
            match last {
                // Some of them have ended: what follows is read as it was at the same moment.
                Some(last) if read == missing && page.len() < limit => {
                    range = range.after(last);
                    moment = moment.or(read_at);
                }
                _ => return Ok(page),
            }
        }
    }

    /// A moment at which documents can be read together: any, for the service. The emulator carries a
    /// commit out document by document for everybody to see, but not for who looks back a little later.
    async fn settled(&self, range: &Range) -> Result<Option<Moment>, StoreError> {
        if !self.tears {
            return Ok(None);
        }
        let (_, read_at) = self.page(range, 1, None).await?;
        sleep(EMULATOR_TEARS_MAX).await;
        Ok(read_at)
    }

    /// Stored documents of a range, and when they were read.
    async fn page(
        &self,
        range: &Range,
        limit: usize,
        moment: Option<Moment>,
    ) -> Result<(Vec<Stored>, Option<Moment>), StoreError> {
        let ask = |deadline| self.connection.query(range.query(limit, moment), deadline);
        let answers = self.ask(LIST_WAIT_MAX, ask).await?;
        let read_at = answers.iter().find_map(|answer| answer.read_time);
        let stored = answers.into_iter().filter_map(|answer| answer.document);
        Ok((stored.collect(), read_at))
    }
}

/// The port, over one database.
pub(crate) struct FirestoreDocuments(pub(crate) Arc<Core>);

#[async_trait]
impl Documents for FirestoreDocuments {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        if key.id.len() > DOCUMENT_ID_BYTES_MAX {
            return Ok(None);
        }
        self.0.get(key).await
    }

    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        let texts = [Some(listing.prefix.as_str()), listing.after.as_deref()];
        if texts
            .iter()
            .flatten()
            .any(|text| text.len() > DOCUMENT_ID_BYTES_MAX)
        {
            let why = format!("a prefix and a cursor have at most {DOCUMENT_ID_BYTES_MAX} bytes");
            return Err(StoreError::Limit(why));
        }
        self.0.list(partition, listing).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        batch.check()?;
        match Commit::of(&self.0, &batch) {
            Some(commit) => commit.carry_out().await,
            // Nothing is expected and nothing done, so no state was made.
            None => Ok(Version(0)),
        }
    }
}
