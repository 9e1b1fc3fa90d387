//! `mapio bench serial`: waiting for a serial port by asking it again and again, and by its interrupt.
//!
//! The port is a simulated 16550, whose bytes take the time that they take on a line, so that any machine can measure
//! it. What costs processor time is the driver and the model of the device alike, in one thread of this process.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use clap::Args;
use mapio_chart::{Axis, Lines};
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Ns16550 as Model, Simulated, SimulatedInterrupt};
use mapio_device::serial::{Flow, Ns16550, Serial, Settings};
use mapio_device::{Driven, Error, Interrupt, Polled, Waiting};
use mapio_map::Usage;
use serde::Serialize;

use super::report::{Column, Options, Report};
use super::{median, nearest};
use crate::output::Answer;

/// The chip's clock: it makes all the speeds.
const CLOCK_HZ: u32 = 48_000_000;
/// Received bytes that interrupt, as the driver sets it by itself.
const TRIGGER: usize = 8;
/// Bits of a byte on the line: start, 8, stop.
const FRAME_BITS: u32 = 10;
const SPEEDS_BAUD: [u32; 4] = [9600, 38_400, USUAL_BAUD, 1_000_000];
const USUAL_BAUD: u32 = 115_200;
/// How long the line is busy in a measurement: a quarter of a second.
const MEASUREMENTS_IN_A_SECOND: u32 = 4;
/// Bytes of which each comes by itself, in a run.
const PROBES: u16 = 20;
/// How long the program has waited when such a byte sets out: long enough to sleep, even if its frame takes 10 us.
const LEAD: Duration = Duration::from_millis(1);
/// Polling that got less than this share of a processor had to leave the rest to other programs.
const WHOLE_PROCESSOR: f64 = 0.9;

const COLUMNS: &[Column] = &[
    ("direction", 9),
    ("baud", 7),
    ("wait", 18),
    ("bytes", 5),
    ("time ms", 7),
    ("interrupts", 10),
    ("processor", 9),
    ("late us", 7),
];

/// Measure a serial port by polling and by interrupts: processor time, and how late a byte is
///
/// The port is simulated; its bytes take the time that they take on a line. For several speeds, and for sending and
/// receiving: how often the port interrupts; the share of a processor that the driver and the simulated device take;
/// and for bytes that come one by one, how long after its last bit the program has each. Medians of several runs.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench serial --runs 1 --baud 38400,115200 --plot serial.svg")]
pub(crate) struct Arguments {
    /// Measured runs of each
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Speeds of the line, in bits a second
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = SPEEDS_BAUD)]
    #[arg(value_parser = clap::value_parser!(u32).range(1200..=1_000_000))]
    baud: Vec<u32>,
    #[command(flatten)]
    report: Options,
}

/// What one way to wait has cost, in one direction at one speed; medians.
#[derive(Debug, Serialize)]
struct Row {
    direction: Direction,
    baud: u32,
    wait: Wait,
    bytes: u32,
    seconds: f64,
    processor_seconds: f64,
    /// Of `seconds`, from 0 to 1.
    processor_share: f64,
    /// That the driver has taken. Null for polling.
    interrupts: Option<usize>,
    /// Of bytes that came one by one: from their last bit to the program. Null for sending.
    late_us: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Figures {
    runs: u16,
    rows: Vec<Row>,
    conclusion: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Send,
    Receive,
}

/// How the driver waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Wait {
    Polling,
    /// With so many bytes in the FIFO as drivers usually ask for, or after a pause.
    Interrupt,
    /// For each byte.
    InterruptPerByte,
}

impl Wait {
    const ALL: [Self; 3] = [Self::Polling, Self::Interrupt, Self::InterruptPerByte];

    fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Interrupt => "interrupt",
            Self::InterruptPerByte => "interrupt per byte",
        }
    }

    /// Received bytes that interrupt.
    fn trigger(self) -> usize {
        if self == Self::InterruptPerByte { 1 } else { TRIGGER }
    }
}

