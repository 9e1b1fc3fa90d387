//! The Arm.

use anyhow::{Result, bail, ensure};
use mapio_device::Polled;
use mapio_device::serial::{Pl011, Serial, Settings};
use mapio_device::{Error, Mmio, RegisterIo, Width};

use crate::host::Host;
use crate::{Check, command, edu, framebuffer, models, serial};

/// Where the PL011 is (QEMU's hw/arm/virt.c).
const UART: std::ops::Range<u64> = 0x0900_0000..0x0900_1000;

/// Of its clock; what QEMU's device tree says.
const UART_CLOCK_HZ: u32 = 24_000_000;

pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("edu.polled", edu::polled),
    ("edu.wrong_width", wrong_width),
    ("edu.interrupt", edu::interrupt),
    ("edu.latency", edu::latency),
    ("edu.trace", edu::trace),
    ("models.edu", models::educational),
    ("models.16550", model),
    ("serial.pl011", pl011),
    ("serial.pci_polled", serial::pci_polled),
    ("serial.pci_interrupt", serial::pci_interrupt),
    ("framebuffer.pci", framebuffer::pci),
    ("command.list", command::list),
    ("command.read", command::read),
    ("command.dump", dump),
    ("command.fault", fault),
];

/// The device has registers of 32 bits. What else is asked for, an Arm refuses by a signal, of which others die.
fn wrong_width(_: &mut Host) -> Result<String> {
    let (_, bus) = edu::open()?;
    for round in 0..100 {
        match bus.read(0, Width::U8) {
            Err(Error::Fault { offset: 0, width: Width::U8, .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(value) => bail!("round {round}: 8 bits read as {value:#x}"),
        }
    }
    let id = bus.read(0, Width::U32)?;
    ensure!(id & 0xff == 0xed, "after the fault, the device is {id:#x}");
    match bus.read(0, Width::U8) {
        Err(error) => Ok(format!("100 times an error, such as {:#}; then it goes on", anyhow::Error::from(error))),
        Ok(value) => bail!("8 bits read as {value:#x}"),
    }
}

fn pl011(host: &mut Host) -> Result<String> {
    let chip = Pl011::new(Mmio::open("/dev/mem", UART)?, UART_CLOCK_HZ)?;
    serial::exchange(host, &mut Serial::new(chip, Polled, Settings::default())?, "pl011")
}

fn dump(host: &mut Host) -> Result<String> {
    command::dump(host, &["0x9000000", "--block", "pl011"], &["CR", "FR", "IBRD"])
}

/// The command is not killed by a fault, either.
fn fault(_: &mut Host) -> Result<String> {
    command::refused(&["read", "pci:1234:11e8/bar0", "--width", "8"])
}

fn model(_: &mut Host) -> Result<String> {
    let device = serial::open()?;
    let walked = models::ns16550(&device.open_bar_ports(0)?);
    device.give_back()?;
    walked
}
