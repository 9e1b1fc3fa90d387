//! Step: devices at an address: a screen that is memory, and a serial port that is asked, or that interrupts.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use mapio_device::bus::trace::{Direction, Record};
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Ns16550 as Model, Simulated};
use mapio_device::screen::embedded_graphics_core::pixelcolor::IntoStorage;
use mapio_device::screen::{Picture, Position, Size, TextScreen};
use mapio_device::serial::{Chip, Flow, Ns16550, PC_CLOCK_HZ, Serial, Settings};
use mapio_device::{Driven, Error, Interrupt, Mmio, Polled, RegisterIo, Trace, Waiting, Width, blocks};
use mapio_map::MapOptions;

use super::Step;
use super::measure::{Cost, milliseconds};
use super::page::Page;
use super::scene::Scene;
use crate::output;

pub(super) const STEP: Step = Step { title: "A screen and a serial port at addresses", run, parts: &[] };
const SOURCE: &str = include_str!("devices.rs");

/// Cells of the screen; a PC's has 80 by 25.
const CELLS: Size = Size::new(COLUMNS, 4);
const COLUMNS: u32 = 40;
/// Bytes of them: a character and its colours each.
const SCREEN_BYTES: usize = 40 * 4 * 2;
/// Bits a second on the line.
const BAUD: u32 = 9600;
/// Bytes that the other end sends: as many as take a fifth of a second.
const SENT: u8 = 192;
/// How long to wait for them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Accesses to registers that are shown.
const ACCESSES: usize = 6;
/// Where the line status register is (data sheet PC16550D).
const LINE_STATUS: usize = 5;
/// Its bit that tells of a byte that has come.
const DATA_READY: u64 = 1;
/// Where received bytes are taken out.
const RECEIVED: usize = 0;

fn run(_scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    screen(page)?;
    serial(page)?;
    page.remember(
        "a device is driven by loads and stores at its address; poll what is quick, sleep until what is slow \
         interrupts.",
    );
    Ok(())
}

fn screen(page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "What answers at an address need not be memory. On the text screen of a PC, from address 0xb8000 on, each \
         cell is two bytes: a character and its colours. A store shows at once; nothing is called. Here is such a \
         screen, simulated, of 4 rows and 40 columns:",
    );
    page.code(SOURCE, "show")?;
    let mapping = MapOptions::read_write().len(SCREEN_BYTES).memfd("screen")?;
    let addr = mapping.view().as_ptr();
    let memory = match Mmio::new(mapping, "the screen") {
        Ok(memory) => memory,
        Err(error) => {
            page.missing(output::causes(&error));
            return Ok(());
        }
    };
    let screen = show(memory)?;
    page.text(format!("Its first cell is at {addr:p}. This is what is seen on it:"));
    page.output(framed(&screen.text()?));
    page.picture(svg(&screen.picture()?), "The screen, as its memory has it.");
    Ok(())
}

/// Stores to a cell, and prints behind it.
fn show(memory: Mmio) -> anyhow::Result<TextScreen<Mmio>> {
    let cell = 40 + 2; // Row 1, column 2.
    let yellow_on_blue_a = 0x1e41; // 1e: the colours. 41: A.
    memory.write(cell * 2, Width::U16, yellow_on_blue_a)?;

    let mut screen = TextScreen::new(memory, CELLS)?;
    screen.set_position(Position { row: 1, column: 4 })?;
    // A store for each character.
    screen.print("was one store, of 0x1e41")?;
    Ok(screen)
}

/// The screen's text between borders.
fn framed(text: &str) -> String {
    let width = usize::try_from(COLUMNS).unwrap_or_default();
    let border = format!("+{}+", "-".repeat(width));
    let rows = text.lines().map(|row| format!("|{row:width$}|\n")).collect::<String>();
    format!("{border}\n{rows}{border}")
}