/// One measurement.
struct Cost {
    seconds: f64,
    processor_seconds: f64,
    interrupts: u32,
    late_us: Vec<f64>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut report = Report::new(&self.report, None)?;
        report.method(
            "The port is a simulated 16550 with FIFOs, in this process; its bytes take the time of 10 bits on a line.",
        );
        report.method(format!(
            "The line is busy for about 1/{MEASUREMENTS_IN_A_SECOND} s in a measurement; medians of {} runs.",
            self.runs
        ));
        report.method(
            "Processor is the share of the time that has passed in which the one thread ran that has driver and \
             device; waiting for an interrupt sleeps in poll(2).",
        );
        report.method(format!(
            "A FIFO interrupts with {TRIGGER} bytes, or when nothing has come for the time of 4; per byte, with 1."
        ));
        report.method(
            "Interrupts are those that the driver has taken: fewer than bytes may be one for each, if more of them \
             have come before it sleeps again.",
        );
        report.method(format!(
            "How late: {PROBES} bytes a run, one by one, from the end of a byte's last bit to the end of read; another \
             thread sends each, {} ms after the program has begun to wait for it.",
            LEAD.as_millis()
        ));
        let speeds: BTreeSet<_> = self.baud.iter().copied().collect();
        let title = format!("a serial port, simulated: medians of {} runs", self.runs);
        report.begin(title, COLUMNS)?;
        let mut rows = Vec::new();
        for direction in [Direction::Send, Direction::Receive] {
            for &baud in &speeds {
                // A transmitter interrupts when it is empty, however many bytes a receiver interrupts with.
                for wait in Wait::ALL
                    .into_iter()
                    .filter(|&wait| direction == Direction::Receive || wait != Wait::InterruptPerByte)
                {
                    let row = self.measure(direction, baud, wait)?;
                    report.row(row.cells())?;
                    rows.push(row);
                }
            }
        }
        let share = |row: &Row| Some(100.0 * row.processor_share);
        let title = "Processor time while a serial port receives";
        report.chart(chart(&rows, title, Axis::linear("% of a processor"), share), processor_caption(&rows));
        let title = "How late a byte is that comes by itself";
        let late = Axis::log("us after its last bit");
        report.chart(chart(&rows, title, late, |row| row.late_us), late_caption(&rows));
        let conclusion = conclusion(&rows);
        report.conclude(conclusion.clone());
        report.end(&Figures { runs: self.runs, rows, conclusion })?;
        Ok(Answer::Yes)
    }

    /// Measures as often as there are runs.
    fn measure(&self, direction: Direction, baud: u32, wait: Wait) -> anyhow::Result<Row> {
        let bytes = baud / FRAME_BITS / MEASUREMENTS_IN_A_SECOND;
        let mut costs = Vec::new();
        for _ in 0..self.runs {
            let bus = Simulated::new(Model::with_clock(Timing::Real, CLOCK_HZ));
            costs.push(match wait {
                Wait::Polling => once(direction, port(bus, baud, wait, Polled)?, bytes, &Cell::default())?,
                Wait::Interrupt | Wait::InterruptPerByte => {
                    let count = Rc::default();
                    let counted = Counted { interrupt: bus.interrupt()?, count: Rc::clone(&count) };
                    once(direction, port(bus, baud, wait, Driven::new(counted))?, bytes, &count)?
                }
            });
        }
        let of = |field: fn(&Cost) -> f64| median(costs.iter().map(field).collect());
        let (seconds, processor_seconds) = (of(|cost| cost.seconds), of(|cost| cost.processor_seconds));
        let late: Vec<f64> = costs.iter().flat_map(|cost| cost.late_us.iter().copied()).collect();
        Ok(Row {
            direction,
            baud,
            wait,
            bytes,
            seconds,
            processor_seconds,
            processor_share: processor_seconds / seconds,
            interrupts: (wait != Wait::Polling).then(|| nearest(of(|cost| f64::from(cost.interrupts)))),
            late_us: (direction == Direction::Receive).then(|| median(late)),
        })
    }
}

/// An interrupt that counts how often it has come.
struct Counted {
    interrupt: SimulatedInterrupt<Model>,
    count: Rc<Cell<u32>>,
}

impl Interrupt for Counted {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let come = self.interrupt.wait(timeout)?;
        self.count.set(self.count.get() + u32::from(come > 0));
        Ok(come)
    }

    fn rearm(&mut self) -> Result<(), Error> {
        self.interrupt.rearm()
    }
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}

/// A port with the other end of its line.
struct Joined<W> {
    port: Serial<Ns16550<Simulated<Model>>, W>,
    bus: Simulated<Model>,
    peer: Peer,
    /// The time of a byte on the line.
    frame: Duration,
}

fn port<W: Waiting>(bus: Simulated<Model>, baud: u32, wait: Wait, waiting: W) -> anyhow::Result<Joined<W>> {
    let peer = Peer::of(&bus);
    // A thread that gets no processor for a moment must not lose bytes.
    let chip = Ns16550::new(bus.clone(), CLOCK_HZ)?.with_automatic_flow().with_trigger(wait.trigger());
    peer.heed_cts();
    let mut port = Serial::new(chip, waiting, Settings { baud, flow: Flow::RtsCts, ..Settings::default() })?;
    port.set_timeout(Duration::from_secs(10));
    Ok(Joined { port, bus, peer, frame: Duration::from_secs(1) * FRAME_BITS / baud })
}

