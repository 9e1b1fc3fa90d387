//! The 16550: the serial port of personal computers, and of much else.
//!
//! Registers have the names of the PC16550D data sheet (Texas Instruments, SNLS378). The automatic flow control of its
//! successors (TL16C550C, SLLS177) is one bit more.

use std::mem;

use crate::bus::RegisterIo;
use crate::error::{Error, LineError};
use crate::registers;
use crate::serial::chip::{Chip, Control, Events, ModemLines, Received};
use crate::serial::settings::{Flow, Parity, Settings, StopBits};

registers! {
    /// A UART with FIFOs: PC16550D.
    pub block Registers "16550", 0x8 bytes {
        /// The next byte that was received.
        rbr: Rbr "RBR" @ 0x0: u8 { read effect, write none } when "LCR.DLAB=0"
        /// Takes a byte to send.
        thr: Thr "THR" @ 0x0: u8 { read none, write plain } when "LCR.DLAB=0"
        /// The clock's divisor, lower half.
        dll: Dll "DLL" @ 0x0: u8 { read pure, write plain } when "LCR.DLAB=1"
        /// What interrupts.
        ier: Ier "IER" @ 0x1: u8 { read pure, write plain } when "LCR.DLAB=0" fields {
            /// Received bytes.
            received with_received "ERBFI" [0],
            /// An empty transmitter.
            empty with_empty "ETBEI" [1],
            /// Errors and breaks.
            errors with_errors "ELSI" [2],
            /// Changed modem lines.
            modem with_modem "EDSSI" [3],
        }
        /// The clock's divisor, upper half.
        dlm: Dlm "DLM" @ 0x1: u8 { read pure, write plain } when "LCR.DLAB=1"
        /// What has interrupted; reading forgets an empty transmitter.
        iir: Iir "IIR" @ 0x2: u8 { read effect, write none } fields {
            /// The cause of highest rank.
            cause with_cause "ID" [0; 4] = {
                0x0 CAUSE_MODEM "modem", 0x1 CAUSE_NONE "none", 0x2 CAUSE_EMPTY "transmitter empty",
                0x4 CAUSE_RECEIVED "received", 0x6 CAUSE_ERROR "error", 0xc CAUSE_TIMEOUT "received, time-out",
            },
            /// Whether the FIFOs are on.
            fifos with_fifos "FIFO" [6; 2] = { 0 FIFOS_OFF "off", 3 FIFOS_ON "on" },
        }
        /// Sets the FIFOs.
        fcr: Fcr "FCR" @ 0x2: u8 { read none, write plain } fields {
            /// Switches them on.
            enable with_enable "FIFO_EN" [0],
            /// Empties the receiver's.
            clear_received with_clear_received "RFR" [1],
            /// Empties the transmitter's.
            clear_to_send with_clear_to_send "XFR" [2],
            /// DMA mode.
            dma with_dma "DMA" [3],
            /// Bytes that interrupt.
            trigger with_trigger "TRIGGER" [6; 2] = {
                0 TRIGGER_1 "1", 1 TRIGGER_4 "4", 2 TRIGGER_8 "8", 3 TRIGGER_14 "14",
            },
        }
        /// How bytes stand on the line.
        lcr: Lcr "LCR" @ 0x3: u8 { read pure, write plain } fields {
            /// Data bits.
            word_length with_word_length "WLS" [0; 2] = { 0 "5 bits", 1 "6 bits", 2 "7 bits", 3 "8 bits" },
            /// Stop bits.
            stop_bits with_stop_bits "STB" [2] = { 0 "1", 1 "2" },
            /// Whether there is a parity bit.
            parity with_parity "PEN" [3],
            /// Even parity.
            even with_even "EPS" [4],
            /// The parity bit is fixed.
            stick with_stick "SP" [5],
            /// Holds the line low.
            send_break with_send_break "BREAK" [6],
            /// Whether the divisor is at offsets 0 and 1.
            divisor_access with_divisor_access "DLAB" [7],
        }
        /// Lines to the other end, and loopback.
        mcr: Mcr "MCR" @ 0x4: u8 { read pure, write plain } fields {
            /// Data terminal ready.
            dtr with_dtr "DTR" [0],
            /// Request to send.
            rts with_rts "RTS" [1],
            /// A free line.
            out1 with_out1 "OUT1" [2],
            /// A free line; in a PC it connects the interrupt.
            out2 with_out2 "OUT2" [3],
            /// What is sent comes back.
            loopback with_loopback "LOOP" [4],
            /// Automatic flow control, of a TL16C550C.
            automatic with_automatic "AFE" [5],
        }
        /// State of receiver and transmitter; reading forgets errors.
        lsr: Lsr "LSR" @ 0x5: u8 { read effect, write none } fields {
            /// There is a received byte.
            data_ready with_data_ready "DR" [0],
            /// Bytes were lost.
            overrun with_overrun "OE" [1],
            /// The next byte has the wrong parity.
            parity_error with_parity_error "PE" [2],
            /// The next byte has no stop bit.
            framing_error with_framing_error "FE" [3],
            /// The line was held low.
            line_break with_line_break "BI" [4],
            /// The transmitter takes bytes.
            empty with_empty "THRE" [5],
            /// All bits are on the line.
            idle with_idle "TEMT" [6],
            /// An error is somewhere in the FIFO.
            fifo_error with_fifo_error "ERR" [7],
        }
        /// Lines from the other end; reading forgets changes.
        msr: Msr "MSR" @ 0x6: u8 { read effect, write none } fields {
            /// Clear to send has changed.
            cts_changed with_cts_changed "DCTS" [0],
            /// Data set ready has changed.
            dsr_changed with_dsr_changed "DDSR" [1],
            /// The ring indicator has fallen.
            ri_fallen with_ri_fallen "TERI" [2],
            /// Data carrier detect has changed.
            dcd_changed with_dcd_changed "DDCD" [3],
            /// Clear to send.
            cts with_cts "CTS" [4],
            /// Data set ready.
            dsr with_dsr "DSR" [5],
            /// Ring indicator.
            ri with_ri "RI" [6],
            /// Data carrier detect.
            dcd with_dcd "DCD" [7],
        }
        /// Keeps a byte.
        scr: Scr "SCR" @ 0x7: u8 { read pure, write plain }
    }
}

