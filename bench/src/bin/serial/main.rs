//! A serial port by programmed I/O and by interrupts: throughput, processor time, and how late a byte is.
//!
//! `cargo run --release --bin serial -- [--quick]`; see README.md. The port is simulated, its bytes take the time that
//! they take on a line. `--quick` sends less, and draws nothing that lasts.

mod plot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Ns16550 as Model, Simulated};
use mapio_device::serial::{Flow, Ns16550, Serial, Settings};
use mapio_device::{Driven, Polled, Waiting};
use mapio_map::Usage;

/// The chip's clock: it makes both speeds.
const CLOCK_HZ: u32 = 48_000_000;
/// Received bytes that interrupt, as the driver sets it by itself.
const TRIGGER: usize = 8;
/// Bits of a byte on the line: start, 8, stop.
const FRAME_BITS: f64 = 10.0;

/// A serial port by programmed I/O and by interrupts
#[derive(Debug, Parser)]
struct Arguments {
    /// Send 4 KiB instead of 64 KiB, and draw into the target folder
    #[arg(long)]
    quick: bool,
    /// Where the plot goes; default: docs/img/serial.svg, and nowhere that lasts with --quick
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// What one way to wait has cost.
struct Row {
    baud: u32,
    direction: &'static str,
    wait: &'static str,
    seconds: f64,
    bytes: usize,
    processor_seconds: f64,
    /// Of bytes that came one by one: from the line to the program, in microseconds. Nothing for sending.
    latency_us: Option<f64>,
}

impl Row {
    /// Processor time for the time that it took.
    fn load(&self) -> f64 {
        self.processor_seconds / self.seconds
    }

    /// Of what the line carries.
    fn line_share(&self) -> f64 {
        self.bytes as f64 / self.seconds / (f64::from(self.baud) / FRAME_BITS)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let bytes = if arguments.quick { 4 << 10 } else { 64 << 10 };
    let probes = if arguments.quick { 20 } else { 200 };
    let mut rows = Vec::new();
    for baud in [115_200, 1_000_000] {
        rows.push(sending(baud, bytes, "polled", |_| Polled)?);
        rows.push(sending(baud, bytes, "interrupt", interrupt)?);
        rows.push(receiving(baud, bytes, probes, "polled", port(baud, TRIGGER, |_| Polled)?)?);
        rows.push(receiving(baud, bytes, probes, "interrupt", port(baud, TRIGGER, interrupt)?)?);
        rows.push(receiving(baud, bytes, probes, "interrupt for each byte", port(baud, 1, interrupt)?)?);
    }
    print(&rows);
    let default =
        if arguments.quick { std::env::temp_dir().join("mapio-serial.svg") } else { "../docs/img/serial.svg".into() };
    let path = arguments.plot.unwrap_or(default);
    plot::draw(&path, &rows).with_context(|| format!("drawing {}", path.display()))?;
    if arguments.quick {
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

fn interrupt(bus: &Simulated<Model>) -> Driven<mapio_device::model::SimulatedInterrupt<Model>> {
    Driven::new(bus.interrupt().expect("a descriptor"))
}

/// A port with the other end of its line.
type Joined<W> = (Serial<Ns16550<Simulated<Model>>, W>, Peer);

fn port<W: Waiting>(baud: u32, trigger: usize, wait: impl FnOnce(&Simulated<Model>) -> W) -> anyhow::Result<Joined<W>> {
    let bus = Simulated::new(Model::with_clock(Timing::Real, CLOCK_HZ));
    let peer = Peer::of(&bus);
    let wait = wait(&bus);
    // A thread that gets no processor for a moment must not lose bytes.
    let chip = Ns16550::new(bus, CLOCK_HZ)?.with_automatic_flow().with_trigger(trigger);
    peer.heed_cts();
    let mut port = Serial::new(chip, wait, Settings { baud, flow: Flow::RtsCts, ..Settings::default() })?;
    port.set_timeout(Duration::from_secs(10));
    Ok((port, peer))
}

/// Time and processor time of this thread, which is all that runs.
fn measured(run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(f64, f64)> {
    let (start, before) = (Instant::now(), Usage::of_thread()?);
    run()?;
    let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::of_thread()?);
    let processor = (after.user + after.system).saturating_sub(before.user + before.system);
    Ok((seconds, processor.as_secs_f64()))
}

fn sending<W: Waiting>(
    baud: u32,
    bytes: usize,
    name: &'static str,
    wait: impl FnOnce(&Simulated<Model>) -> W,
) -> anyhow::Result<Row> {
    let (mut port, peer) = port(baud, TRIGGER, wait)?;
    let sent = mapio_testkit::pattern(bytes);
    let (seconds, processor_seconds) = measured(|| {
        port.write_all(&sent)?;
        Ok(port.flush()?)
    })?;
    ensure!(peer.take() == sent, "other bytes have arrived");
    Ok(Row { baud, direction: "send", wait: name, seconds, bytes, processor_seconds, latency_us: None })
}

fn receiving<W: Waiting>(
    baud: u32,
    bytes: usize,
    probes: usize,
    name: &'static str,
    (mut port, peer): Joined<W>,
) -> anyhow::Result<Row> {
    let sent = mapio_testkit::pattern(bytes);
    let mut received = Vec::with_capacity(bytes);
    let mut buffer = [0; 4096];
    let (seconds, processor_seconds) = measured(|| {
        peer.send(&sent);
        while received.len() < bytes {
            let count = port.read(&mut buffer)?;
            received.extend_from_slice(&buffer[..count]);
        }
        Ok(())
    })?;
    ensure!(received == sent, "other bytes have arrived");
    // A byte whose last bit has come is late from then on: its way there is the line's.
    let frame = Duration::from_secs_f64(FRAME_BITS / f64::from(baud));
    let mut latencies = Vec::with_capacity(probes);
    for _ in 0..probes {
        let start = Instant::now();
        peer.send(b"?");
        port.read(&mut buffer)?;
        latencies.push(start.elapsed().saturating_sub(frame).as_secs_f64() * 1e6);
    }
    let latency_us = Some(mapio_bench::median(latencies));
    Ok(Row { baud, direction: "receive", wait: name, seconds, bytes: received.len(), processor_seconds, latency_us })
}

fn print(rows: &[Row]) {
    println!("| baud | direction | wait | time | of the line | processor time | of a processor | a byte is late by |");
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let late = row.latency_us.map_or_else(|| "-".into(), |late| format!("{late:.0} us"));
        println!(
            "| {} | {} | {} | {:.2} s | {:.0} % | {:.3} s | {:.1} % | {late} |",
            row.baud,
            row.direction,
            row.wait,
            row.seconds,
            100.0 * row.line_share(),
            row.processor_seconds,
            100.0 * row.load()
        );
    }
}
