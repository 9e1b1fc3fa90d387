//! What was measured, as Markdown for people and as JSON for programs.

use std::fmt::Write;

use mapio_bench::machine::Machine;
use mapio_bench::median;
use serde::Serialize;

/// A cache line that takes less to go there and back has not left the cache that the processors share: on the
/// processors of today that is 60 to 120 ns, and 300 and more between two such caches.
const TOGETHER_NANOSECONDS: f64 = 180.0;

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub groups: Vec<Measured>,
}

/// A table. Times are in nanoseconds, of a message or of a round trip.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub title: String,
    pub rounds: usize,
    /// Why it was not measured; then there are no rows.
    pub unmeasured: Option<String>,
    /// A round trip of a cache line, before and after each round.
    pub bounce_nanoseconds: Vec<[f64; 2]>,
    pub rows: Vec<Row>,
}

/// How far the processors were from each other in a round.
///
/// In a virtual machine that changes: the host moves the virtual processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// They share a cache.
    Together,
    /// They do not.
    Apart,
    /// It has changed meanwhile.
    Mixed,
}

impl Distance {
    /// By the bounces before and after.
    fn of(bounces: [f64; 2]) -> Self {
        match bounces.map(|nanoseconds| nanoseconds < TOGETHER_NANOSECONDS) {
            [true, true] => Self::Together,
            [false, false] => Self::Apart,
            _ => Self::Mixed,
        }
    }
}

/// A contender.
#[derive(Debug, Serialize)]
pub struct Row {
    pub contender: &'static str,
    pub median_nanoseconds: f64,
    /// Median of this one's time divided by the first one's of the same round: lower is faster.
    pub ratio: f64,
    /// Each round's time.
    pub nanoseconds: Vec<f64>,
}

impl Measured {
    /// All of it.
    pub fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.title);
        if let Some(reason) = &self.unmeasured {
            // Writing to a string can't fail.
            let _ = writeln!(text, "skipped: {reason}");
            return text;
        }
        let distances: Vec<Distance> = self.bounce_nanoseconds.iter().map(|&bounces| Distance::of(bounces)).collect();
        text.push_str("\n| contender | median ns | ratio | together ns | apart ns |\n|---|---:|---:|---:|---:|\n");
        for Row { contender, median_nanoseconds, ratio, nanoseconds } in &self.rows {
            let at = |distance| {
                let own = nanoseconds.iter().zip(&distances).filter(|(_, found)| **found == distance);
                let own: Vec<f64> = own.map(|(&nanoseconds, _)| nanoseconds).collect();
                if own.is_empty() { "-".to_owned() } else { format!("{:.0}", median(own)) }
            };
            let (together, apart) = (at(Distance::Together), at(Distance::Apart));
            let _ = writeln!(text, "| {contender} | {median_nanoseconds:.0} | {ratio:.2} | {together} | {apart} |");
        }
        let count = |distance| distances.iter().filter(|found| **found == distance).count();
        let (together, apart, rounds) = (count(Distance::Together), count(Distance::Apart), distances.len());
        let bounces = self.bounce_nanoseconds.as_flattened();
        let (least, most) = extremes(bounces);
        let bounce = median(bounces.to_vec());
        let _ = write!(text, "\nA cache line there and back meanwhile: {bounce:.0} ns ({least:.0} to {most:.0}). ");
        let _ = write!(text, "The processors were together in {together} of {rounds} rounds, apart in {apart}.");
        text
    }
}

fn extremes(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, 0.0), |(least, most), &value| (value.min(least), value.max(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_medians_and_ratios_and_tells_rounds_apart_by_the_processors() {
        let row = Row {
            contender: "ring",
            median_nanoseconds: 300.4,
            ratio: 2.0,
            nanoseconds: vec![100.0, 300.4, 500.0, 900.0],
        };
        let mut measured = Measured {
            title: "round trip".to_owned(),
            rounds: 4,
            unmeasured: None,
            bounce_nanoseconds: vec![[90.0, 80.0], [90.0, 400.0], [400.0, 90.0], [410.0, 420.0]],
            rows: vec![row],
        };
        let text = measured.text();
        assert!(text.contains("| ring | 300 | 2.00 | 100 | 900 |\n"), "{text}");
        let end = "meanwhile: 400 ns (80 to 420). The processors were together in 1 of 4 rounds, apart in 1.";
        assert!(text.ends_with(end), "{text}");
        measured.bounce_nanoseconds.truncate(1);
        assert!(measured.text().contains("| ring | 300 | 2.00 | 100 | - |\n"));
        measured.unmeasured = Some("no processors".to_owned());
        assert_eq!(measured.text(), "\nround trip\nskipped: no processors\n");
    }
}
