//! A model of the 16550.
//!
//! The registers that keep what is written (DLL, DLM, IER, LCR, MCR, SCR) and the lines in loopback are
//! `vm_superio::Serial`'s. It has no transmitter that takes time, no FIFO control, no errors and no line to anybody,
//! and forgets received bytes' interrupts when IIR is read; so what moves bytes and interrupts is ours, after the data
//! sheet: THR, RBR, FCR, IIR, LSR, MSR. AFE (bit 5 of MCR) works as in a TL16C550C.

use std::io::{Sink, sink};
use std::time::{Duration, Instant};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

use crate::error::LineError;
use crate::model::Model;
use crate::model::serial::{AutomaticRts, Fault, Port, Symbol, Timing, Uart, WhenFull};
use crate::register::Spec;
use crate::serial::ModemLines;
use crate::serial::ns16550::{Fcr, Ier, Iir, Lcr, Lsr, Mcr, Msr, PC_CLOCK_HZ, Rbr};

/// Offsets of registers.
const DATA: usize = Rbr::OFFSET;
const IER: usize = Ier::OFFSET;
const IIR: usize = Iir::OFFSET;
const FCR: usize = Fcr::OFFSET;
const LCR: usize = Lcr::OFFSET;
const MCR: usize = Mcr::OFFSET;
const LSR: usize = Lsr::OFFSET;
const MSR: usize = Msr::OFFSET;
/// Bytes of each FIFO.
const FIFO_BYTES: usize = 16;
/// Frames without a byte, after which those that are there interrupt.
const TIMEOUT_FRAMES: u32 = 4;

/// A 16550, with its interrupt connected by OUT2 as in a PC.
pub struct Ns16550 {
    port: Port,
    clock_hz: u32,
    kept: Serial<Unconnected, NoEvents, Sink>,
    fifos: Fcr,
    /// The empty transmitter was reported since it became so.
    empty_reported: bool,
}

/// The interrupt that `vm_superio` would make, which we make.
#[derive(Debug)]
struct Unconnected;

impl Trigger for Unconnected {
    type E = std::convert::Infallible;

    fn trigger(&self) -> Result<(), Self::E> {
        Ok(())
    }
}

impl std::fmt::Debug for Ns16550 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ns16550").field("port", &self.port).field("kept", &self.kept.state()).finish_non_exhaustive()
    }
}

