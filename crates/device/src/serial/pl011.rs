//! The PL011: the serial port of Arm boards and of QEMU's `virt` machine.
//!
//! Registers have the names of Arm's manual (PrimeCell UART PL011, DDI 0183).

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use crate::bus::RegisterIo;
use crate::error::{Error, LineError};
use crate::registers;
use crate::serial::chip::{Chip, Control, Events, ModemLines, Received};
use crate::serial::settings::{Flow, Parity, Settings, StopBits};

registers! {
    /// Arm's PrimeCell UART: PL011.
    pub block Registers "pl011", 0x1000 bytes {
        /// A byte to send, or the next received one with its errors.
        dr: Dr "DR" @ 0x0: u32 { read effect, write plain } fields {
            /// The byte.
            data with_data "DATA" [0; 8],
            /// There was no stop bit.
            framing_error with_framing_error "FE" [8],
            /// The parity is wrong.
            parity_error with_parity_error "PE" [9],
            /// The line was held low.
            line_break with_line_break "BE" [10],
            /// Bytes were lost.
            overrun with_overrun "OE" [11],
        }
        /// Errors of the byte that was read last; writing forgets them.
        rsr: Rsr "RSR" @ 0x4: u32 { read pure, write plain }
        /// State of lines and FIFOs.
        fr: Fr "FR" @ 0x18: u32 { read pure, write none } fields {
            /// Clear to send.
            cts with_cts "CTS" [0],
            /// Data set ready.
            dsr with_dsr "DSR" [1],
            /// Data carrier detect.
            dcd with_dcd "DCD" [2],
            /// Bits are being sent.
            busy with_busy "BUSY" [3],
            /// Nothing is received.
            receive_empty with_receive_empty "RXFE" [4],
            /// The transmitter takes nothing.
            transmit_full with_transmit_full "TXFF" [5],
            /// The receiver is full.
            receive_full with_receive_full "RXFF" [6],
            /// The transmitter's FIFO is empty.
            transmit_empty with_transmit_empty "TXFE" [7],
            /// Ring indicator.
            ri with_ri "RI" [8],
        }
        /// Divisor of the infrared mode's low power.
        ilpr: Ilpr "ILPR" @ 0x20: u32 { read pure, write plain }
        /// The clock's divisor.
        ibrd: Ibrd "IBRD" @ 0x24: u32 { read pure, write plain }
        /// The rest of it, in 64ths.
        fbrd: Fbrd "FBRD" @ 0x28: u32 { read pure, write plain }
        /// How bytes stand on the line; writing takes the divisor over.
        lcr_h: LcrH "LCR_H" @ 0x2c: u32 { read pure, write plain } fields {
            /// Holds the line low.
            send_break with_send_break "BRK" [0],
            /// Whether there is a parity bit.
            parity with_parity "PEN" [1],
            /// Even parity.
            even with_even "EPS" [2],
            /// Stop bits.
            stop_bits with_stop_bits "STP2" [3] = { 0 "1", 1 "2" },
            /// Whether the FIFOs are on.
            fifos with_fifos "FEN" [4],
            /// Data bits.
            word_length with_word_length "WLEN" [5; 2] = { 0 "5 bits", 1 "6 bits", 2 "7 bits", 3 "8 bits" },
            /// The parity bit is fixed.
            stick with_stick "SPS" [7],
        }
        /// What is on, and lines to the other end.
        cr: Cr "CR" @ 0x30: u32 { read pure, write plain } fields {
            /// The UART.
            enable with_enable "UARTEN" [0],
            /// What is sent comes back.
            loopback with_loopback "LBE" [7],
            /// The transmitter.
            transmit with_transmit "TXE" [8],
            /// The receiver.
            receive with_receive "RXE" [9],
            /// Data terminal ready.
            dtr with_dtr "DTR" [10],
            /// Request to send.
            rts with_rts "RTS" [11],
            /// A free line.
            out1 with_out1 "OUT1" [12],
            /// A free line.
            out2 with_out2 "OUT2" [13],
            /// RTS follows the receiver's FIFO.
            automatic_rts with_automatic_rts "RTSEN" [14],
            /// The transmitter waits for CTS.
            automatic_cts with_automatic_cts "CTSEN" [15],
        }
        /// How full the FIFOs are when they interrupt.
        ifls: Ifls "IFLS" @ 0x34: u32 { read pure, write plain } fields {
            /// The transmitter's.
            transmit with_transmit "TXIFLSEL" [0; 3] = { 0 TRANSMIT_1_8 "1/8", 1 "1/4", 2 "1/2", 3 "3/4", 4 "7/8" },
            /// The receiver's.
            receive with_receive "RXIFLSEL" [3; 3] = {
                0 RECEIVE_1_8 "1/8", 1 RECEIVE_1_4 "1/4", 2 RECEIVE_1_2 "1/2", 3 RECEIVE_3_4 "3/4", 4 RECEIVE_7_8 "7/8",
            },
        }
        /// Which of them reach the processor.
        imsc: Imsc "IMSC" @ 0x38: u32 { read pure, write plain } fields {
            /// Changed modem lines.
            modem with_modem "MODEM" [0; 4],
            /// Received bytes.
            received with_received "RX" [4],
            /// Room in the transmitter.
            space with_space "TX" [5],
            /// Received bytes, and nothing since.
            timeout with_timeout "RT" [6],
            /// Errors and breaks.
            errors with_errors "ERR" [7; 4],
        }
        /// What has happened.
        ris: Ris "RIS" @ 0x3c: u32 { read pure, write none }
        /// What of it interrupts.
        mis: Mis "MIS" @ 0x40: u32 { read pure, write none }
        /// Ones forget it.
        icr: Icr "ICR" @ 0x44: u32 { read none, write ones_clear }
        /// DMA.
        dmacr: Dmacr "DMACR" @ 0x48: u32 { read pure, write plain }
        /// What this device is, byte by byte.
        periph_id: PeriphId "PERIPHID" @ 0xfe0 [4; 4]: u32 { read pure, write none }
        /// That it is a PrimeCell.
        pcell_id: PcellId "PCELLID" @ 0xff0 [4; 4]: u32 { read pure, write none }
    }
}

