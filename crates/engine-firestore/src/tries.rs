//! How often and how long something is tried.

use std::time::Duration;

use identity::Entropy;
use tokio::time::{Instant, sleep};

use crate::answer::Fault;

/// Longest wait for the answer to one try.
pub(crate) const TRY_WAIT_MAX: Duration = Duration::from_secs(4);
/// Longest wait for an operation with all of its tries.
pub(crate) const OPERATION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Tries that nobody answered, before it is given up.
const UNANSWERED_MAX: u32 = 5;
/// A pause is a part of this by chance, and twice as much after each try, up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The tries of one operation.
pub(crate) struct Tries<'a> {
    entropy: &'a dyn Entropy,
    deadline: Instant,
    pauses: u32,
    unanswered: u32,
    any_lost: bool,
}

impl<'a> Tries<'a> {
    /// All tries end before `wait_max` has passed.
    pub(crate) fn within(wait_max: Duration, entropy: &'a dyn Entropy) -> Self {
        Self {
            entropy,
            deadline: Instant::now() + wait_max,
            pauses: 0,
            unanswered: 0,
            any_lost: false,
        }
    }

    /// When the next try must have been answered.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline.min(Instant::now() + TRY_WAIT_MAX)
    }

    /// Whether a try was sent that nobody answered.
    pub(crate) fn any_lost(&self) -> bool {
        self.any_lost
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// The fault, if another try would not mend it or there is no time for one.
    pub(crate) async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Refused(_) | Fault::Damaged => return Err(fault),
            Fault::Unsent(_) => self.unanswered += 1,
            Fault::Lost(_) => {
                self.unanswered += 1;
                self.any_lost = true;
            }
            Fault::Unmet | Fault::Contended => {}
        }
        let pause = self.pause_next();
        if self.unanswered >= UNANSWERED_MAX || Instant::now() + pause >= self.deadline {
            return Err(fault);
        }
        sleep(pause).await;
        Ok(())
    }

    /// Full jitter: those who failed together do not meet again.
    fn pause_next(&mut self) -> Duration {
        let most = PAUSE_FIRST
            .saturating_mul(1_u32 << self.pauses.min(10))
            .min(PAUSE_MAX);
        self.pauses += 1;
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        most.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    struct Most;

    impl Entropy for Most {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xff);
        }
    }

    const LOST: Fault = Fault::Lost("gone");

    #[tokio::test(start_paused = true)]
    async fn what_nobody_answers_is_given_up_soon() {
        let mut tries = Tries::within(OPERATION_WAIT_MAX, &Most);
        let began = Instant::now();
        for _ in 1..UNANSWERED_MAX {
            assert_eq!(tries.pause(LOST).await, Ok(()));
        }
        assert_eq!(tries.pause(LOST).await, Err(LOST));
        assert_eq!(began.elapsed(), Duration::from_millis(20 + 40 + 80 + 160));
    }

    #[tokio::test(start_paused = true)]
    async fn contention_is_waited_out_until_the_deadline() {
        let mut tries = Tries::within(OPERATION_WAIT_MAX, &Most);
        let began = Instant::now();
        let mut pauses = 0;
        while tries.pause(Fault::Contended).await.is_ok() {
            pauses += 1;
        }
        assert!(pauses > 10 && !tries.any_lost());
        assert!(began.elapsed() < OPERATION_WAIT_MAX);
        assert!(began.elapsed() > OPERATION_WAIT_MAX - 2 * PAUSE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_not_tried_again() {
        let mut tries = Tries::within(OPERATION_WAIT_MAX, &Most);
        let refused = Fault::Refused(Code::PermissionDenied);
        assert_eq!(tries.pause(refused.clone()).await, Err(refused));
    }
}
