//! The page that `/metrics` shows, as OTLP: both tell the same figures under the same names, and
//! what is measured costs once.

use std::collections::BTreeMap;

use identity::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
};

type Labels = Vec<(String, String)>;

/// One line of the page.
struct Sample<'a> {
    name: &'a str,
    labels: Labels,
    value: f64,
}

/// Reads the Prometheus text format as our own exporter writes it.
pub(super) fn read(page: &str, began: Timestamp, now: Timestamp) -> ScopeMetrics {
    let times = (nanos(began), nanos(now));
    let mut metrics = Vec::new();
    for family in page.split("# TYPE ").skip(1) {
        let (head, lines) = family.split_once('\n').unwrap_or((family, ""));
        let Some((name, kind)) = head.split_once(' ') else {
            continue;
        };
        let samples = lines.lines().filter_map(sample);
        let data = match kind {
            "counter" => counter(samples, times),
            "gauge" => gauge(samples, times),
            "histogram" => histogram(samples, times),
            _ => continue,
        };
        metrics.push(Metric {
            name: name.to_owned(),
            data: Some(data),
            ..Metric::default()
        });
    }
    ScopeMetrics {
        scope: Some(InstrumentationScope {
            name: "tenantry".to_owned(),
            ..InstrumentationScope::default()
        }),
        metrics,
        schema_url: String::new(),
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.unix_ms()).unwrap_or_default() * 1_000_000
}

fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        let labels = Vec::new();
        return Some(Sample {
            name: series,
            labels,
            value,
        });
    };
    let labels = labels.strip_suffix("\"}")?.split("\",");
    let labels = labels.map(|pair| {
        let (key, value) = pair.split_once("=\"")?;
        Some((key.to_owned(), value.to_owned()))
    });
    Some(Sample {
        name,
        labels: labels.collect::<Option<_>>()?,
        value,
    })
}

fn attributes(labels: Labels) -> Vec<KeyValue> {
    let attribute = |(key, value)| KeyValue {
        key,
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value)),
        }),
        ..KeyValue::default()
    };
    labels.into_iter().map(attribute).collect()
}

fn point(sample: Sample<'_>, (began, now): (u64, u64)) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(sample.labels),
        start_time_unix_nano: began,
        time_unix_nano: now,
        value: Some(Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

fn counter<'a>(samples: impl Iterator<Item = Sample<'a>>, times: (u64, u64)) -> Data {
    Data::Sum(Sum {
        data_points: samples.map(|sample| point(sample, times)).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    })
}

fn gauge<'a>(samples: impl Iterator<Item = Sample<'a>>, times: (u64, u64)) -> Data {
    Data::Gauge(Gauge {
        data_points: samples.map(|sample| point(sample, times)).collect(),
    })
}

/// Buckets of the page hold all that is below their bound, those of OTLP what is between two.
#[derive(Default)]
struct Buckets {
    bounds: Vec<f64>,
    below: Vec<u64>,
    sum: f64,
    count: u64,
}

fn histogram<'a>(samples: impl Iterator<Item = Sample<'a>>, times: (u64, u64)) -> Data {
    let mut series: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for Sample {
        name,
        mut labels,
        value,
    } in samples
    {
        let bound = labels.iter().position(|(key, _)| key == "le");
        let bound = bound.map(|at| labels.remove(at).1);
        let buckets = series.entry(labels).or_default();
        match bound {
            Some(bound) => {
                buckets
                    .bounds
                    .extend(bound.parse::<f64>().ok().filter(|bound| bound.is_finite()));
                buckets.below.push(whole(value));
            }
            None if name.ends_with("_sum") => buckets.sum = value,
            None => buckets.count = whole(value),
        }
    }
    let points = series.into_iter().map(|(labels, buckets)| {
        let lower = std::iter::once(0).chain(buckets.below.iter().copied());
        let between = buckets.below.iter().zip(lower);
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: times.0,
            time_unix_nano: times.1,
            count: buckets.count,
            sum: Some(buckets.sum),
            bucket_counts: between
                .map(|(upper, lower)| upper.saturating_sub(lower))
                .collect(),
            explicit_bounds: buckets.bounds,
            ..HistogramDataPoint::default()
        }
    });
    Data::Histogram(Histogram {
        data_points: points.collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and not negative, and below 2^53"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r##"# HELP a_total What is 1
# TYPE a_total counter
a_total 3
a_total{route="/x/{id}",status="200"} 4

# TYPE b gauge
b -1.5

# TYPE c_seconds histogram
c_seconds_bucket{op="get",le="0.1"} 1
c_seconds_bucket{op="get",le="1"} 3
c_seconds_bucket{op="get",le="+Inf"} 4
c_seconds_sum{op="get"} 2.5
c_seconds_count{op="get"} 4
"##;

    #[test]
    fn a_page_is_read_as_it_was_meant() {
        let at = |ms| Timestamp::from_unix_ms(ms);
        let read = read(PAGE, at(1), at(2));
        let names: Vec<_> = read
            .metrics
            .iter()
            .map(|metric| metric.name.as_str())
            .collect();
        assert_eq!(names, ["a_total", "b", "c_seconds"]);
        let [
            Some(Data::Sum(sum)),
            Some(Data::Gauge(gauge)),
            Some(Data::Histogram(histogram)),
        ] = [0, 1, 2].map(|at: usize| read.metrics[at].data.clone())
        else {
            panic!("{read:?}");
        };
        let values: Vec<_> = sum.data_points.iter().map(|point| point.value).collect();
        assert_eq!(
            values,
            [Some(Value::AsDouble(3.0)), Some(Value::AsDouble(4.0))]
        );
        let keys: Vec<_> = sum.data_points[1]
            .attributes
            .iter()
            .map(|kv| kv.key.as_str())
            .collect();
        assert_eq!(keys, ["route", "status"]);
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(-1.5)));
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts, [1, 2, 1]);
        assert_eq!(point.explicit_bounds, [0.1, 1.0]);
        assert_eq!((point.count, point.sum), (4, Some(2.5)));
        assert_eq!(
            (point.start_time_unix_nano, point.time_unix_nano),
            (1_000_000, 2_000_000)
        );
    }
}
