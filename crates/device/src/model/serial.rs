//! The line between two serial ports, for models of them.
//!
//! Each end has a transmitter with its FIFO and a receiver with its FIFO; the line moves bytes from one to the other,
//! one each frame's time. Models of UARTs are registers in front of an end. At the other end is a [`Peer`], which
//! stands for the world, or another model: [`null_modem`].
//!
//! The line itself knows what happens when: [`Line::advance`] does everything up to a time, in its order, whoever asks
//! first. An event that comes nearer because of what one end does wakes the other end's interrupt.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::{Error, LineError};
use crate::model::{Model, Simulated, Waker, later, lock};
use crate::serial::ModemLines;

/// How long bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// As long as the registers say.
    Real,
    /// No time.
    Instant,
}

/// What is wrong with a model, until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The transmitter sends nothing, and is never empty.
    Stuck,
    /// Interrupts are lost.
    Silent,
    /// All registers read as ones: the device was taken away.
    Gone,
}

/// A model of a UART.
pub trait Uart: Model {
    /// Its end of the line.
    fn port(&mut self) -> &mut Port;
}

/// A UART's end of a line.
#[derive(Debug)]
pub struct Port {
    line: Arc<Mutex<Line>>,
    end: usize,
    timing: Timing,
    fault: Fault,
}

/// The other end of a model's line: sends and receives for the world. Bytes take the time that the port says.
#[derive(Debug)]
pub struct Peer {
    line: Arc<Mutex<Line>>,
    end: usize,
}

/// Joins two models by a null-modem cable: what one sends, the other receives; RTS goes to CTS, DTR to DSR and DCD.
/// Where they disagree on the speed, by more than 5 %, bytes come without stop bits. What was on the lines before is
/// lost, and [peers](Peer) are cut off. To be called before anybody else uses the models.
pub fn null_modem<A: Uart, B: Uart>(one: &Simulated<A>, other: &Simulated<B>) {
    // One model at a time: their locks have no order.
    let end = one.model().port().setup(one.waker());
    let mut line = Line { ends: [end, other.model().port().setup(other.waker())] };
    line.settle(Instant::now());
    for end in &mut line.ends {
        end.changed = ModemLines::default();
    }
    let line = Arc::new(Mutex::new(line));
    one.model().port().move_to(Arc::clone(&line), 0);
    other.model().port().move_to(line, 1);
}

/// A byte on its way, or what has come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) byte: u8,
    pub(crate) error: Option<LineError>,
    /// Whether it is the first one behind some that were lost.
    pub(crate) after_loss: bool,
}

impl Symbol {
    pub(crate) fn new(byte: u8, error: Option<LineError>) -> Self {
        Self { byte, error, after_loss: false }
    }
}

/// Lets RTS follow the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AutomaticRts {
    /// With so many bytes it falls; the byte that the other end is about to send comes all the same.
    pub(crate) falls_at: usize,
    /// With so few it rises again.
    pub(crate) rises_at: usize,
}

/// Kinds of errors that have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Errors {
    pub(crate) overrun: bool,
    pub(crate) parity: bool,
    pub(crate) framing: bool,
    pub(crate) line_break: bool,
}

/// What happens to a byte that comes while the receiver is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It is lost: a FIFO.
    Drop,
    /// The one before is lost: a register.
    Replace,
}

/// Two ends, and what goes from each to the other.
#[derive(Debug)]
pub(crate) struct Line {
    ends: [End; 2],
}

