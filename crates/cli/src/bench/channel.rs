//! `mapio bench channel`: how long a message takes to another process and back, by a channel in shared memory, by a
//! pipe and by a socket.
//!
//! The other process is this program again, called with `--echo`, which sends everything back. Each round trip is timed
//! by itself, since what matters to who waits is not the middle alone but also the worst of a thousand.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use clap::builder::TypedValueParser;
use mapio_chart::{Axis, Lines};
use mapio_shared::channel::{Channel, ChannelOptions, Receiver, Sender, Wait};
use mapio_shared::{Lifetime, SharedObject};
use serde::Serialize;

use super::copy::ratio;
use super::nearest;
use super::report::{Column, Options, Report};
use crate::output::{Answer, whole};
use crate::size;

/// How long the other process may take to answer first.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest message, in bytes.
const LONGEST: u64 = 1 << 20;

const COLUMNS: &[Column] =
    &[("round trip by", 24), ("50 % us", 10), ("90 % us", 10), ("99 % us", 10), ("99.9 % us", 10), ("most us", 10)];

/// Measure round trips between two processes: by a channel, a pipe and a socket
///
/// For each way: how long half of the round trips take at most, and 90, 99 and 99.9 of a hundred, and the longest; 99
/// takes a hundred round trips to tell, and 99.9 a thousand. A channel waits by spinning, which keeps a processor busy
/// on either side; by sleeping in the kernel; or by one after the other, as channels do if nothing is said.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench channel --runs 1 --round-trips 2000 --html latency.html")]
pub(crate) struct Arguments {
    /// Round trips in a run, besides a tenth more to warm up
    #[arg(long, value_name = "N", default_value = "20000", value_parser = round_trips())]
    round_trips: u32,
    /// Of each message: 8 bytes to 1m
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = message_len)]
    message_len: usize,
    /// Runs of each, each with a new process; their round trips count together
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Be the other process: send back what comes by the channels of this name, or, for '-', by standard input
    #[arg(long, value_name = "NAME", hide = true)]
    echo: Option<String>,
    #[command(flatten)]
    report: Options,
}

/// What round trips have taken.
#[derive(Debug, Serialize)]
struct Row {
    way: &'static str,
    round_trips: usize,
    p50_ns: u64,
    p90_ns: u64,
    /// Null of fewer than 100.
    p99_ns: Option<u64>,
    /// Null of fewer than 1000.
    p99_9_ns: Option<u64>,
    max_ns: u64,
    /// All of them, from the shortest to the longest.
    #[serde(skip)]
    sorted_ns: Vec<u64>,
}

/// A way that can't be measured here.
#[derive(Debug, Serialize)]
struct Refused {
    way: &'static str,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Figures {
    runs: u16,
    message_bytes: usize,
    rows: Vec<Row>,
    refused: Vec<Refused>,
    conclusion: String,
}