/// RIS, IMSC, ICR: changed modem lines.
const MODEM: u32 = 0x00f;
/// RIS, ICR: lost bytes.
const LOST: u32 = 1 << 10;
/// All of them.
const ALL: u32 = 0x7ff;
/// The part's number in the first bytes of PERIPHID.
const PART: u32 = 0x011;

/// How long the byte that is on the line is waited for: two of 1200 baud.
const LAST_FRAME: Duration = Duration::from_millis(20);

/// A PL011 on a bus of 4 KiB.
#[derive(Debug)]
pub struct Pl011<B> {
    registers: Registers<B>,
    clock_hz: u32,
    /// Bytes in the receiver's FIFO that interrupt, as IFLS has them.
    trigger: u32,
    line: LcrH,
    flow: Flow,
    /// A loss was told before the byte that stands behind it had come.
    has_told: bool,
    /// What was taken together with the news that others before it were lost.
    held: Option<Received>,
}

impl<B: RegisterIo> Pl011<B> {
    /// The chip at the start of a bus. `clock_hz` is that of UARTCLK: 24 MHz in QEMU's machines.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bus is shorter than 4 KiB.
    pub fn new(bus: B, clock_hz: u32) -> Result<Self, Error> {
        let (registers, line, flow) = (Registers::new(bus)?, LcrH(0), Flow::None);
        let trigger = Ifls::RECEIVE_1_2;
        Ok(Self { registers, clock_hz, trigger, line, flow, has_told: false, held: None })
    }

