//! The terminal: bytes between standard input and output and a port, in one thread.
//!
//! Invariant: on a terminal, keys are read in every turn, whatever the port does, so that Ctrl-] always ends it.

use std::io::{self, IsTerminal};
use std::mem;
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
use serde::Serialize;

use super::kept::Keep;
use super::world::World;
use crate::interrupt::Interrupt as Signals;
use crate::output::{self, Reader};

/// Ctrl-], which ends it.
const QUIT: u8 = 0x1d;
/// How long to wait for room in a transmitter, or a pseudo-terminal, that has none.
const SOON: Duration = Duration::from_millis(1);
/// Bytes that are read at a time, and kept for a port that takes none.
const PENDING_BYTES: usize = 4096;
/// How long a person waits at most, after Ctrl-], for an other end that takes no bytes.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the port is not looked at, at most, where nothing but asking tells of bytes.
const LONGEST_NAP: Duration = Duration::from_millis(10);

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

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Without a byte from the other end, behind the end of the input.
    pub(super) linger: Duration,
    /// Without a byte that the other end takes.
    pub(super) stuck: Duration,
}

/// What has gone through.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    /// Bytes that the transmitter has taken.
    sent: u64,
    /// Bytes that have come.
    received: u64,
    /// Errors of the line: bytes that have come wrong, or were lost.
    errors: u64,
    /// Bytes of the input that were read, and not sent.
    dropped: u64,
}

/// A port, and who talks to it.
pub(super) struct Terminal<C, W> {
    port: Serial<C, W>,
    world: World,
    times: Times,
    /// The time of a byte on the line.
    frame: Duration,
    /// The time in which the FIFO fills or empties.
    fifo: Duration,
    signals: Signals,
    /// Put back when it is dropped.
    raw: Option<Raw>,
    /// Whether standard input has more.
    is_input_open: bool,
    stage: Stage,
    /// Read from standard input, and not taken by the port yet. At most [`PENDING_BYTES`].
    pending: Vec<u8>,
    /// When the port has taken bytes, or something was given to it while it had nothing to do.
    taken_at: Instant,
    /// It was told that typed bytes are dropped, since the port has taken some.
    is_dropping: bool,
    counts: Counts,
    /// The last byte that was shown.
    last: Option<u8>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There may be more input.
    Open,
    /// There is none, and what is left of it is sent, to the last bit.
    Flushing,
    /// Everything is sent, and nothing has come since then.
    Quiet(Instant),
}

/// What a turn has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    End,
    /// An end, too, for standard output is closed.
    NobodyReads,
}

impl<C: Keep, W: Listen> Terminal<C, W> {
    pub(super) fn new(mut port: Serial<C, W>, world: World, times: Times) -> anyhow::Result<Self> {
        let signals = Signals::catch_all().context("catching signals")?;
        let frame = port.settings().frame_time();
        let fifo = frame.saturating_mul(port.chip().fifo_bytes()?);
        let raw = if io::stdin().is_terminal() { Some(Raw::set()?) } else { None };
        Ok(Self {
            port,
            world,
            times,
            frame,
            fifo,
            signals,
            raw,
            is_input_open: true,
            stage: Stage::Open,
            pending: Vec::new(),
            taken_at: Instant::now(),
            is_dropping: false,
            counts: Counts::default(),
            last: None,
        })
    }

