//! Waiting for the signals that ask a program to end: Ctrl-C (SIGINT) and SIGTERM.
//!
//! They are only noted, and the program ends by itself, with its own exit status. The second one ends it at once, as if
//! nobody had caught the first, unless it has something to put back.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mapio_copy::Meter;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::{signals, sys};

/// Whether the program has been asked to end since this was made.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// Set by the signal handlers, read by everybody; publishes nothing else.
    is_set: Arc<AtomicBool>,
    /// Gets a byte with each signal.
    bell: UnixStream,
}

impl Interrupt {
    /// Catches the signals from now on. The second one ends the program.
    pub(crate) fn catch() -> io::Result<Self> {
        let (signals, is_set) = ([SIGINT, SIGTERM], Arc::default());
        for signal in signals {
            // Before what sets the flag, so that it acts only at the next signal.
            flag::register_conditional_default(signal, Arc::clone(&is_set))?;
        }
        Self::catch_these(&signals, is_set)
    }

    /// Catches also the ones of a terminal that is hung up (SIGHUP), and Ctrl-\ (SIGQUIT), for who has something to put
    /// back, which no second signal interrupts. Of these two, what is ignored stays so, as nohup(1) has it.
    pub(crate) fn catch_all() -> io::Result<Self> {
        let others = [SIGHUP, SIGQUIT].into_iter().filter(|signal| !signals::is_ignored(*signal));
        Self::catch_these(&[SIGINT, SIGTERM].into_iter().chain(others).collect::<Vec<_>>(), Arc::default())
    }

    fn catch_these(signals: &[i32], is_set: Arc<AtomicBool>) -> io::Result<Self> {
        let (bell, rope) = UnixStream::pair()?;
        for &signal in signals {
            flag::register(signal, Arc::clone(&is_set))?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Self { is_set, bell })
    }

    /// Whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Reads from standard input, as soon as there is something: how many bytes, 0 at its end; `None` if a signal was
    /// sooner.
    pub(crate) fn read_input(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        if self.wait_for_input()? { sys::read_input(bytes).map(Some) } else { Ok(None) }
    }

    /// Waits until there is something to read from standard input, or its end; `false` if a signal was sooner.
    fn wait_for_input(&self) -> io::Result<bool> {
        while !self.is_set() {
            let events = PollFlags::IN;
            let mut fds = [PollFd::from_borrowed_fd(rustix::stdio::stdin(), events), PollFd::new(&self.bell, events)];
            match rustix::event::poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) => return Ok(fds[1].revents().is_empty()),
            }
        }
        Ok(false)
    }

    /// Waits for a signal, for this long at most; `None` is for ever.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> io::Result<()> {
        self.bell.set_read_timeout(at_most)?;
        while !self.is_set() {
            match (&self.bell).read(&mut [0]) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Another signal, such as SIGCONT.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Interrupt {
    /// Is readable once a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// The signals that end a copy in order. The first one stops it; the second one ends the program at once, as if nobody
/// had caught the first.
#[derive(Debug)]
pub(crate) struct StopSignals {
    /// The signal that has come, or 0. Set by the signal handlers, read by everybody; publishes nothing else.
    caught: Arc<AtomicUsize>,
    /// Gets a byte with each signal.
    bell: UnixStream,
}

/// A signal that has ended a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopSignal(i32);

impl StopSignals {
    /// Stops what this meter counts when one of them comes. Those that are ignored stay so, as nohup(1) has it.
    pub(crate) fn catch(meter: &'static Meter) -> io::Result<Self> {
        let (bell, rope) = UnixStream::pair()?;
        let (is_set, caught) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signals::is_ignored(signal) {
                continue;
            }
            // In this order: the first of them acts only on what the second one has set at the signal before.
            flag::register_conditional_default(signal, Arc::clone(&is_set))?;
            flag::register(signal, Arc::clone(&is_set))?;
            let number = usize::try_from(signal).unwrap_or_else(|_| unreachable!("signals are small numbers"));
            flag::register_usize(signal, Arc::clone(&caught), number)?;
            signals::stop_at(signal, meter)?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Self { caught, bell })
    }

    /// The signal that has come.
    pub(crate) fn caught(&self) -> Option<StopSignal> {
        let number = self.caught.load(Ordering::Relaxed);
        i32::try_from(number).ok().filter(|&number| number != 0).map(StopSignal)
    }

    /// Waits until there is something to read from standard input; `false` if a signal was sooner.
    pub(crate) fn wait_for_input(&self, meter: &Meter) -> bool {
        while !meter.is_stopped() {
            let (stdin, events) = (rustix::stdio::stdin(), PollFlags::IN);
            let mut fds = [PollFd::from_borrowed_fd(stdin, events), PollFd::new(&self.bell, events)];
            match rustix::event::poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                // What can't be waited for can be read without waiting, or not at all.
                Err(_) => return true,
                Ok(_) if !fds[1].revents().is_empty() => return false,
                Ok(_) => return true,
            }
        }
        false
    }
}

impl StopSignal {
    /// Ends the program as the signal would have, so that who started it sees that.
    pub(crate) fn end_program(self) {
        // It returns only if there is no such signal.
        let _ = low_level::emulate_default_handler(self.0);
    }
}
