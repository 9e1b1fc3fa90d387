//! Serial ports: one driver for all UARTs and both ways to wait.
//!
//! | part | what it is |
//! |---|---|
//! | [`Chip`] | the registers of a UART: [`Ns16550`], [`Pl011`] |
//! | [`Waiting`] | how is waited: [`Polled`](crate::Polled) asks again and again, [`Driven`] sleeps until the device interrupts |
//! | [`Serial`] | a port: both, with time-outs, flow control and errors |
//!
//! ```
//! use mapio_device::model::{Simulated, serial::{Peer, Timing}, Ns16550 as Model};
//! use mapio_device::Polled;
//! use mapio_device::serial::{Ns16550, PC_CLOCK_HZ, Serial, Settings};
//!
//! # fn main() -> Result<(), mapio_device::Error> {
//! let bus = Simulated::new(Model::new(Timing::Instant));
//! let peer = Peer::of(&bus);
//! let mut port = Serial::new(Ns16550::new(bus, PC_CLOCK_HZ)?, Polled, Settings::default())?;
//! port.write_all(b"hello")?;
//! port.flush()?;
//! assert_eq!(peer.take(), b"hello");
//! # Ok(())
//! # }
//! ```

mod backend;
mod chip;
mod embedded;
pub mod ns16550;
pub mod pl011;
mod settings;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub use backend::Uart16550Backend;
pub use chip::{Chip, Control, Events, ModemLines, Received};
pub use ns16550::{Ns16550, PC_CLOCK_HZ};
pub use pl011::Pl011;
pub use settings::{DataBits, Flow, Parity, Settings, StopBits};

use crate::error::{Error, LineError};
use crate::interrupt::Interrupt;
use crate::waiting::{Driven, Waiting};

/// Received bytes that are kept until somebody reads them.
const QUEUE_BYTES: usize = 1024;
/// With so many kept the other end is stopped; it may send some more before it hears.
const STOP_BYTES: usize = 640;
/// With so few it goes on.
const GO_BYTES: usize = 256;
/// Bytes that are sent at once where the driver looks at CTS: the other end's FIFO of 16 holds them, and the one that
/// is on the line, when it has just stopped us.
const CAREFUL_BURST_BYTES: usize = 8;
/// What the largest FIFO of these chips holds, and what is on the line.
const FIFO_FRAMES: u32 = 33;
/// Every byte there is.
const TESTED_FRAMES: u32 = 256;
/// Stops the sender.
const XOFF: u8 = 0x13;
/// Lets it go on.
const XON: u8 = 0x11;
/// How long calls wait at first.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// A serial port.
///
/// Nothing runs in the background. Received bytes are taken out of the chip during calls, also of
/// [`write`](Self::write), and by [`serve`](Self::serve); in between the chip's FIFO keeps them, 16 or 32, and further
/// ones are lost, which is an error and [counted](Self::overruns). With [`Flow::RtsCts`] nothing is lost where the chip
/// moves RTS itself, nor by those who wait in [`read`](Self::read): RTS is up only meanwhile. For those who ask again
/// and again ([`try_read`](Self::try_read), [`is_readable`](Self::is_readable), `listen`) it stays up in between, and
/// they have to come again before the chip's FIFO is full.
///
/// No call takes longer than the [time-out](Self::set_timeout), except where it says so; those that wait until bytes
/// have left the chip add the time that the line takes for what its FIFO holds.
#[derive(Debug)]
pub struct Serial<C, W> {
    chip: C,
    waiting: W,
    settings: Settings,
    timeout: Duration,
    control: Control,
    /// What was taken out of the chip, in the order of the line. At most [`QUEUE_BYTES`].
    received: VecDeque<Received>,
    overruns: u64,
    /// The other end has sent XOFF.
    stopped: bool,
    /// We have stopped the other end.
    stopping: bool,
    /// XON or XOFF, when it could not be sent yet.
    urgent: Option<u8>,
}

impl<C: Chip, W: Waiting> Serial<C, W> {
    /// Opens a port: sets it up, and raises DTR, and RTS if it is not for flow control.
    ///
    /// # Errors
    /// Those of [`Chip::configure`].
    pub fn new(chip: C, waiting: W, settings: Settings) -> Result<Self, Error> {
        let mut serial = Self {
            chip,
            waiting,
            settings,
            timeout: DEFAULT_TIMEOUT,
            control: Control::default(),
            received: VecDeque::new(),
            overruns: 0,
            stopped: false,
            stopping: false,
            urgent: None,
        };
        serial.configure(settings)?;
        Ok(serial)
    }

