//! What a port was before it was set up, so that it can be so again.

use mapio_device::serial::ns16550::{Ier, Lcr, Mcr};
use mapio_device::serial::pl011::{Cr, Ifls, Imsc, LcrH};
use mapio_device::serial::{Chip, Ns16550, Pl011};
use mapio_device::{Error, RegisterIo};

/// A chip whose registers can be kept.
///
/// The 16550's FIFOs stay as they were set: FCR can't be read.
pub(super) trait Keep: Chip {
    /// Values of registers.
    type Kept;

    /// Reads the registers that setting up changes. On a 16550 IER and the divisor are behind a bit of LCR, which is
    /// written for that, and put back.
    fn keep(&mut self) -> Result<Self::Kept, Error>;

    /// Writes them back. What is still being sent may be lost.
    fn put_back(&mut self, kept: Self::Kept) -> Result<(), Error>;

    /// Bytes that the receiver keeps, once the chip is set up.
    fn fifo_bytes(&mut self) -> Result<u32, Error>;
}

/// Those of a 16550.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ns16550Kept {
    line: Lcr,
    control: Mcr,
    enabled: Ier,
    divisor: [u8; 2],
}

impl<B: RegisterIo> Keep for Ns16550<B> {
    type Kept = Ns16550Kept;

    fn keep(&mut self) -> Result<Ns16550Kept, Error> {
        let registers = self.registers();
        let (line, control) = (registers.lcr().read()?, registers.mcr().read()?);
        registers.lcr().write(line.with_divisor_access(0))?;
        let enabled = registers.ier().read()?;
        registers.lcr().write(line.with_divisor_access(1))?;
        let divisor = [registers.dll().read()?.0, registers.dlm().read()?.0];
        registers.lcr().write(line)?;
        Ok(Ns16550Kept { line, control, enabled, divisor })
    }

    fn put_back(&mut self, kept: Ns16550Kept) -> Result<(), Error> {
        let registers = self.registers();
        registers.lcr().write(kept.line.with_divisor_access(1))?;
        registers.dll().write(kept.divisor[0])?;
        registers.dlm().write(kept.divisor[1])?;
        registers.lcr().write(kept.line.with_divisor_access(0))?;
        registers.mcr().write(kept.control)?;
        registers.ier().write(kept.enabled)?;
        registers.lcr().write(kept.line)
    }

    fn fifo_bytes(&mut self) -> Result<u32, Error> {
        Ok(if self.registers().iir().read()?.fifos() == 3 { 16 } else { 1 })
    }
}

/// Those of a PL011.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pl011Kept {
    control: Cr,
    enabled: Imsc,
    divisor: [u32; 2],
    line: LcrH,
    levels: Ifls,
}

impl<B: RegisterIo> Keep for Pl011<B> {
    type Kept = Pl011Kept;

    fn keep(&mut self) -> Result<Pl011Kept, Error> {
        let registers = self.registers();
        Ok(Pl011Kept {
            control: registers.cr().read()?,
            enabled: registers.imsc().read()?,
            divisor: [registers.ibrd().read()?.0, registers.fbrd().read()?.0],
            line: registers.lcr_h().read()?,
            levels: registers.ifls().read()?,
        })
    }

    fn put_back(&mut self, kept: Pl011Kept) -> Result<(), Error> {
        let registers = self.registers();
        registers.cr().write(0)?;
        registers.ibrd().write(kept.divisor[0])?;
        registers.fbrd().write(kept.divisor[1])?;
        // The divisor takes effect with it (DDI 0183, 3.3.7).
        registers.lcr_h().write(kept.line)?;
        registers.ifls().write(kept.levels)?;
        registers.imsc().write(kept.enabled)?;
        registers.cr().write(kept.control)
    }

    fn fifo_bytes(&mut self) -> Result<u32, Error> {
        Ok(16)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use mapio_device::Polled;
    use mapio_device::model::serial::Timing;
    use mapio_device::model::{self, Simulated};
    use mapio_device::serial::{PC_CLOCK_HZ, Parity, Serial, Settings};

    use super::*;

    /// Sets the chip up at one speed, then as a port at another one, puts the first back, and answers both.
    fn before_and_after<C: Keep>(chip: C) -> (C::Kept, C::Kept, C::Kept)
    where
        C::Kept: Copy + Debug,
    {
        let first = Settings { baud: 9600, parity: Parity::Odd, ..Settings::default() };
        let (mut chip, _) = Serial::new(chip, Polled, first).expect("a model").into_parts();
        let before = chip.keep().expect("a model");
        let (mut chip, _) = Serial::new(chip, Polled, Settings::default()).expect("a model").into_parts();
        let between = chip.keep().expect("a model");
        chip.put_back(before).expect("a model");
        (before, between, chip.keep().expect("a model"))
    }

    #[test]
    fn a_port_is_put_back_as_it_was() {
        let bus = Simulated::new(model::Ns16550::new(Timing::Instant));
        let (before, between, after) = before_and_after(Ns16550::new(bus, PC_CLOCK_HZ).expect("a model"));
        assert_eq!((before.divisor, between.divisor), ([12, 0], [1, 0]));
        assert_eq!(after, before);
        let bus = Simulated::new(model::Pl011::new(Timing::Instant));
        let (before, between, after) = before_and_after(Pl011::new(bus, 24_000_000).expect("a model"));
        assert_ne!((before.divisor, before.line), (between.divisor, between.line));
        assert_eq!(after, before);
    }
}
