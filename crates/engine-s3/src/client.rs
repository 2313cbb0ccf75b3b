//! The SDK's client: nothing is read from the environment, and every wait has an end.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Config, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use identity::Clock;

use crate::{S3Settings, time::SdkClock};

/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest wait for the answer to one try.
const TRY_WAIT_MAX: Duration = Duration::from_secs(4);
/// Longest wait for an operation with all of its tries.
const OPERATION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for an object's bytes, up or down.
pub(crate) const TRANSFER_WAIT_MAX: Duration = Duration::from_secs(60);
/// The slowest transfer of an object of any size, in bytes a second: 5 GiB may take six hours.
const TRANSFER_BYTES_S_MIN: u64 = 256 * 1024;
/// Tries of an operation, the first included.
const TRIES_MAX: u32 = 3;
/// Pauses between tries grow from about the first to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A client of one bucket's store.
pub(crate) fn client(settings: &S3Settings, clock: Arc<dyn Clock>) -> Client {
    let (location, credentials) = (&settings.location, &settings.credentials);
    let credentials = Credentials::new(
        credentials.access_key_id(),
        credentials.secret_access_key(),
        None,
        None,
        "tenantry",
    );
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WAIT_MAX)
        .operation_attempt_timeout(TRY_WAIT_MAX)
        .operation_timeout(OPERATION_WAIT_MAX)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(TRIES_MAX)
        .with_initial_backoff(PAUSE_FIRST)
        .with_max_backoff(PAUSE_MAX);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(location.region().to_owned()))
        .credentials_provider(credentials)
        .force_path_style(location.path_style())
        .timeout_config(timeouts)
        .retry_config(retries)
        .time_source(SdkClock(clock))
        // Checksums of the SDK's own choice are unknown to many makes; ours is stated where it matters.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    let config = match location.endpoint() {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    };
    Client::from_conf(config.build())
}

/// What holds for one upload: a body takes its time, and is sent once. A second try after a
/// lost answer would meet the object of the first, and call it somebody else's.
pub(crate) fn sent_once() -> Builder {
    sent_once_within(TRANSFER_WAIT_MAX)
}

/// The same, with as much time as a body of this size may take.
pub(crate) fn sent_once_of(size: u64) -> Builder {
    sent_once_within(TRANSFER_WAIT_MAX + Duration::from_secs(size / TRANSFER_BYTES_S_MIN))
}

fn sent_once_within(wait_max: Duration) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WAIT_MAX)
        .operation_attempt_timeout(wait_max)
        .operation_timeout(wait_max)
        .build();
    Config::builder()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
}
