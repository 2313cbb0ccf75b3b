//! What an operator may set; everything has a default that was thought through.

use std::{num::NonZeroU32, time::Duration};

use store::Quota;

const fn units(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

/// Settings of the realtime service.
#[derive(Debug, Clone, Default)]
pub struct RealtimeConfig {
    /// What one tenant, and the process, may use.
    pub limits: LimitsConfig,
    /// How long things take.
    pub timings: Timings,
    /// How much a stream keeps in memory for those who follow it live.
    pub ring: RingLimits,
    /// How many events a thread keeps.
    pub retention: Retention,
    /// The address that clients reach, such as `https://api.example.com`;
    /// without it the URLs of tickets are paths.
    pub public_url: Option<String>,
}

/// What one tenant, and the process, may use.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Open streams of one tenant.
    pub connections_per_tenant: usize,
    /// Open streams of the process.
    pub connections: usize,
    /// Messages of one tenant.
    pub publishes: Quota,
    /// Bytes of one tenant's messages. Its burst must hold one message.
    pub publish_bytes: Quota,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_per_tenant: 20_000,
            connections: 100_000,
            publishes: Quota {
                burst: units(10_000),
                per_second: units(5_000),
            },
            publish_bytes: Quota {
                burst: units(32 * 1024 * 1024),
                per_second: units(16 * 1024 * 1024),
            },
        }
    }
}

/// How long things take. The contract fixes the defaults of the first three.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Between two comments (SSE) or pings (WebSocket).
    pub heartbeat: Duration,
    /// A WebSocket that is silent for this long is closed.
    pub silence: Duration,
    /// Between two looks at whether an open stream is still allowed.
    pub recheck: Duration,
    /// A subscriber that fell out of the ring, and was level with its stream
    /// longer ago than this, is cut.
    pub behind_max: Duration,
    /// A member who is gone for this long has left.
    pub presence_grace: Duration,
    /// A topic without subscribers goes on for this long, to meet those who reconnect.
    pub linger: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            recheck: Duration::from_secs(2),
            behind_max: Duration::from_secs(5),
            presence_grace: Duration::from_secs(5),
            linger: Duration::from_secs(5),
        }
    }
}

/// Bounds of the events that a topic shares with its subscribers.
#[derive(Debug, Clone, Copy)]
pub struct RingLimits {
    /// Most events of one topic.
    pub events: usize,
    /// Most bytes of one topic.
    pub bytes: usize,
    /// Bytes of all topics above which each keeps a sixteenth of its own.
    pub bytes_all_topics: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            events: 4096,
            bytes: 1024 * 1024,
            bytes_all_topics: 256 * 1024 * 1024,
        }
    }
}

/// How many events a thread keeps.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Events of one thread, about: trimming waits for a tenth more. 0 keeps all.
    pub events: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { events: 100_000 }
    }
}