/// The picture as SVG: for each colour a path, of the runs of pixels that have it.
fn svg(picture: &Picture) -> String {
    let Size { width, height } = picture.size();
    let columns = usize::try_from(width).unwrap_or(usize::MAX);
    let pixels: Vec<_> = picture.pixels().map(IntoStorage::into_storage).collect();
    let mut paths = BTreeMap::<u32, String>::new();
    for (y, row) in pixels.chunks(columns).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(PartialEq::eq) {
            *paths.entry(run[0]).or_default() += &format!("M{x} {y}h{0}v1h-{0}z", run.len());
            x += run.len();
        }
    }
    let paths: String =
        paths.into_iter().map(|(colour, path)| format!("<path fill=\"#{colour:06x}\" d=\"{path}\"/>\n")).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" shape-rendering=\"crispEdges\" \
         role=\"img\">\n{paths}</svg>"
    )
}

fn serial(page: &mut Page) -> anyhow::Result<()> {
    page.text(format!(
        "A serial port of {BAUD} baud takes {} ms for a byte, and one of its registers, the line status, tells \
         whether one has come. Who waits can look there again and again, or sleep until the device interrupts. The \
         driver is the same both times, and so is the device, a simulated 16550 whose other end sends {SENT} bytes:",
        milliseconds(settings().frame_time()),
    ));
    page.code(SOURCE, "receive")?;
    let device = Simulated::new(Model::new(Timing::Real));
    let polled = Reception::of(device, Polled)?;

    page.text(format!(
        "These were {} accesses, polled: bit 0 of the line status (LSR, at offset 5) says that there is a byte, and a \
         read of the received byte (RBR, at offset 0) takes it out.",
        if polled.excerpt.is_whole { "some" } else { "the last" }
    ));
    page.output(polled.excerpt.accesses.iter().map(access_text).collect::<String>());
    let device = Simulated::new(Model::new(Timing::Real));
    let count = Arc::new(AtomicU64::new(0));
    let interrupt = Counted { interrupt: device.interrupt()?, count: Arc::clone(&count) };
    let driven = Reception::of(device, Driven::new(interrupt))?;
    page.table(
        ["waiting", "time", "processor time", "looks at status", "interrupts"],
        [polled.row("Polled", 0), driven.row("Driven", count.load(Ordering::Relaxed))],
    );
    page.text(format!(
        "{} An interrupt lets the program sleep, and comes for several bytes together, which the device keeps in a \
         FIFO of 16.",
        what_sets_the_time([polled.cost.real, driven.cost.real])
    ));
    let looks = polled.looks / u64::from(SENT);
    page.text(if polled.processor() * 2 > polled.cost.real {
        format!("Polling has kept a processor busy meanwhile, for {looks} looks a byte.")
    } else {
        format!(
            "Polling takes a processor that nobody else wants; this machine was busy, and mapio's driver has let \
             others have it: {looks} looks a byte were left."
        )
    });
    Ok(())
}