#[derive(Debug)]
pub(crate) struct End {
    /// The transmitter: the byte on the line first, then its FIFO.
    to_send: VecDeque<Symbol>,
    /// How many of them have errors.
    broken: usize,
    /// When the first will have been sent; `None` while nothing is being sent.
    sent_at: Option<Instant>,
    /// What a byte takes.
    pub(crate) frame: Duration,
    /// Whether a byte waits for CTS.
    pub(crate) heeds_cts: bool,
    /// Nothing is sent any more.
    stuck: bool,
    /// The receiver, in the order of the line.
    pub(crate) received: VecDeque<Symbol>,
    /// Bytes that it holds.
    pub(crate) capacity: usize,
    pub(crate) when_full: WhenFull,
    /// Whether and how RTS follows the receiver.
    pub(crate) automatic_rts: Option<AutomaticRts>,
    /// It has fallen.
    is_full: bool,
    /// A byte was lost, and none has come since.
    has_lost: bool,
    /// A byte was lost, until somebody looks.
    pub(crate) overrun: bool,
    /// What has come, until somebody forgets it.
    pub(crate) errors: Errors,
    /// When the last one came or was taken: from here the time-out counts.
    last_moved: Option<Instant>,
    /// What the other end's inputs show of this one: CTS is our RTS, DSR and DCD our DTR.
    pub(crate) outputs: ModemLines,
    /// In loopback: what our own inputs show instead.
    pub(crate) loopback: Option<ModemLines>,
    /// Our inputs, as they are.
    pub(crate) inputs: ModemLines,
    /// Those that have changed since somebody looked; RI: has fallen.
    pub(crate) changed: ModemLines,
    /// Whether its frame is always the other's.
    follows: bool,
    waker: Option<Waker>,
}

impl End {
    fn new() -> Self {
        Self {
            to_send: VecDeque::new(),
            broken: 0,
            sent_at: None,
            frame: Duration::ZERO,
            heeds_cts: false,
            stuck: false,
            received: VecDeque::new(),
            capacity: 1,
            when_full: WhenFull::Replace,
            automatic_rts: None,
            is_full: false,
            has_lost: false,
            overrun: false,
            errors: Errors::default(),
            last_moved: None,
            outputs: ModemLines::default(),
            loopback: None,
            inputs: ModemLines::default(),
            changed: ModemLines::default(),
            follows: false,
            waker: None,
        }
    }

    /// The same settings, and nothing on its way.
    fn clone_setup(&self) -> Self {
        let &Self { frame, heeds_cts, stuck, capacity, when_full, automatic_rts, outputs, loopback, .. } = self;
        Self { frame, heeds_cts, stuck, capacity, when_full, automatic_rts, outputs, loopback, ..Self::new() }
    }

    /// Bytes that wait behind the one on the line.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = self.to_send.len() - usize::from(self.sent_at.is_some());
        if self.stuck { waiting.max(1) } else { waiting }
    }

    /// Whether nothing is left to send.
    pub(crate) fn is_idle(&self) -> bool {
        self.to_send.is_empty() && !self.stuck
    }

    /// Whether RTS stays down because of what is in the receiver.
    fn is_full(&mut self) -> bool {
        self.is_full = self.automatic_rts.is_some_and(|rts| {
            self.received.len() >= rts.falls_at || self.is_full && self.received.len() > rts.rises_at
        });
        self.is_full
    }

    fn receive(&mut self, symbol: Symbol, at: Instant) {
        self.last_moved = Some(at);
        match symbol.error {
            Some(LineError::Parity) => self.errors.parity = true,
            Some(LineError::Framing) => self.errors.framing = true,
            Some(LineError::Break) => (self.errors.line_break, self.errors.framing) = (true, true),
            Some(LineError::Overrun) | None => {}
        }
        if self.received.len() >= self.capacity {
            (self.overrun, self.errors.overrun, self.has_lost) = (true, true, true);
            if self.when_full == WhenFull::Drop {
                return;
            }
            self.received.pop_back();
        }
        let after_loss = mem::take(&mut self.has_lost);
        self.received.push_back(Symbol { after_loss, ..symbol });
    }
}

