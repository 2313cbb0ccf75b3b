//! The port itself.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::Value;
use store::{
    AppendError, Appended, Bounds, Cursor, EventLog, NewEvent, Read, StoreError, StreamKey, Tail,
};

use super::{Appender, read::Reader, tail};
use crate::{
    error::Fault,
    lanes::{Lanes, Question},
    listener::Listener,
    names::Names,
    scripts,
};

/// Events that one call of the script removes; it stops the whole server for as long as that takes.
const TRIM_EVENTS_MAX: u64 = 10_000;

pub(crate) struct RedisEventLog {
    pub(super) lanes: Arc<Lanes>,
    pub(super) names: Names,
    appender: Appender,
    pub(super) reader: Arc<Reader>,
    listener: Arc<Listener>,
}

impl RedisEventLog {
    pub(crate) fn new(lanes: &Arc<Lanes>, names: &Names, listener: Arc<Listener>) -> Self {
        Self {
            appender: Appender::start(lanes, names.clone()),
            reader: Arc::new(Reader::new(Arc::clone(lanes))),
            lanes: Arc::clone(lanes),
            names: names.clone(),
            listener,
        }
    }
}

#[async_trait]
impl EventLog for RedisEventLog {
    async fn append(&self, stream: &StreamKey, event: NewEvent) -> Result<Appended, AppendError> {
        self.appender.append(stream, event).await
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Read, StoreError> {
        self.reader
            .page(&self.names.stream(stream), after, limit)
            .await
    }

    async fn bounds(&self, stream: &StreamKey) -> Result<Bounds, StoreError> {
        self.reader.bounds(&self.names.stream(stream)).await
    }

    async fn tail(&self, stream: &StreamKey, after: Cursor) -> Result<Tail, StoreError> {
        let names = self.names.stream(stream);
        let bell = self.listener.follow(&names.events);
        Ok(tail::follow(Arc::clone(&self.reader), names, bell, after))
    }

    async fn trim(&self, stream: &StreamKey, up_to: u64) -> Result<(), StoreError> {
        let names = self.names.stream(stream);
        let mut trim = scripts::TRIM.key(&*names.events);
        trim.arg(up_to).arg(TRIM_EVENTS_MAX);
        loop {
            match self.lanes.ask(Question::Script(&trim)).await?.0 {
                Value::Int(0) => return Ok(()),
                Value::Int(_) => {}
                _ => return Err(Fault::strange(self.lanes.place())),
            }
        }
    }
}
