//! The terminal: bytes between standard input and output and a port, in one thread.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use mapio_device::serial::{Chip, Serial};
use mapio_device::{Driven, Polled, Waiting};
use mapio_device::{Error, Interrupt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::world::World;
use crate::interrupt::Interrupt as Signals;
use crate::output::{self, Answer, Reader};

/// Ctrl-], which ends it.
const QUIT: u8 = 0x1d;
/// How long to wait for room in a transmitter, or a pseudo-terminal, that has none.
const SOON: Duration = Duration::from_millis(1);

/// A way to wait for a port and other things at once.
pub(super) trait Listen: Waiting + Sized {
    /// What becomes readable when bytes come; `None`: only asking tells.
    fn listen<C: Chip>(port: &mut Serial<C, Self>) -> Result<Option<BorrowedFd<'_>>, Error>;
}

impl Listen for Polled {
    fn listen<C: Chip>(_: &mut Serial<C, Self>) -> Result<Option<BorrowedFd<'_>>, Error> {
        Ok(None)
    }
}

impl<I: Interrupt> Listen for Driven<I> {
    fn listen<C: Chip>(port: &mut Serial<C, Self>) -> Result<Option<BorrowedFd<'_>>, Error> {
        port.listen()?;
        let port: &Serial<C, Self> = port;
        Ok(Some(port.as_fd()))
    }
}

/// A port, and who talks to it.
pub(super) struct Terminal<C, W> {
    port: Serial<C, W>,
    world: World,
    linger: Duration,
    signals: Signals,
    /// Put back when it is dropped.
    raw: Option<Raw>,
    /// Read from standard input, and not taken by the port yet.
    pending: Vec<u8>,
    /// Since when the input has ended and nothing has come.
    quiet_since: Option<Instant>,
}

/// What a turn has found.
enum Turn {
    GoOn,
    End,
}

impl<C: Chip, W: Listen> Terminal<C, W> {
    pub(super) fn new(port: Serial<C, W>, world: World, linger: Duration) -> anyhow::Result<Self> {
        let signals = Signals::catch().context("catching signals")?;
        let raw = if io::stdin().is_terminal() { Some(Raw::set()?) } else { None };
        Ok(Self { port, world, linger, signals, raw, pending: Vec::new(), quiet_since: None })
    }

    pub(super) fn run(mut self) -> anyhow::Result<Answer> {
        if self.raw.is_some() {
            output::complain_plain("Ctrl-] ends it.\r");
        }
        while !self.signals.is_set() {
            if matches!(self.turn()?, Turn::End) {
                break;
            }
        }
        Ok(Answer::Yes)
    }

    fn turn(&mut self) -> anyhow::Result<Turn> {
        if self.receive()? == Reader::Gone {
            return Ok(Turn::End);
        }
        if !self.pending.is_empty() {
            let count = self.port.try_write(&self.pending)?;
            self.pending.drain(..count);
            self.quiet_since = self.quiet_since.map(|_| Instant::now());
        }
        let soon = self.world.serve()? || !self.pending.is_empty();
        if self.quiet_since.is_some_and(|since| since.elapsed() >= self.linger) && self.pending.is_empty() {
            return Ok(Turn::End);
        }
        if self.wait(soon)? { self.send() } else { Ok(Turn::GoOn) }
    }

    /// Shows what has come.
    fn receive(&mut self) -> anyhow::Result<Reader> {
        let mut buffer = [0; 1024];
        loop {
            match self.port.try_read(&mut buffer) {
                Ok(0) => return Ok(Reader::Listening),
                Ok(count) => {
                    self.quiet_since = self.quiet_since.map(|_| Instant::now());
                    if output::bytes(&buffer[..count])? == Reader::Gone {
                        return Ok(Reader::Gone);
                    }
                }
                // The line goes on.
                Err(error @ Error::Line { .. }) => output::complain(&error.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until something is to be done; answers whether there is something to read from standard input.
    fn wait(&mut self, soon: bool) -> anyhow::Result<bool> {
        let reads_input = self.pending.is_empty() && self.quiet_since.is_none();
        let left = self.quiet_since.map(|since| self.linger.saturating_sub(since.elapsed()));
        let (world, signals) = (&self.world, &self.signals);
        let port = W::listen(&mut self.port)?;
        let at_most = match (port, soon) {
            (None, _) => Some(Duration::ZERO),
            (Some(_), true) => Some(SOON),
            (Some(_), false) => left,
        };
        let input = stdin();
        let watched = [signals.as_fd()].into_iter().chain(port).chain(world.descriptors());
        let watched = reads_input.then_some(input).into_iter().chain(watched);
        let mut fds = watched.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect::<Vec<_>>();
        let at_most = at_most.map(Timespec::try_from).transpose().context("too long a time")?;
        match poll(&mut fds, at_most.as_ref()) {
            Ok(_) => Ok(reads_input && !fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error).context("waiting for input"),
        }
    }

    /// Takes what was typed.
    fn send(&mut self) -> anyhow::Result<Turn> {
        let mut buffer = [0; 4096];
        let count = match rustix::io::read(stdin(), &mut buffer) {
            Ok(count) => count,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(Turn::GoOn),
            Err(error) => return Err(error).context("reading standard input"),
        };
        let typed = &buffer[..count];
        if self.raw.is_some() && (count == 0 || typed.contains(&QUIT)) {
            return Ok(Turn::End);
        }
        if count == 0 {
            self.quiet_since = Some(Instant::now());
        }
        self.pending.extend_from_slice(typed);
        Ok(Turn::GoOn)
    }
}

/// The terminal's settings as they were, which come back when this is dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> anyhow::Result<Self> {
        let before = tcgetattr(stdin()).context("asking the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("setting the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
