//! What a document looks like in the database, and which version it is.
//!
//! Fields: `value` (bytes), `commit` (the token of its commit), `ends` (a timestamp, if it ends),
//! `ending` (true, if it does not end but something of the same commit does).
//!
//! **Invariant:** the version is the service's update time in microseconds, doubled, plus one if
//! a document of its commit ends. The service gives all documents of a commit one update time,
//! and later commits a later one. `commit` differs in each, because replacing a
//! document by its like would leave its update time as it was.

use std::collections::HashMap;

use bytes::Bytes;
use gcloud_sdk::google::firestore::v1::{Document as Stored, Value, value::ValueType};
use identity::Timestamp;
use prost_types::Timestamp as Moment;
use store::{Document, Version};

use crate::{
    answer::Damaged,
    names::{Token, id_in},
};

pub(crate) const VALUE: &str = "value";
pub(crate) const COMMIT: &str = "commit";
pub(crate) const ENDS: &str = "ends";
pub(crate) const ENDING: &str = "ending";
/// In a receipt: it was made to keep its commit from happening.
pub(crate) const SEALED: &str = "sealed";

const NANOS_PER_MICRO: i32 = 1000;
const MICROS_PER_SECOND: u64 = 1_000_000;
/// The end of the year 9999, the last that the service knows, in seconds.
const SECONDS_MAX: i64 = 253_402_300_799;

/// When something was changed; the service's time, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpdateTime(u64);

impl UpdateTime {
    pub(crate) fn of(moment: Option<&Moment>) -> Result<Self, Damaged> {
        let moment = moment.ok_or(Damaged)?;
        let seconds = u64::try_from(moment.seconds).map_err(|_| Damaged)?;
        let nanos = u64::try_from(moment.nanos).map_err(|_| Damaged)?;
        if moment.nanos % NANOS_PER_MICRO != 0 || moment.seconds > SECONDS_MAX {
            return Err(Damaged);
        }
        Ok(Self(seconds * MICROS_PER_SECOND + nanos / 1000))
    }

    /// As the service writes it; a time that it does not know becomes the last that it does,
    /// when nothing was changed either.
    pub(crate) fn moment(self) -> Moment {
        let seconds = i64::try_from(self.0 / MICROS_PER_SECOND).unwrap_or(SECONDS_MAX);
        let micros = i32::try_from(self.0 % MICROS_PER_SECOND).unwrap_or_default();
        Moment {
            seconds: seconds.min(SECONDS_MAX),
            nanos: micros * NANOS_PER_MICRO,
        }
    }

    /// The version of what was changed then.
    pub(crate) fn version(self, something_ends: bool) -> Version {
        Version(self.0 << 1 | u64::from(something_ends))
    }

    pub(crate) fn of_version(version: Version) -> Self {
        Self(version.0 >> 1)
    }
}

/// Whether a document of the commit that gave `version` ends.
pub(crate) fn something_ends(version: Version) -> bool {
    version.0 & 1 == 1
}

/// What is known of a document beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) updated: UpdateTime,
    pub(crate) version: Version,
    pub(crate) ends: Option<Timestamp>,
}

impl State {
    /// # Errors
    /// [`Damaged`] when it was not written here.
    pub(crate) fn of(stored: &Stored) -> Result<Self, Damaged> {
        let updated = UpdateTime::of(stored.update_time.as_ref())?;
        let ends = match stored.fields.get(ENDS) {
            None => None,
            Some(value) => Some(timestamp(value).ok_or(Damaged)?),
        };
        let ending = ends.is_some() || is_true(stored, ENDING);
        Ok(Self {
            updated,
            version: updated.version(ending),
            ends,
        })
    }

    /// Whether it exists at `now`, or has ended.
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|end| end > now)
    }
}

/// Whether a field is there and true.
pub(crate) fn is_true(stored: &Stored, field: &str) -> bool {
    let value = stored.fields.get(field);
    matches!(
        value.and_then(|value| value.value_type.as_ref()),
        Some(ValueType::BooleanValue(true))
    )
}

/// The document that was put, and its state.
///
/// # Errors
/// [`Damaged`] when it was not written here.
pub(crate) fn read(mut stored: Stored) -> Result<(Document, State), Damaged> {
    let state = State::of(&stored)?;
    let id = id_in(&stored.name).ok_or(Damaged)?;
    let value = stored
        .fields
        .remove(VALUE)
        .and_then(|value| value.value_type);
    let Some(ValueType::BytesValue(value)) = value else {
        return Err(Damaged);
    };
    let document = Document {
        id,
        version: state.version,
        value: Bytes::from(value),
        expires_at: state.ends,
    };
    Ok((document, state))
}

