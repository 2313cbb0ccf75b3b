//! The world outside: the system's clock, its generator, its environment.
//!
//! **Invariant:** the only file that reads them; everything else is given them.

use gatechain::Stopwatch;
use identity::{Clock, Entropy, Timestamp};

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is passed in"
    )]
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The system's monotonic clock, from a moment on.
pub struct SystemStopwatch(std::time::Instant);

impl SystemStopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the stopwatch that is passed in"
    )]
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Stopwatch for SystemStopwatch {
    fn nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The system's generator.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "without chance no secret can be made: the process must not go on"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's generator works");
    }
}

/// A variable of the environment, for secret references `env:NAME`.
#[expect(
    clippy::disallowed_methods,
    reason = "this is what the secret resolver is given"
)]
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
