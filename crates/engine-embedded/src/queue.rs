//! A queue between async callers and a thread, bounded in what waits.
//!
//! **Invariant:** the costs of all waiting items never exceed the room. Who
//! finds it full waits, and is told `Unavailable` after [`ROOM_WAIT_MAX`].

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use store::StoreError;
use tokio::sync::Semaphore;

/// Longest wait for room.
pub(crate) const ROOM_WAIT_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    room: Semaphore,
}

struct State<T> {
    waiting: VecDeque<(T, u32)>,
    /// How many must wait for the thread to be woken.
    wake_at: usize,
    closed: bool,
}

/// What a thread found.
pub(crate) enum Taken {
    /// Items were taken.
    Some,
    /// Nothing came in time.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    /// A queue whose waiting items may cost `room` together.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                wake_at: 1,
                closed: false,
            }),
            arrived: Condvar::new(),
            room: Semaphore::new(room),
        }
    }

    /// Adds `item`, waiting for room.
    pub(crate) async fn push(&self, item: T, cost: u32) -> Result<(), StoreError> {
        let room = match self.room.try_acquire_many(cost) {
            Ok(room) => room,
            Err(_) => tokio::time::timeout(ROOM_WAIT_MAX, self.room.acquire_many(cost))
                .await
                .map_err(|_| StoreError::Unavailable("the queue is full".to_owned()))?
                .map_err(|_| closed())?,
        };
        let enough = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(closed());
            }
            room.forget();
            state.waiting.push_back((item, cost));
            state.waiting.len() >= state.wake_at
        };
        if enough {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until `expected` items wait, but not longer than `patience`.
    pub(crate) fn gather(&self, expected: usize, patience: Duration) {
        let mut state = self.state.lock();
        if state.waiting.len() < expected && !state.closed {
            state.wake_at = expected;
            self.arrived.wait_for(&mut state, patience);
            state.wake_at = 1;
        }
    }

    /// Moves up to `count_max` items that cost up to `cost_max` together (but
    /// at least one) into `items`, waiting up to `wait` for the first.
    pub(crate) fn take(
        &self,
        items: &mut Vec<T>,
        (count_max, cost_max): (usize, u32),
        wait: Option<Duration>,
    ) -> Taken {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            match wait {
                None => self.arrived.wait(&mut state),
                Some(wait) => {
                    if self.arrived.wait_for(&mut state, wait).timed_out()
                        && state.waiting.is_empty()
                    {
                        return if state.closed {
                            Taken::Closed
                        } else {
                            Taken::Idle
                        };
                    }
                }
            }
        }
        let mut total = 0_u32;
        while items.len() < count_max {
            let Some((_, cost)) = state.waiting.front() else {
                break;
            };
            if total > 0 && total.saturating_add(*cost) > cost_max {
                break;
            }
            if let Some((item, cost)) = state.waiting.pop_front() {
                total = total.saturating_add(cost);
                items.push(item);
            }
        }
        drop(state);
        self.room.add_permits(total as usize);
        Taken::Some
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Refuses what comes from now on; what waits is still taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }
}

/// What callers of a closed engine are told.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable("the engine is closed".to_owned())
}
