//! A connection to one database.

use std::sync::Arc;

use gcloud_sdk::google::firestore::v1::{Precondition, precondition::ConditionType};
use identity::{Clock, Entropy};
use store::Documents;
use tokio::time::Instant;

use crate::{
    FirestoreError, FirestoreSettings,
    answer::Fault,
    connection::Connection,
    documents::{Core, FirestoreDocuments},
    ends::Ends,
    names::Names,
    tries::TRY_WAIT_MAX,
    wire,
};

/// A database of Firestore. Clones share one connection.
#[derive(Clone)]
pub struct Firestore(Arc<Core>);

impl Firestore {
    /// Prepares the use of a database; the first call connects. `clock` tells what has ended,
    /// `entropy` makes tokens of commits and the jitter of pauses.
    ///
    /// # Errors
    /// [`FirestoreError::Invalid`] when a key or an endpoint is of no use. Whether
    /// somebody answers is told by [`Firestore::ping`].
    pub async fn connect(
        settings: &FirestoreSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, FirestoreError> {
        Ok(Self(Arc::new(Core {
            connection: Connection::open(settings).await?,
            names: Names::new(settings.location.name()),
            clock,
            entropy,
            ends: Ends::new(),
            tears: settings.location.is_emulator(),
        })))
    }

    /// The port.
    #[must_use]
    pub fn documents(&self) -> Arc<dyn Documents> {
        Arc::new(FirestoreDocuments(Arc::clone(&self.0)))
    }

    /// Asks once whether the database is there, opens itself to the credentials, and knows
    /// what commits are made of. Writes nothing. Takes at most 4 seconds.
    ///
    /// # Errors
    /// [`FirestoreError`] says what is wrong.
    pub async fn ping(&self) -> Result<(), FirestoreError> {
        let absent = Precondition {
            condition_type: Some(ConditionType::Exists(false)),
        };
        let request = wire::CommitRequest {
            database: self.0.names.database().to_owned(),
            writes: vec![wire::Write {
                current_document: Some(absent),
                operation: Some(wire::Operation::Verify(self.0.names.nothing())),
            }],
        };
        let deadline = Instant::now() + TRY_WAIT_MAX;
        match self.0.connection.commit(request, deadline).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.unusable(&fault)),
        }
    }

    fn unusable(&self, fault: &Fault) -> FirestoreError {
        let (database, why) = (self.0.names.database().to_owned(), fault.why());
        match fault {
            // Nothing is asked for that could be missing, but the database.
            Fault::Unmet => FirestoreError::Missing { database },
            Fault::Refused(_) | Fault::Damaged => FirestoreError::Refused { database, why },
            Fault::Contended | Fault::Unsent(_) | Fault::Lost(_) => {
                FirestoreError::Unreachable { database, why }
            }
        }
    }
}
