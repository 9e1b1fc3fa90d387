//! `mapio bench access`: what one access of 8 bytes costs, by a view, by a raw pointer, and by a system call.
//!
//! All of them read the same file, which has no name, so that nobody can cut it short while the raw pointer, for
//! which that would be death, is in use. Its pages are in memory and in the page table before anything is measured:
//! what is left is the access. In every run all ways take turns; a figure is the median over the runs.
//!
//! A working set is as large as it says only if all of it is accessed. So each measurement goes on at the offset where
//! the one before it has ended, whichever way that was, and none finds in the caches what another has just put there.
#![expect(unsafe_code, reason = "volatile loads by a raw pointer, which views are measured against")]

use std::convert::Infallible;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use mapio_chart::{Axis, Lines};
use mapio_copy::open_regular;
use mapio_map::{Fault, MapOptions, Mapping, View};
use serde::Serialize;

use super::median;
use super::report::{Column, Options, Report};
use crate::output::{Answer, whole};
use crate::{output, size, sys};

/// Working sets, in bytes: in the first cache of a processor, in the others, and in none of most.
const SIZES: [u64; 6] = [32 << 10, 256 << 10, 2 << 20, 16 << 20, 64 << 20, 256 << 20];
/// Of an access, in bytes.
const WORD: u64 = 8;
/// Of a line of the caches, in bytes, on most processors.
const LINE: u64 = 64;
/// Accesses that one measurement makes by loads, at least, and by system calls.
const LOADS: u64 = 1 << 19;
const CALLS: u64 = 1 << 15;

const COLUMNS: &[Column] =
    &[("accesses", 10), ("within", 8), ("view ns", 10), ("raw ns", 10), ("pread ns", 10), ("view/raw", 9)];

/// Measure reading 8 bytes here and there, and one after the other: by a view, a raw pointer and pread
///
/// Each in working sets of 32k to 256m, whose pages are in memory: nanoseconds an access, the median of several runs.
/// No access waits for another, so that a processor has several under way: one that does wait takes longer. A view
/// answers an error where the raw pointer would kill the program, and pread(2) is a system call each time.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench access --runs 2 --html access.html")]
pub(crate) struct Arguments {
    /// A file whose bytes are read, in a copy without a name; default: bytes made up
    file: Option<PathBuf>,
    /// Measured runs of each
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// The folder whose file system gets the copy; default: that of temporary files
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    report: Options,
}

/// A pattern in a working set. Times are of one access.
#[derive(Debug, Serialize)]
struct Row {
    pattern: Pattern,
    working_set_bytes: u64,
    view_ns: f64,
    raw_ns: f64,
    pread_ns: f64,
}

#[derive(Debug, Serialize)]
struct Figures {
    runs: u16,
    access_bytes: u64,
    rows: Vec<Row>,
    conclusion: String,
}

