//! The two ways to wait for a chip.

use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::serial::chip::{Chip, Events};

/// How a port waits.
pub trait Wait {
    /// Waits until one of the events may have come, or the time is over. Who calls it looks at the chip afterwards in
    /// both cases, so that an interrupt that was lost costs time and no bytes.
    ///
    /// # Errors
    /// Those of the chip and of the interrupt.
    fn wait(&mut self, chip: &mut impl Chip, events: Events, timeout: Duration) -> Result<(), Error>;

    /// Lets about so much time pass, for what no interrupt tells.
    fn pause(&mut self, time: Duration);
}

/// Programmed I/O: asks the status register until it says yes. Needs no interrupt, and all of a processor, which it
/// leaves to others between two questions (sched_yield(2)).
#[derive(Debug, Clone, Copy, Default)]
pub struct Polled;

impl Wait for Polled {
    fn wait(&mut self, chip: &mut impl Chip, events: Events, timeout: Duration) -> Result<(), Error> {
        let start = Instant::now();
        while !chip.has_come(events)? && start.elapsed() < timeout {
            thread::yield_now();
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            thread::yield_now();
        }
    }
}

/// Sleeps until the device interrupts.
#[derive(Debug)]
pub struct Driven<I> {
    interrupt: I,
}

impl<I: Interrupt> Driven<I> {
    /// Waits by this interrupt, which is the chip's.
    pub fn new(interrupt: I) -> Self {
        Self { interrupt }
    }

    /// Lets the events interrupt from now on, so that the descriptor tells of them.
    pub(crate) fn listen(&mut self, chip: &mut impl Chip, events: Events) -> Result<(), Error> {
        // One that has come before is forgotten; if its cause is still there, it comes again.
        self.interrupt.wait(Some(Duration::ZERO))?;
        chip.enable(events)?;
        self.interrupt.rearm()
    }
}

impl<I: Interrupt> Wait for Driven<I> {
    fn wait(&mut self, chip: &mut impl Chip, events: Events, timeout: Duration) -> Result<(), Error> {
        chip.enable(events)?;
        let waited = self.interrupt.wait(Some(timeout));
        // The line falls, whatever its cause, and the interrupt can be armed for the next time.
        chip.enable(Events::default())?;
        chip.acknowledge()?;
        if waited? > 0 {
            self.interrupt.rearm()?;
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

impl<I: AsFd> AsFd for Driven<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}
