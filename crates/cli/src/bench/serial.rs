//! `mapio bench serial`: waiting for a serial port by asking it again and again, and by its interrupt.
//!
//! The port is a simulated 16550, whose bytes take the time that they take on a line, so that any machine can measure
//! it. What costs processor time is the driver and the model of the device alike, in one thread of this process.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use mapio_chart::{Axis, Lines};
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Ns16550 as Model, Simulated, SimulatedInterrupt};
use mapio_device::serial::{Flow, Ns16550, Serial, Settings};
use mapio_device::{Driven, Polled, Waiting};
use mapio_map::Usage;
use serde::Serialize;

use super::median;
use super::report::{Column, Options, Report};
use crate::output::Answer;

/// The chip's clock: it makes all the speeds.
const CLOCK_HZ: u32 = 48_000_000;
/// Received bytes that interrupt, as the driver sets it by itself.
const TRIGGER: usize = 8;
/// Bits of a byte on the line: start, 8, stop.
const FRAME_BITS: u32 = 10;
const SPEEDS_BAUD: [u32; 4] = [9600, 38_400, 115_200, 1_000_000];
/// How long the line is busy in a measurement: a quarter of a second.
const MEASUREMENTS_IN_A_SECOND: u32 = 4;
/// Bytes of which each comes by itself, in a run.
const PROBES: u16 = 20;

const COLUMNS: &[Column] = &[
    ("direction", 10),
    ("baud", 8),
    ("wait", 24),
    ("bytes", 7),
    ("time ms", 9),
    ("processor ms", 13),
    ("of one %", 9),
    ("late us", 9),
];

/// Measure a serial port by polling and by interrupts: processor time, and how late a byte is
///
/// The port is simulated; its bytes take the time that they take on a line. For several speeds, and for sending and
/// receiving: the processor time of the driver and of the simulated device, and its share of the time that has passed;
/// and for bytes that come one by one, how long after its last bit the program has each. Medians of several runs.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio bench serial --runs 1 --plot serial.svg")]
pub(crate) struct Arguments {
    /// Measured runs of each
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
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
            Self::InterruptPerByte => "interrupt for each byte",
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
            "Processor time is that of the one thread that has driver and device; waiting for an \
             interrupt sleeps in poll(2).",
        );
        report.method(format!(
            "A FIFO interrupts with {TRIGGER} bytes, or when nothing has come for the time of 4; for each byte, with 1."
        ));
        report.method(format!(
            "How late: {PROBES} bytes a run, one by one, from the end of a byte's last bit to the end of read."
        ));
        let title = format!("a serial port, simulated: medians of {} runs", self.runs);
        report.begin(title, COLUMNS)?;
        let mut rows = Vec::new();
        for direction in [Direction::Send, Direction::Receive] {
            for baud in SPEEDS_BAUD {
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
        report.chart(chart(&rows, title, Axis::linear("% of a processor"), share), PROCESSOR_CAPTION);
        let title = "How late a byte is that comes by itself";
        report.chart(chart(&rows, title, Axis::log("us after its last bit"), |row| row.late_us), LATE_CAPTION);
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
                Wait::Polling => once(direction, port(bus, baud, wait, Polled)?, bytes)?,
                Wait::Interrupt | Wait::InterruptPerByte => {
                    let driven: Driven<SimulatedInterrupt<Model>> = Driven::new(bus.interrupt()?);
                    once(direction, port(bus, baud, wait, driven)?, bytes)?
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
            late_us: (direction == Direction::Receive).then(|| median(late)),
        })
    }
}

/// A port with the other end of its line.
struct Joined<W> {
    port: Serial<Ns16550<Simulated<Model>>, W>,
    peer: Peer,
    /// The time of a byte on the line.
    frame: Duration,
}

fn port<W: Waiting>(bus: Simulated<Model>, baud: u32, wait: Wait, waiting: W) -> anyhow::Result<Joined<W>> {
    let peer = Peer::of(&bus);
    // A thread that gets no processor for a moment must not lose bytes.
    let chip = Ns16550::new(bus, CLOCK_HZ)?.with_automatic_flow().with_trigger(wait.trigger());
    peer.heed_cts();
    let mut port = Serial::new(chip, waiting, Settings { baud, flow: Flow::RtsCts, ..Settings::default() })?;
    port.set_timeout(Duration::from_secs(10));
    Ok(Joined { port, peer, frame: Duration::from_secs(1) * FRAME_BITS / baud })
}

