//! The PC.

mod dma;
mod parallel;
mod text;

use anyhow::{Result, ensure};
use mapio_device::{RegisterIo, Width};

use crate::host::Host;
use crate::{Check, edu};

pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("edu.polled", edu::polled),
    ("edu.wrong_width", wrong_width),
    ("edu.interrupt", edu::interrupt),
    ("edu.latency", edu::latency),
    ("edu.dma", dma::copies),
    ("edu.trace", edu::trace),
    ("parallel.ports", parallel::ports),
    ("parallel.interrupt", parallel::interrupt),
    ("text.screen", text::screen),
];

/// The device has registers of 32 bits. What else is asked for, a PC answers with nothing.
fn wrong_width(_: &mut Host) -> Result<String> {
    let (_, bus) = edu::open()?;
    let value = bus.read(0, Width::U8)?;
    ensure!([0, 0xff].contains(&value), "8 bits read as {value:#x}");
    Ok(format!("8 bits of a register of 32 read as {value:#x}"))
}
