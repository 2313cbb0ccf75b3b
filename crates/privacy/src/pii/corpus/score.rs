//! How well findings agree with labels.

use std::collections::BTreeMap;

use super::{
    super::{Finding, Kind},
    Labelled,
};

/// Findings and labels of one kind, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// How many were found.
    pub found: u32,
    /// How many of those touch a label of their kind.
    pub right: u32,
    /// How many labels there are.
    pub labelled: u32,
    /// How many of those a finding of their kind covers from end to end.
    pub covered: u32,
}

impl Score {
    /// Share of the findings that are right, 0 to 1; 1 without any.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.right, self.found)
    }

    /// Share of the labels that are covered, 0 to 1; 1 without any.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.covered, self.labelled)
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        1.0
    } else {
        f64::from(part) / f64::from(whole)
    }
}

/// Scores a recogniser on `corpus`, kind by kind.
///
/// # Parameters
/// - `find`: all that the recogniser finds in a text.
pub fn score(
    corpus: &[Labelled],
    mut find: impl FnMut(&str) -> Vec<Finding>,
) -> BTreeMap<Kind, Score> {
    let mut scores: BTreeMap<Kind, Score> = BTreeMap::new();
    for labelled in corpus {
        let found = find(&labelled.text);
        for finding in &found {
            let score = scores.entry(finding.kind).or_default();
            let touches = |label: &Finding| {
                label.kind == finding.kind && label.start < finding.end && finding.start < label.end
            };
            score.found += 1;
            score.right += u32::from(labelled.labels.iter().any(touches));
        }
        for label in &labelled.labels {
            let score = scores.entry(label.kind).or_default();
            let covers = |finding: &Finding| {
                finding.kind == label.kind
                    && finding.start <= label.start
                    && label.end <= finding.end
            };
            score.labelled += 1;
            score.covered += u32::from(found.iter().any(covers));
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_counts_findings_and_recall_counts_labels() {
        let finding = |kind, start, end| Finding { kind, start, end };
        let corpus = [Labelled {
            text: "0123456789".to_owned(),
            labels: vec![finding(Kind::Email, 0, 4), finding(Kind::Email, 5, 9)],
        }];
        let found = vec![
            finding(Kind::Email, 0, 5),
            finding(Kind::Email, 5, 8),
            finding(Kind::Phone, 0, 4),
        ];
        let scores = score(&corpus, |_| found.clone());
        let email = scores[&Kind::Email];
        assert_eq!(
            (email.found, email.right, email.labelled, email.covered),
            (2, 2, 2, 1)
        );
        assert_eq!((email.precision(), email.recall()), (1.0, 0.5));
        assert_eq!(scores[&Kind::Phone].precision(), 0.0);
        assert_eq!(scores[&Kind::Phone].recall(), 1.0);
    }
}
