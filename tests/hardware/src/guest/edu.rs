//! The educational device: factorials polled and by interrupt, DMA, accesses that it refuses, and a trace.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mapio_device::edu::Edu;
use mapio_device::edu::registers::{Acknowledge, Registers};
use mapio_device::pci::{self, Caching, Id, PciDevice};
use mapio_device::{Driven, Interrupt, Mmio, Polled, RegisterIo, System, Trace, Width};

use crate::host::Host;
use crate::uio;

/// What the device calls itself.
const ID: Id = Id { vendor: 0x1234, device: 0x11e8 };

/// Numbers and their factorials modulo 2^32.
const FACTORIALS: [(u32, u32); 5] = [(0, 1), (1, 1), (5, 120), (12, 479_001_600), (13, 1_932_053_504)];

/// A number whose factorial takes the device milliseconds, so that it is waited for. It is 0 modulo 2^32.
const LONG: u32 = 10_000_000;

/// The device and its registers.
pub(crate) fn open() -> Result<(PciDevice, Mmio)> {
    let device = pci::find(&System::default(), ID)?;
    device.enable()?;
    let bus = device.map_bar(0, Caching::Uncached)?;
    Ok((device, bus))
}

pub(crate) fn polled(_: &mut Host) -> Result<String> {
    let (_, bus) = open()?;
    let mut edu = Edu::new(bus.clone(), Polled)?;
    for (number, factorial) in FACTORIALS {
        ensure!(edu.factorial(number)? == factorial, "{number}!");
    }
    let start = Instant::now();
    ensure!(edu.factorial(LONG)? == 0, "{LONG}!");
    let long = start.elapsed();
    let (reads, start) = (10_000_u32, Instant::now());
    for _ in 0..reads {
        bus.read(0, Width::U32)?;
    }
    Ok(format!("{LONG}! in {long:.1?}; a register is read in {:.0?}", start.elapsed() / reads))
}

pub(crate) fn interrupt(_: &mut Host) -> Result<String> {
    let (device, bus) = open()?;
    let mut interrupt = uio::interrupt(&device)?;
    let mut edu = Edu::new(bus, Driven::new(&mut interrupt))?;
    for (number, factorial) in FACTORIALS {
        ensure!(edu.factorial(number)? == factorial, "{number}!");
    }
    let start = Instant::now();
    ensure!(edu.factorial(LONG)? == 0, "{LONG}!");
    let long = start.elapsed();
    let count = interrupt.count;
    ensure!(count > 0, "the right answers, but no interrupt has come");
    Ok(format!("{LONG}! in {long:.1?}; interrupted {count} times"))
}

/// From the access that makes the device interrupt until the program goes on.
pub(crate) fn latency(_: &mut Host) -> Result<String> {
    const ROUNDS: usize = 200;
    let (device, bus) = open()?;
    let registers = Registers::new(bus)?;
    let mut interrupt = uio::interrupt(&device)?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        let start = Instant::now();
        registers.raise().set(4)?;
        let came = interrupt.wait(Some(Duration::from_secs(5)))?;
        times.push(start.elapsed());
        ensure!(came == 1, "round {round}: {came} interrupts came");
        let reasons = registers.interrupt_status().read()?;
        ensure!(reasons.0 == 4, "round {round}: it interrupts for {:#x}", reasons.0);
        registers.acknowledge().clear(Acknowledge(reasons.0))?;
        interrupt.rearm()?;
    }
    ensure!(interrupt.wait(Some(Duration::ZERO))? == 0, "it interrupts for no reason");
    times.sort();
    Ok(format!("{ROUNDS} rounds; median {:.1?}, slowest {:.1?}", times[ROUNDS / 2], times[ROUNDS - 1]))
}

/// Every access with the names of its registers, while the device does something.
pub(crate) fn trace(host: &mut Host) -> Result<String> {
    let (_, bus) = open()?;
    let mut edu = Edu::new(Trace::new(bus).block(&Registers::BLOCK), Polled)?;
    ensure!(edu.factorial(10)? == 3_628_800, "10!");
    let (trace, _) = edu.into_parts();
    let records = trace.take();
    for record in records.iter().take(8) {
        host.note(&record.to_string());
    }
    let has = |name: &str| records.iter().any(|record| record.register.is_some_and(|(known, _)| known.name == name));
    let missing = ["ID", "LIVE", "FACT", "STATUS"].into_iter().find(|name| !has(name));
    ensure!(missing.is_none(), "no access of {missing:?} is told");
    let wanted = records.iter().find(|record| record.offset == 8).context("no access of the number")?;
    ensure!(wanted.value == Some(10) && wanted.error.is_none(), "{wanted}");
    Ok(format!("{} accesses, the first of them above", records.len()))
}