/// Bytes of the transmitter's FIFO.
const FIFO_BYTES: usize = 16;
/// The clock of personal computers' serial ports, in hertz.
pub const PC_CLOCK_HZ: u32 = 1_843_200;

/// A 16550 on a bus of 8 byte-wide registers; [`Strided`](crate::bus::Strided) makes one of others.
///
/// Interrupts are connected as in a PC, by OUT2, which the driver sets.
#[derive(Debug)]
pub struct Ns16550<B> {
    registers: Registers<B>,
    clock_hz: u32,
    /// Whether RTS and CTS can be left to the chip.
    automatic: bool,
    /// Bytes in the receiver's FIFO that interrupt, as FCR has them.
    trigger: u8,
    /// Bytes that the transmitter takes when it is empty.
    depth: usize,
    line: Lcr,
    flow: Flow,
    /// Errors that were read with the status, and belong to the byte that is read next.
    errors: Lsr,
    /// Bytes of the receiver's FIFO that came before others were lost.
    lost_behind: Option<usize>,
    /// Changes of lines that were read beside their state.
    lines_changed: bool,
}

impl<B: RegisterIo> Ns16550<B> {
    /// The chip at the start of a bus. `clock_hz` is [`PC_CLOCK_HZ`] in a PC.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bus is shorter than 8 bytes.
    pub fn new(bus: B, clock_hz: u32) -> Result<Self, Error> {
        Ok(Self {
            registers: Registers::new(bus)?,
            clock_hz,
            automatic: false,
            trigger: Fcr::TRIGGER_8,
            depth: 1,
            line: Lcr(0),
            flow: Flow::None,
            errors: Lsr(0),
            lost_behind: None,
            lines_changed: false,
        })
    }

    /// The same, of a kind that has automatic flow control, as the TL16C550C and the 16750.
    #[must_use]
    pub fn with_automatic_flow(self) -> Self {
        Self { automatic: true, ..self }
    }

