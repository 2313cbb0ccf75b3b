//! Sending scripts that write: together over one connection, with one wait for replicas.

use std::sync::LazyLock;

use deadpool_redis::redis::{
    Pipeline, RedisResult, Script, ServerErrorKind, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};
use store::StoreError;
use tokio::time::timeout;

use crate::{
    Wait,
    error::Fault,
    lanes::{COMMAND_WAIT_MAX, Lanes},
    life::Life,
};

/// Calls of one script.
pub(super) struct Sending<'a> {
    pub(super) lanes: &'a Lanes,
    pub(super) script: &'a LazyLock<Script>,
    /// How many calls.
    pub(super) count: usize,
}

impl Sending<'_> {
    /// Sends the calls over the lane `at`, and returns what each answered once enough replicas have it.
    ///
    /// # Errors
    /// When the lane cannot be written over, and when not enough replicas said in time that they have it.
    pub(super) async fn commit(
        &self,
        at: usize,
        calls: impl FnOnce(Life) -> Pipeline,
    ) -> Result<(Vec<Value>, Life), StoreError> {
        let place = self.lanes.place();
        let mut taken = None;
        let sent = timeout(COMMAND_WAIT_MAX, async {
            let lane = taken.insert(self.lanes.take_at(at).await?).lane()?;
            lane.writable()?;
            let values = self.send(lane.connection(), calls(lane.life())).await;
            Ok(values.map(|values| (values, lane.life())))
        });
        let fault = match sent.await {
            Ok(Ok(Ok((mut values, life)))) => {
                self.replicated(values.get(self.count))?;
                values.truncate(self.count);
                return Ok((values, life));
            }
            Ok(Ok(Err(cause))) => Fault::of(place, &cause),
            Ok(Err(unsent)) => return Err(unsent),
            Err(_) => Fault::late(place),
        };
        if let (Some(taken), true) = (&taken, fault.connection_lost) {
            self.lanes.give_up(taken);
        }
        Err(fault.error)
    }

    fn wait(&self) -> Option<Wait> {
        self.lanes.policy().wait
    }

    /// Whether as many replicas have what was written as the policy asks for.
    fn replicated(&self, waited: Option<&Value>) -> Result<(), StoreError> {
        match (self.wait(), waited) {
            (None, _) => Ok(()),
            (Some(wait), Some(Value::Int(have))) if *have >= i64::from(wait.replicas) => Ok(()),
            (Some(wait), Some(Value::Int(have))) => Err(StoreError::Unavailable(format!(
                "{have} replicas of the Redis at {} had the event in time, and {} must",
                self.lanes.place(),
                wait.replicas
            ))),
            (Some(_), _) => Err(Fault::strange(self.lanes.place())),
        }
    }

    /// Sends the calls and the wait for replicas. Scripts that the server does not know were not run: those
    /// alone are sent again.
    async fn send(
        &self,
        mut connection: MultiplexedConnection,
        mut pipeline: Pipeline,
    ) -> RedisResult<Vec<Value>> {
        self.add_wait(&mut pipeline);
        let expected = self.count + usize::from(self.wait().is_some());
        let mut values = connection
            .req_packed_commands(&pipeline, 0, expected)
            .await?;
        let unknown: Vec<usize> = values
            .iter()
            .enumerate()
            .filter(|(_, value)| is_unknown(value))
            .map(|(at, _)| at)
            .collect();
        if unknown.is_empty() {
            return Ok(values);
        }
        self.script.load_async(&mut connection).await?;
        let mut again = Pipeline::with_capacity(unknown.len() + 1);
        for (at, command) in pipeline.cmd_iter().enumerate() {
            if unknown.contains(&at) {
                again.add_command(command.clone());
            }
        }
        self.add_wait(&mut again);
        let expected = unknown.len() + usize::from(self.wait().is_some());
        let second = connection.req_packed_commands(&again, 0, expected).await?;
        for (at, value) in unknown.into_iter().chain([self.count]).zip(second) {
            if let Some(slot) = values.get_mut(at) {
                *slot = value;
            }
        }
        Ok(values)
    }

    fn add_wait(&self, pipeline: &mut Pipeline) {
        if let Some(wait) = self.wait() {
            let ms = u64::try_from(wait.at_most.as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("WAIT").arg(wait.replicas).arg(ms);
        }
    }
}

/// Whether the server did not know the script.
fn is_unknown(value: &Value) -> bool {
    matches!(value, Value::ServerError(cause) if cause.kind() == Some(ServerErrorKind::NoScript))
}
