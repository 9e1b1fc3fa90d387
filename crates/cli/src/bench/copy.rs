//! `mapio bench copy`: the lab's sweep. The same file is copied with buffers from tiny to huge and by every other
//! engine, each on one thread, and the figures are shown side by side.
//!
//! A measurement copies into a new file without a name, in this process, and takes the difference of getrusage(2)
//! around it; that has all threads in it and nothing of other processes. The system calls are those that the engine
//! counts. The buffer is made before the first run and stays, so that its own page faults are in no figure. A buffer so
//! small that the whole file would take minutes copies only a sample of it, and its figures are multiplied up; they are
//! marked.
//!
//! Processor time comes in user and system, and many kernels, Linux's mostly, know only their sum exactly: they divide
//! it by what they find running at the ticks of their clock. A copy shorter than a tick is all one or the other by
//! chance, so short ones are run more often, and both are means of all runs.

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use mapio_chart::{Axis, Bars, Lines};
use mapio_copy::{Engine, Facts, Fallback, Meter, NamedFile, Plan, Request, Workspace, open_regular, transfer};
use mapio_map::{MapOptions, Usage};
use serde::Serialize;

use super::report::{Column, Options, Report};
use super::{median, size_label};
use crate::output::{self, Answer, whole};
use crate::size;
use crate::sys;

/// Buffers of the sweep, in bytes: the lab's first, then powers of four.
const BUFFERS: [usize; 12] =
    [5, 10, 100, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];
/// Reads that one measurement makes at most; more are extrapolated.
const READS_AT_MOST: u64 = 500_000;
/// Processor time after which user and system are told apart well enough: 25 ticks of 4 ms. More runs than were asked
/// for bring it together, if they take no longer than that.
const PROCESSOR_TIME: Duration = Duration::from_millis(100);
const MORE_RUNS_AT_MOST: Duration = Duration::from_millis(200);
/// Shorter files show nothing: the fixed cost of a copy hides that of its bytes.
const SHOWS_FROM_BYTES: u64 = 1 << 20;

/// Measure copying a file with buffers of 5 bytes to 64 MiB, and by each other engine
///
/// For each: real, user and system time in milliseconds, system calls, minor and major page faults, and MB/s; medians
/// of several runs, and of user and system time, of which many kernels know only the sum exactly, means of those runs
/// and more. The first run comes apart, after the file was dropped from the page cache: it is the cold one; a `-`
/// stands where the kernel keeps the file there. A `~` marks figures extrapolated from a sample. An engine that can't
/// copy there says why instead.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench copy --runs 9 --plot sweep.svg disk.img")]
pub(crate) struct Arguments {
    /// The file to copy; it is only read
    file: PathBuf,
    /// Measured runs of each, after the first
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Drop the file from the page cache before every run, so that all are cold
    #[arg(long)]
    cold: bool,
    /// The folder whose file system gets the copies, which have no name; default: the file's own
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    report: Options,
}

/// One way to copy, and what it took. Times are in seconds, and everything is for the whole file.
#[derive(Debug, Serialize)]
struct Row {
    engine: &'static str,
    buffer_bytes: Option<usize>,
    /// Only part of the file was copied, and the figures are multiplied up.
    extrapolated: bool,
    /// The run before the others, with the file dropped from the page cache; null where that can't be done.
    cold_seconds: Option<f64>,
    /// Medians of the other runs; of user and system time, means of as many as the next field says.
    #[serde(flatten)]
    cost: Cost,
    processor_time_runs: usize,
    bytes_per_second: f64,
}

/// An engine that can't copy this file to this folder.
#[derive(Debug, Serialize)]
struct Refused {
    engine: &'static str,
    reason: String,
}

/// What a run took.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    real_seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    system_calls: f64,
    minor_faults: f64,
    major_faults: f64,
}

