//! Moments as Signature Version 4 writes them, and the server's clock for the SDK.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::TimeSource;
use identity::{Clock, Timestamp};

/// The clock that was passed in, as the SDK asks for it.
pub(crate) struct SdkClock(pub(crate) Arc<dyn Clock>);

impl fmt::Debug for SdkClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdkClock")
    }
}

impl TimeSource for SdkClock {
    fn now(&self) -> SystemTime {
        system_time(self.0.now())
    }
}

/// The moment as the standard library has it; times before 1970 are 1970.
pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or(0))
}

/// The whole second that has begun: signatures know nothing smaller.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_ms(at.unix_s().saturating_mul(1000))
}

/// `20260101T000000Z`.
pub(crate) fn amz_date(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or(&text);
    let mut date: String = seconds
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    date.push('Z');
    date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_signatures_write_them() {
        let at = Timestamp::from_unix_ms(1_767_225_600_999);
        assert_eq!(amz_date(at), "20260101T000000Z");
        assert_eq!(amz_date(whole_second(at)), "20260101T000000Z");
        assert_eq!(whole_second(at).unix_ms(), 1_767_225_600_000);
    }
}
