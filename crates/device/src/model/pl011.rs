//! A model of the PL011, after Arm's manual (DDI 0183). Infrared and DMA are registers that keep what is written.

use std::time::{Duration, Instant};

use crate::error::LineError;
use crate::model::Model;
use crate::model::serial::{AutomaticRts, Errors, Fault, Port, Symbol, Timing, Uart, WhenFull};
use crate::register::Spec;
use crate::serial::ModemLines;
use crate::serial::pl011::{Cr, Dmacr, Dr, Fbrd, Fr, Ibrd, Icr, Ifls, Ilpr, Imsc, LcrH, Mis, PeriphId, Ris, Rsr};
use crate::width::Width;

/// Bytes of each FIFO.
const FIFO_BYTES: usize = 16;
/// UARTCLK of QEMU's machines, in hertz.
const CLOCK_HZ: u32 = 24_000_000;
/// Bits without a byte, after which those that are there interrupt.
const TIMEOUT_BITS: u64 = 32;
/// PERIPHID and PCELLID: part 0x011 of designer 0x41, revision r1p1, whose FIFOs have 16 bytes.
const IDS: [u32; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
/// RIS: the transmitter has room.
const SPACE: u32 = 1 << 5;
/// RIS: received bytes, and nothing since.
const TIMEOUT: u32 = 1 << 6;
/// RIS: errors.
const ERRORS: u32 = 0x780;
/// RSR: bytes were lost.
const LOST: u32 = 1 << 3;

/// A PL011.
#[derive(Debug)]
pub struct Pl011 {
    port: Port,
    clock_hz: u32,
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    line: LcrH,
    control: Cr,
    levels: Ifls,
    mask: u32,
    dma: u32,
    /// Errors of the byte that was read last.
    errors: u32,
    /// The time-out that was written away.
    forgotten: Option<Instant>,
    /// The transmitter was fuller than its level, so that it interrupts when it is no longer.
    was_full: bool,
    /// It has.
    has_drained: bool,
}

impl Pl011 {
    /// One with a clock of 24 MHz.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self::with_clock(timing, CLOCK_HZ)
    }

    /// One with another clock, in hertz.
    #[must_use]
    pub fn with_clock(timing: Timing, clock_hz: u32) -> Self {
        let mut model = Self {
            port: Port::new(timing),
            clock_hz,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            line: LcrH(0),
            control: Cr(0x300),
            levels: Ifls(0x12),
            mask: 0,
            dma: 0,
            errors: 0,
            forgotten: None,
            was_full: false,
            has_drained: false,
        };
        model.set_line(Instant::now());
        model
    }

    fn has_fifos(&self) -> bool {
        self.line.fifos() == 1
    }

    /// Of the transmitter: so many bytes or fewer interrupt.
    fn transmit_level(&self) -> usize {
        if self.has_fifos() { level(self.levels.transmit()) } else { 0 }
    }

    /// Of the receiver: so many bytes or more interrupt.
    fn receive_level(&self) -> usize {
        if self.has_fifos() { level(self.levels.receive()) } else { 1 }
    }

    /// Nanoseconds of so many bits.
    fn bits(&self, count: u64) -> Duration {
        let divisor = (u64::from(self.ibrd) * 64 + u64::from(self.fbrd)).max(1);
        // Sixteen clocks, and 64ths.
        Duration::from_nanos(count * divisor * 1_000_000_000 / (4 * u64::from(self.clock_hz.max(1))))
    }

    fn set_line(&mut self, now: Instant) {
        let line = self.line;
        let bits = 1 + 5 + line.word_length() + line.parity() + 1 + line.stop_bits();
        self.port.set_frame(self.bits(bits.into()), now);
        let (fifos, control, below) = (self.has_fifos(), self.control, self.receive_level());
        let (mut wire, end) = self.port.at(now);
        let own = wire.end(end);
        (own.capacity, own.when_full) = (if fifos { FIFO_BYTES } else { 1 }, WhenFull::Drop);
        own.heeds_cts = control.automatic_cts() == 1;
        own.automatic_rts =
            (control.automatic_rts() == 1).then_some(AutomaticRts { falls_at: below, rises_at: below - 1 });
        // Automatic RTS asks for bytes by itself.
        let (rts, dtr) = (control.rts() == 1 || control.automatic_rts() == 1, control.dtr() == 1);
        let looped = ModemLines { cts: rts, dsr: dtr, ri: control.out2() == 1, dcd: control.out1() == 1 };
        own.loopback = (control.loopback() == 1).then_some(looped);
        let is_shown = control.loopback() == 0;
        own.outputs = ModemLines { cts: rts && is_shown, dsr: dtr && is_shown, ri: false, dcd: dtr && is_shown };
        wire.settle(now);
    }

    /// Notes what the transmitter has done meanwhile.
    fn follow(&mut self, now: Instant) {
        let level = self.transmit_level();
        let (mut wire, end) = self.port.at(now);
        if self.was_full && wire.end(end).waiting() <= level {
            (self.was_full, self.has_drained) = (false, true);
        }
    }

    fn state(&self, now: Instant) -> Fr {
        let depth = if self.has_fifos() { FIFO_BYTES } else { 1 };
        let (mut wire, end) = self.port.at(now);
        let own = wire.end(end);
        let (lines, received, waiting) = (own.inputs, own.received.len(), own.waiting());
        let full = waiting >= if self.port.fault() == Fault::Stuck { 1 } else { depth };
        let state = Fr(0).with_cts(lines.cts.into()).with_dsr(lines.dsr.into()).with_dcd(lines.dcd.into());
        let state = state.with_ri(lines.ri.into()).with_busy((!own.is_idle()).into());
        let state = state.with_receive_empty((received == 0).into()).with_receive_full((received >= depth).into());
        state.with_transmit_full(full.into()).with_transmit_empty((waiting == 0).into())
    }

    fn receive(&mut self, now: Instant) -> Dr {
        let (mut wire, end) = self.port.at(now);
        let Some(symbol) = wire.take(end, now) else { return Dr(0) };
        let data = Dr(0).with_data(symbol.byte.into()).with_overrun(symbol.after_loss.into());
        let data = match symbol.error {
            Some(LineError::Framing) => data.with_framing_error(1),
            Some(LineError::Parity) => data.with_parity_error(1),
            Some(LineError::Break) => data.with_line_break(1).with_framing_error(1),
            Some(LineError::Overrun) | None => data,
        };
        drop(wire);
        self.errors = data.0 >> 8;
        data
    }

    /// A loss is told at once, and not only with the byte behind it.
    fn receive_errors(&self, now: Instant) -> u32 {
        let (mut wire, end) = self.port.at(now);
        self.errors | if wire.end(end).overrun { LOST } else { 0 }
    }

    fn forget_receive_errors(&mut self, now: Instant) {
        self.errors = 0;
        let (mut wire, end) = self.port.at(now);
        wire.end(end).overrun = false;
    }

    fn transmit(&mut self, value: u64, now: Instant) {
        let byte = u8::try_from(value & 0xff).unwrap_or(0) & (u8::MAX >> (3 - self.line.word_length()));
        let (depth, level) = (if self.has_fifos() { FIFO_BYTES } else { 1 }, self.transmit_level());
        let is_on = self.control.enable() == 1 && self.control.transmit() == 1;
        let (mut wire, end) = self.port.at(now);
        if !is_on || wire.end(end).waiting() >= depth {
            return;
        }
        wire.send(end, Symbol::new(byte, None), now);
        if wire.end(end).waiting() > level {
            (self.was_full, self.has_drained) = (true, false);
        }
    }

    /// When the receiver's time-out will be there, or since when it is, unless it was forgotten.
    fn silent_at(&self, now: Instant) -> Option<Instant> {
        let (mut wire, end) = self.port.at(now);
        let timeout = if wire.end(end).frame.is_zero() { Duration::ZERO } else { self.bits(TIMEOUT_BITS) };
        wire.silent_at(end, timeout).filter(|at| self.has_fifos() && self.forgotten != Some(*at))
    }

    /// When which bit of RIS will be there.
    fn causes(&self, now: Instant) -> [(u32, Option<Instant>); 5] {
        let silent = self.silent_at(now);
        let (mut wire, end) = self.port.at(now);
        let own = wire.end(end);
        let (lines, errors) = (own.changed, error_bits(own.errors));
        let drained = match (self.has_drained, self.was_full) {
            (true, _) => Some(now),
            (false, true) => wire.drained_at(end, self.transmit_level(), now),
            (false, false) => None,
        };
        let changed =
            u32::from(lines.ri) | u32::from(lines.cts) << 1 | u32::from(lines.dcd) << 2 | u32::from(lines.dsr) << 3;
        // One that is on its way may interrupt as any of them.
        let wrong = if errors == 0 { (ERRORS, wire.error_at(end, now)) } else { (errors, Some(now)) };
        [
            (changed, (changed != 0).then_some(now)),
            (1 << 4, wire.received_at(end, self.receive_level(), now)),
            (SPACE, drained),
            (TIMEOUT, silent),
            wrong,
        ]
    }

    fn raw(&mut self, now: Instant) -> u32 {
        self.follow(now);
        let come = self.causes(now).into_iter().filter(|(_, at)| at.is_some_and(|at| at <= now));
        come.fold(0, |raw, (bits, _)| raw | bits)
    }

    fn forget(&mut self, bits: u32, now: Instant) {
        self.follow(now);
        if bits & TIMEOUT != 0 {
            // What is not there yet is not forgotten.
            self.forgotten = self.silent_at(now).filter(|at| *at <= now).or(self.forgotten);
        }
        self.has_drained &= bits & SPACE == 0;
        let (mut wire, end) = self.port.at(now);
        let own = wire.end(end);
        own.changed.ri &= bits & 1 == 0;
        own.changed.cts &= bits & 1 << 1 == 0;
        own.changed.dcd &= bits & 1 << 2 == 0;
        own.changed.dsr &= bits & 1 << 3 == 0;
        own.errors.framing &= bits & 1 << 7 == 0;
        own.errors.parity &= bits & 1 << 8 == 0;
        own.errors.line_break &= bits & 1 << 9 == 0;
        own.errors.overrun &= bits & 1 << 10 == 0;
    }

    fn set_format(&mut self, line: LcrH, now: Instant) {
        let (mut wire, end) = self.port.at(now);
        if line.send_break() == 1 && self.line.send_break() == 0 {
            wire.send_break(end, now);
        }
        if line.fifos() != self.line.fifos() {
            wire.clear_to_send(end);
            wire.end(end).received.clear();
        }
        drop(wire);
        self.line = line;
        self.set_line(now);
    }
}