/// Measures once; `interrupts` counts those of the port.
fn once<W: Waiting>(
    direction: Direction,
    joined: Joined<W>,
    bytes: u32,
    interrupts: &Cell<u32>,
) -> anyhow::Result<Cost> {
    let sent: Vec<u8> = (0..bytes).map(|index| index.to_le_bytes()[0]).collect();
    match direction {
        Direction::Send => send(joined, &sent, interrupts),
        Direction::Receive => receive(joined, &sent, interrupts),
    }
}

fn send<W: Waiting>(
    Joined { mut port, peer, .. }: Joined<W>,
    sent: &[u8],
    interrupts: &Cell<u32>,
) -> anyhow::Result<Cost> {
    let (seconds, processor_seconds) = measured(|| {
        port.write_all(sent)?;
        Ok(port.flush()?)
    })?;
    ensure!(peer.take() == sent, "other bytes have arrived than were sent");
    Ok(Cost { seconds, processor_seconds, interrupts: interrupts.get(), late_us: Vec::new() })
}

fn receive<W: Waiting>(mut joined: Joined<W>, sent: &[u8], interrupts: &Cell<u32>) -> anyhow::Result<Cost> {
    let mut received = vec![0; sent.len()];
    let (seconds, processor_seconds) = measured(|| {
        joined.peer.send(sent);
        Ok(joined.port.read_exact(&mut received)?)
    })?;
    ensure!(received == sent, "other bytes have arrived than were sent");
    let interrupts = interrupts.get();
    let late_us = (0..PROBES).map(|_| late_us(&mut joined)).collect::<anyhow::Result<_>>()?;
    Ok(Cost { seconds, processor_seconds, interrupts, late_us })
}

/// How late a byte is that finds the program waiting: microseconds from the end of its last bit.
fn late_us<W: Waiting>(Joined { port, bus, peer, frame }: &mut Joined<W>) -> anyhow::Result<f64> {
    let (bus, peer, frame) = (&*bus, &*peer, *frame);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            thread::sleep(LEAD);
            // Who holds the model sets its interrupt anew in the end. Without, the end of the byte would wake the
            // program, and a FIFO's time-out could pass while it wakes, as no chip has it.
            let _model = bus.model();
            let begun = Instant::now();
            peer.send(b"?");
            begun + frame
        });
        port.read_exact(&mut [0])?;
        let read = Instant::now();
        let arrived = sender.join().map_err(|_| anyhow!("the thread that sends has failed"))?;
        Ok(read.saturating_duration_since(arrived).as_secs_f64() * 1e6)
    })
}

/// Time and processor time of this thread, which is all that runs, in seconds.
fn measured(run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(f64, f64)> {
    let (begun, before) = (Instant::now(), Usage::of_thread()?);
    run()?;
    let (seconds, used) = (begun.elapsed().as_secs_f64(), Usage::of_thread()? - before);
    Ok((seconds, (used.user + used.system).as_secs_f64()))
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let none = || "-".to_owned();
        vec![
            if self.direction == Direction::Send { "send" } else { "receive" }.to_owned(),
            self.baud.to_string(),
            self.wait.name().to_owned(),
            self.bytes.to_string(),
            format!("{:.1}", self.seconds * 1e3),
            self.interrupts.map_or_else(none, |count| count.to_string()),
            format!("{:.1} %", 100.0 * self.processor_share),
            self.late_us.map_or_else(none, |late| format!("{late:.1}")),
        ]
    }
}

/// Whether other programs had the processor while this one asked for all of it.
fn is_busy(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.wait == Wait::Polling && row.processor_share < WHOLE_PROCESSOR)
}

fn processor_caption(rows: &[Row]) -> &'static str {
    if is_busy(rows) {
        "Other programs had the processor for a part of the time, and polling takes what they leave to it: without \
         them, all."
    } else {
        "Polling takes all of a processor, whatever the line carries. Interrupts take as much as there is to do."
    }
}

fn late_caption(rows: &[Row]) -> &'static str {
    let late = |wait| rows.iter().filter(move |row| row.wait == wait).filter_map(|row| row.late_us);
    let mut each = late(Wait::Polling).zip(late(Wait::InterruptPerByte)).zip(late(Wait::Interrupt));
    if !is_busy(rows) && each.all(|((polling, per_byte), fifo)| polling < per_byte && per_byte < fifo) {
        "Who polls has a byte at once; an interrupt wakes a thread first; a FIFO that waits for more bytes does that \
         only when nothing has come for the time of 4."
    } else {
        "What other programs did meanwhile is in these times. An interrupt has to wake a thread; a FIFO that waits for \
         more bytes does that only when nothing has come for the time of 4."
    }
}

