//! A short memory of layers.
//!
//! What is older than half of [`FRESH_MAX`] is compared with the store by one request, while
//! others go on with what is remembered; what is older than that waits for the comparison.
//!
//! **Invariants:**
//! - what it gives is younger than [`FRESH_MAX`], counted from before it was read;
//! - what it gives is not older than a change that was made or heard of here: each entry carries the
//!   count of changes, taken before it was read, and a change moves that count before it
//!   is acknowledged;
//! - it holds at most about [`MEMORY_BYTES_MAX`], however many tenants there are.

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use identity::{Env, TenantId, Timestamp};
use parking_lot::RwLock;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::sync::{Mutex, MutexGuard, broadcast};

use crate::{LAYER_MEMORY_BYTES_MAX, Layer};

/// How old an answer may be: so long a change made on another node may stay unseen.
pub const FRESH_MAX: Duration = Duration::from_secs(1);
/// From this age on an entry is compared with the store before others have to wait for it.
const AGEING: Duration = Duration::from_millis(500);
/// Memory for the layers of tenants; the least used are forgotten first.
pub const MEMORY_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Parts of that memory, which are locked apart. Each has room for the largest layer.
const SHARDS: u64 = 4;
const _: () = assert!(
    LAYER_MEMORY_BYTES_MAX as u64 + ENTRY_BYTES < MEMORY_BYTES_MAX / SHARDS,
    "every layer can be remembered"
);
/// What an entry takes beside its flags.
const ENTRY_BYTES: u64 = 256;
/// Tenants for which the cache is laid out at first.
const TENANTS_EXPECTED: usize = 16 * 1024;
/// Counts of changes and turns, shared by all keys: a collision costs time, never truth.
const STRIPES: usize = 1024;
/// Changes that a slow listener may lag behind before it must take it that anything has changed.
const BACKLOG_MAX: usize = 1024;

/// Whose flags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LayerKey {
    /// Those of the system.
    System,
    /// Those of a tenant, in one environment.
    Tenant(TenantId, Env),
}

/// What a layer was at `at`, when `changes` had been counted.
pub(crate) struct Entry {
    pub(crate) layer: Arc<Layer>,
    at: Timestamp,
    changes: u64,
}

/// The state of things before something is read.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    at: Timestamp,
    changes: u64,
}

/// What is remembered of a layer.
pub(crate) enum Memory {
    /// It may be used.
    Fresh(Arc<Entry>),
    /// It may be used, and whoever gets a turn compares it.
    Ageing(Arc<Entry>),
    /// It has to be compared, if the layer is remembered at all.
    Old(Option<Arc<Entry>>),
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(TenantId, Env), Arc<Entry>> for ByBytes {
    fn weight(&self, _: &(TenantId, Env), entry: &Arc<Entry>) -> u64 {
        ENTRY_BYTES + entry.layer.memory_bytes() as u64
    }
}

#[derive(Default)]
struct Stripe {
    changes: AtomicU64,
    turn: Mutex<()>,
}

/// Layers by key.
pub(crate) struct Fresh {
    system: RwLock<Option<Arc<Entry>>>,
    tenants: Cache<(TenantId, Env), Arc<Entry>, ByBytes>,
    stripes: Box<[Stripe]>,
    system_stripe: Stripe,
    hasher: DefaultHashBuilder,
    listeners: broadcast::Sender<LayerKey>,
}

impl Fresh {
    pub(crate) fn new() -> Self {
        Self {
            system: RwLock::new(None),
            tenants: tenants(),
            stripes: std::iter::repeat_with(Stripe::default)
                .take(STRIPES)
                .collect(),
            system_stripe: Stripe::default(),
            hasher: DefaultHashBuilder::default(),
            listeners: broadcast::channel(BACKLOG_MAX).0,
        }
    }

