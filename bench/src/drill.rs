//! What all drills share: chance that can be repeated, and how a drill ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use tempfile::TempDir;

/// Findings that are printed; the totals count all.
pub(crate) const FINDINGS_MAX: usize = 20;
const KILL_MS_MIN: u64 = 150;
const KILL_MS_MAX: u64 = 1500;

/// Ends the drill `name`: prints its line, or what was found and where data and log are kept.
///
/// # Errors
/// Why it ended early, or that it failed.
pub(crate) fn conclude<'a>(
    name: &str,
    folder: TempDir,
    ended: Result<()>,
    failed: bool,
    line: &str,
    found: impl Iterator<Item = &'a String>,
) -> Result<()> {
    if ended.is_ok() && !failed {
        println!("{line}");
        return Ok(());
    }
    for finding in found.take(FINDINGS_MAX) {
        println!("{name}: {finding}");
    }
    println!("{name}: {line}");
    let kept = folder.keep();
    println!("{name}: data and log are kept in {}", kept.display());
    ended?;
    bail!("the drill failed");
}

/// A small generator (`splitmix64`), so that a drill can be repeated.
pub(crate) struct Chance {
    pub(crate) seed: u64,
    state: u64,
}

impl Chance {
    /// Chance from `seed`, or from whatever the time is.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = seed.unwrap_or_else(|| since.unwrap_or_default().subsec_nanos().into());
        Self { seed, state: seed }
    }

    /// When to kill, in a round that is over with it.
    pub(crate) fn moment(&mut self) -> Duration {
        Duration::from_millis(self.between(KILL_MS_MIN, KILL_MS_MAX))
    }

    /// A number that is at least `least` and less than `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (mixed ^ (mixed >> 31)) % (most - least)
    }
}
