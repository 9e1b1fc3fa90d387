//! What was measured, as Markdown for people and as JSON for programs.

use mapio_bench::bytes_text;
use mapio_bench::machine::Machine;
use serde::Serialize;

use crate::sweep::Sweep;

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    /// What each tool says of its version.
    pub versions: Vec<String>,
    pub cases: Vec<Outcome>,
}

/// How a case went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Copied(Measured),
    Swept(Sweep),
    Skipped { name: &'static str, reason: String },
}

/// A case that several tools were put to.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub name: &'static str,
    pub title: String,
    pub rounds: usize,
    pub rows: Vec<Row>,
}

/// How a tool did.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub tool: &'static str,
    /// What it was called with.
    pub options: String,
    /// Why it was not measured; then there are no figures.
    pub unmeasured: Option<String>,
    /// What is wrong with its copy.
    pub wrong: Option<String>,
    /// Bytes of the blocks that the copy has.
    pub allocated_bytes: Option<u64>,
    #[serde(flatten)]
    pub figures: Option<Figures>,
}

/// The figures of a tool. Times are in seconds.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Median of `seconds`.
    pub median_seconds: f64,
    /// Median of the processor time, user's and system's.
    pub cpu_seconds: f64,
    /// Median of the first tool's time divided by this one's of the same round: higher is faster.
    pub ratio: f64,
    /// Each round's time.
    pub seconds: Vec<f64>,
}

impl Report {
    /// What stands above the tables.
    pub fn heading(&self) -> String {
        let versions = self.versions.join("; ");
        format!("{}.\n\n{versions}.\n", self.machine.text())
    }

    /// Whether our own tool has copied everything, and rightly.
    pub fn is_ours_right(&self, ours: &str) -> bool {
        self.cases.iter().all(|outcome| match outcome {
            Outcome::Copied(measured) => measured
                .rows
                .iter()
                .filter(|row| row.tool == ours)
                .all(|row| row.wrong.is_none() && row.figures.is_some()),
            Outcome::Swept(_) | Outcome::Skipped { .. } => true,
        })
    }
}

impl Outcome {
    /// A table, or why there is none.
    pub fn text(&self) -> String {
        match self {
            Self::Copied(measured) => measured.text(),
            Self::Swept(sweep) => sweep.text(),
            Self::Skipped { name, reason } => format!("### {name}\nskipped: {reason}\n"),
        }
    }
}

impl Measured {
    fn text(&self) -> String {
        let Self { name, title, rounds, rows } = self;
        let head = "| tool | median s | user+sys s | ratio to cp | allocated |\n|---|---:|---:|---:|---:|\n";
        let rows: String = rows.iter().map(Row::text).collect();
        format!("### {name}\n{title}: medians of {rounds} rounds; a higher ratio is faster.\n\n{head}{rows}")
    }
}

impl Row {
    fn text(&self) -> String {
        let options = if self.options.is_empty() { String::new() } else { format!(" `{}`", self.options) };
        let figures = self.figures.as_ref().map_or_else(
            || "- | - | -".to_owned(),
            |figures| {
                let Figures { median_seconds, cpu_seconds, ratio, .. } = figures;
                format!("{} | {} | {ratio:.2}", seconds_text(*median_seconds), seconds_text(*cpu_seconds))
            },
        );
        let allocated = self.allocated_bytes.map_or_else(|| "-".to_owned(), bytes_text);
        let notes = [&self.wrong, &self.unmeasured].map(|note| note.as_deref().unwrap_or_default());
        let note = notes.into_iter().find(|note| !note.is_empty()).map(|note| format!("; {note}")).unwrap_or_default();
        format!("| {}{options} | {figures} | {allocated}{note} |\n", self.tool)
    }
}

/// Seconds with three digits that mean something.
pub fn seconds_text(seconds: f64) -> String {
    match seconds {
        10.0.. => format!("{seconds:.1}"),
        1.0.. => format!("{seconds:.2}"),
        0.1.. => format!("{seconds:.3}"),
        0.01.. => format!("{seconds:.4}"),
        _ => format!("{seconds:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_short() {
        let seconds = [12.345, 1.2345, 0.12345, 0.012345, 0.0012345].map(seconds_text);
        assert_eq!(seconds, ["12.3", "1.23", "0.123", "0.0123", "0.00123"]);
    }

    #[test]
    fn a_row_tells_what_is_wrong() {
        let figures = Figures { median_seconds: 1.5, cpu_seconds: 1.25, ratio: 0.4, seconds: vec![1.5] };
        let row = Row {
            tool: "xcp",
            options: "-r".to_owned(),
            unmeasured: None,
            wrong: Some("holes filled".to_owned()),
            allocated_bytes: Some(10 << 30),
            figures: Some(figures),
        };
        assert_eq!(row.text(), "| xcp `-r` | 1.50 | 1.25 | 0.40 | 10 GiB; holes filled |\n");
        let unmeasured = Some("it has no such option".to_owned());
        let row = Row { options: String::new(), unmeasured, wrong: None, allocated_bytes: None, figures: None, ..row };
        assert_eq!(row.text(), "| xcp | - | - | - | -; it has no such option |\n");
    }
}
