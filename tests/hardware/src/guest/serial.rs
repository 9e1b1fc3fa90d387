//! Serial ports: one driver on every chip and bus, polled and by interrupt. The other end of each is the runner.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mapio_device::pci::{self, Id, PciDevice};
use mapio_device::serial::{Chip, Ns16550, PC_CLOCK_HZ, Serial, Settings};
use mapio_device::{Driven, Polled, Waiting};
use mapio_device::{RegisterIo, System};
use mapio_hardware::protocol::BURST_BYTES;

use crate::host::Host;
use crate::uio;

/// QEMU's `pci-serial`: a 16550 behind a BAR of ports.
const ID: Id = Id { vendor: 0x1b36, device: 0x0002 };

/// What is at the other end of it, to the runner.
const WIRE: &str = "pci";

/// So many times bytes come by themselves.
const BURSTS: usize = 60;
/// And so often this interrupts at least.
const FEWEST: u64 = 45;

/// A 16550 on any bus, polled.
pub(crate) fn polled_16550(host: &mut Host, bus: impl RegisterIo, wire: &str) -> Result<String> {
    let mut port = Serial::new(Ns16550::new(bus, PC_CLOCK_HZ)?, Polled, Settings::default())?;
    port.self_test().context("in loopback")?;
    exchange(host, &mut port, wire)
}

pub(crate) fn pci_polled(host: &mut Host) -> Result<String> {
    let device = open()?;
    let text = polled_16550(host, device.open_bar_ports(0)?, WIRE);
    device.give_back()?;
    text
}

pub(crate) fn pci_interrupt(host: &mut Host) -> Result<String> {
    let device = open()?;
    let mut interrupt = uio::interrupt(&device)?;
    let chip = Ns16550::new(device.open_bar_ports(0)?, PC_CLOCK_HZ)?;
    let mut port = Serial::new(chip, Driven::new(&mut interrupt), Settings::default())?;
    let text = exchange(host, &mut port, WIRE)?;
    let (chip, _) = port.into_parts();
    let count = interrupt.count;
    ensure!(count > 0, "all bytes have come, but no interrupt");
    let mut port = Serial::new(chip, Driven::new(&mut interrupt), Settings::default())?;
    let bytes = (0..=u8::MAX).take(BURSTS * BURST_BYTES).collect::<Vec<_>>();
    host.trickle(WIRE, &bytes)?;
    let mut received = vec![0; bytes.len()];
    port.set_timeout(Duration::from_secs(10));
    port.read_exact(&mut received).context("receiving what trickles")?;
    ensure!(received == bytes, "other bytes trickled than were sent: {received:?}");
    drop(port);
    let trickled = interrupt.count - count;
    // A guest that was held up finds two bursts at once, and is interrupted once.
    ensure!(trickled >= FEWEST, "{BURSTS} bursts of bytes, and only {trickled} interrupts");
    drop(interrupt);
    device.give_back()?;
    Ok(format!("{text}; interrupted {count} times, and {trickled} times by {BURSTS} bursts"))
}

/// The device, taken from the kernel's own driver.
pub(crate) fn open() -> Result<PciDevice> {
    let device = pci::find(&System::default(), ID)?;
    device.bind(pci::UIO_DRIVER)?;
    device.enable()?;
    Ok(device)
}

/// Sends every byte there is, several times more than a FIFO holds, and receives them. What is sent is compared by the
/// runner, what is received here.
pub(crate) fn exchange<C: Chip, W: Waiting>(host: &mut Host, port: &mut Serial<C, W>, wire: &str) -> Result<String> {
    port.set_timeout(Duration::from_secs(10));
    let bytes = (0..=u8::MAX).cycle().take(2 * 256).collect::<Vec<_>>();
    let start = Instant::now();
    port.write_all(&bytes).context("sending")?;
    port.flush().context("waiting until all is sent")?;
    let sent = start.elapsed();
    host.expect(wire, &bytes)?;
    host.send(wire, &bytes)?;
    let mut received = vec![0; bytes.len()];
    let start = Instant::now();
    port.read_exact(&mut received).context("receiving")?;
    let took = start.elapsed();
    ensure!(received == bytes, "other bytes came than were sent: {:?}", String::from_utf8_lossy(&received));
    ensure!(port.try_read(&mut [0])? == 0, "more bytes came than were sent");
    Ok(format!("{} bytes out in {sent:.1?}, in in {took:.1?}", bytes.len()))
}