/// How messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Channel(Wait),
    Pipe,
    Socket,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Channel(Wait::Spin),
        Self::Channel(Wait::SpinThenSleep),
        Self::Channel(Wait::Sleep),
        Self::Pipe,
        Self::Socket,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Channel(Wait::Spin) => "channel, spin",
            Self::Channel(Wait::SpinThenSleep) => "channel, spin-then-sleep",
            Self::Channel(_) => "channel, sleep",
            Self::Pipe => "two pipes",
            Self::Socket => "Unix socket",
        }
    }

    /// Why it can't be measured here.
    fn refusal(self) -> Option<&'static str> {
        let is_alone = std::thread::available_parallelism().is_ok_and(|count| count.get() == 1);
        (is_alone && self == Self::Channel(Wait::Spin))
            .then_some("there is one processor, and who spins on it keeps the other process from answering")
    }
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        if let Some(name) = &self.echo {
            return self.send_back(name);
        }
        let mut report = Report::new(&self.report, None)?;
        report.method("A message goes to another process, which sends it back; only then the next one goes.");
        report.method("Each round trip is timed by itself; what a look at the clock takes is in it.");
        report.method(
            "No process is kept on a processor; other programs that run meanwhile show in the slowest round trips.",
        );
        report.method(
            "Pipes and sockets as the kernel makes them: read(2), write(2), two pipe(2), one socketpair(2) of streams.",
        );
        let (trips, bytes) = (self.round_trips, self.message_len);
        let title =
            format!("round trips between two processes: {trips} a run, {} runs, messages of {bytes} bytes", self.runs);
        report.begin(title, COLUMNS)?;
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        for way in Way::ALL {
            if let Some(reason) = way.refusal() {
                report.no_row(way.name(), reason)?;
                refused.push(Refused { way: way.name(), reason });
                continue;
            }
            let row = self.measure(way).with_context(|| format!("measuring {}", way.name()))?;
            report.row(row.cells())?;
            rows.push(row);
        }
        report.chart(chart(&rows), CAPTION);
        let conclusion = conclusion(&rows);
        report.conclude(conclusion.clone());
        report.end(&Figures { runs: self.runs, message_bytes: self.message_len, rows, refused, conclusion })?;
        Ok(Answer::Yes)
    }

    fn measure(&self, way: Way) -> anyhow::Result<Row> {
        let mut times = Vec::new();
        for _ in 0..self.runs {
            let mut other = Other::start(self, way)?;
            times.extend(self.round_trips(&mut other)?);
            let status = other.process.wait()?;
            ensure!(status.success(), "the other process has failed: {status}");
        }
        Ok(Row::new(way, times))
    }

    /// Sends and waits, again and again; answers nanoseconds.
    fn round_trips(&self, other: &mut Other) -> anyhow::Result<Vec<u64>> {
        let mut message = vec![0xa5; self.message_len];
        let mut back = message.clone();
        let mut times = Vec::new();
        for number in 0..self.all_trips() {
            message[..8].copy_from_slice(&number.to_le_bytes());
            let begun = Instant::now();
            other.ends.send(&message)?;
            if number == 0 {
                // Only now both are there: from here on nobody needs the names.
                other.ends.receive_first(&mut back)?;
                other.names.clear();
            } else {
                other.ends.receive(&mut back)?;
            }
            let time = begun.elapsed();
            ensure!(message == back, "another message has come back than was sent");
            if number >= self.warm_up() {
                times.push(u64::try_from(time.as_nanos())?);
            }
        }
        Ok(times)
    }

    fn warm_up(&self) -> u64 {
        u64::from(self.round_trips.div_ceil(10))
    }

    fn all_trips(&self) -> u64 {
        self.warm_up() + u64::from(self.round_trips)
    }

    /// What the other process does.
    fn send_back(&self, name: &str) -> anyhow::Result<Answer> {
        let mut ends = if name == "-" {
            let own = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().map(File::from);
            Ends::Stream { output: own(&std::io::stdout())?, input: own(&std::io::stdin())? }
        } else {
            let channel = |direction: &str| ChannelOptions::new().open(&format!("{name}-{direction}"));
            Ends::channels(&channel("back")?, &channel("forth")?)?
        };
        let mut message = vec![0; self.message_len];
        for _ in 0..self.all_trips() {
            ends.receive(&mut message)?;
            ends.send(&message)?;
        }
        Ok(Answer::Yes)
    }
}

/// The other process, and this one's ends of what goes there and back.
struct Other {
    process: Child,
    ends: Ends,
    /// Of channels that the other process has still to open.
    names: Names,
}

impl Other {
    fn start(arguments: &Arguments, way: Way) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("looking for this program")?);
        let (trips, bytes) = (arguments.round_trips.to_string(), arguments.message_len.to_string());
        command.args(["bench", "channel", "--round-trips", &trips, "--message-len", &bytes, "--echo"]);
        let mut names = Names(Vec::new());
        let start = |command: &mut Command| command.spawn().context("starting this program again");
        let (process, ends) = match way {
            Way::Channel(wait) => {
                let name = format!("mapio-bench-{}", std::process::id());
                // Whoever is the last to end takes the names along, and `mapio shared clean` those of who was killed.
                let options = ChannelOptions::new()
                    .wait(wait)
                    .message_len(u64::try_from(arguments.message_len)?)
                    .lifetime(Lifetime::LastHandle);
                let mut channel = |direction| -> anyhow::Result<Channel<[u8]>> {
                    let name = format!("{name}-{direction}");
                    let channel = options.create(&name)?;
                    names.0.push(name);
                    Ok(channel)
                };
                let ends = Ends::channels(&channel("forth")?, &channel("back")?)?;
                command.arg(&name).stdin(Stdio::null()).stdout(Stdio::null());
                (start(&mut command)?, ends)
            }
            Way::Pipe => {
                let mut process = start(command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()))?;
                let (Some(output), Some(input)) = (process.stdin.take(), process.stdout.take()) else {
                    bail!("the other process has no pipes");
                };
                (process, Ends::Stream { output: OwnedFd::from(output).into(), input: OwnedFd::from(input).into() })
            }
            Way::Socket => {
                let (own, others) = UnixStream::pair().context("making two sockets")?;
                let (own, others) = (OwnedFd::from(own), OwnedFd::from(others));
                let process = start(command.arg("-").stdin(others.try_clone()?).stdout(others))?;
                (process, Ends::Stream { output: own.try_clone()?.into(), input: own.into() })
            }
        };
        Ok(Self { process, ends, names })
    }
}