    /// The same, interrupting for so many bytes in the receiver's FIFO: 1, 4, 8 or 14, and otherwise the next smaller
    /// of them. 8 at first. Fewer bytes than that interrupt after the time of four without one; so 1 gives the shortest
    /// latency, and 14 the fewest interrupts.
    #[must_use]
    pub fn with_trigger(self, bytes: usize) -> Self {
        let trigger = match bytes {
            ..4 => Fcr::TRIGGER_1,
            4..8 => Fcr::TRIGGER_4,
            8..14 => Fcr::TRIGGER_8,
            14.. => Fcr::TRIGGER_14,
        };
        Self { trigger, ..self }
    }

    /// Its registers.
    pub fn registers(&mut self) -> &mut Registers<B> {
        &mut self.registers
    }

    /// Takes the bus out again.
    pub fn into_bus(self) -> B {
        self.registers.into_bus()
    }

    /// Reads the status, and keeps the errors, which the chip then forgets.
    fn status(&mut self) -> Result<Lsr, Error> {
        let status = self.registers.lsr().read()?;
        // All errors at once are possible, but not in IER, of which four bits are always zeros.
        if status.0 == u8::MAX && self.registers.ier().read()?.0 == u8::MAX {
            return Err(self.unexpected("LSR and IER read 0xff: the device is gone"));
        }
        self.errors.0 |= status.0 & ERRORS;
        Ok(status)
    }

    fn read_modem(&mut self) -> Result<Msr, Error> {
        let lines = self.registers.msr().read()?;
        self.lines_changed |= lines.0 & 0x0f != 0;
        Ok(lines)
    }

    fn unexpected(&self, reason: impl Into<String>) -> Error {
        Error::Unexpected { object: self.name().into(), reason: reason.into() }
    }
}

/// OE, PE, FE, BI.
const ERRORS: u8 = 0x1e;

