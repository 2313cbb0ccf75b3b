//! The one table that a run prints.

/// One line of the table.
pub(crate) struct Row {
    /// The subject, such as `append`.
    pub(crate) subject: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// The figure, with its unit.
    pub(crate) figure: String,
    /// Latencies or the like.
    pub(crate) detail: String,
    /// The ratio to a baseline, and the target if there is one.
    pub(crate) ratio: String,
}

impl Row {
    /// A row without a ratio.
    pub(crate) fn new(
        subject: &'static str,
        what: impl Into<String>,
        figure: String,
        detail: String,
    ) -> Self {
        Self {
            subject,
            what: what.into(),
            figure,
            detail,
            ratio: String::new(),
        }
    }

    /// The row with its ratio to the baseline.
    pub(crate) fn compared(mut self, ratio: f64, target: Option<f64>) -> Self {
        let target = target.map_or(String::new(), |target| format!(" (target {target:.1})"));
        self.ratio = format!("{ratio:.2}{target}");
        self
    }

    fn cells(&self) -> [&str; 5] {
        [
            self.subject,
            &self.what,
            &self.figure,
            &self.detail,
            &self.ratio,
        ]
    }
}

const HEAD: [&str; 5] = ["subject", "what", "figure", "detail", "ratio to baseline"];

/// Prints `rows` as a Markdown table, ready for `docs/performance.md`.
pub(crate) fn print(rows: &[Row]) {
    let mut lines = vec![HEAD];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0_usize; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    println!();
    for (at, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if at == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("| {} |", rules.join(" | "));
        }
    }
}

/// A rate, as people read it: `97,123/s`.
pub(crate) fn per_second(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + "/s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_grouped() {
        assert_eq!(per_second(0.4), "0/s");
        assert_eq!(per_second(999.6), "1,000/s");
        assert_eq!(per_second(97_123.0), "97,123/s");
        assert_eq!(per_second(1_234_567.0), "1,234,567/s");
    }
}
