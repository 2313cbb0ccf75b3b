//! What may be chosen.

use std::{path::PathBuf, time::Duration};

use identity::Timestamp;

use crate::TrustFile;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A hundred years; whoever keeps records longer keeps them all.
const RETENTION_MAX: Duration = Duration::from_secs(36_525 * 24 * 60 * 60);

/// Settings of the audit log.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Where records wait that cannot be recorded where they belong; on a local disk.
    pub spool: PathBuf,
    /// Where the last signed checkpoint is kept outside the store, so that an old
    /// copy of the store is recognised; best on another disk. Nowhere when absent.
    pub anchor: Option<PathBuf>,
    /// Public keys (`<origin>+<id>+<key>`) that signed before the present ones.
    pub former_keys: Vec<String>,
    /// Logs that this one continues under a name of its own, because the store was put back
    /// from a backup: their origins and public keys. What they signed is believed, and
    /// nothing more is signed in their names.
    pub predecessors: Vec<TrustFile>,
    /// How often an epoch is closed, if anything was recorded.
    pub epoch_every: Duration,
    /// How long records are kept; for ever when absent.
    pub retention: Option<Retention>,
}

/// How long records are kept: a day at least, a hundred years at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(Duration);

/// A span is too short or too long for a retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("records are kept for a day at least and a hundred years at most")]
pub struct InvalidRetention;

impl TryFrom<Duration> for Retention {
    type Error = InvalidRetention;
    fn try_from(span: Duration) -> Result<Self, InvalidRetention> {
        let allowed = (DAY..=RETENTION_MAX).contains(&span);
        allowed.then_some(Self(span)).ok_or(InvalidRetention)
    }
}

impl Retention {
    /// What happened before this moment need not be kept at `now`.
    pub(super) fn ends(self, now: Timestamp) -> Timestamp {
        let span = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(now.unix_ms().saturating_sub(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_day_at_least_and_a_hundred_years_at_most() {
        let milli = Duration::from_millis(1);
        for bad in [Duration::ZERO, DAY - milli, RETENTION_MAX + milli] {
            assert_eq!(Retention::try_from(bad), Err(InvalidRetention));
        }
        assert!(Retention::try_from(RETENTION_MAX).is_ok());
        let day = Retention::try_from(DAY).unwrap();
        let ends = day.ends(Timestamp::from_unix_ms(100_000_000));
        assert_eq!(ends.unix_ms(), 13_600_000);
    }
}
