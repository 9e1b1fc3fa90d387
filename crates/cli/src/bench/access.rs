//! `mapio bench access`: what one access of 8 bytes costs, by a view, by a raw pointer, and by a system call.
//!
//! All of them read the same file, which has no name, so that nobody can cut it short while the raw pointer, for
//! which that would be death, is in use. Its pages are in memory and in the page table before anything is measured:
//! what is left is the access. In every run all ways take turns; a figure is the median over the runs.
#![expect(unsafe_code, reason = "volatile loads by a raw pointer, which views are measured against")]

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

/// Working sets, in bytes: in the first cache of a processor, in the others, and in none.
const SIZES: [u64; 5] = [32 << 10, 256 << 10, 2 << 20, 16 << 20, 64 << 20];
/// Of an access, in bytes.
const WORD: u64 = 8;
/// Accesses that one measurement makes, by loads and by system calls.
const LOADS: u64 = 1 << 19;
const CALLS: u64 = 1 << 15;

const COLUMNS: &[Column] =
    &[("accesses", 10), ("within", 8), ("view ns", 10), ("raw ns", 10), ("pread ns", 10), ("view/raw", 9)];

/// Measure reading 8 bytes here and there, and one after the other: by a view, a raw pointer and pread
///
/// Each in working sets of 32k to 64m, whose pages are in memory: nanoseconds an access, the median of several runs.
/// A view answers an error where the raw pointer would kill the program, and pread(2) is a system call each time.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench access --runs 9 --html access.html")]
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
        report.method(format!(
            "A measurement is {LOADS} loads or {CALLS} calls, after as many to warm up; the ways take turns; \
             medians of {} runs.",
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
        let most = SIZES.into_iter().fold(0, u64::max);
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
        let words = Words::new(Pattern::Sequential, len, len.next_power_of_two() / WORD);
        black_box(by_view(mapping.view(), words)?);
        Ok(Self { file, mapping })
    }

    fn measure(&self, pattern: Pattern, len: u64, runs: u16) -> anyhow::Result<Row> {
        let view = self.mapping.view();
        let (loads, calls) = (Words::new(pattern, len, LOADS), Words::new(pattern, len, CALLS));
        let (mut views, mut raws, mut preads) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            let by_view = time(LOADS, || by_view(view, loads).map_err(anyhow::Error::from))?;
            let by_raw = time(LOADS, || Ok(self.by_raw(loads)))?;
            let by_pread = time(CALLS, || self.by_pread(calls).context("reading a temporary file"))?;
            views.push(by_view);
            raws.push(by_raw);
            preads.push(by_pread);
        }
        let (view_ns, raw_ns, pread_ns) = (median(views), median(raws), median(preads));
        Ok(Row { pattern, working_set_bytes: len, view_ns, raw_ns, pread_ns })
    }

    #[inline(never)]
    fn by_raw(&self, words: Words) -> u64 {
        let (base, mut sum) = (self.mapping.view().as_ptr(), 0u64);
        for offset in words {
            // SAFETY: `offset` is below the working set's length, which is no more than the file's, and the mapping
            // is no shorter than that: `new` has checked it. So the pointer stays inside of the mapping.
            let word = unsafe { base.add(offset) };
            // SAFETY: a mapping begins at a page and lives as long as `self`; `offset` is a multiple of 8 and below a
            // length that is one, so all 8 bytes are inside of it, aligned. The file has no name and no other user,
            // so that nobody cuts it short or writes to it.
            sum = sum.wrapping_add(unsafe { word.cast::<u64>().read_volatile() });
        }
        sum
    }

    #[inline(never)]
    fn by_pread(&self, words: Words) -> io::Result<u64> {
        let (mut word, mut sum) = ([0; 8], 0u64);
        for offset in words {
            sys::read_exact_at(self.file, &mut word, u64::try_from(offset).map_err(io::Error::other)?)?;
            sum = sum.wrapping_add(u64::from_ne_bytes(word));
        }
        Ok(sum)
    }
}

#[inline(never)]
fn by_view(view: View<'_>, words: Words) -> Result<u64, Fault> {
    let mut sum = 0u64;
    for offset in words {
        sum = sum.wrapping_add(view.load::<u64>(offset)?);
    }
    Ok(sum)
}

/// Nanoseconds that one of `count` accesses takes. They are made twice, and the first time, which finds in the caches
/// what others have left there, is not counted.
fn time(count: u64, mut accesses: impl FnMut() -> anyhow::Result<u64>) -> anyhow::Result<f64> {
    black_box(accesses()?);
    let begun = Instant::now();
    black_box(accesses()?);
    Ok(begun.elapsed().as_secs_f64() * 1e9 / whole(count))
}

/// The offsets of words in a working set: multiples of 8 below its length.
#[derive(Debug, Clone, Copy)]
struct Words {
    pattern: Pattern,
    /// The length, which is a power of two, less one word.
    mask: u64,
    left: u64,
    /// Of xorshift64, or the last offset.
    state: u64,
}

impl Words {
    fn new(pattern: Pattern, len: u64, count: u64) -> Self {
        // Of a length that is none, the largest power below it is used.
        Self { pattern, mask: (1 << len.ilog2()) - WORD, left: count, state: 88_172_645_463_325_252 }
    }
}

impl Iterator for Words {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        match self.pattern {
            Pattern::Random => {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
            }
            Pattern::Sequential => self.state = self.state.wrapping_add(WORD),
        }
        usize::try_from(self.state & self.mask).ok()
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
                "Random accesses pay for the caches that they miss, whichever way they go. A system call costs so much \
                 besides that the caches hardly show."
            }
            Self::Sequential => {
                "One after the other, the processor fetches ahead, so that the working set matters little: what is \
                 left is the access itself. Who reads all bytes anyway does it in chunks, by View::chunks or read_at."
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
                let offsets: Vec<usize> = Words::new(pattern, len, 100_000).collect();
                assert_eq!(offsets.len(), 100_000);
                assert!(offsets.iter().all(|offset| offset % 8 == 0 && u64::try_from(offset + 8).unwrap() <= len));
                // And they come from all over it.
                assert!(offsets.iter().any(|&offset| offset < 4096) && offsets.iter().any(|&offset| offset > 24 << 10));
            }
        }
    }

    #[test]
    fn all_ways_read_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        let len = fill(&mut file, 1 << 20).unwrap();
        let subject = Subject::new(&file, len).unwrap();
        for pattern in [Pattern::Random, Pattern::Sequential] {
            let words = Words::new(pattern, len, 10_000);
            let sum = by_view(subject.mapping.view(), words).unwrap();
            assert_ne!(sum, 0);
            assert_eq!((subject.by_raw(words), subject.by_pread(words).unwrap()), (sum, sum));
        }
    }
}
