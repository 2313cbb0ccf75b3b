//! Rates: how often something may happen.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;

use crate::{StoreError, ThrottleKey};

/// A rate: `burst` units at once, and `per_second` more each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Units that may be taken at once.
    pub burst: NonZeroU32,
    /// Units that come back each second.
    pub per_second: NonZeroU32,
}

/// The answer to taking units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether they were taken; if not, nothing was.
    pub allowed: bool,
    /// Units that could be taken at once after this.
    pub remaining: u32,
    /// When the same request would be allowed; zero if it was.
    pub retry_after: Duration,
    /// When all units are back.
    pub reset_after: Duration,
}

/// One step of the generic cell rate algorithm (GCRA, ITU-T I.371).
///
/// `tat_ns` is the stored theoretical arrival time and `now_ns` the present, on
/// one clock. Returns the verdict and, if it was allowed, the time to store.
/// A cost above the burst is never allowed; a cost of 0 only looks.
#[must_use]
pub fn gcra(tat_ns: u64, now_ns: u64, quota: Quota, cost: u32) -> (Verdict, u64) {
    let unit_ns = 1_000_000_000 / u64::from(quota.per_second.get()).max(1);
    let unit_ns = unit_ns.max(1);
    let window_ns = unit_ns.saturating_mul(u64::from(quota.burst.get()));
    let latest = now_ns.saturating_add(window_ns);
    // A clock that was set back, or a smaller quota, makes nobody wait longer than the window.
    let start = tat_ns.clamp(now_ns, latest);
    let next = start.saturating_add(unit_ns.saturating_mul(u64::from(cost)));
    let allowed = next <= latest;
    let kept = if allowed { next } else { start };
    let verdict = Verdict {
        allowed,
        remaining: u32::try_from(latest.saturating_sub(kept) / unit_ns).unwrap_or(u32::MAX),
        retry_after: Duration::from_nanos(if allowed {
            0
        } else {
            next.saturating_sub(latest)
        }),
        reset_after: Duration::from_nanos(kept.saturating_sub(now_ns)),
    };
    (verdict, kept)
}

/// Rates shared by all who use the same engine.
///
/// Laws, proved for every engine by `store::contract::throttle`:
/// 1. At most `burst` units are taken at once, however many callers race.
/// 2. Units come back at `per_second`, never above `burst`.
/// 3. A refusal takes nothing and says when the same request would be allowed.
/// 4. Keys are apart.
/// 5. A cost of 0 takes nothing and reports what is left.
#[async_trait]
pub trait Throttle: Send + Sync {
    /// Takes `cost` units of `key` if `quota` allows it.
    async fn take(&self, key: &ThrottleKey, quota: Quota, cost: u32)
    -> Result<Verdict, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(burst: u32, per_second: u32) -> Quota {
        Quota {
            burst: NonZeroU32::new(burst).unwrap(),
            per_second: NonZeroU32::new(per_second).unwrap(),
        }
    }

    #[test]
    fn a_burst_is_allowed_then_refused_until_units_come_back() {
        let quota = quota(3, 2);
        let mut tat = 0;
        let now = 10_000_000_000;
        for left in [2, 1, 0] {
            let (verdict, next) = gcra(tat, now, quota, 1);
            assert!(verdict.allowed);
            assert_eq!(verdict.remaining, left);
            tat = next;
        }
        let (refused, kept) = gcra(tat, now, quota, 1);
        assert!(!refused.allowed);
        assert_eq!(kept, tat);
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        let (later, _) = gcra(tat, now + 500_000_000, quota, 1);
        assert!(later.allowed);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_by_the_window_at_most() {
        let (verdict, kept) = gcra(u64::MAX, 1_000_000_000, quota(3, 1), 1);
        assert!(!verdict.allowed);
        assert_eq!(verdict.retry_after, Duration::from_secs(1));
        assert_eq!(kept, 4_000_000_000);
    }

    #[test]
    fn a_cost_above_the_burst_is_never_allowed() {
        assert!(!gcra(0, 1, quota(3, 1), 4).0.allowed);
    }
}
