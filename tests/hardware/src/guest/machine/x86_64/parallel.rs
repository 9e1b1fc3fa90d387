//! The parallel port at 0x378: polled through ports, and by interrupt through the kernel's ppdev.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mapio_device::parallel::ParallelPort;
use mapio_device::ppdev::Ppdev;
use mapio_device::{Driven, Interrupt, Polled, Ports, RegisterIo, Waiting};

use crate::counted::Counted;
use crate::host::Host;

/// What is at the other end, to the runner.
const WIRE: &str = "lpt1";

pub(crate) fn ports(host: &mut Host) -> Result<String> {
    let mut port = ParallelPort::new(Ports::open(0x378..0x37b)?, Polled)?;
    print(host, &mut port)
}

/// The printer takes a byte almost at once, so that the driver has little to wait for: those interrupts that come while
/// it does not wait are counted by the kernel.
pub(crate) fn interrupt(host: &mut Host) -> Result<String> {
    let ppdev = Ppdev::open("/dev/parport0")?;
    let mut interrupt = Counted::new(ppdev.interrupt()?);
    let text = print(host, &mut ParallelPort::new(ppdev, Driven::new(&mut interrupt))?)?;
    interrupt.wait(Some(Duration::ZERO))?;
    let count = interrupt.count;
    ensure!(count > 0, "all bytes were printed, but no interrupt has come");
    interrupt.rearm()?;
    let more = interrupt.wait(Some(Duration::ZERO))?;
    ensure!(more == 0, "it interrupts for no reason");
    Ok(format!("{text}; interrupted {count} times"))
}

/// Prints every byte there is, and asks the printer for them.
fn print(host: &mut Host, port: &mut ParallelPort<impl RegisterIo, impl Waiting>) -> Result<String> {
    let bytes = (0..=u8::MAX).collect::<Vec<_>>();
    let start = Instant::now();
    let mut sent = 0;
    while sent < bytes.len() {
        sent += port.send(&bytes[sent..])?;
    }
    port.drain()?;
    let took = start.elapsed();
    ensure!(port.status()?.not_busy() == 1, "it is busy after all was sent");
    host.expect(WIRE, &bytes)?;
    Ok(format!("{} bytes in {took:.1?}", bytes.len()))
}
