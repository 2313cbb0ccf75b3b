//! How often something may happen here.

use std::{num::NonZeroU32, time::Duration};

use store::{Quota, Throttle, ThrottleKey};

use crate::ControlError;

/// So many times at once, all of which come back within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// As named in `RateLimit-Policy`.
    pub name: &'static str,
    /// Times at once.
    pub times_max: u32,
    /// Seconds in which all of them come back.
    pub window_s: u32,
}

/// Failed sign-ins of one address: one more every three seconds.
pub(crate) const LOGIN_FAILURES: Rate = Rate {
    name: "login-failures",
    times_max: 20,
    window_s: 60,
};

/// Records that one tenant makes; it bounds how fast a tenant can grow.
pub(crate) const CONTROL_CREATES: Rate = Rate {
    name: "control-creates",
    times_max: 1000,
    window_s: 100,
};

impl Rate {
    /// The rate in units, of which `window_s` are one time and `times_max` come
    /// back each second: so both slow and fast rates are whole numbers.
    fn quota(self) -> Quota {
        let unit = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota {
            burst: unit(self.times_max.saturating_mul(self.window_s)),
            per_second: unit(self.times_max),
        }
    }

    /// Takes one time of `key`.
    ///
    /// # Errors
    /// [`ControlError::Throttled`], [`ControlError::Unavailable`].
    pub(crate) async fn take(
        self,
        throttle: &dyn Throttle,
        key: &ThrottleKey,
    ) -> Result<(), ControlError> {
        let verdict = throttle.take(key, self.quota(), self.window_s).await?;
        if verdict.allowed {
            Ok(())
        } else {
            Err(ControlError::Throttled(self, verdict.retry_after))
        }
    }

    /// Refuses `key` if it has no time left, and takes none.
    ///
    /// # Errors
    /// [`ControlError::Throttled`], [`ControlError::Unavailable`].
    pub(crate) async fn look(
        self,
        throttle: &dyn Throttle,
        key: &ThrottleKey,
    ) -> Result<(), ControlError> {
        let verdict = throttle.take(key, self.quota(), 0).await?;
        match self.window_s.saturating_sub(verdict.remaining) {
            0 => Ok(()),
            missing => {
                let wait = Duration::from_secs(missing.into()) / self.times_max.max(1);
                Err(ControlError::Throttled(self, wait))
            }
        }
    }
}
