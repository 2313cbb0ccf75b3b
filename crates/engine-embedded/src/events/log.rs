//! The port [`EventLog`] over the writer and the readers.

use std::sync::Arc;

use async_trait::async_trait;
use store::{
    AppendError, Appended, Bounds, Cursor, EVENT_BYTES_MAX, EventLog, NewEvent, Read, StoreError,
    StreamKey, Tail,
};

use super::tail;
use crate::{engine::Core, writer::Command};

pub(crate) struct EmbeddedEventLog(pub(crate) Arc<Core>);

#[async_trait]
impl EventLog for EmbeddedEventLog {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        if event.body.len() > EVENT_BYTES_MAX {
            let why = format!("an event has at most {EVENT_BYTES_MAX} bytes");
            return Err(StoreError::Limit(why).into());
        }
        let bytes = event.body.len();
        let stream = stream.clone();
        let command = |reply| Command::Append {
            stream,
            event,
            reply,
        };
        self.0.ask(bytes, command).await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.0.read(stream, after, limit).await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        let (shared, stream) = (Arc::clone(&self.0.shared), stream.clone());
        let read = move |connection: &mut _| shared.source().bounds(connection, &stream);
        self.0.readers.run(read).await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        Ok(tail::follow(Arc::clone(&self.0), stream.clone(), after))
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        let stream = stream.clone();
        let command = |reply| Command::Trim {
            stream,
            up_to,
            reply,
        };
        self.0.ask(0, command).await
    }
}