#[derive(Debug, Serialize)]
struct Sweep {
    file: String,
    bytes: u64,
    runs: u16,
    cold: bool,
    rows: Vec<Row>,
    refused: Vec<Refused>,
    /// What the figures show, in two lines.
    conclusion: String,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut report = Report::new(&self.report, Some(&self.file))?;
        let source = open_regular(&self.file)?;
        let len = source.metadata().with_context(|| format!("measuring '{}'", self.file.display()))?.len();
        anyhow::ensure!(len > 0, "'{}' has no length: there is nothing to measure", self.file.display());
        let folder = self.to.clone().unwrap_or_else(|| folder_of(&self.file));
        let mut bench = Bench { source, len, folder, arguments: &self, workspace: Workspace::new() };
        // Before anything is printed: a folder that takes no files, and a file that is never cold, are found out now.
        bench.new_copy()?;
        if self.cold {
            bench.drop_from_cache()?;
        }
        self.describe(&mut report, &bench)?;
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        for (engine, buffer) in ways() {
            match bench.measure(engine, buffer)? {
                Ok(row) => {
                    report.row(row.cells())?;
                    rows.push(row);
                }
                Err(engine) => {
                    report.no_row(engine.engine, &engine.reason)?;
                    refused.push(engine);
                }
            }
        }
        report.chart(sweep_chart(&rows, len), SWEEP_CAPTION);
        report.chart(processor_chart(&rows), PROCESSOR_CAPTION);
        let conclusion = conclusion(&rows, len);
        report.conclude(conclusion.clone());
        let file = self.file.display().to_string();
        report.end(&Sweep { file, bytes: len, runs: self.runs, cold: self.cold, rows, refused, conclusion })?;
        Ok(Answer::Yes)
    }

    fn describe(&self, report: &mut Report, bench: &Bench<'_>) -> anyhow::Result<()> {
        let file_system = sys::file_system(&bench.folder).map_or_else(String::new, |kind| format!(", on {kind}"));
        report.method(format!(
            "Every copy goes to a new file without a name{file_system}, on one thread, in one process."
        ));
        report.method(format!("Real time, system calls and page faults are medians of {} runs.", self.runs));
        report.method(format!(
            "User and system time are means of these runs, and of more until {} ms are together or {} ms have passed. \
             How processor time divides into the two is what many kernels sample, at each tick of their clock: only \
             the sum is exact, below 10 ms most of all.",
            PROCESSOR_TIME.as_millis(),
            MORE_RUNS_AT_MOST.as_millis()
        ));
        report.method(if self.cold {
            "Before every run the file was dropped from the page cache."
        } else {
            "The file is in the page cache; one run before the others, cold, is shown apart."
        });
        report.method("A ~ marks figures of a sample that were multiplied up to the whole file.");
        let state = if self.cold { "each cold" } else { "warm, and one cold before them" };
        let (name, bytes) = (output::name(&self.file), output::bytes_text(bench.len));
        let title = format!("copying '{name}', {bytes}: medians of {} runs, {state}; times in ms", self.runs);
        report.begin(title, COLUMNS)
    }
}

/// Reading and writing with each buffer, and the other engines with what they choose.
fn ways() -> impl Iterator<Item = (Engine, Option<NonZero<usize>>)> {
    let others = Engine::ALL.into_iter().filter(|&engine| engine != Engine::ReadWrite);
    BUFFERS.into_iter().map(|bytes| (Engine::ReadWrite, NonZero::new(bytes))).chain(others.map(|engine| (engine, None)))
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

struct Bench<'a> {
    source: File,
    /// Of the source, in bytes.
    len: u64,
    folder: PathBuf,
    arguments: &'a Arguments,
    /// The buffers of all measurements.
    workspace: Workspace,
}

