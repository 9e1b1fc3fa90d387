//! Measuring: contenders take turns in one run, and each is reported as a ratio to the first.
//!
//! A machine's speed drifts by more than the differences of interest. Therefore nothing is compared across runs: in
//! every round all contenders run once, in an order that rotates, and a contender's figure is the median over rounds of
//! its time divided by the first contender's time of the same round.

pub mod interrupt;
pub mod machine;

use std::time::Instant;

/// A way to do the work that is measured.
pub struct Contender<'a> {
    /// What it is called in the table.
    pub name: &'a str,
    /// Does the work once.
    pub run: &'a mut dyn FnMut(),
}

/// Measures the contenders against the first, and prints a table.
///
/// `unit` tells how a time becomes the figure that is printed; see [`Unit`].
pub fn compare(title: &str, unit: Unit, rounds: usize, contenders: &mut [Contender<'_>]) {
    compare_prepared(title, unit, rounds, &mut || {}, contenders);
}

/// As [`compare`], with something that is done before each run and not measured.
pub fn compare_prepared(
    title: &str,
    unit: Unit,
    rounds: usize,
    prepare: &mut dyn FnMut(),
    contenders: &mut [Contender<'_>],
) {
    for contender in contenders.iter_mut() {
        prepare();
        (contender.run)();
    }
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let i = (round + turn) % contenders.len();
            prepare();
            let start = Instant::now();
            (contenders[i].run)();
            times[i].push(start.elapsed().as_secs_f64());
        }
    }
    println!("\n{title}");
    for (contender, own) in contenders.iter().zip(&times) {
        let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first).collect();
        println!("  {:34} {:>16}   x{:.3}", contender.name, unit.show(median(own.clone())), median(ratios));
    }
}

/// How a time is shown.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Nanoseconds for each of this many operations.
    NanosecondsPer(f64),
    /// Gigabytes (1e9 bytes) a second, for this many bytes.
    GigabytesOf(f64),
}

impl Unit {
    fn show(self, seconds: f64) -> String {
        match self {
            Self::NanosecondsPer(operations) => format!("{:.3} ns", seconds * 1e9 / operations),
            Self::GigabytesOf(bytes) => format!("{:.2} GB/s", bytes / seconds / 1e9),
        }
    }
}

/// The middle one of several values; the upper one of two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Keeps the process on one processor, so that it is not moved in the middle of a round.
pub fn pin_to(cpu: usize) {
    // SAFETY: zeros are a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid set and a small number.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: a valid set of that size. If it fails the figures are only less steady.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}

/// Bytes in the largest unit that leaves a whole part, with two decimals at most.
pub fn bytes_text(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    let digits = format!("{value:.2}");
    format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short() {
        let bytes = [0, 5, 1023, 1024, 1536, 10 << 30].map(bytes_text);
        assert_eq!(bytes, ["0 B", "5 B", "1023 B", "1 KiB", "1.5 KiB", "10 GiB"]);
    }
}
