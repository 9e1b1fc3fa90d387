//! Interrupts: waiting until a device says that something has happened, instead of asking it again and again.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::Error;

/// An interrupt of a device, as a program can wait for it.
///
/// Its descriptor is readable, for poll(2) and for runtimes that stand on it, when [`wait`](Self::wait) would not
/// block.
///
/// After an interrupt the next one does not come until [`rearm`](Self::rearm), and that is done after the device was
/// served: a device keeps its line up until then, and would interrupt at once again. Made anew, it is armed.
pub trait Interrupt: AsFd {
    /// Waits until the device has interrupted; answers how many times since the last wait, or 0 when the time was over.
    /// More than 1 means that some were missed: served late, together. `None` waits without end.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel's driver fails, or the device is gone. A signal that was caught ends no wait.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error>;

    /// Lets the next interrupt come.
    ///
    /// # Errors
    /// [`Error::Os`].
    fn rearm(&mut self) -> Result<(), Error>;
}

impl<I: Interrupt + ?Sized> Interrupt for Box<I>
where
    Box<I>: AsFd,
{
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        (**self).wait(timeout)
    }

    fn rearm(&mut self) -> Result<(), Error> {
        (**self).rearm()
    }
}

impl<I: Interrupt + ?Sized> Interrupt for &mut I
where
    for<'a> &'a mut I: AsFd,
{
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        (**self).wait(timeout)
    }

    fn rearm(&mut self) -> Result<(), Error> {
        (**self).rearm()
    }
}

/// Waits until a descriptor is readable, or has failed; `false` when the time was over. `None` waits without end.
pub(crate) fn wait_readable(fd: impl AsFd, end: Option<Instant>) -> Result<bool, Errno> {
    loop {
        let left = end.map(|end| timespec(end.saturating_duration_since(Instant::now())));
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(source) => return Err(source),
        }
    }
}

/// A length of time as system calls take it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
