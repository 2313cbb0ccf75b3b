//! URLs that may be used by whoever holds them, until they end.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use identity::Timestamp;
use store::{PRESIGN_MAX, PresignedUrl, StoreError};

use crate::time::{system_time, whole_second};

/// From when to when a request is good: signatures count whole seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    from: Timestamp,
    seconds: Duration,
}

impl Span {
    /// At most `life` from `now` on, and no longer than a signature can live.
    pub(crate) fn new(now: Timestamp, life: Duration) -> Self {
        Self {
            from: whole_second(now),
            seconds: Duration::from_secs(life.min(PRESIGN_MAX).as_secs()),
        }
    }

    /// The same, as the SDK takes it.
    pub(crate) fn config(self) -> Result<PresigningConfig, StoreError> {
        PresigningConfig::builder()
            .start_time(system_time(self.from))
            .expires_in(self.seconds)
            .build()
            .map_err(|cause| StoreError::Limit(cause.to_string()))
    }

    /// What was signed; `sent` names the headers that its user must send as they are.
    pub(crate) fn url(self, signed: &PresignedRequest, sent: &[&str]) -> PresignedUrl {
        let headers = signed.headers();
        let headers = headers.filter(|(name, _)| sent.contains(name));
        PresignedUrl {
            url: signed.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            expires_at: self.from.plus(self.seconds),
        }
    }
}
