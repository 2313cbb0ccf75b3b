//! Appending: what waits is sent together, so that one fsync and one wait for replicas cover many.
//!
//! A few workers take turns. Each has a connection, takes what has gathered while it
//! waited, sends it as one pipeline and hands the answers out. More than one, because
//! the server reads a connection in small pieces between two fsyncs.
//!
//! **Invariant:** what waits is bounded in bytes, and nothing is sent for a caller who gave up.

use std::sync::Arc;

use deadpool_redis::redis::{self, Cmd, Pipeline, Value};
use store::{AppendError, Appended, Cursor, EVENT_BYTES_MAX, NewEvent, StoreError, StreamKey};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{
    read::{id, salt_of},
    send::Sending,
};
use crate::{
    error::Fault,
    lanes::{COMMAND_WAIT_MAX, Lanes},
    life::Life,
    names::{BUCKET_KEPT_MS, Names},
    scripts,
};

/// Workers, unless there are fewer connections.
const WORKERS_MAX: usize = 4;
/// Appends that are sent together.
const BATCH_APPENDS_MAX: usize = 64;
/// Bytes that may wait.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an append costs beside its body; so at most 32 Ki wait.
const APPEND_BYTES: usize = 1024;

type Outcome = Result<Appended, AppendError>;

/// One append on its way.
struct Order {
    command: Cmd,
    answer: Answer,
}

/// Who waits for it.
struct Answer {
    reply: oneshot::Sender<Outcome>,
    _room: OwnedSemaphorePermit,
}

/// The way in.
pub(crate) struct Appender {
    names: Names,
    lanes: Arc<Lanes>,
    room: Arc<Semaphore>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Appender {
    /// Starts the workers; they end with the appender.
    pub(crate) fn start(lanes: &Arc<Lanes>, names: Names) -> Self {
        let (orders, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for at in 0..lanes.count().min(WORKERS_MAX) {
            let worker = Worker {
                lanes: Arc::clone(lanes),
                waiting: Arc::clone(&waiting),
                at,
            };
            tokio::spawn(worker.work());
        }
        Self {
            names,
            lanes: Arc::clone(lanes),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            orders,
        }
    }

    pub(crate) async fn append(&self, stream: &StreamKey, event: NewEvent) -> Outcome {
        let bytes = event.body.len();
        if bytes > EVENT_BYTES_MAX {
            let why = format!("an event has at most {EVENT_BYTES_MAX} bytes");
            return Err(StoreError::Limit(why).into());
        }
        let answered = timeout(COMMAND_WAIT_MAX, async {
            let (reply, answer) = oneshot::channel();
            let cost = u32::try_from(bytes + APPEND_BYTES).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(cost);
            let order = Order {
                command: self.command(stream, &event),
                answer: Answer {
                    reply,
                    _room: room.await.map_err(|_| stopped())?,
                },
            };
            self.orders.send(order).map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        });
        let late = |_| Err(Fault::late(self.lanes.place()).error.into());
        answered.await.unwrap_or_else(late)
    }

    fn command(&self, stream: &StreamKey, event: &NewEvent) -> Cmd {
        let names = self.names.stream(stream);
        let mut command = redis::cmd("EVALSHA");
        command.arg(scripts::APPEND.get_hash());
        let buckets = match event.idempotency {
            Some(_) => self.names.buckets(stream, event.at),
            None => Vec::new(),
        };
        command.arg(2 + buckets.len());
        command.arg(&*names.events).arg(&*names.life).arg(&buckets);
        command.arg(&event.body[..]).arg(self.lanes.draw());
        if let Some(idempotency) = event.idempotency {
            command.arg(&idempotency.key).arg(&idempotency.fingerprint);
            command.arg(BUCKET_KEPT_MS);
        }
        command
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the engine has stopped".to_owned())
}

struct Worker {
    lanes: Arc<Lanes>,
    waiting: Arc<Mutex<mpsc::UnboundedReceiver<Order>>>,
    at: usize,
}

impl Worker {
    async fn work(self) {
        let mut orders = Vec::with_capacity(BATCH_APPENDS_MAX);
        loop {
            let mut waiting = self.waiting.lock().await;
            let taken = waiting.recv_many(&mut orders, BATCH_APPENDS_MAX).await;
            drop(waiting);
            if taken == 0 {
                return;
            }
            let mut pipeline = Pipeline::with_capacity(orders.len() + 1);
            let mut answers = Vec::with_capacity(orders.len());
            for order in orders
                .drain(..)
                .filter(|order| !order.answer.reply.is_closed())
            {
                pipeline.add_command(order.command);
                answers.push(order.answer);
            }
            if !answers.is_empty() {
                metrics::histogram!("tenantry_redis_append_batch_size")
                    .record(answers.len() as f64);
                self.commit(pipeline, answers).await;
            }
        }
    }

    /// Sends appends together and tells each caller how theirs went.
    async fn commit(&self, pipeline: Pipeline, answers: Vec<Answer>) {
        let mut outcomes = self.outcomes(pipeline, answers.len()).await;
        for answer in answers {
            let outcome = match &mut outcomes {
                Ok(outcomes) => outcomes.next(),
                Err(error) => Some(Err(error.clone().into())),
            };
            let strange = || Err(Fault::strange(self.lanes.place()).into());
            // Who gave up waits for no answer.
            let _ = answer.reply.send(outcome.unwrap_or_else(strange));
        }
    }

    async fn outcomes(
        &self,
        pipeline: Pipeline,
        count: usize,
    ) -> Result<impl Iterator<Item = Outcome>, StoreError> {
        let sending = Sending {
            lanes: &self.lanes,
            script: &scripts::APPEND,
            count,
        };
        let (values, life) = sending.commit(self.at, |_| pipeline).await?;
        Ok(values
            .into_iter()
            .map(move |value| self.outcome(value, life)))
    }

    /// What the script answered to one append.
    fn outcome(&self, value: Value, life: Life) -> Outcome {
        let appended = |known: i64, entry: &[u8], salt: &[u8]| {
            let (begun, seq) = id(entry)?;
            let epoch = life.epoch(begun ^ salt_of(salt)?);
            Some(Appended {
                cursor: Cursor { epoch, seq },
                duplicate: known == 1,
            })
        };
        match value {
            Value::Array(parts) => match parts.as_slice() {
                [Value::Int(2)] => Err(AppendError::IdempotencyConflict),
                [
                    Value::Int(known),
                    Value::BulkString(entry),
                    Value::BulkString(salt),
                ] => appended(*known, entry, salt)
                    .ok_or_else(|| Fault::strange(self.lanes.place()).into()),
                _ => Err(Fault::strange(self.lanes.place()).into()),
            },
            Value::ServerError(cause) => {
                Err(Fault::of(self.lanes.place(), &cause.into()).error.into())
            }
            _ => Err(Fault::strange(self.lanes.place()).into()),
        }
    }
}
