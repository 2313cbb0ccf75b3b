//! How many runs are carried out at once.

use std::{collections::HashMap, sync::Arc};

use identity::TenantId;
use parking_lot::Mutex;

/// Runs of all tenants in one process.
const RUNS_MAX: usize = 64;
/// Runs of one tenant in one process.
const RUNS_PER_TENANT_MAX: usize = 8;

/// Takes note of the runs that are carried out.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<TenantId, usize>>);

/// One run; dropping it gives its place back.
pub(super) struct Place {
    places: Arc<Places>,
    tenant: TenantId,
}

impl Places {
    /// A place for a run of `tenant`, if there is one.
    pub(super) fn take(self: &Arc<Self>, tenant: &TenantId) -> Option<Place> {
        let mut taken = self.0.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(tenant).copied().unwrap_or(0);
        if all >= RUNS_MAX || own >= RUNS_PER_TENANT_MAX {
            return None;
        }
        taken.insert(tenant.clone(), own + 1);
        Some(Place {
            places: Arc::clone(self),
            tenant: tenant.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_places_for_others() {
        let places = Arc::new(Places::default());
        let tenant = |at: usize| -> TenantId { format!("t_{at}").parse().unwrap() };
        let mut taken = Vec::new();
        for _ in 0..RUNS_PER_TENANT_MAX {
            taken.push(places.take(&tenant(0)).unwrap());
        }
        assert!(places.take(&tenant(0)).is_none());
        for at in 0..RUNS_MAX - RUNS_PER_TENANT_MAX {
            taken.push(places.take(&tenant(at + 1)).unwrap());
        }
        assert!(places.take(&tenant(999)).is_none());
        taken.clear();
        assert!(places.0.lock().is_empty());
        assert!(places.take(&tenant(0)).is_some());
    }
}
