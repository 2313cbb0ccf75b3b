//! What a decision costs: all pure gates on a warm snapshot, beside Cedar on an equivalent policy set.
//!
//! Each hot tenant has a row of every kind, and all of them let pass, so every gate is asked
//! and looks at what it has. The snapshot is found in the memory that a server has, for a
//! tenant drawn at random; Cedar's policies, entities and request are ready before its clock starts.

mod cedar;
mod house;
mod shelf;

use std::time::Instant;

use anyhow::Result;

use crate::{
    stats::{median, median_ratio},
    table::Row,
};
use cedar::Cedar;
use house::House;
pub(crate) use house::{Monotonic, Unrecorded};

/// Tenants that decide again and again.
const HOT: usize = 10_000;
/// Decisions that are timed together: the clock costs as much as a gate.
const TIMED: usize = 100;
const ROUNDS: usize = 40;
const TARGET_US: f64 = 1.0;

/// Measures with 1,000 and with 1,000,000 tenants.
///
/// # Errors
/// When a decision is not what it should be.
pub(crate) fn measure() -> Result<Vec<Row>> {
    let cedar = Cedar::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut rows = Vec::new();
        let mut baseline = Vec::new();
        for (tenants, hot) in [(1_000, 1_000), (1_000_000, HOT)] {
            eprintln!("gates: {ROUNDS} rounds over {tenants} tenants");
            let house = House::found(hot).await?;
            let before = resident_kib();
            house.visit(hot, tenants).await?;
            let grown = resident_kib().saturating_sub(before) / 1024;
            let mut ours = Vec::with_capacity(ROUNDS);
            let mut theirs = Vec::with_capacity(ROUNDS);
            for round in 0..ROUNDS {
                house.warm().await?;
                ours.push(decisions(&house, round)?);
                theirs.push(cedar_decisions(&cedar)?);
            }
            let detail = match tenants > hot {
                true => {
                    format!("{hot} hot; the visits of all others grew the process by {grown} MiB")
                }
                false => "all hot".to_owned(),
            };
            let what = format!("all pure gates of one decision, {tenants} tenants");
            let figure = format!(
                "{:.2} µs (target {TARGET_US:.0})",
                median(ours.iter().copied())
            );
            rows.push(
                Row::new("gates", what, figure, detail)
                    .compared(median_ratio(&ours, &theirs), None),
            );
            baseline.extend(theirs);
        }
        let figure = format!("{:.2} µs", median(baseline));
        let detail = "7 policies, request and entities ready".to_owned();
        rows.insert(0, Row::new("gates", "cedar-policy", figure, detail));
        Ok(rows)
    })
}

/// The median time of a decision in a round over all hot tenants, in µs.
fn decisions(house: &House, round: usize) -> Result<f64> {
    let mut times = Vec::new();
    let mut at = round;
    for _ in 0..house.hot() / TIMED {
        // A full period over any number of tenants that is no multiple of the step.
        let tenants: Vec<usize> = (1..=TIMED).map(|n| (at + n * 7919) % house.hot()).collect();
        at = tenants.last().copied().unwrap_or(at);
        // The guard has just made the scope when the gates are asked.
        tenants.iter().for_each(|tenant| house.look_at(*tenant));
        let began = Instant::now();
        for tenant in tenants {
            house.decide(tenant)?;
        }
        times.push(per_decision(began));
    }
    Ok(median(times))
}

fn cedar_decisions(cedar: &Cedar) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        for _ in 0..TIMED {
            cedar.decide()?;
        }
        times.push(per_decision(began));
    }
    Ok(median(times))
}

fn per_decision(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / TIMED as f64
}

/// What the process holds in memory, in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_default()
}
