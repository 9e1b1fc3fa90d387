//! The PC.

mod dma;
mod parallel;
mod text;

use anyhow::{Result, ensure};
use mapio_device::{PortFile, Ports, RegisterIo, Width};

use crate::host::Host;
use crate::{Check, command, edu, framebuffer, models, serial};

/// The second serial port.
const COM2: std::ops::Range<u32> = 0x2f8..0x300;

pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("edu.polled", edu::polled),
    ("edu.wrong_width", wrong_width),
    ("edu.interrupt", edu::interrupt),
    ("edu.latency", edu::latency),
    ("edu.dma", dma::copies),
    ("edu.trace", edu::trace),
    ("models.edu", models::educational),
    ("models.16550", model),
    ("serial.ports", serial_ports),
    ("serial.port_file", serial_port_file),
    ("serial.pci_polled", serial::pci_polled),
    ("serial.pci_interrupt", serial::pci_interrupt),
    ("parallel.ports", parallel::ports),
    ("parallel.interrupt", parallel::interrupt),
    ("text.screen", text::screen),
    ("framebuffer.pci", framebuffer::pci),
    ("command.list", command::list),
    ("command.read", command::read),
    ("command.dump", dump),
];

/// The device has registers of 32 bits. What else is asked for, a PC answers with nothing.
fn wrong_width(_: &mut Host) -> Result<String> {
    let (_, bus) = edu::open()?;
    let value = bus.read(0, Width::U8)?;
    ensure!([0, 0xff].contains(&value), "8 bits read as {value:#x}");
    Ok(format!("8 bits of a register of 32 read as {value:#x}"))
}

fn serial_ports(host: &mut Host) -> Result<String> {
    serial::polled_16550(host, Ports::open(COM2)?, "com2")
}

fn serial_port_file(host: &mut Host) -> Result<String> {
    serial::polled_16550(host, PortFile::open("/dev/port", COM2.start.into()..COM2.end.into())?, "com2")
}

fn dump(host: &mut Host) -> Result<String> {
    command::dump(host, &["com2"], &["LCR", "LSR", "MCR"])
}

fn model(_: &mut Host) -> Result<String> {
    models::ns16550(&Ports::open(COM2)?)
}
