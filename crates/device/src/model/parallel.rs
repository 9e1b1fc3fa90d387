//! A parallel port with a printer behind it.

use std::time::{Duration, Instant};

use super::{Model, later};
use crate::parallel::registers::{Control, Status};
use crate::width::Width;

/// How long the printer holds line nAck down, before it is not busy any more.
const ACK: Duration = Duration::from_micros(5);

/// A parallel port, and a printer that keeps what it has received.
///
/// The printer is busy for some time with each byte, then acknowledges it, which interrupts until the status register
/// is read. A byte that comes while it is busy is lost, as on paper.
#[derive(Debug)]
pub struct Printer {
    data: u8,
    control: Control,
    byte_time: Duration,
    failure: Option<PrinterFailure>,
    received: Vec<u8>,
    /// When the printer will have taken the byte that it has.
    busy_until: Option<Instant>,
    /// Since when the interrupt is pending.
    interrupt: Option<Instant>,
}

/// What can be wrong with a simulated printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrinterFailure {
    /// There is no paper.
    PaperOut,
    /// It is switched to offline.
    Offline,
    /// Something else, such as a cover that is open.
    Fault,
    /// It never takes a byte any more.
    StuckBusy,
    /// Its acknowledgements don't arrive: no interrupt comes.
    LostInterrupt,
}

impl Printer {
    /// A printer that is ready, and takes so long for each byte.
    #[must_use]
    pub fn new(byte_time: Duration) -> Self {
        Self {
            data: 0,
            control: Control::default(),
            byte_time,
            failure: None,
            received: Vec::new(),
            busy_until: None,
            interrupt: None,
        }
    }

    /// What it has received since the start, in order.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Lets something be wrong from now on, or nothing.
    pub fn set_failure(&mut self, failure: Option<PrinterFailure>) {
        self.failure = failure;
    }

    fn fails_by(&self, failure: PrinterFailure) -> bool {
        self.failure == Some(failure)
    }

    /// Does what has happened until now.
    fn catch_up(&mut self, now: Instant) {
        if let Some(at) = self.busy_until.filter(|at| *at <= now && !self.fails_by(PrinterFailure::StuckBusy)) {
            self.busy_until = None;
            if self.control.interrupt() == 1 && !self.fails_by(PrinterFailure::LostInterrupt) {
                self.interrupt = Some(at);
            }
        }
    }

    fn status(&self, now: Instant) -> Status {
        let is_stopped = matches!(
            self.failure,
            Some(
                PrinterFailure::PaperOut | PrinterFailure::Offline | PrinterFailure::Fault | PrinterFailure::StuckBusy
            )
        );
        let is_busy = is_stopped || self.busy_until.is_some() || self.control.no_init() == 0;
        let acknowledges = !is_stopped && self.busy_until.is_some_and(|at| at <= later(now, ACK));
        Status::default()
            .with_no_interrupt(u8::from(self.interrupt.is_none()))
            .with_no_fault(u8::from(!self.fails_by(PrinterFailure::Fault)))
            .with_online(u8::from(!self.fails_by(PrinterFailure::Offline)))
            .with_paper_out(u8::from(self.fails_by(PrinterFailure::PaperOut)))
            .with_no_ack(u8::from(!acknowledges))
            .with_not_busy(u8::from(!is_busy))
    }

    /// What a change of the control lines does.
    fn set_control(&mut self, control: Control, now: Instant) {
        let rises = control.strobe() == 1 && self.control.strobe() == 0;
        self.control = control;
        if control.no_init() == 0 {
            (self.busy_until, self.interrupt) = (None, None);
        } else if rises && control.select_in() == 1 && self.status(now).not_busy() == 1 {
            self.received.push(self.data);
            self.busy_until = Some(later(now, self.byte_time));
        }
    }
}

impl Model for Printer {
    fn len(&self) -> usize {
        3
    }

    fn read(&mut self, offset: usize, width: Width, now: Instant) -> Result<u64, &'static str> {
        self.catch_up(now);
        match (offset, width) {
            (0, Width::U8) => Ok(self.data.into()),
            (1, Width::U8) => {
                let status = self.status(now);
                self.interrupt = None;
                Ok(status.0.into())
            }
            (2, Width::U8) => Ok(self.control.0.into()),
            _ => Err(WIDTH),
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, now: Instant) -> Result<(), &'static str> {
        self.catch_up(now);
        let value = u8::try_from(value).map_err(|_| WIDTH)?;
        match (offset, width) {
            (0, Width::U8) => self.data = value,
            // Nobody listens to the status lines.
            (1, Width::U8) => {}
            (2, Width::U8) => self.set_control(Control(value & 0x3f), now),
            _ => return Err(WIDTH),
        }
        Ok(())
    }

    fn interrupts_at(&mut self, now: Instant) -> Option<Instant> {
        self.catch_up(now);
        let will = self.control.interrupt() == 1
            && !self.fails_by(PrinterFailure::StuckBusy)
            && !self.fails_by(PrinterFailure::LostInterrupt);
        self.interrupt.or(self.busy_until.filter(|_| will))
    }
}

const WIDTH: &str = "a parallel port has registers of 8 bits";