impl Bench<'_> {
    /// Measures one way to copy: a first run, then the others.
    fn measure(
        &mut self,
        engine: Engine,
        buffer_bytes: Option<NonZero<usize>>,
    ) -> anyhow::Result<Result<Row, Refused>> {
        let request = Request { engine: Some(engine), buffer_bytes, ..Request::default() };
        let plan = Plan::new(request, Facts::new(self.len));
        let sample = match buffer_bytes {
            Some(bytes) => self.len.min(READS_AT_MOST.saturating_mul(u64::try_from(bytes.get())?)),
            None => self.len,
        };
        let scale = whole(self.len) / whole(sample);
        let dropped = self.drop_from_cache();
        let is_cold = dropped.is_ok();
        if self.arguments.cold {
            dropped?;
        }
        let (first, fallback) = self.run_once(&plan, sample)?;
        if let Some(fallback) = fallback {
            return Ok(Err(Refused { engine: engine.name(), reason: fallback.reason }));
        }
        let (mut runs, mut more_begun) = (Vec::new(), None);
        while self.is_for_another(&runs, &mut more_begun) {
            if self.arguments.cold {
                self.drop_from_cache()?;
            }
            runs.push(self.run_once(&plan, sample)?.0);
        }
        let cost = Cost::of(&runs, self.arguments.runs.into()).times(scale);
        Ok(Ok(Row {
            engine: engine.name(),
            buffer_bytes: buffer_bytes.map(NonZero::get),
            extrapolated: sample < self.len,
            cold_seconds: is_cold.then_some(first.real_seconds * scale),
            bytes_per_second: whole(self.len) / cost.real_seconds,
            cost,
            processor_time_runs: runs.len(),
        }))
    }

    /// Whether these are not enough: fewer than asked for, or too short to tell user from system time, while there is
    /// time for more.
    fn is_for_another(&self, runs: &[Cost], more_begun: &mut Option<Instant>) -> bool {
        if runs.len() < self.arguments.runs.into() {
            return true;
        }
        let processor_seconds: f64 = runs.iter().map(Cost::processor_seconds).sum();
        self.len >= SHOWS_FROM_BYTES
            && processor_seconds < PROCESSOR_TIME.as_secs_f64()
            && more_begun.get_or_insert_with(Instant::now).elapsed() < MORE_RUNS_AT_MOST
    }

    /// An empty file without a name, which vanishes when it is closed.
    fn new_copy(&self) -> anyhow::Result<File> {
        let made = tempfile::tempfile_in(&self.folder);
        made.with_context(|| format!("creating a temporary file in '{}'", self.folder.display()))
    }

    /// Drops the source from the page cache, and makes sure that it is gone.
    fn drop_from_cache(&self) -> anyhow::Result<()> {
        let name = self.arguments.file.display();
        sys::drop_from_cache(&self.source).with_context(|| format!("dropping '{name}' from the page cache"))?;
        let residency = MapOptions::read_only().map(&self.source)?.view().residency()?;
        let left = residency.resident_pages();
        anyhow::ensure!(
            left == 0,
            "'{name}' can't be measured cold: {left} of its {} pages stay in the page cache, because somebody uses \
             them, or because the file is somebody else's and the kernel does not tell",
            residency.pages().len()
        );
        Ok(())
    }

    /// Copies the first `sample` bytes to a new file, and answers what that took, and why by another engine, if it was.
    fn run_once(&mut self, plan: &Plan, sample: u64) -> anyhow::Result<(Cost, Option<Fallback>)> {
        let copy = self.new_copy()?;
        let meter = Meter::new();
        let (before, begun) = (Usage::of_process()?, Instant::now());
        let source = NamedFile::new(&self.source, &self.arguments.file);
        let unnamed = self.folder.join("(temporary file)");
        let destination = NamedFile::new(&copy, &unnamed);
        let transferred = transfer(source, destination, sample, plan, &meter, &mut self.workspace)?;
        let real = begun.elapsed();
        Ok((cost(Usage::of_process()? - before, real, meter.calls()), transferred.fallback))
    }
}

/// What a run took.
fn cost(used: Usage, real: Duration, calls: u64) -> Cost {
    Cost {
        real_seconds: real.as_secs_f64(),
        user_seconds: used.user.as_secs_f64(),
        system_seconds: used.system.as_secs_f64(),
        system_calls: whole(calls),
        minor_faults: whole(used.minor_faults),
        major_faults: whole(used.major_faults),
    }
}