impl Ns16550 {
    /// One with the clock of a PC.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self::with_clock(timing, PC_CLOCK_HZ)
    }

    /// One with another clock, in hertz.
    #[must_use]
    pub fn with_clock(timing: Timing, clock_hz: u32) -> Self {
        let mut model = Self {
            port: Port::new(timing),
            clock_hz,
            kept: Serial::new(Unconnected, sink()),
            fifos: Fcr(0),
            empty_reported: false,
        };
        // As a reset leaves them, and not as the firmware of a PC.
        for offset in [LCR, MCR] {
            model.keep(offset, 0);
        }
        model.set_line(Instant::now());
        model
    }

    fn lcr(&self) -> Lcr {
        Lcr(self.kept.state().line_control)
    }

    fn mcr(&self) -> Mcr {
        Mcr(self.kept.state().modem_control)
    }

    fn has_fifos(&self) -> bool {
        self.fifos.enable() == 1
    }

    /// Bytes that interrupt.
    fn trigger(&self) -> usize {
        if !self.has_fifos() {
            return 1;
        }
        match self.fifos.trigger() {
            Fcr::TRIGGER_1 => 1,
            Fcr::TRIGGER_4 => 4,
            Fcr::TRIGGER_8 => 8,
            _ => 14,
        }
    }

    /// The line follows divisor, LCR, FCR and MCR.
    fn set_line(&mut self, now: Instant) {
        let (state, lcr, mcr) = (self.kept.state(), self.lcr(), self.mcr());
        let divisor = u16::from_le_bytes([state.baud_divisor_low, state.baud_divisor_high]);
        // In half bits: start, data, parity, and 1, 1.5 or 2 stop bits.
        let stop = match (lcr.stop_bits(), lcr.word_length()) {
            (0, _) => 2,
            (_, 0) => 3,
            _ => 4,
        };
        let half_bits = 2 * (1 + 5 + u64::from(lcr.word_length()) + u64::from(lcr.parity())) + stop;
        let nanos = half_bits * 8 * u64::from(divisor.max(1)) * 1_000_000_000 / u64::from(self.clock_hz.max(1));
        self.port.set_frame(Duration::from_nanos(nanos), now);
        let automatic = mcr.automatic() == 1;
        let (fifos, trigger) = (self.has_fifos(), self.trigger());
        let (mut line, end) = self.port.at(now);
        let own = line.end(end);
        (own.capacity, own.when_full) = if fifos { (FIFO_BYTES, WhenFull::Drop) } else { (1, WhenFull::Replace) };
        own.heeds_cts = automatic;
        own.automatic_rts = (automatic && mcr.rts() == 1).then_some(automatic_rts(trigger));
        let (rts, dtr) = (mcr.rts() == 1, mcr.dtr() == 1);
        let looped = ModemLines { cts: rts, dsr: dtr, ri: mcr.out1() == 1, dcd: mcr.out2() == 1 };
        own.loopback = (mcr.loopback() == 1).then_some(looped);
        // In loopback the outputs are at rest.
        let is_shown = mcr.loopback() == 0;
        own.outputs = ModemLines { cts: rts && is_shown, dsr: dtr && is_shown, ri: false, dcd: dtr && is_shown };
        line.settle(now);
    }

    fn set_fifos(&mut self, fifos: Fcr, now: Instant) {
        let switched = fifos.enable() != self.fifos.enable();
        self.fifos = if fifos.enable() == 1 { Fcr(fifos.0 & 0xc9) } else { Fcr(0) };
        {
            let (mut line, end) = self.port.at(now);
            if switched || fifos.clear_to_send() == 1 {
                line.clear_to_send(end);
            }
            if switched || fifos.clear_received() == 1 {
                line.end(end).received.clear();
            }
        }
        self.set_line(now);
    }

    fn lsr(&mut self, now: Instant) -> Lsr {
        let fifos = self.has_fifos();
        let (mut line, end) = self.port.at(now);
        let own = line.end(end);
        let any_error = fifos && own.received.iter().any(|symbol| symbol.error.is_some());
        let first = own.received.front_mut();
        let lsr = Lsr(0).with_data_ready(first.is_some().into()).with_fifo_error(any_error.into());
        let lsr = match first.and_then(|symbol| symbol.error.take()) {
            Some(LineError::Parity) => lsr.with_parity_error(1),
            Some(LineError::Framing) => lsr.with_framing_error(1),
            Some(LineError::Break) => lsr.with_line_break(1).with_framing_error(1),
            Some(LineError::Overrun) | None => lsr,
        };
        let lsr = lsr.with_overrun(std::mem::take(&mut own.overrun).into());
        lsr.with_empty((own.waiting() == 0).into()).with_idle(own.is_idle().into())
    }

    fn msr(&mut self, now: Instant) -> Msr {
        let (mut line, end) = self.port.at(now);
        let own = line.end(end);
        let (lines, changed) = (own.inputs, std::mem::take(&mut own.changed));
        let msr = Msr(0).with_cts(lines.cts.into()).with_dsr(lines.dsr.into()).with_ri(lines.ri.into());
        let msr = msr.with_dcd(lines.dcd.into()).with_cts_changed(changed.cts.into());
        msr.with_dsr_changed(changed.dsr.into()).with_ri_fallen(changed.ri.into()).with_dcd_changed(changed.dcd.into())
    }

    /// When which cause will be there, those of highest rank first.
    fn causes(&self, now: Instant) -> [(u8, Option<Instant>); 5] {
        let enabled = Ier(self.kept.state().interrupt_enable);
        let (mut line, end) = self.port.at(now);
        let timeout = line.end(end).frame * TIMEOUT_FRAMES;
        let own = line.end(end);
        let changed = own.changed != ModemLines::default();
        let is_wrong = own.overrun || own.received.front().is_some_and(|symbol| symbol.error.is_some());
        let wrong_at = if is_wrong { Some(now) } else { line.error_at(end, now) };
        let when = |is_enabled: u8, at: Option<Instant>| at.filter(|_| is_enabled == 1);
        [
            (Iir::CAUSE_ERROR, when(enabled.errors(), wrong_at)),
            (Iir::CAUSE_RECEIVED, when(enabled.received(), line.received_at(end, self.trigger(), now))),
            (Iir::CAUSE_TIMEOUT, when(enabled.received() & self.fifos.enable(), line.silent_at(end, timeout))),
            (Iir::CAUSE_EMPTY, when(enabled.empty(), line.drained_at(end, 0, now).filter(|_| !self.empty_reported))),
            (Iir::CAUSE_MODEM, when(enabled.modem(), changed.then_some(now))),
        ]
    }

    fn iir(&mut self, now: Instant) -> Iir {
        let come = self.causes(now).into_iter().find(|(_, at)| at.is_some_and(|at| at <= now));
        let cause = come.map_or(Iir::CAUSE_NONE, |(cause, _)| cause);
        self.empty_reported |= cause == Iir::CAUSE_EMPTY;
        Iir(cause).with_fifos(if self.has_fifos() { Iir::FIFOS_ON } else { Iir::FIFOS_OFF })
    }

    fn transmit(&mut self, byte: u8, now: Instant) {
        let byte = byte & (u8::MAX >> (3 - self.lcr().word_length()));
        let depth = if self.has_fifos() { FIFO_BYTES } else { 1 };
        let (mut line, end) = self.port.at(now);
        self.empty_reported = false;
        if line.end(end).waiting() < depth {
            line.send(end, Symbol::new(byte, None), now);
        }
    }

    fn keep(&mut self, offset: usize, value: u8) {
        let offset = u8::try_from(offset).unwrap_or(u8::MAX);
        // Neither the sink nor the interrupt can fail.
        let _ = self.kept.write(offset, value);
    }
}

