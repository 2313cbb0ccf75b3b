//! Uploads that arrive late: by forms that were given out before the objects of their kind were moved.
//!
//! A form leads to the store that it was signed for. What is uploaded there after the move is fetched when it is first
//! asked for, which registering does. No form outlives the time for which a row knows its former targets.
//!
//! **Invariant:** nothing is fetched that is at the new place, and nothing while the objects are being moved on.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use store::{Blobs as _, ObjectKey, StoreError};
use tokio::sync::Semaphore;

use super::{backend::Backend, carry::carry, router::Served};
use crate::needs::Kind;

/// Objects that are fetched at a time.
const AT_ONCE: usize = 8;
/// How long a request waits for its object; it is fetched to the end nevertheless.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// The objects that are being fetched.
pub(super) struct Late {
    places: Arc<Semaphore>,
    fetched: Arc<Mutex<HashSet<ObjectKey>>>,
}

/// An object on its way, once at a time.
struct OnItsWay {
    key: ObjectKey,
    fetched: Arc<Mutex<HashSet<ObjectKey>>>,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.fetched.lock().remove(&self.key);
    }
}

impl Late {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            fetched: Arc::default(),
        }
    }

    /// Fetches an object from the first of the former places that has it; whether one has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not known yet, or the object is still on its way.
    pub(super) async fn fetch(
        &self,
        former: &[Arc<Backend>],
        to: Served,
        kind: &Kind,
        key: &ObjectKey,
    ) -> Result<bool, StoreError> {
        for from in former {
            if from.head(key).await?.is_some() {
                return self.bring(from, &to.for_writing(kind)?, key).await;
            }
        }
        Ok(false)
    }

    async fn bring(
        &self,
        from: &Arc<Backend>,
        to: &Arc<Backend>,
        key: &ObjectKey,
    ) -> Result<bool, StoreError> {
        let on_its_way = || {
            let why = "the object is being fetched from where it was uploaded";
            StoreError::Unavailable(why.to_owned())
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| on_its_way())?;
        if !self.fetched.lock().insert(key.clone()) {
            return Err(on_its_way());
        }
        let way = OnItsWay {
            key: key.clone(),
            fetched: Arc::clone(&self.fetched),
        };
        let (from, to) = (from.movable_objects().await?, to.movable_objects().await?);
        let fetching = tokio::spawn(async move {
            let fetched = carry(&*from, &*to, &way.key).await;
            if let Err(error) = &fetched {
                tracing::warn!(%error, "a late upload could not be fetched; it is tried when it is asked for again");
            }
            drop((way, place));
            fetched
        });
        match tokio::time::timeout(WAIT_MAX, fetching).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(_)) | Err(_) => Err(on_its_way()),
        }
    }
}