/// As RIS has them.
fn error_bits(errors: Errors) -> u32 {
    let Errors { overrun, parity, framing, line_break } = errors;
    u32::from(framing) << 7 | u32::from(parity) << 8 | u32::from(line_break) << 9 | u32::from(overrun) << 10
}

/// Bytes of a FIFO that IFLS means, which counts both alike.
fn level(code: u32) -> usize {
    match code {
        Ifls::RECEIVE_1_8 => FIFO_BYTES / 8,
        Ifls::RECEIVE_1_4 => FIFO_BYTES / 4,
        Ifls::RECEIVE_1_2 => FIFO_BYTES / 2,
        Ifls::RECEIVE_3_4 => FIFO_BYTES * 3 / 4,
        // 5 to 7 are reserved.
        _ => FIFO_BYTES * 7 / 8,
    }
}

impl Uart for Pl011 {
    fn port(&mut self) -> &mut Port {
        &mut self.port
    }
}

impl Model for Pl011 {
    fn len(&self) -> usize {
        0x1000
    }

    fn read(&mut self, offset: usize, width: Width, now: Instant) -> Result<u64, &'static str> {
        if width != Width::U32 {
            return Err("the registers of a PL011 are accessed by 32 bits");
        }
        if self.port.fault() == Fault::Gone {
            return Ok(u32::MAX.into());
        }
        Ok(u64::from(match offset {
            Dr::OFFSET => self.receive(now).0,
            Rsr::OFFSET => self.receive_errors(now),
            Fr::OFFSET => self.state(now).0,
            Ilpr::OFFSET => self.ilpr,
            Ibrd::OFFSET => self.ibrd,
            Fbrd::OFFSET => self.fbrd,
            LcrH::OFFSET => self.line.0,
            Cr::OFFSET => self.control.0,
            Ifls::OFFSET => self.levels.0,
            Imsc::OFFSET => self.mask,
            Ris::OFFSET => self.raw(now),
            Mis::OFFSET => self.raw(now) & self.mask,
            Dmacr::OFFSET => self.dma,
            PeriphId::OFFSET.. => IDS[(offset - PeriphId::OFFSET) / 4],
            // Nothing is there.
            _ => 0,
        }))
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, now: Instant) -> Result<(), &'static str> {
        if width != Width::U32 {
            return Err("the registers of a PL011 are accessed by 32 bits");
        }
        let bits = u32::try_from(value).unwrap_or(u32::MAX);
        match offset {
            Dr::OFFSET => self.transmit(value, now),
            Rsr::OFFSET => self.forget_receive_errors(now),
            Ilpr::OFFSET => self.ilpr = bits & 0xff,
            // They count from the next write of LCR_H on.
            Ibrd::OFFSET => self.ibrd = bits & 0xffff,
            Fbrd::OFFSET => self.fbrd = bits & 0x3f,
            LcrH::OFFSET => self.set_format(LcrH(bits & 0xff), now),
            Cr::OFFSET => {
                self.control = Cr(bits & 0xff87);
                self.set_line(now);
            }
            Ifls::OFFSET => {
                self.levels = Ifls(bits & 0x3f);
                self.set_line(now);
            }
            Imsc::OFFSET => self.mask = bits & 0x7ff,
            Icr::OFFSET => self.forget(bits, now),
            Dmacr::OFFSET => self.dma = bits & 7,
            // Nothing is there, or nothing is written there.
            _ => {}
        }
        Ok(())
    }

    fn interrupts_at(&mut self, now: Instant) -> Option<Instant> {
        if matches!(self.port.fault(), Fault::Silent | Fault::Gone) {
            return None;
        }
        self.follow(now);
        let mask = self.mask;
        self.causes(now).into_iter().filter(|(bits, _)| bits & mask != 0).filter_map(|(_, at)| at).min()
    }
}