impl Line {
    /// Does what happens up to a time.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some((at, from)) =
            (0..2).filter_map(|end| Some((self.ends[end].sent_at?, end))).min().filter(|(at, _)| *at <= now)
        {
            self.deliver(from, at);
        }
    }

    pub(crate) fn end(&mut self, end: usize) -> &mut End {
        &mut self.ends[end]
    }

    /// Gives a byte to a transmitter.
    pub(crate) fn send(&mut self, end: usize, symbol: Symbol, now: Instant) {
        self.ends[end].to_send.push_back(symbol);
        self.ends[end].broken += usize::from(symbol.error.is_some());
        self.start(end, now);
        let to = self.destination(end);
        if let (Some(at), Some(waker)) = (self.ends[end].sent_at, self.ends[to].waker.as_ref()) {
            waker.wake_at(at, now);
        }
    }

    /// Takes a byte out of a receiver.
    pub(crate) fn take(&mut self, end: usize, now: Instant) -> Option<Symbol> {
        let symbol = self.ends[end].received.pop_front()?;
        self.ends[end].last_moved = Some(now);
        self.settle(now);
        Some(symbol)
    }

    /// Empties what waits in a transmitter; the byte on the line is finished.
    pub(crate) fn clear_to_send(&mut self, end: usize) {
        let end = &mut self.ends[end];
        end.to_send.truncate(usize::from(end.sent_at.is_some()));
        end.broken = end.to_send.iter().filter(|symbol| symbol.error.is_some()).count();
    }

    /// A break reaches the other end.
    pub(crate) fn send_break(&mut self, end: usize, now: Instant) {
        let to = self.destination(end);
        if to == end || self.ends[to].loopback.is_none() {
            self.ends[to].receive(Symbol::new(0, Some(LineError::Break)), now);
            self.wake(to, now);
        }
    }

    /// Lets lines and transmitters follow what was changed.
    pub(crate) fn settle(&mut self, now: Instant) {
        for end in 0..2 {
            let other = &mut self.ends[1 - end];
            let shown = ModemLines { cts: other.outputs.cts && !other.is_full(), ..other.outputs };
            let own = &mut self.ends[end];
            let inputs = own.loopback.unwrap_or(shown);
            let before = mem::replace(&mut own.inputs, inputs);
            if before != inputs {
                own.changed.cts |= before.cts != inputs.cts;
                own.changed.dsr |= before.dsr != inputs.dsr;
                own.changed.ri |= before.ri && !inputs.ri;
                own.changed.dcd |= before.dcd != inputs.dcd;
                self.wake(end, now);
            }
        }
        for end in 0..2 {
            if self.ends[end].sent_at.is_none() && self.start(end, now) {
                let at = now + self.ends[end].frame;
                self.wake(end, at);
                self.wake(self.destination(end), at);
            }
        }
    }

    /// When a receiver will hold so many bytes, as far as is known.
    pub(crate) fn received_at(&self, end: usize, count: usize, now: Instant) -> Option<Instant> {
        let missing = count.saturating_sub(self.ends[end].received.len());
        if missing == 0 {
            return Some(now);
        }
        let from = &self.ends[self.source(end)?];
        (missing <= from.to_send.len()).then(|| Some(from.sent_at? + from.frame * factor(missing - 1)))?
    }

    /// When a receiver will have held bytes, and nothing will have moved, for so long.
    pub(crate) fn silent_at(&self, end: usize, after: Duration) -> Option<Instant> {
        let own = &self.ends[end];
        let now_silent = own.last_moved.filter(|_| !own.received.is_empty()).map(|at| at + after);
        let coming = self.source(end).and_then(|from| Some((self.ends[from].sent_at?, &self.ends[from])));
        match (now_silent, coming) {
            (Some(at), Some((next, _))) if at <= next => Some(at),
            (_, Some((next, from))) => Some(next + from.frame * factor(from.to_send.len() - 1) + after),
            (at, None) => at,
        }
    }

    /// When an error will come to a receiver of which nobody takes anything meanwhile.
    pub(crate) fn error_at(&self, end: usize, now: Instant) -> Option<Instant> {
        let loss = self.received_at(end, self.ends[end].capacity.saturating_add(1), now);
        let from = &self.ends[self.source(end)?];
        if from.broken == 0 {
            return loss;
        }
        let place = from.to_send.iter().position(|symbol| symbol.error.is_some())?;
        [Some(from.sent_at? + from.frame * factor(place)), loss].into_iter().flatten().min()
    }

    /// When at most so many bytes will wait in a transmitter.
    pub(crate) fn drained_at(&self, end: usize, count: usize, now: Instant) -> Option<Instant> {
        let own = &self.ends[end];
        let excess = own.waiting().saturating_sub(count);
        if excess == 0 {
            return Some(now);
        }
        Some(own.sent_at? + own.frame * factor(excess - 1))
    }

    fn deliver(&mut self, from: usize, at: Instant) {
        let to = self.destination(from);
        let end = &mut self.ends[from];
        end.sent_at = None;
        let Some(mut symbol) = end.to_send.pop_front() else { return };
        end.broken -= usize::from(symbol.error.is_some());
        let (sent, expected) = (end.frame, self.ends[to].frame);
        if !sent.is_zero() && !expected.is_zero() && sent.abs_diff(expected) * 20 > expected {
            symbol.error = Some(LineError::Framing);
        }
        if to == from || self.ends[to].loopback.is_none() {
            self.ends[to].receive(symbol, at);
        }
        self.start(from, at);
        self.settle(at);
    }

    /// Puts the next byte on the line, if it may; answers whether.
    fn start(&mut self, end: usize, now: Instant) -> bool {
        let end = &mut self.ends[end];
        let may = !end.stuck && (!end.heeds_cts || end.inputs.cts) && !end.to_send.is_empty();
        if end.sent_at.is_some() || !may {
            return false;
        }
        end.sent_at = Some(now + end.frame);
        true
    }

    fn destination(&self, from: usize) -> usize {
        if self.ends[from].loopback.is_some() { from } else { 1 - from }
    }

    fn source(&self, to: usize) -> Option<usize> {
        if self.ends[to].loopback.is_some() {
            return Some(to);
        }
        self.ends[1 - to].loopback.is_none().then_some(1 - to)
    }

    fn wake(&self, end: usize, at: Instant) {
        if let Some(waker) = &self.ends[end].waker {
            waker.wake_at(at, Instant::now());
        }
    }
}

