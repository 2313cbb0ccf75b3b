//! All flags of one layer: of the system, or of a tenant in one environment.

use std::fmt;

use hashbrown::HashMap;
use identity::Timestamp;
use serde::Serialize;

use crate::{Flag, FlagKey, weight};

/// Whose word decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LayerName {
    /// The operators', for everyone.
    System,
    /// The tenant's.
    Tenant,
}

impl LayerName {
    /// The name, as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Tenant => "tenant",
        }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is stored of one flag in a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A flag.
    Flag(Box<Flag>),
    /// Something that cannot be read; it never evaluates to anything.
    Damaged,
}

/// All flags of one layer, at one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    version: u64,
    rows: HashMap<FlagKey, Row>,
    /// The moments at which a schedule begins or ends, in order.
    boundaries: Box<[Timestamp]>,
    bytes: usize,
}

impl Layer {
    /// A layer of these rows. `version` is another one whenever the rows are.
    pub fn new(version: u64, rows: impl IntoIterator<Item = (FlagKey, Row)>) -> Self {
        let rows: HashMap<FlagKey, Row> = rows.into_iter().collect();
        let flags = rows.values().filter_map(|row| match row {
            Row::Flag(flag) => Some(flag),
            Row::Damaged => None,
        });
        let mut boundaries: Vec<Timestamp> = flags.flat_map(|flag| flag.boundaries()).collect();
        let weights = rows.iter().map(|(key, row)| weight::row(key, row));
        let bytes = weights.sum::<usize>() + size_of_val(&*boundaries);
        boundaries.sort_unstable();
        boundaries.dedup();
        Self {
            version,
            rows,
            boundaries: boundaries.into(),
            bytes,
        }
    }

    /// Identifies this state of the layer.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What is stored under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &FlagKey> {
        self.rows.keys()
    }

    /// All rows, in no order.
    pub fn rows(&self) -> impl Iterator<Item = (&FlagKey, &Row)> {
        self.rows.iter()
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// How many flags it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many schedules have begun or ended by `now`: with the version it says whether
    /// the layer may evaluate to something else than before.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> usize {
        self.boundaries.partition_point(|boundary| *boundary <= now)
    }
}