/// In which order words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Pattern {
    Random,
    Sequential,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut report = Report::new(&self.report, self.file.as_deref())?;
        let bytes = self.material()?;
        let subject = Subject::new(&bytes.file, bytes.len)?;
        let what = self.file.as_deref().map_or_else(|| "memory".to_owned(), |file| format!("'{}'", output::name(file)));
        report.method("Every access is a load of 8 bytes at a multiple of 8, or one pread(2) of as many.");
        report.method(
            "No access waits for the value of another, so that a processor has several under way: a figure is the \
             time of all by their number, and less than what a program waits for a single one.",
        );
        report.method(format!(
            "A measurement is a load for each line of {LINE} bytes in the working set, but at least {LOADS}, or \
             {CALLS} calls. The ways take turns, each from the offset on where the last one has ended; medians of {} \
             runs after one that is not counted.",
            self.runs
        ));
        report.method(
            "The file has no name; views and the raw pointer share one mapping, whose pages were touched before.",
        );
        report.method("Random offsets come from xorshift64; its time, and that of the loop, is in each figure.");
        report
            .begin(format!("accesses to {what}, 8 bytes each: medians of {} runs, ns an access", self.runs), COLUMNS)?;
        let mut rows = Vec::new();
        for pattern in [Pattern::Random, Pattern::Sequential] {
            for len in SIZES.into_iter().filter(|&len| len <= bytes.len) {
                let row = subject.measure(pattern, len, self.runs)?;
                report.row(row.cells()?)?;
                rows.push(row);
            }
        }
        for pattern in [Pattern::Random, Pattern::Sequential] {
            report.chart(chart(pattern, &rows), pattern.caption());
        }
        let conclusion = conclusion(&rows);
        report.conclude(conclusion.clone());
        report.end(&Figures { runs: self.runs, access_bytes: WORD, rows, conclusion })?;
        Ok(Answer::Yes)
    }

    /// What is read: a file without a name, and how long it is.
    fn material(&self) -> anyhow::Result<Material> {
        let folder = self.to.clone().unwrap_or_else(std::env::temp_dir);
        let made = tempfile::tempfile_in(&folder);
        let mut file = made.with_context(|| format!("creating a temporary file in '{}'", folder.display()))?;
        // No more than a fourth of the memory, so that all of it stays there.
        let memory = sys::memory_bytes().unwrap_or(u64::MAX);
        let most = SIZES.into_iter().filter(|&len| len == SIZES[0] || len <= memory / 4).fold(0, u64::max);
        let copied = match &self.file {
            Some(path) => io::copy(&mut open_regular(path)?.take(most), &mut file),
            None => fill(&mut file, most),
        };
        let len = copied.with_context(|| format!("filling a temporary file in '{}'", folder.display()))?;
        let name = || self.file.as_deref().map(output::name).unwrap_or_default();
        ensure!(len >= SIZES[0], "'{}' has {len} bytes: a working set takes {} at least", name(), SIZES[0]);
        Ok(Material { file, len })
    }
}

struct Material {
    file: File,
    len: u64,
}

/// Writes bytes that are not all zeros.
fn fill(file: &mut File, len: u64) -> io::Result<u64> {
    let block: Vec<u8> = (0..1 << 20).map(|index: u32| index.to_le_bytes()[0]).collect();
    let mut written = 0;
    while written < len {
        file.write_all(&block)?;
        written += 1 << 20;
    }
    Ok(len)
}

/// The file and its mapping.
struct Subject<'a> {
    file: &'a File,
    mapping: Mapping,
}

impl<'a> Subject<'a> {
    /// Maps the file and touches each of its pages.
    fn new(file: &'a File, len: u64) -> anyhow::Result<Self> {
        let mapping = MapOptions::read_only().map(file)?;
        ensure!(u64::try_from(mapping.view().len())? >= len, "the temporary file was cut short");
        let mut words = Words::new(Pattern::Sequential, len);
        black_box(by_view(mapping.view(), &mut words, len / WORD)?);
        Ok(Self { file, mapping })
    }

    fn measure(&self, pattern: Pattern, len: u64, runs: u16) -> anyhow::Result<Row> {
        let (view, loads, mut words) = (self.mapping.view(), loads(len), Words::new(pattern, len));
        let (mut views, mut raws, mut preads) = (Vec::new(), Vec::new(), Vec::new());
        // The first run, which finds in the caches what others have left there, is not counted.
        for run in 0..=runs {
            let by_view = time(loads, || by_view(view, &mut words, loads))?;
            let Ok(by_raw) = time(loads, || self.by_raw(&mut words, loads));
            let by_pread = time(CALLS, || self.by_pread(&mut words, CALLS)).context("reading a temporary file")?;
            if run > 0 {
                views.push(by_view);
                raws.push(by_raw);
                preads.push(by_pread);
            }
        }
        let (view_ns, raw_ns, pread_ns) = (median(views), median(raws), median(preads));
        Ok(Row { pattern, working_set_bytes: len, view_ns, raw_ns, pread_ns })
    }

