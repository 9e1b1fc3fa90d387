//! Prints through a parallel port: the strobe, busy and acknowledge lines are bits of its registers.
//!
//! usage: parallel [sim|PORT|/dev/parportN] [--poll] TEXT
//!
//! `sim`, the default, is a port with a printer in this process; what has arrived there is shown. PORT is the first of
//! three I/O ports, 0x378 on most PCs, which are polled; /dev/parport0 goes through the kernel. Where there is an
//! interrupt, the program sleeps until it comes, unless it is to poll: the driver is the same.
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mapio::device::model::{Simulated, parallel::Printer};
use mapio::device::parallel::ParallelPort;
use mapio::device::ppdev::Ppdev;
use mapio::device::{Driven, Interrupt, Polled, Ports, RegisterIo, Waiting};

/// How long the simulated printer takes for a byte.
const BYTE_TIME: Duration = Duration::from_micros(500);

type Done = Result<(), Box<dyn Error>>;

/// Prints on any bus behind which a parallel port is, and waits in any way.
fn print(bus: impl RegisterIo, waiting: impl Waiting, text: &str) -> Done {
    let mut port = ParallelPort::new(bus, waiting)?;
    port.set_timeout(Duration::from_secs(5));
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // Fewer than all, if the printer goes offline or out of paper; the next call says why.
        rest = &rest[port.send(rest)?..];
    }
    Ok(port.drain()?)
}

/// Prints, polled or by the interrupt.
fn print_as<I: Interrupt>(bus: impl RegisterIo, interrupt: I, polls: bool, text: &str) -> Done {
    if polls { print(bus, Polled, text) } else { print(bus, Driven::new(interrupt), text) }
}

fn run(which: &str, polls: bool, text: &str) -> Done {
    if which == "sim" {
        let bus = Simulated::new(Printer::new(BYTE_TIME));
        let start = Instant::now();
        print_as(&bus, bus.interrupt()?, polls, text)?;
        let printer = bus.model();
        println!("printed: {}", String::from_utf8_lossy(printer.received()));
        println!("{} bytes, waiting by {}", text.len(), if polls { "asking again" } else { "interrupt" });
        eprintln!("in {:?}", start.elapsed());
        return Ok(());
    }
    match which.strip_prefix("0x").map(|digits| u32::from_str_radix(digits, 16)) {
        Some(port) => {
            let port = port?;
            print(Ports::open(port..port.checked_add(3).ok_or("there is no such port")?)?, Polled, text)
        }
        None => {
            let bus = Ppdev::open(which)?;
            let interrupt = bus.interrupt()?;
            print_as(bus, interrupt, polls, text)
        }
    }
}

pub(crate) fn main() -> ExitCode {
    let (options, words): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|word| word == "--poll");
    let printed = match words.as_slice() {
        [text] => run("sim", !options.is_empty(), text),
        [which, text] => run(which, !options.is_empty(), text),
        _ => Err("usage: parallel [sim|PORT|/dev/parportN] [--poll] TEXT".into()),
    };
    if let Err(error) = printed {
        let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        eprintln!("parallel: {error}{reason}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