    /// Carries bytes until the end.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        if self.raw.is_some() {
            self.tell("Ctrl-] ends it.");
        }
        let mut turn = Turn::GoOn;
        while turn == Turn::GoOn && !self.signals.is_set() {
            turn = self.turn()?;
        }
        // What has come until now is shown, whatever else the reason is.
        if turn != Turn::NobodyReads && self.receive()? == Reader::Listening {
            self.give_up_pending();
        }
        Ok(())
    }

    /// Puts the terminal back, and answers the port, what has gone through, and the last byte that was shown.
    pub(super) fn into_parts(self) -> (Serial<C, W>, Counts, Option<u8>) {
        (self.port, self.counts, self.last)
    }

    fn turn(&mut self) -> anyhow::Result<Turn> {
        let before = (self.counts.sent, self.counts.received);
        if self.receive()? == Reader::Gone {
            return Ok(Turn::NobodyReads);
        }
        self.transmit()?;
        let is_asked_again = self.world.serve()?;
        if self.advance()? == Turn::End {
            return Ok(Turn::End);
        }
        let is_busy = !self.pending.is_empty() || self.stage == Stage::Flushing;
        let soon = (is_asked_again || is_busy).then_some(SOON);
        let has_moved = before != (self.counts.sent, self.counts.received);
        if self.wait(soon, has_moved)? { self.send() } else { Ok(Turn::GoOn) }
    }

    /// Shows what has come.
    fn receive(&mut self) -> anyhow::Result<Reader> {
        let mut buffer = [0; 1024];
        loop {
            match self.port.try_read(&mut buffer) {
                Ok(0) => return Ok(Reader::Listening),
                Ok(count) => {
                    self.counts.received += u64::try_from(count)?;
                    self.last = buffer[..count].last().copied();
                    if let Stage::Quiet(since) = &mut self.stage {
                        *since = Instant::now();
                    }
                    if output::bytes(&buffer[..count])? == Reader::Gone {
                        return Ok(Reader::Gone);
                    }
                }
                // The line goes on.
                Err(error @ Error::Line { .. }) => {
                    self.counts.errors += 1;
                    self.tell(&format!("mapio: {}", output::printable(&output::causes(&error))));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the port what it takes.
    fn transmit(&mut self) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let count = self.port.try_write(&self.pending)?;
        if count > 0 {
            self.pending.drain(..count);
            self.counts.sent += u64::try_from(count)?;
            (self.taken_at, self.is_dropping) = (Instant::now(), false);
        }
        Ok(())
    }

    /// Goes to the next stage where this one is over.
    fn advance(&mut self) -> anyhow::Result<Turn> {
        match self.stage {
            // A person sees that nothing happens.
            Stage::Open if self.pending.is_empty() || self.raw.is_some() => return Ok(Turn::GoOn),
            Stage::Open => {}
            Stage::Flushing if self.pending.is_empty() && self.port.chip().is_idle()? => {
                if self.raw.is_some() {
                    return Ok(Turn::End);
                }
                self.stage = Stage::Quiet(Instant::now());
                return Ok(Turn::GoOn);
            }
            Stage::Flushing => {}
            Stage::Quiet(_) if self.left() == Some(Duration::ZERO) => return Ok(Turn::End),
            Stage::Quiet(_) => return Ok(Turn::GoOn),
        }
        let patience = if self.raw.is_some() { self.times.stuck.min(PATIENCE) } else { self.times.stuck };
        // A slow line takes so long for what the FIFO has.
        let patience = patience.saturating_add(self.fifo);
        anyhow::ensure!(self.taken_at.elapsed() < patience, "the other end takes no bytes");
        Ok(Turn::GoOn)
    }

    /// How long to wait for another byte. One that is sent as an answer takes its time on the line.
    fn left(&self) -> Option<Duration> {
        let Stage::Quiet(since) = self.stage else { return None };
        let linger = self.times.linger.saturating_add(self.frame.saturating_mul(2));
        Some(linger.saturating_sub(since.elapsed()))
    }

    /// Waits until something is to be done; answers whether there is something to read from standard input.
    fn wait(&mut self, soon: Option<Duration>, has_moved: bool) -> anyhow::Result<bool> {
        let has_room = self.raw.is_some() || self.pending.is_empty();
        let reads_input = self.is_input_open && has_room;
        let left = self.left();
        let (world, signals) = (&self.world, &self.signals);
        let port = W::listen(&mut self.port)?;
        // The FIFO keeps what comes meanwhile.
        let nap = if has_moved { Duration::ZERO } else { (self.fifo / 4).min(LONGEST_NAP) };
        let nap = port.is_none().then_some(nap);
        let at_most = [soon, left, nap].into_iter().flatten().min();
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
        let mut buffer = [0; PENDING_BYTES];
        let count = match rustix::io::read(stdin(), &mut buffer) {
            Ok(count) => count,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(Turn::GoOn),
            // A terminal that has been hung up.
            Err(Errno::IO) if self.raw.is_some() => 0,
            Err(error) => return Err(error).context("reading standard input"),
        };
        self.is_input_open = count > 0;
        let quit = buffer[..count].iter().position(|byte| *byte == QUIT).filter(|_| self.raw.is_some());
        if self.stage != Stage::Open {
            // Nothing more is sent, and who asks again does not want to wait.
            return Ok(if quit.is_some() { Turn::End } else { Turn::GoOn });
        }
        let typed = &buffer[..quit.unwrap_or(count)];
        self.keep(typed)?;
        if count == 0 || quit.is_some() {
            (self.stage, self.taken_at) = (Stage::Flushing, Instant::now());
        }
        // The key again, behind itself.
        let is_twice = quit.is_some_and(|quit| buffer[quit + 1..count].contains(&QUIT));
        Ok(if is_twice { Turn::End } else { Turn::GoOn })
    }

    /// Keeps what was typed until the port takes it, as far as there is room.
    fn keep(&mut self, typed: &[u8]) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            self.taken_at = Instant::now();
        }
        let kept = typed.len().min(PENDING_BYTES - self.pending.len());
        self.pending.extend_from_slice(&typed[..kept]);
        let dropped = typed.len() - kept;
        self.counts.dropped += u64::try_from(dropped)?;
        if dropped > 0 && !self.is_dropping {
            self.is_dropping = true;
            self.tell("mapio: the other end takes no bytes: what is typed is dropped");
        }
        Ok(())
    }

    /// Tells that what is left of the input is not sent.
    fn give_up_pending(&mut self) {
        let left = mem::take(&mut self.pending).len();
        if left > 0 {
            self.counts.dropped = self.counts.dropped.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
            self.tell(&format!("mapio: {left} bytes of the input were not sent"));
        }
    }

    /// Prints a line to standard error, also on a terminal that is raw.
    fn tell(&self, line: &str) {
        let end = if self.raw.is_some() { "\r" } else { "" };
        output::complain_plain(&format!("{line}{end}"));
    }
}

impl Counts {
    /// Whether everything has gone through.
    pub(super) fn is_whole(&self) -> bool {
        self.errors == 0 && self.dropped == 0
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