    /// # Panics
    /// The working set is longer than the mapping.
    #[inline(never)]
    fn by_raw(&self, words: &mut Words, count: u64) -> Result<u64, Infallible> {
        let view = self.mapping.view();
        let is_inside = u64::try_from(view.len()).is_ok_and(|len| words.last() + WORD <= len);
        assert!(is_inside, "a working set is inside of the mapping");
        let base = view.as_ptr();
        sum(words, count, |offset| {
            // SAFETY: `offset` is no more than `words.last()`, and 8 bytes from there on are inside of the mapping: the
            // assertion above.
            let word = unsafe { base.add(offset) };
            // SAFETY: all 8 bytes are inside of the mapping, as above, which lives as long as `self`, and are aligned:
            // it begins at a page, and `offset` is a multiple of 8. The file, which was as long as the mapping when it
            // was made, has no name and no other user, so that nobody cuts it short or writes to it.
            Ok(unsafe { word.cast::<u64>().read_volatile() })
        })
    }

    #[inline(never)]
    fn by_pread(&self, words: &mut Words, count: u64) -> io::Result<u64> {
        let mut word = [0; 8];
        sum(words, count, |offset| {
            sys::read_exact_at(self.file, &mut word, u64::try_from(offset).map_err(io::Error::other)?)?;
            Ok(u64::from_ne_bytes(word))
        })
    }
}

#[inline(never)]
fn by_view(view: View<'_>, words: &mut Words, count: u64) -> Result<u64, Fault> {
    sum(words, count, |offset| view.load::<u64>(offset))
}

/// Adds up the next `count` words.
#[inline(always)]
fn sum<E>(words: &mut Words, count: u64, mut load: impl FnMut(usize) -> Result<u64, E>) -> Result<u64, E> {
    // Out of memory's way while it counts: a copy may stay in registers.
    let (mut next, mut sum) = (*words, 0u64);
    for _ in 0..count {
        sum = sum.wrapping_add(load(next.offset())?);
    }
    *words = next;
    Ok(sum)
}

/// Nanoseconds that one of `count` accesses takes.
fn time<E>(count: u64, accesses: impl FnOnce() -> Result<u64, E>) -> Result<f64, E> {
    let begun = Instant::now();
    black_box(accesses()?);
    Ok(begun.elapsed().as_secs_f64() * 1e9 / whole(count))
}

/// How many loads one measurement in a working set of `len` bytes makes.
fn loads(len: u64) -> u64 {
    LOADS.max(len / LINE)
}

/// The offsets of words in a working set, without an end: multiples of 8 below its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Words {
    pattern: Pattern,
    /// The length, which is a power of two, less one word: the last offset.
    mask: u64,
    /// Of xorshift64, or the last offset.
    state: u64,
}

impl Words {
    fn new(pattern: Pattern, len: u64) -> Self {
        // Of a length that is none, the largest power below it is used.
        Self { pattern, mask: (1 << len.ilog2()) - WORD, state: 88_172_645_463_325_252 }
    }

    /// The next one.
    #[inline(always)]
    fn offset(&mut self) -> usize {
        match self.pattern {
            Pattern::Random => {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
            }
            Pattern::Sequential => self.state = self.state.wrapping_add(WORD),
        }
        // No mapping is longer than what a usize holds, and no working set than its mapping.
        usize::try_from(self.state & self.mask).unwrap_or_default()
    }

    /// No offset is more than this.
    fn last(&self) -> u64 {
        self.mask
    }
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Sequential => "sequential",
        }
    }

    fn caption(self) -> &'static str {
        match self {
            Self::Random => {
                "Where a line rises, a cache has become too small for the working set. All ways pay for that, and \
                 pread(2) for its system call besides. No access waits for the value of another."
            }
            Self::Sequential => {
                "One after the other, eight accesses share a line of 64 bytes, and the processor can fetch those that \
                 follow ahead. Who reads all bytes anyway does it in chunks, by View::chunks or read_at."
            }
        }
    }
}

impl Row {
    fn cells(&self) -> anyhow::Result<Vec<String>> {
        let ns = |time: f64| format!("{time:.2}");
        let within = size::text(usize::try_from(self.working_set_bytes)?);
        let ratio = format!("{:.2}", self.view_ns / self.raw_ns);
        Ok(vec![self.pattern.name().to_owned(), within, ns(self.view_ns), ns(self.raw_ns), ns(self.pread_ns), ratio])
    }
}

