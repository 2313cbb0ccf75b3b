//! Every law of the port by which objects are moved.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::Timestamp;
use store::{
    BlobRelocation,
    contract::{
        Scopes, Subject,
        blob_relocation::BlobRelocationSubject,
        blobs::{BlobsSubject, Browser},
    },
};

use crate::subject::{Store, open};

store::blob_relocation_contract!(crate::moves::movable);

/// The same store behind the other port.
struct Movable(Store);

async fn movable() -> Movable {
    Movable(open().await)
}

#[async_trait]
impl Subject<dyn BlobRelocation> for Movable {
    fn port(&self) -> Arc<dyn BlobRelocation> {
        self.0.blobs()
    }

    fn scopes(&self) -> &Scopes {
        Subject::scopes(&self.0)
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by).await;
    }

    async fn reopen(&self) {
        self.0.reopen().await;
    }
}

impl BlobRelocationSubject for Movable {
    fn browser(&self) -> &dyn Browser {
        self.0.browser()
    }
}
