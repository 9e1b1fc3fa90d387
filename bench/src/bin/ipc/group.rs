//! What is compared with what: contenders that do the same work, and wait in the same way.
//!
//! As everywhere in these benches nothing is compared across runs: in each round every contender runs once, in an order
//! that rotates, and a ratio is the median over the rounds of its time divided by the first one's of the same round. A
//! cache line is bounced before and after each round, too: where the processors are, and what else they do, shows
//! there.

use mapio_bench::interrupt::Interrupt;
use mapio_bench::{bytes_text, median};

use crate::contender::{ALL, BOUNCE, Contender, Waits};
use crate::link::{Job, Work};
use crate::report::{Measured, Row};
use crate::run::{Pinning, processors, run};

/// The parts of the bench, which arguments choose from.
pub const PARTS: [&str; 4] = ["round-trip", "throughput", "loan", "broadcast"];
/// How many read what one writes.
const READERS: [usize; 4] = [1, 2, 4, 8];

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// So much that something can be seen.
    Full,
    /// So little that all of it takes seconds, to see that it runs.
    Quick,
}

impl Scale {
    /// Runs of each contender.
    pub fn rounds(self) -> usize {
        match self {
            Self::Full => 9,
            Self::Quick => 1,
        }
    }
}

/// A table.
#[derive(Debug)]
pub struct Group {
    pub part: &'static str,
    work: Work,
    waits: Waits,
    pinning: Pinning,
    message_bytes: usize,
    readers: usize,
    scale: Scale,
}

impl Group {
    /// All groups, in the order in which they are measured.
    pub fn all(scale: Scale) -> Vec<Self> {
        let mut groups = Vec::new();
        let works = [
            ("round-trip", Work::RoundTrip, 64),
            ("throughput", Work::Stream, 64),
            ("throughput", Work::Stream, 4096),
            ("loan", Work::Loan, 1 << 20),
        ];
        for pinning in [Pinning::Pinned, Pinning::Free] {
            for (part, work, message_bytes) in works {
                for waits in [Waits::Spins, Waits::Blocks] {
                    groups.push(Self { part, work, waits, pinning, message_bytes, readers: 1, scale });
                }
            }
        }
        for readers in READERS {
            for waits in [Waits::Spins, Waits::Blocks] {
                let (part, work, pinning) = ("broadcast", Work::Broadcast, Pinning::Free);
                groups.push(Self { part, work, waits, pinning, message_bytes: 64, readers, scale });
            }
        }
        groups
    }

    /// Measures it, or says why it can't be measured here.
    pub fn measure(&self, rounds: usize, without: &[String], interrupt: &Interrupt) -> anyhow::Result<Measured> {
        let mut measured = Measured {
            title: self.title(),
            rounds,
            unmeasured: None,
            bounce_nanoseconds: Vec::new(),
            rows: Vec::new(),
        };
        let is_in = |contender: &&Contender| {
            contender.waits == self.waits
                && contender.can(self.work)
                && !without.iter().any(|name| name == contender.name)
        };
        let contenders: Vec<&Contender> = ALL.iter().filter(is_in).collect();
        let ends = self.readers + 1;
        let processors = processors()?.len();
        if contenders.is_empty() {
            measured.unmeasured = Some("nobody is left who can do this".to_owned());
        } else if processors < 2 || (self.waits == Waits::Spins && processors < ends) {
            measured.unmeasured =
                Some(format!("{ends} ends that spin need as many processors, and here are {processors}"));
        }
        if measured.unmeasured.is_some() {
            return Ok(measured);
        }
        let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
        for round in 0..rounds {
            let before = run(BOUNCE, self.bounce(), self.pinning, interrupt)?;
            for turn in 0..contenders.len() {
                let i = (round + turn) % contenders.len();
                times[i].push(run(contenders[i].name, self.job(), self.pinning, interrupt)?);
            }
            let after = run(BOUNCE, self.bounce(), self.pinning, interrupt)?;
            measured.bounce_nanoseconds.push([before, after]);
        }
        for (contender, own) in contenders.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first).collect();
            measured.rows.push(Row {
                contender: contender.name,
                median_nanoseconds: median(own.clone()),
                ratio: median(ratios),
                nanoseconds: own.clone(),
            });
        }
        Ok(measured)
    }

    fn job(&self) -> Job {
        let Self { work, message_bytes, readers, .. } = *self;
        // Each run takes some tenths of a second.
        let messages = match (work, self.waits, message_bytes) {
            (Work::RoundTrip, Waits::Spins, _) => 100_000,
            (Work::RoundTrip, Waits::Blocks, _) => 5_000,
            (Work::Stream, Waits::Spins, ..=64) => 400_000,
            (Work::Stream, Waits::Spins, _) | (Work::Loan, Waits::Spins, _) => 60_000,
            (Work::Stream, Waits::Blocks, ..=64) => 30_000,
            (Work::Stream, Waits::Blocks, _) | (Work::Loan, Waits::Blocks, _) => 15_000,
            (Work::Broadcast, Waits::Spins, _) => 60_000,
            (Work::Broadcast, Waits::Blocks, _) => 3_000,
        };
        let messages = if self.scale == Scale::Quick { messages / 100 } else { messages };
        Job { work, message_bytes, messages, readers }
    }

    fn bounce(&self) -> Job {
        let messages = if self.scale == Scale::Quick { 1000 } else { 30_000 };
        Job { work: Work::RoundTrip, message_bytes: 64, messages, readers: 1 }
    }

    fn title(&self) -> String {
        let work = match self.work {
            Work::RoundTrip => "round trip of",
            Work::Stream => "stream of messages of",
            Work::Loan => "stream of messages, 8 bytes touched of",
            Work::Broadcast => "broadcast of",
        };
        let readers = match (self.work, self.readers) {
            (Work::Broadcast, 1) => " to 1 reader".to_owned(),
            (Work::Broadcast, readers) => format!(" to {readers} readers"),
            _ => String::new(),
        };
        let waits = match self.waits {
            Waits::Spins => "spinning",
            Waits::Blocks => "blocking",
        };
        let pinning = match self.pinning {
            Pinning::Pinned => "pinned",
            Pinning::Free => "not pinned",
        };
        format!("{work} {}{readers}, {waits}, {pinning}", bytes_text(self.message_bytes as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_groups_of_both_kinds_and_all_have_titles_of_their_own() {
        let groups = Group::all(Scale::Full);
        for part in PARTS {
            for waits in [Waits::Spins, Waits::Blocks] {
                assert!(groups.iter().any(|group| group.part == part && group.waits == waits), "{part}");
            }
        }
        let mut titles: Vec<_> = groups.iter().map(Group::title).collect();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), groups.len());
        assert!(titles.contains(&"broadcast of 64 B to 8 readers, blocking, not pinned".to_owned()));
        assert!(titles.contains(&"stream of messages, 8 bytes touched of 1 MiB, spinning, pinned".to_owned()));
    }
}