/// Names of channels, which are removed in the end.
struct Names(Vec<String>);

impl Names {
    fn clear(&mut self) {
        for name in self.0.drain(..) {
            // What can't be removed is removed by `mapio shared clean`.
            let _ = SharedObject::remove(&name);
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One process's ends.
enum Ends {
    Channels(Box<Pair>),
    Stream { output: File, input: File },
}

struct Pair {
    sender: Sender<[u8]>,
    receiver: Receiver<[u8]>,
}

impl Ends {
    fn channels(out: &Channel<[u8]>, back: &Channel<[u8]>) -> anyhow::Result<Self> {
        Ok(Self::Channels(Box::new(Pair { sender: out.sender()?, receiver: back.receiver()? })))
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Channels(pair) => Ok(pair.sender.send(message)?),
            Self::Stream { output, .. } => Ok(output.write_all(message)?),
        }
    }

    /// Waits for a message, of which all bytes are expected.
    #[inline]
    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        match self {
            Self::Channels(pair) => all(pair.receiver.receive(message)?, message.len()),
            Self::Stream { input, .. } => Ok(input.read_exact(message)?),
        }
    }

    /// The same, and not for ever: the other process may never come. A pipe that nobody has open tells by itself.
    fn receive_first(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        match self {
            Self::Channels(pair) => all(pair.receiver.receive_timeout(message, PATIENCE)?, message.len()),
            Self::Stream { .. } => self.receive(message),
        }
    }
}

fn all(received: usize, len: usize) -> anyhow::Result<()> {
    ensure!(received == len, "a message of {received} bytes has come instead of {len}");
    Ok(())
}

impl Row {
    fn new(way: Way, mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let of = |percent| percentile(&times, percent);
        let (p50_ns, p90_ns, max_ns) = (of(50.0), of(90.0), of(100.0));
        let p99_ns = (times.len() >= 100).then(|| of(99.0));
        let p99_9_ns = (times.len() >= 1000).then(|| of(99.9));
        let round_trips = times.len();
        Self { way: way.name(), round_trips, p50_ns, p90_ns, p99_ns, p99_9_ns, max_ns, sorted_ns: times }
    }

    fn cells(&self) -> Vec<String> {
        let times = [Some(self.p50_ns), Some(self.p90_ns), self.p99_ns, self.p99_9_ns, Some(self.max_ns)];
        let cells = times.map(|ns| ns.map_or_else(|| "-".to_owned(), us));
        std::iter::once(self.way.to_owned()).chain(cells).collect()
    }
}

/// Microseconds, as all figures have them.
fn us(ns: u64) -> String {
    format!("{:.2}", whole(ns) / 1e3)
}

/// What so many of a hundred do not exceed, by the nearest rank; 0 of nothing.
fn percentile(sorted: &[u64], percent: f64) -> u64 {
    let count = whole(u64::try_from(sorted.len()).unwrap_or(u64::MAX));
    // A little less, so that rounding makes no whole rank the next one.
    let rank = (percent / 100.0 * count - 1e-6).ceil().max(1.0);
    let index = nearest(rank - 1.0);
    sorted.get(index).or(sorted.last()).copied().unwrap_or(0)
}

const CAPTION: &str = "How long so many of a hundred round trips take at most: a line that stays low to the right is \
    one to rely on. Who spins sees a message as soon as the processors pass it on, unless another program has his \
    processor; who sleeps is woken by the kernel first.";

/// Percentiles as curves. The axis gives each further nine as much room as the one before.
fn chart(rows: &[Row]) -> Lines {
    let share = Axis::log("of the round trips").labels(|of| format!("{} %", 100.0 - 100.0 / of.round()));
    let chart = Lines::new("Round trips between two processes", share, Axis::log("us"));
    rows.iter().fold(chart, |chart, row| chart.line(row.way, curve(&row.sorted_ns)))
}

/// Points of a curve: the slowest of so many, and microseconds; twelve points for each further nine.
fn curve(sorted: &[u64]) -> Vec<(f64, f64)> {
    let count = whole(u64::try_from(sorted.len()).unwrap_or(u64::MAX));
    let of = (0..).map(|step| 10f64.powf(f64::from(step) / 12.0)).take_while(|of| *of <= count);
    of.map(|of| (of, whole(percentile(sorted, 100.0 - 100.0 / of)) / 1e3)).collect()
}

/// What the figures show, in two lines.
fn conclusion(rows: &[Row]) -> String {
    let find = |way: Way| rows.iter().find(|row| row.way == way.name());
    let (Some(pipe), Some(usual)) = (find(Way::Pipe), find(Way::Channel(Wait::SpinThenSleep))) else {
        return String::new();
    };
    let both = |channel: u64, by_pipe: u64| {
        format!("{} us ({}) and {} us ({})", us(channel), usual.way, us(by_pipe), pipe.way)
    };
    let most = match (usual.p99_9_ns, pipe.p99_9_ns) {
        (Some(channel), Some(pipe)) => format!("999 of a thousand take at most {}.", both(channel, pipe)),
        _ => format!("The longest of {} takes {}.", pipe.round_trips, both(usual.max_ns, pipe.max_ns)),
    };
    format!(
        "Half of the round trips take at most {}: the channel is {} the pipes.\n{most}",
        both(usual.p50_ns, pipe.p50_ns),
        ratio(whole(usual.p50_ns), whole(pipe.p50_ns).max(1.0)),
    )
}

/// As many as show a percentile, and no more than fit into memory.
fn round_trips() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(10..=10_000_000)
}