/// Receives as many bytes as the other end sends.
fn receive(
    chip: impl Chip,
    waiting: impl Waiting, // `Polled`, or `Driven` by an interrupt.
    other_end: &Peer,
) -> Result<Vec<u8>, Error> {
    let mut port = Serial::new(chip, waiting, settings())?;
    port.set_timeout(PATIENCE);
    other_end.send(&(0..SENT).collect::<Vec<_>>());
    let mut bytes = vec![0; SENT.into()];
    port.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Tells whether it was the line alone that these receptions have waited for.
fn what_sets_the_time(receptions: [Duration; 2]) -> String {
    let line = settings().frame_time() * u32::from(SENT);
    if receptions.iter().all(|&time| time.abs_diff(line) <= line / 10) {
        "The line sets the time.".to_owned()
    } else {
        format!(
            "The line takes {} ms; this machine was busy, and bytes have waited in the FIFO for the rest.",
            milliseconds(line)
        )
    }
}

/// When an access was, and to what.
fn access_text(access: &Record) -> String {
    let register = access.register.map_or("?", |(register, _)| register.name);
    let value = access.value.map_or_else(|| "failed".to_owned(), |value| format!("{value:#04x}"));
    format!("{:.6} s  {} offset {}, {register}: {value}\n", access.at.as_secs_f64(), access.direction, access.offset)
}

/// With flow control, so that nothing is lost on a machine that is busy with something else.
fn settings() -> Settings {
    Settings { baud: BAUD, flow: Flow::RtsCts, ..Settings::default() }
}

/// What it took to receive what was sent.
struct Reception {
    cost: Cost,
    /// Reads of the line status register.
    looks: u64,
    excerpt: Excerpt,
}

impl Reception {
    fn of(device: Simulated<Model>, waiting: impl Waiting) -> anyhow::Result<Self> {
        let other_end = Peer::of(&device);
        other_end.heed_cts();
        let looks = Arc::new(AtomicU64::new(0));
        let looked = Arc::clone(&looks);
        let excerpt = Arc::new(Mutex::new(Excerpt::default()));
        let shown = Arc::clone(&excerpt);
        let bus = Trace::new(device).keep(0).tell(move |access| {
            looked.fetch_add(u64::from(access.offset == LINE_STATUS), Ordering::Relaxed);
            shown.lock().unwrap_or_else(PoisonError::into_inner).see(access);
        });
        let bus = blocks::find("16550").into_iter().fold(bus, Trace::block);
        let chip = Ns16550::new(&bus, PC_CLOCK_HZ)?.with_automatic_flow();
        let (received, cost) = Cost::of(|| receive(chip, waiting, &other_end))?;
        ensure!(received?.into_iter().eq(0..SENT), "what was received is not what was sent");
        let excerpt = std::mem::take(&mut *excerpt.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Self { cost, looks: looks.load(Ordering::Relaxed), excerpt })
    }

    /// Time in the program and in the kernel.
    fn processor(&self) -> Duration {
        self.cost.used.user + self.cost.used.system
    }

    fn row(&self, way: &str, interrupts: u64) -> [String; 5] {
        let [elapsed, processor] = [self.cost.real, self.processor()].map(|time| format!("{} ms", milliseconds(time)));
        [way.to_owned(), elapsed, processor, self.looks.to_string(), interrupts.to_string()]
    }
}

/// Some accesses to registers, one behind the other: a byte that comes half-way and is taken out, or the last ones.
#[derive(Default)]
struct Excerpt {
    accesses: VecDeque<Record>,
    /// Bytes taken out so far.
    received: u8,
    /// Whether such a byte was seen: these are the accesses then.
    is_whole: bool,
}

impl Excerpt {
    fn see(&mut self, access: &Record) {
        if self.is_whole {
            return;
        }
        if self.accesses.len() == ACCESSES {
            self.accesses.pop_front();
        }
        self.accesses.push_back(access.clone());
        let is_taken_out = access.direction == Direction::Read && access.offset == RECEIVED;
        self.received = self.received.saturating_add(u8::from(is_taken_out));
        // The driver looks once for the end of its wait, and once more before it reads.
        let mut looks = self.accesses.iter().rev().skip(1).map(is_ready);
        let has_come = looks.find(|ready| *ready != Some(true)) == Some(Some(false));
        self.is_whole = is_taken_out && has_come && self.received > SENT / 2;
    }
}

/// What an access has found, if it was a look at the line status.
fn is_ready(access: &Record) -> Option<bool> {
    let status = access.value.filter(|_| access.offset == LINE_STATUS)?;
    Some(status & DATA_READY != 0)
}

/// An interrupt, and how often it has come.
struct Counted<I> {
    interrupt: I,
    count: Arc<AtomicU64>,
}

impl<I: Interrupt> Interrupt for Counted<I> {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let count = self.interrupt.wait(timeout)?;
        self.count.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }

    fn rearm(&mut self) -> Result<(), Error> {
        self.interrupt.rearm()
    }
}

impl<I: AsFd> AsFd for Counted<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}
