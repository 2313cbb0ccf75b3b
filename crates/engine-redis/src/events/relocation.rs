//! The port [`Relocation`]: streams that come from another engine, and go to one.

use std::sync::LazyLock;

use async_trait::async_trait;
use deadpool_redis::redis::{self, Cmd, FromRedisValue, Pipeline, Script, Value};
use identity::{SystemAuthority, Timestamp};
use store::{
    Cursor, Epoch, EventLog as _, Idempotency, ImportError, NewEvent, Relocation, StoreError,
    StreamKey, StreamsPage, check_import,
};

use super::{
    RedisEventLog,
    read::{UNWRITTEN_KEPT_MS, id},
    send::Sending,
};
use crate::{error::Fault, lanes::Question, life::Life, names::BUCKET_KEPT_MS, scripts};

/// Keys that one `SCAN` or `HSCAN` looks at; it stops the whole server for as long as that takes.
const SCANNED_AT_ONCE: usize = 1000;
/// Where a scan begins and ends.
const SCAN_END: &str = "0";
/// Bytes of a key's fingerprint, which its bucket has before the id of the event.
const FINGERPRINT_BYTES: usize = 16;
/// What the script says when the head is elsewhere.
const ELSEWHERE: i64 = 1;

/// What a scan answered: where it goes on, and what it found.
type Scanned<T> = (String, Vec<T>);

#[async_trait]
impl Relocation for RedisEventLog {
    async fn streams(
        &self,
        authority: &SystemAuthority,
        after: Option<String>,
    ) -> Result<StreamsPage, StoreError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(after.as_deref().unwrap_or(SCAN_END))
            .arg("MATCH")
            .arg(self.names.all_events())
            .arg("COUNT")
            .arg(SCANNED_AT_ONCE);
        let (next, keys): Scanned<String> = self.scan(&scan).await?;
        let streams = keys
            .iter()
            .filter_map(|key| StreamKey::listed(authority, self.names.of_events(key)?));
        Ok(StreamsPage {
            streams: streams.collect(),
            next: (next != SCAN_END).then_some(next),
        })
    }

    async fn keys(
        &self,
        stream: &StreamKey,
        now: Timestamp,
    ) -> Result<Vec<(u64, Idempotency)>, StoreError> {
        let begun = self.reader.begun(&self.names.stream(stream)).await?;
        let mut keys = Vec::new();
        for bucket in self.names.buckets_kept(stream, now) {
            let mut from = SCAN_END.to_owned();
            loop {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(&bucket)
                    .arg(&from)
                    .arg("COUNT")
                    .arg(SCANNED_AT_ONCE);
                let (next, found): Scanned<Vec<u8>> = self.scan(&scan).await?;
                let entries = found.chunks_exact(2);
                keys.extend(entries.filter_map(|entry| key_of(entry, begun)));
                if next == SCAN_END {
                    break;
                }
                from = next;
            }
        }
        Ok(keys)
    }

    async fn import(
        &self,
        stream: &StreamKey,
        after: Cursor,
        events: Vec<NewEvent>,
    ) -> Result<(), ImportError> {
        check_import(&events)?;
        let call = |life| self.import_call(life, stream, after, &events);
        match self.write(&scripts::IMPORT, call).await? {
            ELSEWHERE => Err(ImportError::Elsewhere(self.bounds(stream).await?)),
            _ => Ok(()),
        }
    }

    async fn renew(&self, stream: &StreamKey, epoch: Epoch) -> Result<(), StoreError> {
        let names = self.names.stream(stream);
        let call = |life: Life| {
            let mut call = call_of(&scripts::RENEW, &[&*names.events, &*names.life]);
            call.arg(life.begun(epoch));
            call
        };
        self.write(&scripts::RENEW, call).await.map(drop)
    }

    async fn erase(&self, stream: &StreamKey, next: Epoch) -> Result<(), StoreError> {
        let names = self.names.stream(stream);
        let call = |life: Life| {
            let mut call = call_of(&scripts::ERASE, &[&*names.events, &*names.life]);
            call.arg(life.begun(next)).arg(UNWRITTEN_KEPT_MS);
            call
        };
        self.write(&scripts::ERASE, call).await.map(drop)
    }
}

impl RedisEventLog {
    /// Calls a script that writes, durably, and returns its number.
    async fn write(
        &self,
        script: &'static LazyLock<Script>,
        call: impl FnOnce(Life) -> Cmd,
    ) -> Result<i64, StoreError> {
        let sending = Sending {
            lanes: &self.lanes,
            script,
            count: 1,
        };
        let calls = |life| {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.add_command(call(life));
            pipeline
        };
        let (mut values, _) = sending.commit(0, calls).await?;
        match values.pop() {
            Some(Value::Int(number)) => Ok(number),
            Some(Value::ServerError(cause)) => {
                Err(Fault::of(self.lanes.place(), &cause.into()).error)
            }
            _ => Err(Fault::strange(self.lanes.place())),
        }
    }

    fn import_call(
        &self,
        life: Life,
        stream: &StreamKey,
        after: Cursor,
        events: &[NewEvent],
    ) -> Cmd {
        let names = self.names.stream(stream);
        let first = events
            .first()
            .map_or(Timestamp::from_unix_ms(0), |event| event.at);
        let bucket = self.names.buckets(stream, first).swap_remove(0);
        let keys = [&*names.events, &*names.life, &bucket];
        let mut call = call_of(&scripts::IMPORT, &keys);
        call.arg(self.lanes.draw())
            .arg(life.begun(after.epoch))
            .arg(after.seq)
            .arg(BUCKET_KEPT_MS);
        for event in events {
            call.arg(&event.body[..]);
            match &event.idempotency {
                Some(idempotency) => call.arg(&idempotency.key).arg(&idempotency.fingerprint),
                None => call.arg("").arg(""),
            };
        }
        call
    }

    async fn scan<T: FromRedisValue>(&self, command: &Cmd) -> Result<Scanned<T>, StoreError> {
        let (answer, _) = self.lanes.ask(Question::Command(command)).await?;
        let scanned = redis::from_redis_value(answer);
        scanned.map_err(|_| Fault::strange(self.lanes.place()))
    }
}

fn call_of(script: &Script, keys: &[&str]) -> Cmd {
    let mut call = redis::cmd("EVALSHA");
    call.arg(script.get_hash()).arg(keys.len()).arg(keys);
    call
}

/// A key and its seq, of what its bucket has, if it is of this life of the stream.
fn key_of(entry: &[Vec<u8>], begun: u32) -> Option<(u64, Idempotency)> {
    let [key, known] = entry else {
        return None;
    };
    let (fingerprint, of) = known.split_at_checked(FINGERPRINT_BYTES)?;
    let (of, seq) = id(of)?;
    let idempotency = Idempotency {
        key: key.as_slice().try_into().ok()?,
        fingerprint: fingerprint.try_into().ok()?,
    };
    (of == begun).then_some((seq, idempotency))
}
