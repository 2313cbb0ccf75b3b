//! The world outside: the system's clock, its generator, its environment.
//!
//! **Invariant:** the only file that reads them; everything else is given them.

use gatechain::Stopwatch;
use identity::{Clock, Entropy, Timestamp};
use rand::Rng;

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

/// The processor's own clock, from a moment on: gates take less time than it takes to ask
/// the system for the time.
pub struct SystemStopwatch {
    clock: quanta::Clock,
    began: u64,
}

impl SystemStopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let clock = quanta::Clock::new();
        let began = clock.raw();
        Self { clock, began }
    }
}

impl Stopwatch for SystemStopwatch {
    fn nanos(&self) -> u64 {
        self.clock.delta_as_nanos(self.began, self.clock.raw())
    }
}

/// Chance: a ChaCha generator of each thread, seeded from the system's and seeded anew
/// every 64 KiB. A process that cannot seed it does not go on: no secret could be made.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the chance that is passed in"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
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
