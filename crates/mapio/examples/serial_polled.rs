//! Sends a line through a serial port by programmed I/O, and prints what comes back: asks the status register before
//! every byte.
//!
//!     serial_polled [DEVICE]
//!
//! DEVICE is `sim` (the default: a simulated 16550 whose other end sends the line back), `port:0x2f8` (a 16550 of a PC)
//! or `mem:0x9000000` (a PL011, as in QEMU's arm64 machine `virt`). The real ones need root, and something that
//! answers. While it waits it takes all of a processor; `serial_interrupt` takes none.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use mapio::device::Polled;
use mapio::device::model::serial::{Peer, Timing};
use mapio::device::model::{Ns16550 as Model, Simulated};
use mapio::device::serial::{Chip, Ns16550, PC_CLOCK_HZ, Pl011, Serial, Settings};
use mapio::device::{Error, Mmio, Ports};

/// UARTCLK of QEMU's arm64 machine, in hertz.
const PL011_CLOCK_HZ: u32 = 24_000_000;
/// As many bytes as the receiver's FIFO holds, so that none is lost while the other end answers.
const LINE: &[u8; 16] = b"hello, polling!\n";

/// Sends the line, and reads as many bytes back. `answer` is what the other end does in between.
fn talk(chip: impl Chip, answer: impl FnOnce()) -> Result<(), Error> {
    let mut port = Serial::new(chip, Polled, Settings::default())?;
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
    let wrong = || Error::Invalid { object: device.into(), reason: "use sim, port:0x2f8 or mem:0x9000000".into() };
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| wrong());
    match device.split_once(':') {
        None if device == "sim" => {
            let bus = Simulated::new(Model::new(Timing::Real));
            let peer = Peer::of(&bus);
            talk(Ns16550::new(bus, PC_CLOCK_HZ)?, || peer.send(&peer.take()))
        }
        Some(("port", first)) => {
            let first = number(first)?;
            let bus = Ports::open(first..first.saturating_add(8))?;
            talk(Ns16550::new(bus, PC_CLOCK_HZ)?, || ())
        }
        Some(("mem", first)) => {
            let first = u64::from(number(first)?);
            let bus = Mmio::open("/dev/mem", first..first + 0x1000)?;
            talk(Pl011::new(bus, PL011_CLOCK_HZ)?, || ())
        }
        _ => Err(wrong()),
    }
}

pub(crate) fn main() -> ExitCode {
    match run(&env::args().nth(1).unwrap_or_else(|| "sim".into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serial_polled: {error}");
            ExitCode::from(2)
        }
    }
}