/// Reads the length of a message.
fn message_len(text: &str) -> Result<usize, String> {
    let len = size::bytes(text)?;
    let len = Some(len).filter(|len| (8..=LONGEST).contains(len)).and_then(|len| usize::try_from(len).ok());
    len.ok_or_else(|| "a message has 8 bytes to 1m here".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<u64> = (1..=1000).collect();
        let row = Row::new(Way::Pipe, times.iter().rev().copied().collect());
        assert_eq!((row.p50_ns, row.p90_ns, row.max_ns), (500, 900, 1000));
        assert_eq!((row.p99_ns, row.p99_9_ns), (Some(990), Some(999)));
        assert_eq!(percentile(&[7], 50.0), 7);
        assert_eq!(percentile(&[], 50.0), 0);
        assert_eq!(percentile(&[1, 2], 0.0), 1);
        let curve = curve(&times);
        assert_eq!((curve.first(), curve.last()), (Some(&(1.0, 0.001)), Some(&(1000.0, 0.999))));
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }

    #[test]
    fn of_a_few_round_trips_there_is_no_99_9_percent() {
        let row = |count: u64| Row::new(Way::Pipe, (1..=count).collect());
        assert_eq!((row(99).p99_ns, row(100).p99_ns), (None, Some(99)));
        assert_eq!((row(999).p99_9_ns, row(1000).p99_9_ns), (None, Some(999)));
        assert_eq!(row(10).cells(), ["two pipes", "0.01", "0.01", "-", "-", "0.01"]);
    }

    #[test]
    fn the_conclusion_is_of_the_rows_and_rounds_as_they_do() {
        let row = |way, ns, count| Row::new(way, vec![ns; count]);
        let (spin, usual) = (Way::Channel(Wait::Spin), Way::Channel(Wait::SpinThenSleep));
        let said = conclusion(&[row(spin, 245, 1000), row(usual, 305, 1000), row(Way::Pipe, 470_506, 1000)]);
        assert_eq!(
            said,
            "Half of the round trips take at most 0.30 us (channel, spin-then-sleep) and 470.51 us (two pipes): the \
             channel is 1542.6 times faster than the pipes.\n\
             999 of a thousand take at most 0.30 us (channel, spin-then-sleep) and 470.51 us (two pipes)."
        );
        assert_eq!(row(Way::Pipe, 470_506, 1000).cells()[1], "470.51");
        // Where nobody can spin; and of a few.
        let said = conclusion(&[row(usual, 391_890, 10), row(Way::Pipe, 5060, 10)]);
        assert_eq!(
            said,
            "Half of the round trips take at most 391.89 us (channel, spin-then-sleep) and 5.06 us (two pipes): the \
             channel is 77.4 times slower than the pipes.\n\
             The longest of 10 takes 391.89 us (channel, spin-then-sleep) and 5.06 us (two pipes)."
        );
    }

    #[test]
    fn a_row_is_no_wider_than_a_terminal() {
        assert!(COLUMNS.iter().map(|(_, width)| width + 1).sum::<usize>() <= 1 + 80);
    }

    #[test]
    fn messages_have_room_for_their_number() {
        assert_eq!(message_len("1k"), Ok(1024));
        assert!(message_len("7").is_err() && message_len("1025k").is_err());
    }
}