impl<B: RegisterIo> Chip for Ns16550<B> {
    fn name(&self) -> &'static str {
        "16550"
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), Error> {
        let divisor = divisor(self.clock_hz, settings.baud)?;
        let (pen, eps, sp) = match settings.parity {
            Parity::None => (0, 0, 0),
            Parity::Odd => (1, 0, 0),
            Parity::Even => (1, 1, 0),
            Parity::Mark => (1, 0, 1),
            Parity::Space => (1, 1, 1),
        };
        let stop = u8::from(settings.stop_bits == StopBits::Two);
        self.line = Lcr(settings.data_bits.code()).with_stop_bits(stop).with_parity(pen).with_even(eps).with_stick(sp);
        self.flow = settings.flow;
        // Without DLAB, offset 1 is IER.
        self.registers.lcr().write(self.line)?;
        self.registers.ier().write(0)?;
        self.registers.lcr().write(self.line.with_divisor_access(1))?;
        let [low, high] = divisor.to_le_bytes();
        self.registers.dll().write(low)?;
        self.registers.dlm().write(high)?;
        let told = [self.registers.dll().read()?.0, self.registers.dlm().read()?.0];
        self.registers.lcr().write(self.line)?;
        let line = self.registers.lcr().read()?;
        if line != self.line || told != [low, high] {
            return Err(self.unexpected(format!(
                "LCR reads {:#04x} after {:#04x} was written, and the divisor {:#06x} after {divisor:#06x}: it is none",
                line.0,
                self.line.0,
                u16::from_le_bytes(told)
            )));
        }
        let fifos = Fcr(0).with_enable(1).with_clear_received(1).with_clear_to_send(1);
        let fifos = fifos.with_trigger(self.trigger);
        self.registers.fcr().write(fifos)?;
        self.depth = if self.registers.iir().read()?.fifos() == Iir::FIFOS_ON { FIFO_BYTES } else { 1 };
        // What is left of before.
        self.registers.rbr().read()?;
        self.status()?;
        self.read_modem()?;
        (self.errors, self.lost_behind) = (Lsr(0), None);
        Ok(())
    }

    fn has_automatic_flow(&self) -> bool {
        self.automatic
    }

    fn receive(&mut self) -> Result<Option<Received>, Error> {
        let is_empty = self.status()?.data_ready() == 0;
        if self.errors.overrun() == 1 {
            self.errors = self.errors.with_overrun(0);
            // The FIFO was full, and what it holds came before; without one, what was lost is this byte's predecessor.
            self.lost_behind.get_or_insert(if self.depth > 1 { self.depth } else { 0 });
        }
        match self.lost_behind {
            Some(bytes) if bytes == 0 || is_empty => {
                self.lost_behind = None;
                return Ok(Some(Err(LineError::Overrun)));
            }
            Some(bytes) => self.lost_behind = Some(bytes - 1),
            None if is_empty => return Ok(None),
            None => {}
        }
        let byte = self.registers.rbr().read()?.0;
        let errors = mem::take(&mut self.errors);
        Ok(Some(if errors.line_break() == 1 {
            Err(LineError::Break)
        } else if errors.framing_error() == 1 {
            Err(LineError::Framing)
        } else if errors.parity_error() == 1 {
            Err(LineError::Parity)
        } else {
            Ok(byte)
        }))
    }

    fn transmit(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() || self.status()?.empty() == 0 {
            return Ok(0);
        }
        let count = bytes.len().min(self.depth);
        bytes[..count].iter().try_for_each(|&byte| self.registers.thr().write(byte))?;
        Ok(count)
    }

    fn has_come(&mut self, events: Events) -> Result<bool, Error> {
        let status = self.status()?;
        if events.received && status.data_ready() == 1 || events.space && status.empty() == 1 {
            return Ok(true);
        }
        if !events.lines {
            return Ok(false);
        }
        self.read_modem()?;
        Ok(mem::take(&mut self.lines_changed))
    }

    fn is_idle(&mut self) -> Result<bool, Error> {
        Ok(self.status()?.idle() == 1)
    }

    fn enable(&mut self, events: Events) -> Result<(), Error> {
        let received = u8::from(events.received);
        let enabled = Ier(0).with_received(received).with_errors(received);
        self.registers.ier().write(enabled.with_empty(events.space.into()).with_modem(events.lines.into()))
    }

    fn acknowledge(&mut self) -> Result<(), Error> {
        self.read_modem()?;
        // Errors without a byte, which would interrupt again; the next byte has them.
        self.status()?;
        Ok(())
    }

    fn modem_lines(&mut self) -> Result<ModemLines, Error> {
        let lines = self.read_modem()?;
        self.lines_changed = false;
        Ok(ModemLines { cts: lines.cts() == 1, dsr: lines.dsr() == 1, ri: lines.ri() == 1, dcd: lines.dcd() == 1 })
    }

    fn control(&mut self, control: Control) -> Result<(), Error> {
        self.registers.lcr().write(self.line.with_send_break(control.send_break.into()))?;
        let automatic = self.automatic && self.flow == Flow::RtsCts;
        let lines = Mcr(0).with_dtr(control.dtr.into()).with_rts(control.rts.into()).with_out2(1);
        self.registers.mcr().write(lines.with_loopback(control.loopback.into()).with_automatic(automatic.into()))
    }
}

/// What divides the clock for a speed; sixteen clocks are a bit.
fn divisor(clock_hz: u32, baud: u32) -> Result<u16, Error> {
    let (clock, wanted) = (u64::from(clock_hz), 16 * u64::from(baud));
    let divisor = (clock + wanted / 2).checked_div(wanted).unwrap_or(0).clamp(1, u64::from(u16::MAX));
    // Receivers look at the middle of a bit, ten bits behind the start bit: 3 % is what both ends can be apart.
    if (divisor * wanted).abs_diff(clock) * 100 > 3 * clock || clock == 0 {
        return Err(Error::invalid("16550", format!("a clock of {clock_hz} Hz does not make {baud} baud")));
    }
    Ok(u16::try_from(divisor).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::divisor;

    #[test]
    fn divisors_are_those_of_the_data_sheet() {
        // PC16550D, table III, for a clock of 1.8432 MHz.
        for (baud, wanted) in [(50, 2304), (110, 1047), (300, 384), (1200, 96), (9600, 12), (38_400, 3), (56_000, 2)] {
            assert_eq!(divisor(1_843_200, baud).expect("in the table"), wanted, "{baud}");
        }
        for baud in [0, 1, 80_000, 1_000_000, u32::MAX] {
            let error = divisor(1_843_200, baud).expect_err("out of reach").to_string();
            assert_eq!(error, format!("16550: a clock of 1843200 Hz does not make {baud} baud"));
        }
        assert!(divisor(0, 9600).is_err());
    }
}
