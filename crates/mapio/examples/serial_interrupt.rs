//! Sends a line through a serial port by interrupts, and prints what comes back: sleeps until the device says that
//! there is something to do. Nothing but the way to wait differs from `serial_polled`.
//!
//!     serial_interrupt [DEVICE]
//!
//! DEVICE is `sim` (the default: a simulated 16550 whose other end sends the line back) or `pci:1b36:0002`, a 16550 on
//! PCI (this is QEMU's pci-serial) that was given to uio_pci_generic. That needs root, and something that answers.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use mapio::device::Driven;
use mapio::device::model::serial::{Peer, Timing};
use mapio::device::model::{Ns16550 as Model, Simulated};
use mapio::device::pci::{self, Caching};
use mapio::device::serial::{Chip, Ns16550, PC_CLOCK_HZ, Serial, Settings};
use mapio::device::uio::UioDevice;
use mapio::device::{Error, Interrupt, System};

/// As many bytes as the receiver's FIFO holds, so that none is lost while the other end answers.
const LINE: &[u8; 16] = b"hello, sleeping\n";

/// Sends the line, and reads as many bytes back. `answer` is what the other end does in between.
fn talk(chip: impl Chip, interrupt: impl Interrupt, answer: impl FnOnce()) -> Result<(), Error> {
    let mut port = Serial::new(chip, Driven::new(interrupt), Settings::default())?;
    port.set_timeout(Duration::from_secs(5));
    port.self_test()?;
    port.write_all(LINE)?;
    port.flush()?;
    answer();
    let mut back = [0; LINE.len()];
    port.read_exact(&mut back)?;
    print!("{}", String::from_utf8_lossy(&back));
    Ok(())
}

fn run(device: &str) -> Result<(), Error> {
    match device.split_once(':') {
        None if device == "sim" => {
            let bus = Simulated::new(Model::new(Timing::Real));
            let (peer, interrupt) = (Peer::of(&bus), bus.interrupt()?);
            talk(Ns16550::new(bus, PC_CLOCK_HZ)?, interrupt, || peer.send(&peer.take()))
        }
        Some(("pci", id)) => {
            let system = System::default();
            let device = pci::find(&system, id.parse()?)?;
            let uio = device.uio()?.ok_or_else(|| Error::NotFound { object: format!("the UIO device of {id}") })?;
            device.enable()?;
            let interrupt = UioDevice::find(&system, uio)?.open()?.interrupt()?;
            talk(Ns16550::new(device.open_bar(0, Caching::Uncached)?, PC_CLOCK_HZ)?, interrupt, || ())
        }
        _ => Err(Error::Invalid { object: device.into(), reason: "use sim or pci:1b36:0002".into() }),
    }
}

pub(crate) fn main() -> ExitCode {
    match run(&env::args().nth(1).unwrap_or_else(|| "sim".into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serial_interrupt: {error}");
            ExitCode::from(2)
        }
    }
}
