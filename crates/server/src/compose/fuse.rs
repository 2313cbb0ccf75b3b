//! What stands between a request and a backend in the network: how many may wait for it, for how long, and
//! whether it is asked at all.
//!
//! **Invariant:** a backend that is dead or silent costs those who need it a quick refusal, and nobody else
//! anything: its calls hold no more than [`CALLS_MAX`] places, and none longer than [`PAGE_MAX`].

use std::time::Duration;

use identity::DirectoryUnavailable;
use recloser::{AsyncRecloser, Error, Recloser};
use store::{AppendError, CommitError, ImportError, StoreError};
use tokio::sync::Semaphore;

/// Calls to one backend at a time; further ones wait for [`PLACE_MAX`].
const CALLS_MAX: usize = 1024;
/// How long a call waits for a place.
const PLACE_MAX: Duration = Duration::from_secs(1);
/// How long a call may take, with all its tries: longer than any engine allows itself.
pub(super) const CALL_MAX: Duration = Duration::from_secs(12);
/// The same for a page, whose documents may be large.
pub(super) const PAGE_MAX: Duration = Duration::from_secs(31);
/// Calls after which it is judged how many of them failed.
const JUDGED: usize = 16;
/// The same while it is being tried again.
const TRIED: usize = 4;
/// A backend that fails this share of them is left alone.
const FAILED_MAX: f32 = 0.5;
/// For how long.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// An error that tells an outage of the backend from an answer.
pub(super) trait Outage: From<StoreError> {
    /// Whether the backend could not be asked.
    fn is_outage(&self) -> bool;
}

impl Outage for StoreError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Outage for DirectoryUnavailable {
    fn is_outage(&self) -> bool {
        true
    }
}

impl Outage for CommitError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}

impl Outage for ImportError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}

impl Outage for AppendError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}

/// A limit, a timeout and a circuit breaker around one backend.
pub(super) struct Fuse {
    backend: &'static str,
    places: Semaphore,
    breaker: AsyncRecloser,
}

impl Fuse {
    pub(super) fn new(backend: &'static str) -> Self {
        let breaker = Recloser::custom()
            .error_rate(FAILED_MAX)
            .closed_len(JUDGED)
            .half_open_len(TRIED)
            .open_wait(LEFT_ALONE)
            .build();
        Self {
            backend,
            places: Semaphore::new(CALLS_MAX),
            breaker: breaker.into(),
        }
    }

    /// Makes a call that takes `within` at most, or refuses to.
    pub(super) async fn call<T, E: Outage>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let place = tokio::time::timeout(PLACE_MAX, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(self.refused("busy", "too many calls wait for it"));
        };
        let bounded = async {
            let answered = tokio::time::timeout(within, call).await;
            answered.unwrap_or_else(|_| Err(self.refused("silent", "it does not answer in time")))
        };
        let judged = self
            .breaker
            .call_with(|error: &E| error.is_outage(), bounded);
        match judged.await {
            Ok(answer) => Ok(answer),
            Err(Error::Inner(error)) => Err(error),
            Err(Error::Rejected) => Err(self.refused(
                "down",
                "it failed again and again, and is left alone for a moment",
            )),
        }
    }

    fn refused<E: From<StoreError>>(&self, why: &'static str, text: &str) -> E {
        metrics::counter!("tenantry_backend_refusals_total", "backend" => self.backend, "why" => why)
            .increment(1);
        StoreError::Unavailable(format!("{}: {text}", self.backend)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn fail(fuse: &Fuse, asked: &AtomicUsize) -> StoreError {
        let call = async {
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(StoreError::Unavailable("dead".to_owned()))
        };
        fuse.call(CALL_MAX, call).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_dead_backend_is_left_alone_and_heals_by_itself() {
        let (fuse, asked) = (Fuse::new("test"), AtomicUsize::new(0));
        for _ in 0..100 {
            fail(&fuse, &asked).await;
        }
        let reached = asked.load(Ordering::Relaxed);
        assert!(reached < 40, "{reached} of 100 calls reached it");
        // The breaker reads the real clock: what heals it is time, and calls that succeed.
        let fine = || fuse.call(CALL_MAX, async { Ok::<_, StoreError>(()) });
        let healed = async {
            while fine().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(60 * LEFT_ALONE, healed).await.unwrap();
        for _ in 0..2 * TRIED {
            fine().await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_answer_is_no_outage_however_unwelcome() {
        let fuse = Fuse::new("test");
        for _ in 0..100 {
            let refused = fuse.call(CALL_MAX, async {
                Err::<(), _>(StoreError::Limit("big".to_owned()))
            });
            assert!(matches!(refused.await, Err(StoreError::Limit(_))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_backend_holds_nobody_for_long() {
        let fuse = Fuse::new("test");
        let silent = fuse.call(CALL_MAX, std::future::pending::<Result<(), StoreError>>());
        assert!(matches!(silent.await, Err(StoreError::Unavailable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_find_no_place_are_refused_and_the_others_go_on() {
        let fuse = Fuse::new("test");
        let _taken = fuse
            .places
            .acquire_many(u32::try_from(CALLS_MAX).unwrap())
            .await;
        let refused = fuse.call(CALL_MAX, async { Ok::<_, StoreError>(()) }).await;
        assert!(refused.unwrap_err().to_string().contains("too many calls"));
    }
}