impl Cost {
    /// Medians of the first `asked_for` runs, field by field; of user and system time, means of all of them.
    fn of(runs: &[Self], asked_for: usize) -> Self {
        let of = |field: fn(&Self) -> f64| median(runs.iter().take(asked_for).map(field).collect());
        let mean = |field: fn(&Self) -> f64| {
            runs.iter().map(field).sum::<f64>() / whole(u64::try_from(runs.len()).unwrap_or(u64::MAX))
        };
        Self {
            real_seconds: of(|run| run.real_seconds),
            user_seconds: mean(|run| run.user_seconds),
            system_seconds: mean(|run| run.system_seconds),
            system_calls: of(|run| run.system_calls),
            minor_faults: of(|run| run.minor_faults),
            major_faults: of(|run| run.major_faults),
        }
    }

    /// User and system time together.
    fn processor_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    fn times(self, scale: f64) -> Self {
        Self {
            real_seconds: self.real_seconds * scale,
            user_seconds: self.user_seconds * scale,
            system_seconds: self.system_seconds * scale,
            system_calls: self.system_calls * scale,
            minor_faults: self.minor_faults * scale,
            major_faults: self.major_faults * scale,
        }
    }
}

const COLUMNS: &[Column] = &[
    ("buffer or engine", 18),
    ("cold ms", 7),
    ("real ms", 7),
    ("user ms", 7),
    ("sys ms", 7),
    ("calls", 9),
    ("minflt", 6),
    ("majflt", 6),
    ("MB/s", 5),
];

impl Row {
    fn name(&self) -> String {
        self.buffer_bytes.map_or_else(|| self.engine.to_owned(), size::text)
    }

    fn cells(&self) -> Vec<String> {
        let mark = if self.extrapolated { "~" } else { "" };
        let number = |value: f64, decimals| format!("{mark}{value:.*}", if value < 99.995 { decimals } else { 0 });
        let ms = |seconds: f64| number(seconds * 1e3, 2);
        let count = |value: f64| number(value, 0);
        let Cost { real_seconds, user_seconds, system_seconds, system_calls, minor_faults, major_faults } = self.cost;
        vec![
            self.name(),
            self.cold_seconds.map_or_else(|| "-".to_owned(), ms),
            ms(real_seconds),
            ms(user_seconds),
            ms(system_seconds),
            count(system_calls),
            count(minor_faults),
            count(major_faults),
            number(self.bytes_per_second / 1e6, 1),
        ]
    }
}

const SWEEP_CAPTION: &str = "Real time over the buffer of read and write, with the processor time in the kernel and in \
    the program below it, and the other engines as lines across; both axes are logarithmic. Small buffers take \
    system calls, one for each time that they are filled and emptied; a mapped copy takes page faults instead. How \
    processor time divides is sampled at the ticks of the kernel's clock: only the sum is exact.";