/// The time of an access over the working set, for one pattern.
fn chart(pattern: Pattern, rows: &[Row]) -> Lines {
    let line = |time: fn(&Row) -> f64| {
        let rows = rows.iter().filter(|row| row.pattern == pattern);
        rows.map(|row| (whole(row.working_set_bytes), time(row))).collect()
    };
    let within = Axis::log_of_sizes("working set, in bytes").labels(super::size_label);
    let title = format!(
        "Reading 8 bytes, {}",
        if pattern == Pattern::Random { "here and there" } else { "one after the other" }
    );
    Lines::new(title, within, Axis::log("ns an access"))
        .line("pread", line(|row| row.pread_ns))
        .line("view", line(|row| row.view_ns))
        .line("raw pointer", line(|row| row.raw_ns))
}

/// What the figures show, in two lines.
fn conclusion(rows: &[Row]) -> String {
    let largest = |pattern| rows.iter().rev().find(|row| row.pattern == pattern);
    let ratios: Vec<f64> = rows.iter().map(|row| row.view_ns / row.raw_ns).collect();
    let (least, most) =
        ratios.iter().fold((f64::MAX, 0.0), |(least, most), &ratio| (ratio.min(least), ratio.max(most)));
    let (Some(random), Some(sequential)) = (largest(Pattern::Random), largest(Pattern::Sequential)) else {
        return String::new();
    };
    format!(
        "A view takes {least:.2} to {most:.2} of a raw pointer's time, and can't be killed by who cuts the file \
         short.\n\
         A system call for each access takes {:.1} times a view's time at random, and {:.1} times one after the other.",
        random.pread_ns / random.view_ns,
        sequential.pread_ns / sequential.view_ns,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_aligned_and_inside_of_the_working_set() {
        for pattern in [Pattern::Random, Pattern::Sequential] {
            for len in [32 << 10, 100_000, 1 << 20] {
                let mut words = Words::new(pattern, len);
                let last = usize::try_from(words.last()).unwrap();
                assert!(words.last() + 8 <= len);
                let offsets: Vec<usize> = (0..200_000).map(|_| words.offset()).collect();
                assert!(offsets.iter().all(|offset| offset % 8 == 0 && *offset <= last));
                // And they come from all over it.
                assert!(
                    offsets.iter().any(|&offset| offset < 4096) && offsets.iter().any(|&offset| offset > last - 4096)
                );
            }
        }
    }

    #[test]
    fn the_runs_of_a_bench_access_all_of_a_working_set() {
        let len = 16 << 20;
        for pattern in [Pattern::Random, Pattern::Sequential] {
            // Two ways to load and six runs, with the one that is not counted.
            let mut words = Words::new(pattern, len);
            let mut lines = vec![0u8; usize::try_from(len / LINE).unwrap()];
            for _ in 0..12 * loads(len) {
                lines[words.offset() / 64] = 1;
            }
            let share = lines.iter().copied().map(f64::from).sum::<f64>() / whole(len / LINE);
            assert!(share > 0.99, "{pattern:?}: {share}");
        }
    }

    #[test]
    fn all_ways_read_the_same_and_go_on_where_they_ended() {
        let mut file = tempfile::tempfile().unwrap();
        let len = fill(&mut file, 1 << 20).unwrap();
        let subject = Subject::new(&file, len).unwrap();
        for pattern in [Pattern::Random, Pattern::Sequential] {
            let mut words = [Words::new(pattern, len); 4];
            let mut before = 0;
            for count in [10_000, 777] {
                let sum = by_view(subject.mapping.view(), &mut words[0], count).unwrap();
                assert!(sum != before);
                before = sum;
                assert_eq!(subject.by_raw(&mut words[1], count), Ok(sum));
                assert_eq!(subject.by_pread(&mut words[2], count).unwrap(), sum);
                (0..count).for_each(|_| _ = words[3].offset());
                assert!(words.iter().all(|own| *own == words[3]), "{words:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "inside of the mapping")]
    fn a_raw_pointer_stays_inside_of_the_mapping() {
        let mut file = tempfile::tempfile().unwrap();
        let len = fill(&mut file, 1 << 20).unwrap();
        let subject = Subject::new(&file, len).unwrap();
        _ = subject.by_raw(&mut Words::new(Pattern::Random, 2 * len), 1);
    }
}
