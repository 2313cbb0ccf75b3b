//! Medians of rounds and percentiles of latencies.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies in microseconds, with two significant digits, up to a minute.
pub(crate) struct Latencies(Histogram<u64>);

const LATENCY_US_MAX: u64 = 60_000_000;

impl Latencies {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("1 < max"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(us.clamp(1, LATENCY_US_MAX));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// The latency in milliseconds that this share of all does not exceed.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// The middle one; of an even number, the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    }
}

/// The median of the ratios of rounds that ran side by side.
///
/// A pair shares whatever the machine did at that time; medians of either side alone do not.
pub(crate) fn median_ratio(values: &[f64], baselines: &[f64]) -> f64 {
    let pairs = values.iter().zip(baselines);
    median(pairs.map(|(value, baseline)| value / baseline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
        assert_eq!(median_ratio(&[1.0, 9.0, 4.0], &[2.0, 10.0, 2.0]), 0.9);
    }
}