    /// What is remembered, and the state of things to compare with before reading.
    pub(crate) fn get(&self, key: &LayerKey, now: Timestamp) -> (Memory, Before) {
        let before = Before {
            at: now,
            changes: self.stripe(key).changes.load(Ordering::SeqCst),
        };
        let entry = match key {
            LayerKey::System => self.system.read().clone(),
            LayerKey::Tenant(tenant, env) => self.tenants.get(&(tenant.clone(), *env)),
        };
        let memory = match entry {
            Some(entry) => match entry.age(&before) {
                Some(age) if age < AGEING => Memory::Fresh(entry),
                Some(age) if age < FRESH_MAX => Memory::Ageing(entry),
                _ => Memory::Old(Some(entry)),
            },
            None => Memory::Old(None),
        };
        (memory, before)
    }

    /// Remembers what was read after `before`.
    pub(crate) fn keep(&self, key: LayerKey, layer: Arc<Layer>, before: Before) {
        let Before { at, changes } = before;
        let entry = Arc::new(Entry { layer, at, changes });
        match key {
            LayerKey::System => *self.system.write() = Some(entry),
            LayerKey::Tenant(tenant, env) => self.tenants.insert((tenant, env), entry),
        }
    }

    /// The right to read a layer, of which one request has it at a time.
    pub(crate) async fn turn(&self, key: &LayerKey) -> MutexGuard<'_, ()> {
        self.stripe(key).turn.lock().await
    }

    /// As [`Fresh::turn`], if nobody has it.
    pub(crate) fn try_turn(&self, key: &LayerKey) -> Option<MutexGuard<'_, ()>> {
        self.stripe(key).turn.try_lock().ok()
    }

    /// Forgets a layer: it has changed.
    pub(crate) fn forget(&self, key: &LayerKey) {
        self.stripe(key).changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        for stripe in self.stripes.iter().chain([&self.system_stripe]) {
            stripe.changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The changes that are made here from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<LayerKey> {
        self.listeners.subscribe()
    }

    /// Forgets a layer and tells that it has changed, when the returned value is dropped: after a
    /// commit, however it ended.
    pub(crate) fn forget_afterwards(&self, key: LayerKey) -> ForgetOnDrop<'_> {
        ForgetOnDrop(self, Some(key))
    }

    /// How many tenants' layers are remembered, and about how many bytes they take.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.tenants.len(), self.tenants.weight())
    }

    fn stripe(&self, key: &LayerKey) -> &Stripe {
        let at = self.hasher.hash_one(key) % STRIPES as u64;
        let stripe = match key {
            LayerKey::System => None,
            LayerKey::Tenant(..) => self.stripes.get(usize::try_from(at).unwrap_or_default()),
        };
        // A tenant's is always there: the index is below the number of stripes.
        stripe.unwrap_or(&self.system_stripe)
    }
}

impl Entry {
    /// How long ago it was read; `None` if it counts no more: something was changed since,
    /// or a clock that was set back makes it look young.
    fn age(&self, now: &Before) -> Option<Duration> {
        let counts = self.changes == now.changes && self.at <= now.at;
        counts.then(|| now.at.since(self.at))
    }
}

/// Nothing is remembered yet.
fn tenants() -> Cache<(TenantId, Env), Arc<Entry>, ByBytes> {
    let mut options = OptionsBuilder::new();
    options
        .shards(usize::try_from(SHARDS).unwrap_or(1))
        .estimated_items_capacity(TENANTS_EXPECTED)
        .weight_capacity(MEMORY_BYTES_MAX);
    let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
    match options.build() {
        Ok(options) => Cache::with_options(options, ByBytes, hasher, lifecycle),
        // Only for options that are missing, and none is.
        Err(_) => Cache::with(
            TENANTS_EXPECTED,
            MEMORY_BYTES_MAX,
            ByBytes,
            hasher,
            lifecycle,
        ),
    }
}