/// A figure of receiving over the speed, a line for each way to wait.
fn chart(rows: &[Row], title: &str, axis: Axis, figure: fn(&Row) -> Option<f64>) -> Lines {
    let speed = Axis::log("baud");
    Wait::ALL.into_iter().fold(Lines::new(title, speed, axis), |chart, wait| {
        let of_it = rows.iter().filter(|row| row.direction == Direction::Receive && row.wait == wait);
        chart.line(wait.name(), of_it.filter_map(|row| Some((f64::from(row.baud), figure(row)?))).collect())
    })
}

/// What the figures show of the usual speed, or of the fastest, in two lines.
fn conclusion(rows: &[Row]) -> String {
    let speeds = || rows.iter().map(|row| row.baud);
    let baud = speeds().find(|&baud| baud == USUAL_BAUD).or_else(|| speeds().max()).unwrap_or_default();
    let find =
        |wait| rows.iter().find(|row| row.direction == Direction::Receive && row.baud == baud && row.wait == wait);
    let (Some(polling), Some(interrupt), Some(each)) =
        (find(Wait::Polling), find(Wait::Interrupt), find(Wait::InterruptPerByte))
    else {
        return String::new();
    };
    let late = |row: &Row| row.late_us.unwrap_or(0.0);
    format!(
        "Receiving at {baud} baud, polling takes {:.0} % of a processor{}, interrupts take {:.1} %, and one per \
         byte {:.1} %.\n\
         A single byte is {:.1} us late by polling, {:.1} us by an interrupt per byte, and {:.1} us where the \
         FIFO waits for more.",
        100.0 * polling.processor_share,
        if polling.processor_share < WHOLE_PROCESSOR { " (other programs had the rest)" } else { "" },
        100.0 * interrupt.processor_share,
        100.0 * each.processor_share,
        late(polling),
        late(each),
        late(interrupt),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wait: Wait, processor_share: f64, late_us: f64) -> Row {
        let (direction, baud, bytes, seconds) = (Direction::Receive, USUAL_BAUD, 2880, 0.25);
        let (processor_seconds, late_us) = (seconds * processor_share, Some(late_us));
        Row { direction, baud, wait, bytes, seconds, processor_seconds, processor_share, interrupts: None, late_us }
    }

    fn rows(polling: f64) -> Vec<Row> {
        [(Wait::Polling, polling, 0.5), (Wait::Interrupt, 0.1, 400.0), (Wait::InterruptPerByte, 0.3, 50.0)]
            .map(|(wait, share, late_us)| row(wait, share, late_us))
            .into()
    }

    #[test]
    fn captions_are_of_what_was_measured() {
        let quiet = rows(0.99);
        assert!(processor_caption(&quiet).starts_with("Polling takes all"));
        assert!(late_caption(&quiet).starts_with("Who polls has a byte at once"));
        assert!(
            conclusion(&quiet).starts_with("Receiving at 115200 baud, polling takes 99 % of a processor, interrupts")
        );
        let busy = rows(0.1);
        assert!(processor_caption(&busy).starts_with("Other programs"));
        assert!(late_caption(&busy).starts_with("What other programs"));
        assert!(conclusion(&busy).contains("polling takes 10 % of a processor (other programs had the rest)"));
        let mut mixed = rows(0.99);
        mixed[1].late_us = Some(40.0);
        assert!(late_caption(&mixed).starts_with("What other programs"), "the FIFO is not the latest");
    }

    #[test]
    fn a_byte_alone_is_late_by_the_time_out_of_the_fifo() {
        let baud = 1_000_000;
        let bus = Simulated::new(Model::with_clock(Timing::Real, CLOCK_HZ));
        let driven = Driven::new(bus.interrupt().expect("a timer"));
        let mut joined = port(bus, baud, Wait::Interrupt, driven).expect("a port");
        let late = (0..PROBES).map(|_| late_us(&mut joined).expect("a byte")).collect();
        // Four bytes of 10 us. A few come sooner if this thread gets no processor for a millisecond.
        let late = median(late);
        assert!(late >= 40.0, "{late} us");
    }

    #[test]
    fn a_row_is_no_wider_than_a_terminal() {
        assert!(COLUMNS.iter().map(|(_, width)| width + 1).sum::<usize>() <= 1 + 80);
    }
}