fn once<W: Waiting>(direction: Direction, joined: Joined<W>, bytes: u32) -> anyhow::Result<Cost> {
    let sent: Vec<u8> = (0..bytes).map(|index| index.to_le_bytes()[0]).collect();
    match direction {
        Direction::Send => send(joined, &sent),
        Direction::Receive => receive(joined, &sent),
    }
}

fn send<W: Waiting>(Joined { mut port, peer, .. }: Joined<W>, sent: &[u8]) -> anyhow::Result<Cost> {
    let (seconds, processor_seconds) = measured(|| {
        port.write_all(sent)?;
        Ok(port.flush()?)
    })?;
    ensure!(peer.take() == sent, "other bytes have arrived than were sent");
    Ok(Cost { seconds, processor_seconds, late_us: Vec::new() })
}

fn receive<W: Waiting>(Joined { mut port, peer, frame }: Joined<W>, sent: &[u8]) -> anyhow::Result<Cost> {
    let mut received = vec![0; sent.len()];
    let (seconds, processor_seconds) = measured(|| {
        peer.send(sent);
        Ok(port.read_exact(&mut received)?)
    })?;
    ensure!(received == sent, "other bytes have arrived than were sent");
    let mut late_us = Vec::new();
    for _ in 0..PROBES {
        let begun = Instant::now();
        peer.send(b"?");
        port.read_exact(&mut [0])?;
        late_us.push(begun.elapsed().saturating_sub(frame).as_secs_f64() * 1e6);
    }
    Ok(Cost { seconds, processor_seconds, late_us })
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
        vec![
            if self.direction == Direction::Send { "send" } else { "receive" }.to_owned(),
            self.baud.to_string(),
            self.wait.name().to_owned(),
            self.bytes.to_string(),
            format!("{:.1}", self.seconds * 1e3),
            format!("{:.2}", self.processor_seconds * 1e3),
            format!("{:.1}", 100.0 * self.processor_share),
            self.late_us.map_or_else(|| "-".to_owned(), |late| format!("{late:.1}")),
        ]
    }
}

const PROCESSOR_CAPTION: &str = "Polling takes all of a processor that other programs leave to it, whatever the line \
    carries. Interrupts take as much as there are bytes, and fewer interrupts than bytes take less.";

const LATE_CAPTION: &str = "Who polls has a byte at once; an interrupt wakes a thread first. A FIFO that waits for \
    more bytes makes a single one late by the time of about 4 bytes more.";

/// A figure of receiving over the speed, a line for each way to wait.
fn chart(rows: &[Row], title: &str, axis: Axis, figure: fn(&Row) -> Option<f64>) -> Lines {
    let speed = Axis::log("baud");
    Wait::ALL.into_iter().fold(Lines::new(title, speed, axis), |chart, wait| {
        let of_it = rows.iter().filter(|row| row.direction == Direction::Receive && row.wait == wait);
        chart.line(wait.name(), of_it.filter_map(|row| Some((f64::from(row.baud), figure(row)?))).collect())
    })
}

/// What the figures show, in two lines.
fn conclusion(rows: &[Row]) -> String {
    let find = |wait| {
        rows.iter().rev().find(|row| row.direction == Direction::Receive && row.baud == 115_200 && row.wait == wait)
    };
    let (Some(polling), Some(interrupt), Some(each)) =
        (find(Wait::Polling), find(Wait::Interrupt), find(Wait::InterruptPerByte))
    else {
        return String::new();
    };
    let late = |row: &Row| row.late_us.unwrap_or(0.0);
    format!(
        "Receiving at 115200 baud, polling takes {:.0} % of a processor, interrupts take {:.1} %, and one for \
         each byte {:.1} %.\n\
         A single byte is {:.1} us late by polling, {:.1} us by an interrupt for each byte, and {:.1} us where \
         the FIFO waits for more.",
        100.0 * polling.processor_share,
        100.0 * interrupt.processor_share,
        100.0 * each.processor_share,
        late(polling),
        late(each),
        late(interrupt),
    )
}