/// Time over the buffer.
fn sweep_chart(rows: &[Row], len: u64) -> Lines {
    let buffers = |time: fn(&Cost) -> f64| {
        let point = |row: &Row| Some((whole(u64::try_from(row.buffer_bytes?).ok()?), time(&row.cost) * 1e3));
        rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let buffer = Axis::log_of_sizes("buffer of read and write, in bytes").labels(size_label);
    let chart =
        Lines::new(format!("Time of a copy of {} over its buffer", output::bytes_text(len)), buffer, Axis::log("ms"))
            .area("system time", buffers(|cost| cost.system_seconds))
            .area("user time", buffers(|cost| cost.user_seconds))
            .line("read and write", buffers(|cost| cost.real_seconds));
    let engines = rows.iter().filter(|row| row.buffer_bytes.is_none());
    engines.fold(chart, |chart, row| {
        let ms = row.cost.real_seconds * 1e3;
        chart.level(format!("{}, {ms:.1}", row.engine), ms)
    })
}

/// Buffers below this many bytes take so long that beside them nothing else would show.
const PROCESSOR_FROM_BYTES: usize = 4 << 10;

const PROCESSOR_CAPTION: &str = "Processor time of a copy, in the kernel and in the program, on a linear axis. The \
    kernel moves the bytes of read and write; the program itself moves those of a mapped copy, while the kernel sees \
    to the page faults. How processor time divides is sampled at the ticks of the kernel's clock: only the sum is \
    exact.";

/// Processor time by parts.
fn processor_chart(rows: &[Row]) -> Bars {
    let title = "Processor time of a copy, with buffers from 4k on and by other engines";
    let bars = Bars::stacked(title, Axis::linear("ms"), ["system", "user"]);
    let shown = rows.iter().filter(|row| row.buffer_bytes.is_none_or(|bytes| bytes >= PROCESSOR_FROM_BYTES));
    shown.fold(bars, |bars, row| bars.row(row.name(), vec![row.cost.system_seconds * 1e3, row.cost.user_seconds * 1e3]))
}

/// Two lines that say what the figures show, or one if they show nothing.
fn conclusion(rows: &[Row], len: u64) -> String {
    let time = |row: &Row| row.cost.real_seconds;
    let buffered = || rows.iter().filter(|row| row.buffer_bytes.is_some());
    let best = buffered().min_by(|a, b| time(a).total_cmp(&time(b)));
    let (Some(smallest), Some(best)) = (buffered().next(), best) else { return String::new() };
    let Some(mapped) = rows.iter().find(|row| row.engine == Engine::Mapped.name()) else { return String::new() };
    if len < SHOWS_FROM_BYTES || time(smallest) <= 1.1 * time(best) {
        return "The file is too short for a difference to show: take one of some megabytes.".to_owned();
    }
    // The first buffer that comes within a tenth of the best: from there on a larger one gains next to nothing.
    let enough = buffered().find(|row| time(row) <= 1.1 * time(best)).unwrap_or(best);
    let calls = smallest.cost.system_calls;
    let faults = mapped.cost.minor_faults + mapped.cost.major_faults;
    format!(
        "System calls are what small buffers pay for: {} bytes take {calls:.0} calls of about {:.0} ns of processor \
         time, and are {} {}; from {} on a larger buffer gains less than a tenth.\n\
         {}: {faults:.0} of them, of about {:.0} ns of processor time each, the copying in it; it makes {:.0} calls, \
         and is {} {} bytes and {} {}, the best buffer.",
        smallest.name(),
        smallest.cost.processor_seconds() * 1e9 / calls,
        ratio(time(smallest), time(best)),
        best.name(),
        enough.name(),
        if time(mapped) > 1.05 * time(best) {
            "Page faults are what the mapped copy pays for"
        } else {
            "Page faults cost the mapped copy no more than a buffer and its calls would"
        },
        mapped.cost.processor_seconds() * 1e9 / faults.max(1.0),
        mapped.cost.system_calls,
        ratio(time(mapped), time(smallest)),
        smallest.name(),
        ratio(time(mapped), time(best)),
        best.name(),
    )
}

/// How one time compares to another, in words that go before the name of the other.
pub(super) fn ratio(own: f64, other: f64) -> String {
    let slower = own / other;
    if slower > 1.05 {
        format!("{slower:.1} times slower than")
    } else if slower < 0.95 {
        format!("{:.1} times faster than", 1.0 / slower)
    } else {
        "as fast as".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the time is the processor's, and half of that the kernel's.
    fn cost(real_seconds: f64, system_calls: f64, minor_faults: f64) -> Cost {
        let (user_seconds, system_seconds) = (real_seconds / 4.0, real_seconds / 4.0);
        Cost { real_seconds, user_seconds, system_seconds, system_calls, minor_faults, major_faults: 0.0 }
    }

    fn row(buffer_bytes: Option<usize>, cost: Cost) -> Row {
        let engine = if buffer_bytes.is_some() { "read-write" } else { "mapped" };
        let (extrapolated, cold_seconds, bytes_per_second) = (false, None, 1e6);
        Row { engine, buffer_bytes, extrapolated, cold_seconds, cost, processor_time_runs: 1, bytes_per_second }
    }

    #[test]
    fn medians_are_taken_field_by_field_and_processor_time_is_a_mean() {
        let runs = [cost(3.0, 10.0, 5.0), cost(1.0, 30.0, 5.0), cost(2.0, 20.0, 6.0)];
        let all = Cost::of(&runs, 3);
        assert_eq!((all.real_seconds, all.system_calls, all.minor_faults), (2.0, 20.0, 5.0));
        assert_eq!(Cost::of(&runs[..2], 2).real_seconds, 2.0);
        // Of four runs that a tick hits, one in the program, the shares remain; the fourth is for that alone.
        let tick = |user_seconds, system_seconds| Cost { user_seconds, system_seconds, ..cost(1.0, 1.0, 1.0) };
        let ticks = [tick(0.0, 1.0), tick(1.0, 0.0), tick(0.0, 1.0), Cost { real_seconds: 9.0, ..tick(0.0, 1.0) }];
        let all = Cost::of(&ticks, 3);
        assert_eq!((all.real_seconds, all.user_seconds, all.system_seconds), (1.0, 0.25, 0.75));
    }

    #[test]
    fn a_table_fits_a_terminal() {
        let width = COLUMNS.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
        assert!(width <= 80, "{width}");
        let sample =
            Row { extrapolated: true, cold_seconds: Some(99.994), ..row(Some(5), cost(99.996, 4_800_000.0, 0.0)) };
        let cells = sample.cells();
        assert_eq!(cells[1..], ["~99994", "~99996", "~24999", "~24999", "~4800000", "~0", "~0", "~1.0"]);
        for seconds in [0.0, 0.099994, 0.099996, 9.9] {
            for (cell, (name, width)) in row(None, cost(seconds, 10.0, 250_000.0)).cells().iter().zip(COLUMNS) {
                assert!(cell.len() <= *width, "{name}: {cell}");
            }
        }
    }

    #[test]
    fn the_conclusion_follows_from_the_figures() {
        let rows = |mapped| {
            [
                row(Some(5), cost(100.0, 1_000_000.0, 0.0)),
                row(Some(65536), cost(1.05, 100.0, 0.0)),
                row(Some(1 << 20), cost(1.0, 10.0, 0.0)),
                row(None, cost(mapped, 5.0, 3000.0)),
            ]
        };
        let slower = conclusion(&rows(2.0), 5 << 20);
        assert_eq!(slower.lines().count(), 2, "{slower}");
        // A call is what it takes of the processor, which is half of the time.
        for part in [
            "5 bytes take 1000000 calls of about 50000 ns of processor time, and are 100.0 times slower than 1m",
            "from 64k on a larger buffer gains less than a tenth",
            "\nPage faults are what the mapped copy pays for: 3000 of them, of about 333333 ns of processor time each",
            "it makes 5 calls, and is 50.0 times faster than 5 bytes and 2.0 times slower than 1m, the best buffer.",
        ] {
            assert!(slower.contains(part), "{part}: {slower}");
        }
        for (mapped, end) in [(0.5, "2.0 times faster than 1m"), (1.0, "as fast as 1m")] {
            let text = conclusion(&rows(mapped), 5 << 20);
            assert!(
                text.contains("\nPage faults cost the mapped copy no more than a buffer and its calls would"),
                "{text}"
            );
            assert!(text.ends_with(&format!("{end}, the best buffer.")), "{text}");
        }
        // A short file, or one with which nothing differs, shows nothing.
        for (rows, len) in
            [(&rows(2.0)[..], 5000), (&[row(Some(5), cost(1.0, 1.0, 0.0)), row(None, cost(2.0, 1.0, 1.0))], 5 << 20)]
        {
            assert!(conclusion(rows, len).starts_with("The file is too short"));
        }
    }

    #[test]
    fn ratios_are_put_into_words() {
        assert_eq!(ratio(2.0, 1.0), "2.0 times slower than");
        assert_eq!(ratio(1.0, 4.0), "4.0 times faster than");
        assert_eq!(ratio(1.0, 1.01), "as fast as");
    }
}