    /// Sets the port up anew. What was received is kept; what is still being sent may be lost: [`flush`](Self::flush)
    /// first.
    ///
    /// # Errors
    /// Those of [`Chip::configure`].
    pub fn configure(&mut self, settings: Settings) -> Result<(), Error> {
        let was_stopping = self.stopping;
        self.chip.configure(&settings)?;
        (self.settings, self.stopped, self.stopping, self.urgent) = (settings, false, false, None);
        // Who was told to stop would wait for ever.
        self.urgent = was_stopping.then_some(XON);
        self.control = Control { dtr: true, rts: !self.heeds_cts(), ..Control::default() };
        self.chip.control(self.control)
    }

    /// How the port is set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets how long calls wait. One second at first.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Reads what has come, at least one byte, and waits for that. Answers how many.
    ///
    /// # Errors
    /// [`Error::Timeout`] if nothing comes. [`Error::Line`] in the place of a byte that has come wrong, or of bytes
    /// that were lost; those before it are answered first, those behind it by the next call. Those of the bus and of
    /// the interrupt.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let start = Instant::now();
        self.serve()?;
        if self.received.is_empty() {
            self.set_rts(true)?;
            let waited = self.wait_for_received(start);
            self.set_rts(false)?;
            waited?;
        }
        self.take(buffer)
    }

    /// Reads what has come, without waiting, perhaps nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read), but no [`Error::Timeout`].
    pub fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.serve_on()?;
        if self.received.is_empty() { Ok(0) } else { self.take(buffer) }
    }

    /// Reads as many bytes as the buffer has; the time-out is for each part of them.
    ///
    /// # Errors
    /// As [`read`](Self::read); how many were read before is then lost.
    pub fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), Error> {
        while !buffer.is_empty() {
            let count = self.read(buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    /// Gives bytes to the transmitter, at least one, and waits for room. Answers how many; they are
    /// [sent](Self::flush) later.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the transmitter takes none: the other end has stopped us, or the device is stuck. Those of
    /// the bus and of the interrupt.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let start = Instant::now();
        loop {
            self.serve()?;
            let count = self.offer(bytes)?;
            if count > 0 {
                return Ok(count);
            }
            // An empty transmitter would end the wait at once where it is the other end that takes no bytes.
            let allowed = !self.stopped && (!self.heeds_cts() || self.chip.modem_lines()?.cts);
            let space = self.urgent.is_some() || allowed;
            let events = Events { received: self.has_room(), space, lines: self.heeds_cts() };
            let left = self.left_to_send(start)?;
            self.wait_for(events, left)?;
        }
    }

    /// Gives all bytes to the transmitter; the time-out is for each part of them.
    ///
    /// # Errors
    /// As [`write`](Self::write); how many were taken before is then lost.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let count = self.write(bytes)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Gives bytes to the transmitter, without waiting, perhaps none. Answers how many.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.serve()?;
        self.offer(bytes)
    }

    /// Waits until the last bit is on the line. No interrupt tells that: it looks once a byte's time.
    ///
    /// # Errors
    /// [`Error::Timeout`], those of the bus.
    pub fn flush(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            self.serve()?;
            if self.urgent.is_none() && self.chip.is_idle()? {
                return Ok(());
            }
            let left = self.left_to_send(start)?;
            self.waiting.pause(self.settings.frame_time().min(left));
        }
    }

    /// Whether a byte, or an error, is there to be read.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn is_readable(&mut self) -> Result<bool, Error> {
        self.serve_on()?;
        Ok(!self.received.is_empty())
    }

    /// Whether the transmitter takes a byte now.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn is_writable(&mut self) -> Result<bool, Error> {
        self.serve()?;
        Ok(self.may_send()? && self.chip.has_come(Events { space: true, ..Events::default() })?)
    }

    /// Takes received bytes out of the chip and keeps them, and stops the other end or lets it go on. Every call does
    /// so; programs that neither read nor write for a while call it themselves. Does not wait.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn serve(&mut self) -> Result<(), Error> {
        // A chip that always has another byte, as one that is broken, is left for the next call.
        for _ in 0..QUEUE_BYTES {
            if !self.has_room() {
                break;
            }
            let Some(received) = self.chip.receive()? else { break };
            self.keep(received);
        }
        self.regulate()
    }

    /// Stops the other end, or lets it go on, by a byte.
    fn regulate(&mut self) -> Result<(), Error> {
        if self.settings.flow == Flow::XonXoff {
            self.ask_to_stop();
        }
        if let Some(byte) = self.urgent
            && self.chip.transmit(&[byte])? == 1
        {
            self.urgent = None;
        }
        Ok(())
    }

    /// How many times bytes were lost because they were not taken in time.
    pub fn overruns(&self) -> u64 {
        self.overruns
    }

    /// What the lines from the other end say.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn modem_lines(&mut self) -> Result<ModemLines, Error> {
        self.chip.modem_lines()
    }

    /// Sets the lines to the other end. RTS stays with flow control where that uses it.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn set_control(&mut self, control: Control) -> Result<(), Error> {
        let rts = if self.settings.flow == Flow::RtsCts { self.control.rts } else { control.rts };
        self.control = Control { rts, ..control };
        self.chip.control(self.control)
    }

    /// The lines to the other end, as they are set.
    pub fn control(&self) -> Control {
        self.control
    }

    /// Holds the line low for so long, once everything is sent. Takes that much longer than the time-out.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn send_break(&mut self, duration: Duration) -> Result<(), Error> {
        self.flush()?;
        self.chip.control(Control { send_break: true, ..self.control })?;
        self.waiting.pause(duration);
        self.chip.control(self.control)
    }

    /// Sends every byte to itself by the chip's loopback, and looks at RTS and DTR as they come back. The other end
    /// sees none of it; what it sends meanwhile is lost. Waits by asking, whatever `W`: for at most
    /// the time-out and what 256 bytes take on the line.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if something else has come back; [`Error::Timeout`] if nothing has; those of the bus.
    pub fn self_test(&mut self) -> Result<(), Error> {
        self.flush()?;
        let tested = self.chip.control(Control { loopback: true, dtr: true, rts: true, send_break: false });
        let tested = tested.and_then(|()| self.test_in_loopback());
        let restored = self.chip.control(self.control);
        tested.and(restored)
    }

    /// The chip.
    pub fn chip(&mut self) -> &mut C {
        &mut self.chip
    }

    /// Takes the parts out again. What was received and not read is lost.
    pub fn into_parts(self) -> (C, W) {
        (self.chip, self.waiting)
    }

    fn test_in_loopback(&mut self) -> Result<(), Error> {
        // What has come from outside until now is no answer.
        for _ in 0..QUEUE_BYTES {
            if self.chip.receive()?.is_none() {
                break;
            }
        }
        let failed = |name: &str, reason| Err(Error::Unexpected { object: name.into(), reason });
        let lines = self.chip.modem_lines()?;
        if !(lines.cts && lines.dsr) {
            return failed(self.chip.name(), "in loopback RTS and DTR do not come back".into());
        }
        let start = Instant::now();
        let patience = self.timeout.saturating_add(self.settings.frame_time().saturating_mul(TESTED_FRAMES));
        for sent in 0..=self.settings.data_bits.mask() {
            while self.chip.transmit(&[sent])? == 0 {
                self.left_of(patience, start)?;
            }
            let received = loop {
                if let Some(received) = self.chip.receive()? {
                    break received;
                }
                self.left_of(patience, start)?;
            };
            if received != Ok(sent) {
                return failed(self.chip.name(), format!("in loopback {sent:#04x} came back as {received:x?}"));
            }
        }
        Ok(())
    }

    fn wait_for_received(&mut self, start: Instant) -> Result<(), Error> {
        while self.received.is_empty() {
            let left = self.left(start)?;
            self.wait_for(Events { received: true, space: self.urgent.is_some(), lines: false }, left)?;
            self.serve()?;
        }
        Ok(())
    }

    /// Waits until one of the events may have come, or the time is over. Who calls it looks at the chip afterwards.
    fn wait_for(&mut self, events: Events, left: Duration) -> Result<(), Error> {
        let chip = &mut self.chip;
        if W::INTERRUPTS {
            chip.enable(events)?;
        }
        let waited = self.waiting.wait_for(chip.name(), left, || {
            if !chip.has_come(events)? {
                return Ok(None);
            }
            if W::INTERRUPTS {
                // The line falls, and the interrupt can be armed for the next time.
                chip.enable(Events::default())?;
                chip.acknowledge()?;
            }
            Ok(Some(()))
        });
        match waited {
            Err(Error::Timeout { .. }) if W::INTERRUPTS => self.chip.enable(Events::default()),
            Err(Error::Timeout { .. }) => Ok(()),
            waited => waited,
        }
    }

    /// What is left of the time-out; an error when that is nothing.
    fn left(&self, start: Instant) -> Result<Duration, Error> {
        self.left_of(self.timeout, start)
    }

    /// The same for what waits for bytes to leave the chip, which takes as long as the line takes for them.
    fn left_to_send(&self, start: Instant) -> Result<Duration, Error> {
        self.left_of(self.timeout.saturating_add(self.settings.frame_time().saturating_mul(FIFO_FRAMES)), start)
    }

    fn left_of(&self, timeout: Duration, start: Instant) -> Result<Duration, Error> {
        match timeout.checked_sub(start.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Error::Timeout { object: self.chip.name().into(), after: timeout }),
        }
    }

    fn keep(&mut self, received: Received) {
        self.overruns += u64::from(received == Err(LineError::Overrun));
        match received {
            Ok(XOFF) if self.settings.flow == Flow::XonXoff => self.stopped = true,
            Ok(XON) if self.settings.flow == Flow::XonXoff => self.stopped = false,
            received => self.received.push_back(received.map(|byte| byte & self.settings.data_bits.mask())),
        }
    }

    /// Moves kept bytes, up to the first error; that one if it is the first.
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut count = 0;
        while let Some(place) = buffer.get_mut(count)
            && let Some(Ok(byte)) = self.received.front()
        {
            *place = *byte;
            self.received.pop_front();
            count += 1;
        }
        if count == 0
            && !buffer.is_empty()
            && let Some(Err(kind)) = self.received.pop_front()
        {
            return Err(Error::Line { object: self.chip.name().into(), kind });
        }
        Ok(count)
    }

    fn has_room(&self) -> bool {
        // Behind this a chip that does flow control stops the other end by its own FIFO.
        let automatic = self.settings.flow == Flow::RtsCts && self.chip.has_automatic_flow();
        self.received.len() < if automatic { STOP_BYTES } else { QUEUE_BYTES }
    }

    fn offer(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if !self.may_send()? {
            return Ok(0);
        }
        let burst = if self.heeds_cts() { bytes.len().min(CAREFUL_BURST_BYTES) } else { bytes.len() };
        self.chip.transmit(&bytes[..burst])
    }

    fn may_send(&mut self) -> Result<bool, Error> {
        Ok(!self.stopped && self.urgent.is_none() && (!self.heeds_cts() || self.chip.modem_lines()?.cts))
    }

    /// Whether it is this driver, not the chip, that looks at CTS and drives RTS.
    fn heeds_cts(&self) -> bool {
        self.settings.flow == Flow::RtsCts && !self.chip.has_automatic_flow()
    }

    fn set_rts(&mut self, rts: bool) -> Result<(), Error> {
        if !self.heeds_cts() || self.control.rts == rts {
            return Ok(());
        }
        self.control.rts = rts;
        self.chip.control(self.control)
    }

    /// Serves the chip for one who does not wait, but comes again.
    fn serve_on(&mut self) -> Result<(), Error> {
        self.serve()?;
        self.keep_rts()
    }

    /// RTS stays up while nobody waits, as long as there is room.
    fn keep_rts(&mut self) -> Result<(), Error> {
        match self.received.len() {
            ..=GO_BYTES => self.set_rts(true),
            STOP_BYTES.. => self.set_rts(false),
            _ => Ok(()),
        }
    }

    /// XOFF and XON, by how much is kept.
    fn ask_to_stop(&mut self) {
        let kept = self.received.len();
        if !self.stopping && kept >= STOP_BYTES {
            (self.stopping, self.urgent) = (true, Some(XOFF));
        } else if self.stopping && kept <= GO_BYTES {
            (self.stopping, self.urgent) = (false, Some(XON));
        }
    }
}

impl<C: Chip, I: Interrupt> Serial<C, Driven<I>> {
    /// Lets bytes that the chip receives, or has received, make the [descriptor](AsFd) readable, for poll(2). Then
    /// [`try_read`](Self::try_read) until nothing comes, and call this again: of what other calls have taken out of the
    /// chip, and was not read, the descriptor tells nothing. It may also become readable without a byte.
    ///
    /// # Errors
    /// Those of the bus and of the interrupt.
    pub fn listen(&mut self) -> Result<(), Error> {
        // What is in the chip stays there: it is what interrupts.
        self.regulate()?;
        self.keep_rts()?;
        self.chip.acknowledge()?;
        let events = Events { received: self.has_room(), space: self.urgent.is_some(), lines: false };
        let interrupt = self.waiting.interrupt();
        // One that has come before is forgotten; if its cause is still there, it comes again.
        interrupt.wait(Some(Duration::ZERO))?;
        self.chip.enable(events)?;
        interrupt.rearm()
    }
}

impl<C, I: AsFd> AsFd for Serial<C, Driven<I>> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }
}