/// What is stored under `name`. A commit in which `something_ends` says so in all of its documents.
pub(crate) fn stored(
    name: String,
    value: &Bytes,
    token: Token,
    ends: Option<Timestamp>,
    something_ends: bool,
) -> Stored {
    let mut fields = HashMap::from([
        (VALUE.to_owned(), bytes(value)),
        (COMMIT.to_owned(), bytes(&token.0)),
    ]);
    match ends {
        Some(end) => {
            fields.insert(ENDS.to_owned(), timestamp_value(end));
        }
        None if something_ends => {
            fields.insert(ENDING.to_owned(), boolean(true));
        }
        None => {}
    }
    named(name, fields)
}

/// The receipt of a commit, which may be forgotten from `ends` on.
pub(crate) fn receipt(name: String, ends: Timestamp, sealed: bool) -> Stored {
    let mut fields = HashMap::from([(ENDS.to_owned(), timestamp_value(ends))]);
    if sealed {
        fields.insert(SEALED.to_owned(), boolean(true));
    }
    named(name, fields)
}

fn named(name: String, fields: HashMap<String, Value>) -> Stored {
    Stored {
        name,
        fields,
        create_time: None,
        update_time: None,
    }
}

fn bytes(bytes: &[u8]) -> Value {
    Value {
        value_type: Some(ValueType::BytesValue(bytes.to_vec())),
    }
}

fn boolean(value: bool) -> Value {
    Value {
        value_type: Some(ValueType::BooleanValue(value)),
    }
}

fn timestamp_value(at: Timestamp) -> Value {
    let ms = at.unix_ms();
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    let moment = Moment {
        seconds: ms.div_euclid(1000),
        nanos,
    };
    Value {
        value_type: Some(ValueType::TimestampValue(moment)),
    }
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    let Some(ValueType::TimestampValue(moment)) = &value.value_type else {
        return None;
    };
    let ms = moment.seconds.checked_mul(1000)?;
    let ms = ms.checked_add(i64::from(moment.nanos / 1_000_000))?;
    Some(Timestamp::from_unix_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: i64, nanos: i32) -> Moment {
        Moment { seconds, nanos }
    }

    #[test]
    fn a_version_is_an_update_time_and_back() {
        for at in [
            moment(0, 0),
            moment(1_795_302_455, 326_547_000),
            moment(SECONDS_MAX, 999_999_000),
        ] {
            let updated = UpdateTime::of(Some(&at)).unwrap();
            for ends in [false, true] {
                let version = updated.version(ends);
                assert_eq!(UpdateTime::of_version(version).moment(), at);
                assert_eq!(something_ends(version), ends);
            }
        }
        for strange in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let moment = UpdateTime::of_version(Version(strange)).moment();
            assert_eq!(moment.seconds, SECONDS_MAX);
        }
        for bad in [
            moment(-1, 0),
            moment(0, 1),
            moment(0, -1000),
            moment(i64::MAX, 0),
        ] {
            assert!(UpdateTime::of(Some(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_stored_is_read() {
        let (value, end) = (
            Bytes::from_static(b"\0\xff"),
            Timestamp::from_unix_ms(1_795_302_455_326),
        );
        for (ends, something) in [(None, false), (None, true), (Some(end), true)] {
            let mut stored = stored(
                "p/docs/=a.1b".to_owned(),
                &value,
                Token([7; 16]),
                ends,
                something,
            );
            stored.update_time = Some(moment(5, 6000));
            let (document, state) = read(stored.clone()).unwrap();
            assert_eq!((document.id.as_str(), &document.value), ("a/b", &value));
            assert_eq!(
                (state.ends, something_ends(state.version)),
                (ends, something)
            );
            assert_eq!(document.version, state.version);
            for damage in [VALUE, "update_time"] {
                let mut damaged = stored.clone();
                damaged.fields.remove(damage);
                damaged.update_time.take_if(|_| damage == "update_time");
                assert_eq!(read(damaged), Err(Damaged), "{damage}");
            }
        }
        let ended = State {
            updated: UpdateTime(0),
            version: Version(1),
            ends: Some(end),
        };
        assert!(ended.lives(Timestamp::from_unix_ms(1_795_302_455_325)) && !ended.lives(end));
    }
}