    /// The same, interrupting for so many bytes in the receiver's FIFO: 2, 4, 8, 12 or 14, and otherwise the next
    /// smaller of them, or 2. 8 at first. Fewer bytes than that interrupt after the time of 32 bits without one. A FIFO
    /// of 32 bytes, which later revisions have, interrupts for twice as many.
    #[must_use]
    pub fn with_trigger(self, bytes: usize) -> Self {
        let trigger = match bytes {
            ..4 => Ifls::RECEIVE_1_8,
            4..8 => Ifls::RECEIVE_1_4,
            8..12 => Ifls::RECEIVE_1_2,
            12..14 => Ifls::RECEIVE_3_4,
            14.. => Ifls::RECEIVE_7_8,
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

    fn state(&self) -> Result<Fr, Error> {
        let state = self.registers.fr().read()?;
        if state.0 == u32::MAX {
            return Err(unexpected("FR reads 0xffffffff: the device is gone".into()));
        }
        Ok(state)
    }

    /// Waits until the byte that is on the line has left it, as the manual wants before anything is set up anew (DDI
    /// 0183, 3.3.8). Not for ever: its speed is not known, and bytes behind it keep the chip busy although it is off.
    fn finish_frame(&self) -> Result<(), Error> {
        let start = Instant::now();
        while self.state()?.busy() == 1 && start.elapsed() < LAST_FRAME {
            thread::yield_now();
        }
        Ok(())
    }

    /// Whether bytes were lost behind the last one that was in the FIFO, which no byte may ever tell; once.
    fn take_loss(&mut self) -> Result<bool, Error> {
        let has_lost = self.registers.ris().read()?.0 & LOST != 0;
        if has_lost {
            self.registers.icr().clear(LOST)?;
            self.has_told = true;
        }
        Ok(has_lost)
    }

    fn part(&self) -> Result<u32, Error> {
        let (Some(low), Some(high)) = (self.registers.periph_id(0), self.registers.periph_id(1)) else {
            unreachable!("there are four")
        };
        let (low, high) = (low.read()?.0 & 0xff, high.read()?.0 & 0xff);
        Ok(high << 8 | low)
    }
}

fn unexpected(reason: String) -> Error {
    Error::Unexpected { object: "pl011".into(), reason }
}

impl<B: RegisterIo> Chip for Pl011<B> {
    fn name(&self) -> &'static str {
        "pl011"
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), Error> {
        let (whole, rest) = divisor(self.clock_hz, settings.baud)?;
        // The designer's number is in the upper bits.
        let part = self.part()? & 0xfff;
        if part != PART {
            return Err(unexpected(format!("PERIPHID says part {part:#05x}, not {PART:#05x}: it is none")));
        }
        let (pen, eps, sps) = match settings.parity {
            Parity::None => (0, 0, 0),
            Parity::Odd => (1, 0, 0),
            Parity::Even => (1, 1, 0),
            Parity::Mark => (1, 0, 1),
            Parity::Space => (1, 1, 1),
        };
        let stop = u32::from(settings.stop_bits == StopBits::Two);
        self.line = LcrH(0).with_word_length(settings.data_bits.code().into()).with_stop_bits(stop);
        self.line = self.line.with_parity(pen).with_even(eps).with_stick(sps);
        self.flow = settings.flow;
        self.registers.imsc().write(0)?;
        self.registers.cr().write(0)?;
        self.finish_frame()?;
        self.registers.ibrd().write(whole)?;
        self.registers.fbrd().write(rest)?;
        // Without FEN, which empties the FIFOs; then with it.
        self.registers.lcr_h().write(self.line)?;
        self.line = self.line.with_fifos(1);
        self.registers.lcr_h().write(self.line)?;
        // The transmitter: nearly empty, so that there is much to give.
        let levels = Ifls(0).with_receive(self.trigger).with_transmit(Ifls::TRANSMIT_1_8);
        self.registers.ifls().write(levels)?;
        self.has_told = false;
        self.registers.icr().clear(ALL)?;
        let told = self.registers.lcr_h().read()?;
        if told != self.line {
            return Err(unexpected(format!("LCR_H reads {:#x} after {:#x} was written", told.0, self.line.0)));
        }
        Ok(())
    }

    fn has_automatic_flow(&self) -> bool {
        true
    }

    fn receive(&mut self) -> Result<Option<Received>, Error> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        if self.state()?.receive_empty() == 1 {
            return Ok(self.take_loss()?.then_some(Err(LineError::Overrun)));
        }
        let data = self.registers.dr().read()?;
        let received = if data.line_break() == 1 {
            Err(LineError::Break)
        } else if data.framing_error() == 1 {
            Err(LineError::Framing)
        } else if data.parity_error() == 1 {
            Err(LineError::Parity)
        } else {
            Ok(u8::try_from(data.data()).unwrap_or(u8::MAX))
        };
        // It stands at the first byte behind those that were lost.
        if data.overrun() == 1 && !mem::take(&mut self.has_told) {
            self.registers.icr().clear(LOST)?;
            self.held = Some(received);
            return Ok(Some(Err(LineError::Overrun)));
        }
        Ok(Some(received))
    }

