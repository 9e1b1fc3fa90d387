//! What a driver asks of a UART, whichever it is.

use crate::error::{Error, LineError};
use crate::serial::settings::Settings;

/// A UART: registers that stand for a serial line.
///
/// No function waits; each makes a few accesses. [`Serial`](crate::serial::Serial) makes a port of it.
pub trait Chip {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// Finds out whether it is there, sets the line, empties the FIFOs, and switches all interrupts off.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its clock can't make the speed, [`Error::Unexpected`] if there is another device or none,
    /// and those of the bus.
    fn configure(&mut self, settings: &Settings) -> Result<(), Error>;

    /// Whether RTS and CTS work by themselves when [`Flow::RtsCts`](crate::serial::Flow::RtsCts) is set.
    fn has_automatic_flow(&self) -> bool;

    /// Takes what is next out of the receiver, if there is something.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when the device is gone, and those of the bus.
    fn receive(&mut self) -> Result<Option<Received>, Error>;

    /// Gives as many bytes to the transmitter as it takes now, and answers how many: 0 if it is busy.
    ///
    /// # Errors
    /// As in [`receive`](Self::receive).
    fn transmit(&mut self, bytes: &[u8]) -> Result<usize, Error>;

    /// Whether one of the events has come, without an interrupt.
    ///
    /// # Errors
    /// As in [`receive`](Self::receive).
    fn has_come(&mut self, events: Events) -> Result<bool, Error>;

    /// Whether the last bit of the last byte is on the line.
    ///
    /// # Errors
    /// As in [`receive`](Self::receive).
    fn is_idle(&mut self) -> Result<bool, Error>;

    /// Lets these events interrupt, and no others.
    ///
    /// # Errors
    /// Those of the bus.
    fn enable(&mut self, events: Events) -> Result<(), Error>;

    /// Forgets events of which reading and writing bytes is no answer: changed lines.
    ///
    /// # Errors
    /// Those of the bus.
    fn acknowledge(&mut self) -> Result<(), Error>;

    /// What the lines from the other end say.
    ///
    /// # Errors
    /// Those of the bus.
    fn modem_lines(&mut self) -> Result<ModemLines, Error>;

    /// Sets the lines to the other end, break and loopback.
    ///
    /// # Errors
    /// Those of the bus.
    fn control(&mut self, control: Control) -> Result<(), Error>;
}

/// What stands in the receiver: a byte; or an error in the place of one that has come wrong, or of those that were
/// lost.
pub type Received = Result<u8, LineError>;

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// A byte has come.
    pub received: bool,
    /// The transmitter takes bytes.
    pub space: bool,
    /// A line from the other end has changed.
    pub lines: bool,
}

/// The lines from the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModemLines {
    /// Clear to send: the other end takes bytes.
    pub cts: bool,
    /// Data set ready: there is another end.
    pub dsr: bool,
    /// Ring indicator: somebody calls.
    pub ri: bool,
    /// Data carrier detect: the modem hears another one.
    pub dcd: bool,
}

/// What the driver switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// Data terminal ready: we are there.
    pub dtr: bool,
    /// Request to send: we take bytes.
    pub rts: bool,
    /// The line is held low.
    pub send_break: bool,
    /// What is sent comes back, and does not reach the line; RTS is CTS, and DTR is DSR.
    pub loopback: bool,
}
