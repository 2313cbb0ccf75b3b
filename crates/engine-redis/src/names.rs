//! Names of keys: what they begin with, and which belong together.
//!
//! `{tenantry:tenants/t_a/prod/chat/th_1}:e` holds the events of a stream, `…:m` its life, and
//! `…:k:20454` the idempotency keys of one day. The braces are Redis Cluster's hash tag: all keys
//! of a stream are on one node, and the streams of a tenant are spread.

use std::sync::Arc;

use identity::Timestamp;
use store::{IDEMPOTENCY_MS_MIN, StreamKey, ThrottleKey, Topic};

/// One bucket of idempotency keys.
const DAY_MS: i64 = IDEMPOTENCY_MS_MIN.cast_signed();
/// How far clocks of nodes may be apart, around midnight.
const SKEW_MS: i64 = 60 * 60 * 1000;
/// For how long a bucket is kept from its first key: its own day and the next, and the skew at both ends.
pub(crate) const BUCKET_KEPT_MS: i64 = 2 * DAY_MS + 2 * SKEW_MS;

/// Makes names.
#[derive(Debug, Clone)]
pub(crate) struct Names(Arc<str>);

/// The keys of one stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamNames {
    /// Its events; the channel on which each is told has this name too.
    pub(crate) events: Arc<str>,
    /// Its life.
    pub(crate) life: Arc<str>,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    pub(crate) fn stream(&self, stream: &StreamKey) -> StreamNames {
        StreamNames {
            events: format!("{{{}:{stream}}}:e", self.0).into(),
            life: format!("{{{}:{stream}}}:m", self.0).into(),
        }
    }

    /// The buckets of a stream in which an idempotency key may be; a new one goes to the first.
    pub(crate) fn buckets(&self, stream: &StreamKey, at: Timestamp) -> Vec<String> {
        let today = at.unix_ms().div_euclid(DAY_MS);
        let in_day_ms = at.unix_ms().rem_euclid(DAY_MS);
        let mut days = vec![today, today - 1];
        // Another node's clock may have passed midnight already.
        if in_day_ms >= DAY_MS - SKEW_MS {
            days.push(today + 1);
        }
        let name = |day| self.bucket(stream, day);
        days.into_iter().map(name).collect()
    }

    /// All buckets of a stream that may be there; a key of the last day is in one of them.
    pub(crate) fn buckets_kept(&self, stream: &StreamKey, now: Timestamp) -> Vec<String> {
        let today = now.unix_ms().div_euclid(DAY_MS);
        let days = today - 2..=today + 1;
        days.map(|day| self.bucket(stream, day)).collect()
    }

    fn bucket(&self, stream: &StreamKey, day: i64) -> String {
        format!("{{{}:{stream}}}:k:{day}", self.0)
    }

    /// What the names of all events' keys look like, for `SCAN`.
    pub(crate) fn all_events(&self) -> String {
        let mut pattern = String::from("{");
        for character in self.0.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern + ":tenants/*}:e"
    }

    /// The stream's name, of the name of its events' key.
    pub(crate) fn of_events<'a>(&self, key: &'a str) -> Option<&'a str> {
        let name = key.strip_prefix('{')?.strip_prefix(&*self.0)?;
        name.strip_prefix(':')?.strip_suffix("}:e")
    }

    /// The channel of a topic of the bus.
    pub(crate) fn topic(&self, topic: &Topic) -> Arc<str> {
        format!("{}:bus:{topic}", self.0).into()
    }

    pub(crate) fn ticket(&self, hash: &str) -> String {
        format!("{}:ticket:{hash}", self.0)
    }

    /// The record of the data's life.
    pub(crate) fn life(&self) -> String {
        format!("{}:life", self.0)
    }

    pub(crate) fn rate(&self, key: &ThrottleKey) -> String {
        format!("{}:rate:{}", self.0, key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use identity::{Env, SystemAuthority};

    use super::*;

    fn stream() -> StreamKey {
        let tenant = "t_a".parse().unwrap();
        StreamKey::of_tenant(
            &SystemAuthority::assume(),
            &tenant,
            Env::Prod,
            "chat",
            "th_1",
        )
    }

    #[test]
    fn the_keys_of_a_stream_share_a_tag_and_begin_with_its_tenant() {
        let names = Names::new("tenantry");
        let stream = stream();
        let tag = "{tenantry:tenants/t_a/prod/chat/th_1}";
        assert_eq!(&*names.stream(&stream).events, format!("{tag}:e"));
        assert_eq!(&*names.stream(&stream).life, format!("{tag}:m"));
        for bucket in names.buckets(&stream, Timestamp::from_unix_ms(0)) {
            assert!(bucket.starts_with(&format!("{tag}:k:")), "{bucket}");
        }
    }

    #[test]
    fn the_key_of_events_tells_its_stream() {
        let names = Names::new("te[na]*ntry");
        let events = names.stream(&stream()).events;
        assert_eq!(names.of_events(&events), Some(stream().as_str()));
        assert_eq!(names.of_events("{te:tenants/t_a/prod/chat/th_1}:e"), None);
        let pattern = names.all_events();
        assert_eq!(pattern, "{te\\[na\\]\\*ntry:tenants/*}:e");
    }

    #[test]
    fn a_key_is_found_for_a_day_by_a_clock_that_is_an_hour_off() {
        let names = Names::new("tenantry");
        let stream = stream();
        let at = |ms| Timestamp::from_unix_ms(ms);
        for written_ms in [0, 1, DAY_MS / 2, DAY_MS - 1, 20_454 * DAY_MS] {
            let bucket = names.buckets(&stream, at(written_ms)).swap_remove(0);
            for later_ms in [-SKEW_MS, 0, 1, DAY_MS / 3, DAY_MS - 1, DAY_MS] {
                let sought = names.buckets(&stream, at(written_ms + later_ms));
                assert!(
                    sought.contains(&bucket),
                    "{written_ms} and {later_ms} ms later"
                );
            }
        }
    }
}