    fn transmit(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.state()?.transmit_full() == 1 {
                return Ok(index);
            }
            self.registers.dr().write(u32::from(byte))?;
        }
        Ok(bytes.len())
    }

    fn has_come(&mut self, events: Events) -> Result<bool, Error> {
        let state = self.state()?;
        let received = state.receive_empty() == 0 || self.held.is_some();
        if events.received && received || events.space && state.transmit_full() == 0 {
            return Ok(true);
        }
        let changed = events.lines && self.registers.ris().read()?.0 & MODEM != 0;
        if changed {
            self.acknowledge()?;
        }
        Ok(changed)
    }

    fn is_idle(&mut self) -> Result<bool, Error> {
        let state = self.state()?;
        Ok(state.busy() == 0 && state.transmit_empty() == 1)
    }

    fn enable(&mut self, events: Events) -> Result<(), Error> {
        let (received, lines) = (u32::from(events.received), u32::from(events.lines));
        let enabled = Imsc(0).with_received(received).with_timeout(received).with_space(events.space.into());
        self.registers.imsc().write(enabled.with_modem(lines * MODEM))
    }

    fn acknowledge(&mut self) -> Result<(), Error> {
        self.registers.icr().clear(MODEM)
    }

    fn modem_lines(&mut self) -> Result<ModemLines, Error> {
        let lines = self.state()?;
        Ok(ModemLines { cts: lines.cts() == 1, dsr: lines.dsr() == 1, ri: lines.ri() == 1, dcd: lines.dcd() == 1 })
    }

    fn control(&mut self, control: Control) -> Result<(), Error> {
        let line = self.line.with_send_break(control.send_break.into());
        // Not while bytes are on the line, unless it has to be.
        if line != self.line {
            self.registers.lcr_h().write(line)?;
            self.line = line;
        }
        let automatic = u32::from(self.flow == Flow::RtsCts);
        let on = Cr(0).with_enable(1).with_transmit(1).with_receive(1);
        let on = on.with_dtr(control.dtr.into()).with_rts(control.rts.into()).with_loopback(control.loopback.into());
        self.registers.cr().write(on.with_automatic_rts(automatic).with_automatic_cts(automatic))
    }
}

/// What divides the clock for a speed, whole and in 64ths; sixteen clocks are a bit.
fn divisor(clock_hz: u32, baud: u32) -> Result<(u32, u32), Error> {
    let (clock, wanted) = (4 * u64::from(clock_hz), u64::from(baud));
    let divisor = (clock + wanted / 2).checked_div(wanted).unwrap_or(0).clamp(1 << 6, u64::from(u16::MAX) << 6);
    if (divisor * wanted).abs_diff(clock) * 100 > 3 * clock || clock == 0 {
        return Err(Error::invalid("pl011", format!("a clock of {clock_hz} Hz does not make {baud} baud")));
    }
    Ok((u32::try_from(divisor >> 6).unwrap_or(u32::MAX), u32::try_from(divisor & 0x3f).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::divisor;

    #[test]
    fn divisors_are_those_of_the_manual() {
        // DDI 0183, 3.3.6: 4 MHz, 230400 baud: 1 and 5/64.
        assert_eq!(divisor(4_000_000, 230_400).expect("in the manual"), (1, 5));
        assert_eq!(divisor(24_000_000, 115_200).expect("in reach"), (13, 1));
        for baud in [0, 10, 2_000_000, u32::MAX] {
            assert!(divisor(24_000_000, baud).is_err(), "{baud}");
        }
    }
}
