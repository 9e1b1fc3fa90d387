//! Devices and their models side by side: the same accesses at random, and the same answers.
//!
//! What depends on when an access is made is left out.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use mapio_device::model::edu::{Edu, Memory, Times};
use mapio_device::model::{self, Simulated};
use mapio_device::{Polled, RegisterIo, Waiting, Width};

use crate::edu;
use crate::host::Host;

/// Steps of a walk.
const STEPS: usize = 3000;

/// Accesses that are told of when two answers differ.
const TOLD: usize = 12;

/// A device, its model, and what was done to both.
struct Pair<'a> {
    device: &'a dyn RegisterIo,
    model: &'a dyn RegisterIo,
    random: u64,
    seed: u64,
    done: VecDeque<String>,
}

impl<'a> Pair<'a> {
    fn new(device: &'a dyn RegisterIo, model: &'a dyn RegisterIo) -> Result<Self> {
        let seed = u64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() & u128::from(u64::MAX))?;
        Ok(Self { device, model, random: seed | 1, seed, done: VecDeque::new() })
    }

    /// A random number below a limit: xorshift64 (Marsaglia, 2003).
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % limit
    }

    fn note(&mut self, access: String) {
        self.done.push_back(access);
        if self.done.len() > TOLD {
            self.done.pop_front();
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u64) -> Result<()> {
        self.note(format!("{offset:#x} := {value:#x}"));
        self.device.write(offset, width, value)?;
        Ok(self.model.write(offset, width, value)?)
    }

    /// Reads from both; the bits of the mask must be the same.
    fn read(&mut self, offset: usize, width: Width, mask: u64) -> Result<u64> {
        let (device, model) = (self.device.read(offset, width)?, self.model.read(offset, width)?);
        self.note(format!("{offset:#x} = {device:#x}"));
        ensure!(
            device & mask == model & mask,
            "at {offset:#x} the device has {device:#x} and the model {model:#x}, after {:?}, with seed {:#x}",
            self.done,
            self.seed
        );
        Ok(device)
    }
}

/// The educational device, but for DMA, which `edu.dma` shows, and widths, which a PC's bus answers otherwise.
pub(crate) fn educational(_: &mut Host) -> Result<String> {
    let (device, bus) = edu::open()?;
    // Nobody serves its interrupts here.
    device.header()?.command().modify(|command| command.with_interrupt_disable(1))?;
    let model = Simulated::new(Edu::new(Memory::new(0), Times { factorial: Duration::ZERO, dma: Duration::ZERO }));
    let mut pair = Pair::new(&bus, &model)?;
    for (offset, value) in [(0x20, 0), (0x64, u64::from(u32::MAX)), (0x04, 0)] {
        pair.write(offset, Width::U32, value)?;
    }
    for _ in 0..STEPS {
        let value = pair.below(1 << 32);
        match pair.below(8) {
            0 => drop(pair.read(0x00, Width::U32, u64::MAX)?),
            1 => pair.write(0x04, Width::U32, value)?,
            2 => drop(pair.read(0x04, Width::U32, u64::MAX)?),
            3 => pair.write(0x20, Width::U32, value)?,
            4 => pair.write(0x60, Width::U32, value)?,
            5 => pair.write(0x64, Width::U32, value)?,
            6 => {
                // Its interrupt comes a moment after it is ready, and is told from an earlier one.
                pair.write(0x64, Width::U32, 1)?;
                pair.write(0x08, Width::U32, value % 100)?;
                settle(&pair)?;
                pair.read(0x08, Width::U32, u64::MAX)?;
            }
            _ => {
                pair.read(0x24, Width::U32, u64::MAX)?;
                pair.read(0x20, Width::U32, u64::MAX)?;
            }
        }
    }
    pair.write(0x20, Width::U32, 0)?;
    pair.write(0x64, Width::U32, u64::from(u32::MAX))?;
    Ok(format!("{STEPS} steps"))
}

/// Waits until both have computed, and interrupt if they are to.
fn settle(pair: &Pair<'_>) -> Result<()> {
    for bus in [pair.device, pair.model] {
        Polled.wait_for("edu", Duration::from_secs(5), || {
            let status = bus.read(0x20, Width::U32)?;
            let is_told = status & 0x80 == 0 || bus.read(0x24, Width::U32)? & 1 == 1;
            Ok((status & 1 == 0 && is_told).then_some(()))
        })?;
    }
    Ok(())
}

/// The 16550 in loopback, where what it sends comes back at once.
pub(crate) fn ns16550(device: &dyn RegisterIo) -> Result<String> {
    let model = Simulated::new(model::Ns16550::new(model::serial::Timing::Instant));
    let mut pair = Pair::new(device, &model)?;
    // IER, LCR, FCR, MCR: no interrupts, 8 bits, no FIFOs, loopback.
    for (offset, value) in [(1, 0), (3, 3), (2, 0x07), (2, 0), (4, 0x10)] {
        pair.write(offset, Width::U8, value)?;
    }
    for _ in 0..STEPS {
        let value = pair.below(256);
        match pair.below(9) {
            0 => pair.write(7, Width::U8, value)?,
            // No modem interrupts: QEMU notices no changes of the lines in loopback, which the data sheet wants.
            1 => pair.write(1, Width::U8, value & 0x7)?,
            2 => pair.write(3, Width::U8, value & 0x3c | 3)?,
            3 => pair.write(4, Width::U8, value & 0xf | 0x10)?,
            4 => pair.write(0, Width::U8, value)?,
            // Without a byte, the data sheet does not say what is read.
            5 if pair.read(5, Width::U8, u64::MAX)? & 1 == 1 => drop(pair.read(0, Width::U8, u64::MAX)?),
            6 => {
                let line = pair.read(3, Width::U8, u64::MAX)?;
                pair.write(3, Width::U8, line | 0x80)?;
                pair.write(0, Width::U8, value)?;
                pair.write(1, Width::U8, value ^ 0xff)?;
                pair.read(0, Width::U8, u64::MAX)?;
                pair.read(1, Width::U8, u64::MAX)?;
                pair.write(3, Width::U8, line)?;
            }
            5 | 7 => drop(pair.read(5, Width::U8, u64::MAX)?),
            _ => {
                for (offset, mask) in [(2, 0xff), (1, 0xff), (3, 0xff), (4, 0xff), (6, 0xf0), (7, 0xff)] {
                    pair.read(offset, Width::U8, mask)?;
                }
            }
        }
    }
    pair.write(4, Width::U8, 0)?;
    Ok(format!("{STEPS} steps"))
}