/// Counts and tells a change when it is dropped.
pub(crate) struct ForgetOnDrop<'a>(&'a Fresh, Option<LayerKey>);

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.1.take() {
            self.0.forget(&key);
            // Nobody has to listen.
            let _ = self.0.listeners.send(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flag, FlagKey, Row};

    const NOON: Timestamp = Timestamp::from_unix_ms(43_200_000);

    fn key(tenant: usize) -> LayerKey {
        let id = format!("t_{tenant}").parse();
        LayerKey::Tenant(id.expect("the id of a tenant"), Env::Prod)
    }

    fn keep(fresh: &Fresh, tenant: usize, layer: &Arc<Layer>) {
        let (_, before) = fresh.get(&key(tenant), NOON);
        fresh.keep(key(tenant), Arc::clone(layer), before);
    }

    /// A layer of one flag with a text of so many bytes.
    fn layer_of(bytes: usize) -> Arc<Layer> {
        let definition =
            serde_json::json!({"variants": {"a": "v".repeat(bytes)}, "default_variant": "a"});
        let definition = serde_json::from_value(definition).expect("a definition");
        let key: FlagKey = "f".parse().expect("a key");
        let flag = Flag::new(key.clone(), &definition).expect("a flag");
        Arc::new(Layer::new(1, [(key, Row::Flag(Box::new(flag)))]))
    }

    /// `fresh`, `ageing` or `old` at so many milliseconds past noon.
    fn at(fresh: &Fresh, tenant: usize, ms: u64) -> &'static str {
        match fresh
            .get(&key(tenant), NOON.plus(Duration::from_millis(ms)))
            .0
        {
            Memory::Fresh(_) => "fresh",
            Memory::Ageing(_) => "ageing",
            Memory::Old(_) => "old",
        }
    }

    #[test]
    fn more_tenants_than_there_is_room_for_take_bounded_memory() {
        let fresh = Fresh::new();
        let layer = layer_of(2000);
        (0..100_000).for_each(|tenant| keep(&fresh, tenant, &layer));
        let (tenants, bytes) = fresh.size();
        assert!(tenants < 100_000, "{tenants} are remembered");
        assert!(tenants > 20_000, "only {tenants} are remembered");
        assert!(bytes <= MEMORY_BYTES_MAX, "{bytes} bytes");
        assert_eq!(at(&fresh, 99_999, 0), "fresh");
    }

    #[test]
    fn the_largest_layers_are_remembered_too() {
        let fresh = Fresh::new();
        let layer = layer_of(LAYER_MEMORY_BYTES_MAX - 1000);
        (0..100).for_each(|tenant| keep(&fresh, tenant, &layer));
        let (tenants, bytes) = fresh.size();
        assert!((1..100).contains(&tenants), "{tenants} are remembered");
        assert!(bytes <= MEMORY_BYTES_MAX, "{bytes} bytes");
    }

    #[test]
    fn an_entry_ages_and_a_clock_that_was_set_back_ends_it() {
        let fresh = Fresh::new();
        keep(&fresh, 1, &Arc::default());
        for (ms, expected) in [
            (0, "fresh"),
            (499, "fresh"),
            (500, "ageing"),
            (999, "ageing"),
            (1000, "old"),
        ] {
            assert_eq!(at(&fresh, 1, ms), expected, "after {ms} ms");
        }
        let earlier = Timestamp::from_unix_ms(NOON.unix_ms() - 1);
        assert!(matches!(
            fresh.get(&key(1), earlier).0,
            Memory::Old(Some(_))
        ));
        assert!(matches!(fresh.get(&key(2), NOON).0, Memory::Old(None)));
    }

    #[test]
    fn a_load_that_began_before_a_change_is_worth_nothing_when_it_arrives() {
        let fresh = Fresh::new();
        for key in [LayerKey::System, key(1)] {
            let (_, before) = fresh.get(&key, NOON);
            drop(fresh.forget_afterwards(key.clone()));
            fresh.keep(key.clone(), Arc::default(), before);
            assert!(matches!(fresh.get(&key, NOON).0, Memory::Old(Some(_))));
        }
    }

    #[test]
    fn nothing_that_was_remembered_counts_when_something_was_missed() {
        let fresh = Fresh::new();
        for key in [LayerKey::System, key(1), key(2)] {
            let (_, before) = fresh.get(&key, NOON);
            fresh.keep(key.clone(), Arc::default(), before);
            fresh.forget_all();
            assert!(matches!(fresh.get(&key, NOON).0, Memory::Old(Some(_))));
        }
    }
}
