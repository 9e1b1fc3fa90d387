//! The parallel port: bytes to a printer, or to whatever keeps to its handshake.
//!
//! ```text
//! Data       ===X  a byte  X=========     the port's data register
//! nStrobe    ------\____/------------     the port: take it
//! Busy       ________/--------\______     the printer: not now
//! nAck       ----------------\_/-----     the printer: I have it; its end interrupts
//! ```
//! A byte is given only to a printer that is not busy, and stays on the lines until the next one. "Compatibility mode"
//! of IEEE 1284.

pub mod registers;

use std::hint;
use std::io;
use std::time::{Duration, Instant};

use crate::bus::RegisterIo;
use crate::error::{Error, PrinterError};
use crate::waiting::Waiting;
use registers::{Control, Port, Status};

/// How long each state of the lines lasts at least; IEEE 1284 wants 750 ns.
const SETUP: Duration = Duration::from_micros(1);

/// How long a printer is held in reset at least; IEEE 1284 wants 50 us.
const RESET: Duration = Duration::from_micros(60);

/// What errors call it.
const NAME: &str = "parallel port";

/// A parallel port with a printer.
///
/// `W` is how it waits: [`Polled`](crate::Polled), or [`Driven`](crate::Driven) by its interrupt.
#[derive(Debug)]
pub struct ParallelPort<B, W> {
    registers: Port<B>,
    waiting: W,
    timeout: Duration,
}

impl<B: RegisterIo, W: Waiting> ParallelPort<B, W> {
    /// Takes the port into use: its data lines drive, its interrupt is on if it is waited for. The printer is not
    /// reset. It is waited for at most 10 seconds for each byte, until [`set_timeout`](Self::set_timeout).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bus of less than 3 bytes; [`Error::Unexpected`] if the data register does not keep what
    /// is written, because there is no port; those of the bus.
    pub fn new(bus: B, waiting: W) -> Result<Self, Error> {
        let port = Self { registers: Port::new(bus)?, waiting, timeout: Duration::from_secs(10) };
        port.control(Control::default())?;
        for probe in [0x55, 0xaa] {
            port.registers.data().write(probe)?;
            let kept = port.registers.data().read()?.0;
            if kept != probe {
                let reason = format!("there is none: of {probe:#04x} in its data register, {kept:#04x} was kept");
                return Err(Error::Unexpected { object: NAME.to_owned(), reason });
            }
        }
        Ok(port)
    }

    /// Sets how long is waited for the printer to take a byte.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// What the printer says. Nothing is waited for.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.registers.status().read()
    }

    /// Resets the printer, and waits until it is ready.
    ///
    /// # Errors
    /// Those of [`drain`](Self::drain).
    pub fn reset(&mut self) -> Result<(), Error> {
        self.registers.control().write(Control::default().with_select_in(1))?;
        self.hold(RESET)?;
        self.control(Control::default())?;
        self.hold(RESET)?;
        self.drain()
    }

    /// Gives the printer bytes until it does not take one; answers how many it has taken, which is at least one if
    /// there is one to give. Waits for each as long as [`set_timeout`](Self::set_timeout) says. The last one may still
    /// be on the way: [`drain`](Self::drain).
    ///
    /// # Errors
    /// If the first byte was not taken: those of [`drain`](Self::drain).
    pub fn send(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        for (index, byte) in bytes.iter().enumerate() {
            match self.send_byte(*byte) {
                Ok(()) => {}
                // It is told at the next call, if it is still so.
                Err(_) if index > 0 => return Ok(index),
                Err(error) => return Err(error),
            }
        }
        Ok(bytes.len())
    }

    /// Waits until the printer has taken the last byte.
    ///
    /// # Errors
    /// [`Error::Printer`] when it says what is wrong with it; [`Error::Timeout`] when it stays busy; those of the bus
    /// and of the interrupt.
    pub fn drain(&mut self) -> Result<(), Error> {
        let Self { registers, waiting, timeout } = self;
        waiting.wait_for(NAME, *timeout, || {
            let status = registers.status().read()?;
            match trouble(status) {
                Some(kind) => Err(Error::Printer { object: NAME.to_owned(), kind }),
                None => Ok((status.not_busy() == 1).then_some(())),
            }
        })
    }

    /// Takes the bus and the way of waiting out again. The port stays as it is.
    pub fn into_parts(self) -> (B, W) {
        (self.registers.into_bus(), self.waiting)
    }

    fn send_byte(&mut self, byte: u8) -> Result<(), Error> {
        self.drain()?;
        self.registers.data().write(byte)?;
        self.hold(SETUP)?;
        self.control(Control::default().with_strobe(1))?;
        self.hold(SETUP)?;
        self.control(Control::default())?;
        self.hold(SETUP)
    }

    /// Lets what was written stand for so short a time that sleeping would take longer.
    fn hold(&self, time: Duration) -> Result<(), Error> {
        // A write may still be on its way; when something was read, it has arrived.
        self.registers.control().read()?;
        let start = Instant::now();
        while start.elapsed() < time {
            hint::spin_loop();
        }
        Ok(())
    }

    /// Writes the bits that are always the same, and some others.
    fn control(&self, others: Control) -> Result<(), Error> {
        let control = others.with_no_init(1).with_select_in(1).with_interrupt(u8::from(W::INTERRUPTS));
        self.registers.control().write(control)
    }
}

/// What the printer says is wrong. Some go offline whenever something is, so that this is told last.
fn trouble(status: Status) -> Option<PrinterError> {
    if status.paper_out() == 1 {
        Some(PrinterError::PaperOut)
    } else if status.no_fault() == 0 {
        Some(PrinterError::Fault)
    } else if status.online() == 0 {
        Some(PrinterError::Offline)
    } else {
        None
    }
}

impl<B: RegisterIo, W: Waiting> io::Write for ParallelPort<B, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain().map_err(io::Error::from)
    }
}