/// A count of frames to multiply by.
fn factor(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Port {
    pub(crate) fn new(timing: Timing) -> Self {
        let mut peer = End::new();
        (peer.capacity, peer.follows) = (usize::MAX, true);
        peer.outputs = ModemLines { cts: true, dsr: true, ri: false, dcd: true };
        let mut line = Line { ends: [End::new(), peer] };
        line.settle(Instant::now());
        line.ends[0].changed = ModemLines::default();
        Self { line: Arc::new(Mutex::new(line)), end: 0, timing, fault: Fault::None }
    }

    /// Breaks the model, or repairs it.
    pub fn set_fault(&mut self, fault: Fault) {
        let now = Instant::now();
        self.fault = fault;
        let mut line = lock(&self.line);
        line.advance(now);
        line.ends[self.end].stuck = fault == Fault::Stuck;
        if fault == Fault::Stuck {
            line.ends[self.end].sent_at = None;
        }
        line.settle(now);
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// The line, as it is at a time, and which end is ours.
    pub(crate) fn at(&self, now: Instant) -> (MutexGuard<'_, Line>, usize) {
        let mut line = lock(&self.line);
        line.advance(now);
        (line, self.end)
    }

    /// Sets how long a byte takes, by the clock.
    pub(crate) fn set_frame(&self, frame: Duration, now: Instant) {
        let frame = if self.timing == Timing::Real { frame } else { Duration::ZERO };
        let (mut line, end) = self.at(now);
        line.ends[end].frame = frame;
        if line.ends[1 - end].follows {
            line.ends[1 - end].frame = frame;
        }
    }

    /// The end's settings, with nothing on its way, for another line.
    fn setup(&self, waker: Waker) -> End {
        let end = lock(&self.line).ends[self.end].clone_setup();
        End { waker: Some(waker), ..end }
    }

    fn move_to(&mut self, line: Arc<Mutex<Line>>, end: usize) {
        (self.line, self.end) = (line, end);
    }
}

impl Peer {
    /// The other end of a model's line.
    pub fn of<M: Uart>(bus: &Simulated<M>) -> Self {
        let mut model = bus.model();
        let port = model.port();
        let (line, end) = (Arc::clone(&port.line), port.end);
        lock(&line).ends[end].waker = Some(bus.waker());
        Self { line, end: 1 - end }
    }

    /// Sends bytes, one behind the other. Does not wait.
    pub fn send(&self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.push(Symbol::new(byte, None)));
    }

    /// Sends a byte that arrives with an error, behind those before.
    pub fn send_broken(&self, byte: u8, error: LineError) {
        self.push(Symbol::new(byte, Some(error)));
    }

    /// What has come until now, without what has errors; it is taken.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let now = Instant::now();
        let (mut line, end) = self.at(now);
        let taken = mem::take(&mut line.ends[end].received);
        // What is still on its way makes the descriptor readable again.
        if let (Some(at), Some(waker)) = (line.ends[1 - end].sent_at, &line.ends[end].waker) {
            waker.wake_at(at, now);
        }
        taken.iter().filter(|symbol| symbol.error.is_none()).map(|symbol| symbol.byte).collect()
    }

    /// Waits until so many bytes have come, and takes all that have; fewer when the time was over.
    #[must_use]
    pub fn take_at_least(&self, count: usize, timeout: Duration) -> Vec<u8> {
        let end = later(Instant::now(), timeout);
        let mut taken = self.take();
        while taken.len() < count && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(100));
            taken.extend(self.take());
        }
        taken
    }

    /// Whether everything sent has reached the port's receiver.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let (line, end) = self.at(Instant::now());
        line.ends[end].is_idle()
    }

    /// How often a break has come since the bytes were last taken.
    #[must_use]
    pub fn breaks(&self) -> usize {
        let (line, end) = self.at(Instant::now());
        line.ends[end].received.iter().filter(|symbol| symbol.error == Some(LineError::Break)).count()
    }

    /// What the port's inputs show. At first all are up but RI.
    pub fn set_lines(&self, lines: ModemLines) {
        let now = Instant::now();
        let (mut line, end) = self.at(now);
        line.ends[end].outputs = lines;
        line.settle(now);
    }

    /// What the port's outputs show: RTS as `cts`, DTR as `dsr` and `dcd`.
    #[must_use]
    pub fn lines(&self) -> ModemLines {
        let (line, end) = self.at(Instant::now());
        line.ends[end].inputs
    }

    /// Whether this end waits for the port's RTS before each byte. At first it does not.
    pub fn heed_cts(&self) {
        let (mut line, end) = self.at(Instant::now());
        line.ends[end].heeds_cts = true;
    }

    /// A descriptor that becomes readable when bytes may have come; reading 8 bytes from it and
    /// [taking](Self::take) them makes it wait again.
    ///
    /// # Errors
    /// [`Error::Os`] when there is none.
    pub fn descriptor(&self) -> Result<PeerDescriptor, Error> {
        let (waker, fd) = Waker::new()?;
        let now = Instant::now();
        let (mut line, end) = self.at(now);
        waker.wake_at(now, now);
        line.ends[end].waker = Some(waker.clone());
        Ok(PeerDescriptor { waker, fd })
    }

    fn push(&self, symbol: Symbol) {
        let now = Instant::now();
        let (mut line, end) = self.at(now);
        line.send(end, symbol, now);
    }

    fn at(&self, now: Instant) -> (MutexGuard<'_, Line>, usize) {
        let mut line = lock(&self.line);
        line.advance(now);
        (line, self.end)
    }
}

/// Tells when a [`Peer`] may have received something.
#[derive(Debug)]
pub struct PeerDescriptor {
    waker: Waker,
    fd: Arc<OwnedFd>,
}

impl PeerDescriptor {
    /// Makes it wait for the next byte. To be called before [`Peer::take`].
    pub fn clear(&self) {
        self.waker.clear();
    }
}

impl AsFd for PeerDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
