//! How often a socket may do what is not a message.

use std::{pin::Pin, task::Context, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

/// So much at once, and so much of it back each second.
pub(super) struct Allowance {
    left: u32,
    since: Instant,
    burst: u32,
    per_second: u64,
}

impl Allowance {
    /// How often a socket may resume, refresh or show a state.
    pub(super) const fn of_requests(now: Instant) -> Self {
        Self::full(now, 30, 5)
    }

    const fn full(now: Instant, burst: u32, per_second: u64) -> Self {
        Self {
            left: burst,
            since: now,
            burst,
            per_second,
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let back = now.duration_since(self.since).as_millis() as u64 * self.per_second / 1000;
        if back > 0 {
            let back = u32::try_from(back).unwrap_or(self.burst);
            self.left = self.left.saturating_add(back).min(self.burst);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

/// The pace of a socket's gestures. Who makes more is read later: the last gesture of a flood still
/// counts, and nobody is closed for one.
pub(super) struct Pace {
    allowance: Allowance,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Gestures at once, and each second: five kinds at the rate of a screen.
    const BURST: u32 = 300;
    const PER_SECOND: u64 = 300;
    /// How long a socket is not read.
    const WAIT: Duration = Duration::from_millis(100);

    pub(super) const fn new(now: Instant) -> Self {
        Self {
            allowance: Allowance::full(now, Self::BURST, Self::PER_SECOND),
            wait: None,
        }
    }

    /// Notes a gesture.
    pub(super) fn note(&mut self, now: Instant) {
        if !self.allowance.take(now) {
            self.wait = Some(Box::pin(sleep(Self::WAIT)));
        }
    }

    /// Whether the socket may be read.
    pub(super) const fn is_open(&self) -> bool {
        self.wait.is_none()
    }

    /// Ends the wait when it is over, and has the socket read again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(wait) = &mut self.wait
            && wait.as_mut().poll(cx).is_ready()
        {
            self.wait = None;
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_makes_too_many_gestures_is_read_later_and_not_for_long() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut pace = Pace::new(Instant::now());
        for _ in 0..Pace::BURST {
            pace.note(Instant::now());
        }
        assert!(pace.is_open());
        pace.note(Instant::now());
        pace.poll(&mut cx);
        assert!(!pace.is_open());
        tokio::time::advance(Pace::WAIT + Duration::from_millis(1)).await;
        pace.poll(&mut cx);
        assert!(pace.is_open());
        // What a tenth of a second gives back may be used at once.
        for _ in 0..Pace::PER_SECOND / 10 {
            pace.note(Instant::now());
        }
        assert!(pace.is_open());
        pace.note(Instant::now());
        assert!(!pace.is_open());
    }
}
