//! An interrupt that counts: a driver that finds out by looking would pass as one that was interrupted.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mapio_device::{Error, Interrupt};

/// An interrupt, and how often it has come.
pub(crate) struct Counted<I> {
    interrupt: I,
    pub(crate) count: u64,
}

impl<I: Interrupt> Counted<I> {
    pub(crate) fn new(interrupt: I) -> Self {
        Self { interrupt, count: 0 }
    }
}

impl<I: Interrupt> Interrupt for Counted<I> {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let came = self.interrupt.wait(timeout)?;
        self.count += came;
        Ok(came)
    }

    fn rearm(&mut self) -> Result<(), Error> {
        self.interrupt.rearm()
    }
}

impl<I: Interrupt> AsFd for Counted<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}
