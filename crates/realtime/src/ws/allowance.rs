//! How often a socket may do what is not a message.

use tokio::time::Instant;

/// How often a socket may resume, refresh or show a state.
pub(super) struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    const BURST: u32 = 30;
    const PER_SECOND: u64 = 5;

    /// A full one.
    pub(super) const fn full(now: Instant) -> Self {
        Self {
            left: Self::BURST,
            since: now,
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let back = now.duration_since(self.since).as_millis() as u64 * Self::PER_SECOND / 1000;
        if back > 0 {
            let back = u32::try_from(back).unwrap_or(Self::BURST);
            self.left = self.left.saturating_add(back).min(Self::BURST);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}