/// Of a TL16C550C: with the largest trigger it keeps only the last byte's place free, and otherwise waits until all are
/// taken.
fn automatic_rts(trigger: usize) -> AutomaticRts {
    if trigger == 14 {
        return AutomaticRts { falls_at: FIFO_BYTES - 1, rises_at: FIFO_BYTES - 2 };
    }
    AutomaticRts { falls_at: trigger, rises_at: 0 }
}

impl Uart for Ns16550 {
    fn port(&mut self) -> &mut Port {
        &mut self.port
    }
}

impl Model for Ns16550 {
    fn len(&self) -> usize {
        8
    }

    fn read(&mut self, offset: usize, width: crate::Width, now: Instant) -> Result<u64, &'static str> {
        if width != crate::Width::U8 {
            return Err("the registers of a 16550 are bytes");
        }
        if self.port.fault() == Fault::Gone {
            return Ok(u8::MAX.into());
        }
        let is_divisor = self.lcr().divisor_access() == 1;
        Ok(u64::from(match offset {
            DATA if !is_divisor => {
                let (mut line, end) = self.port.at(now);
                line.take(end, now).map_or(0, |symbol| symbol.byte)
            }
            IIR => self.iir(now).0,
            LSR => self.lsr(now).0,
            MSR => self.msr(now).0,
            _ => self.kept.read(u8::try_from(offset).unwrap_or(u8::MAX)),
        }))
    }

    fn write(&mut self, offset: usize, width: crate::Width, value: u64, now: Instant) -> Result<(), &'static str> {
        if width != crate::Width::U8 {
            return Err("the registers of a 16550 are bytes");
        }
        let value = u8::try_from(value & 0xff).unwrap_or(0);
        let (before, is_divisor) = (self.lcr(), self.lcr().divisor_access() == 1);
        match offset {
            DATA if !is_divisor => self.transmit(value, now),
            FCR => self.set_fifos(Fcr(value), now),
            // Read only.
            LSR | MSR => {}
            IER if !is_divisor => {
                let was = Ier(self.kept.state().interrupt_enable).empty();
                self.keep(offset, value);
                // Enabling it reports an empty transmitter again.
                self.empty_reported &= was == 1;
            }
            _ => self.keep(offset, if offset == MCR { value & 0x3f } else { value }),
        }
        if offset == LCR && before.send_break() == 0 && self.lcr().send_break() == 1 {
            let (mut line, end) = self.port.at(now);
            line.send_break(end, now);
        }
        if matches!(offset, LCR | MCR) || is_divisor && offset <= IER {
            self.set_line(now);
        }
        Ok(())
    }

    fn interrupts_at(&mut self, now: Instant) -> Option<Instant> {
        let is_lost = matches!(self.port.fault(), Fault::Silent | Fault::Gone);
        if is_lost || self.mcr().out2() == 0 {
            return None;
        }
        self.causes(now).into_iter().filter_map(|(_, at)| at).min()
    }
}
