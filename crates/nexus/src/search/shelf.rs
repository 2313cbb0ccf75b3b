//! The indexes that are open: few, however many there are.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use parking_lot::Mutex;

use super::tenant::{Place, TenantIndex};

/// The open indexes of this process.
pub(super) struct Shelf {
    root: PathBuf,
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    indexes: HashMap<String, Placed>,
    /// Counts uses, so that the index that was used longest ago is known.
    uses: u64,
}

struct Placed {
    index: Arc<TenantIndex>,
    used: u64,
}

impl Shelf {
    /// At most `most` indexes are open at once; all are in folders of `root`.
    pub(super) fn new(root: PathBuf, most: usize) -> Self {
        Self {
            root,
            most,
            open: Mutex::default(),
        }
    }

    /// The index of `place`, and the one that has to be closed for it, if any; `None` when as
    /// many as may be are open, and all are in use.
    pub(super) fn take(
        &self,
        place: Place,
    ) -> Option<(Arc<TenantIndex>, Option<Arc<TenantIndex>>)> {
        let mut open = self.open.lock();
        open.uses += 1;
        let used = open.uses;
        if let Some(placed) = open.indexes.get_mut(&place.name) {
            placed.used = used;
            return Some((Arc::clone(&placed.index), None));
        }
        let mut closed = None;
        if open.indexes.len() >= self.most {
            let idle = open.indexes.iter();
            let idle = idle.filter(|(_, placed)| Arc::strong_count(&placed.index) == 1);
            let oldest = idle.min_by_key(|(_, placed)| placed.used)?;
            let oldest = oldest.0.clone();
            closed = open.indexes.remove(&oldest).map(|placed| placed.index);
        }
        let name = place.name.clone();
        let index = Arc::new(TenantIndex::new(place, &self.root));
        let placed = Placed {
            index: Arc::clone(&index),
            used,
        };
        open.indexes.insert(name, placed);
        Some((index, closed))
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.lock().indexes.len()
    }
}
