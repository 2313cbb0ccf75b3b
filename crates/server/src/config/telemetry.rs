//! Where traces and metrics are sent.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A collector that speaks OTLP over gRPC. Without the table nothing is sent; `/metrics` is served either way.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `http://host:4317`, or `https://…`.
    pub endpoint: String,
    /// The part of traces that is kept, 0 to 1, where the caller has not decided.
    #[serde(default)]
    pub sample_ratio: SampleRatio,
    /// Headers of every export; each value is a reference to a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A part of all traces: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct SampleRatio(f64);

/// A number is no part of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidRatio(f64);

impl fmt::Display for InvalidRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a ratio is a number from 0 to 1, not {}", self.0)
    }
}

impl TryFrom<f64> for SampleRatio {
    type Error = InvalidRatio;
    fn try_from(ratio: f64) -> Result<Self, InvalidRatio> {
        if (0.0..=1.0).contains(&ratio) {
            Ok(Self(ratio))
        } else {
            Err(InvalidRatio(ratio))
        }
    }
}

impl From<SampleRatio> for f64 {
    fn from(ratio: SampleRatio) -> Self {
        ratio.0
    }
}

impl Default for SampleRatio {
    /// One trace in twenty.
    fn default() -> Self {
        Self(0.05)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_part_of_a_whole() {
        let read = |ratio: &str| {
            let text = format!("endpoint = \"http://c:4317\"\nsample_ratio = {ratio}");
            toml::from_str::<TelemetryConfig>(&text).map(|config| f64::from(config.sample_ratio))
        };
        assert_eq!(read("0.0").ok(), Some(0.0));
        assert_eq!(read("1.0").ok(), Some(1.0));
        for bad in ["-0.1", "1.1", "nan", "inf", "\"half\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
