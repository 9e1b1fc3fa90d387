//! Byte-wide registers that stand apart, as device trees tell by `reg-shift` and `reg-io-width`.

use anyhow::Context;
use clap::Args;
use mapio_device::bus::Strided;
use mapio_device::register::Block;
use mapio_device::{RegisterIo, System, Width};

use super::target::{Enabling, Room, Target};

/// How far byte-wide registers stand apart, and how they are accessed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Spacing {
    /// Bytes from one byte-wide register to the next: 1, 2, 4 or 8; default: those of an access
    ///
    /// A device tree's reg-shift of 2 is a stride of 4. The names, and the offsets that are shown, are those of the
    /// block, as if its registers stood side by side.
    #[arg(long, value_name = "BYTES", value_parser = stride, hide_short_help = true)]
    stride: Option<usize>,
    /// Bits of an access to such a register: 8, 16 or 32; default: 8
    ///
    /// A device tree's reg-io-width of 4 is 32. The register is the lowest 8 bits.
    #[arg(long, value_name = "BITS", value_parser = io_width, hide_short_help = true)]
    io_width: Option<Width>,
}

/// Reads a stride, as an argument.
fn stride(text: &str) -> Result<usize, String> {
    let stride = text.parse().ok().filter(|stride| [1, 2, 4, 8].contains(stride));
    stride.ok_or_else(|| format!("'{text}' is not 1, 2, 4 or 8"))
}

/// Reads the bits of an access, as an argument.
fn io_width(text: &str) -> Result<Width, String> {
    Ok(match text {
        "8" => Width::U8,
        "16" => Width::U16,
        "32" => Width::U32,
        _ => return Err(format!("'{text}' is not 8, 16 or 32")),
    })
}

impl Spacing {
    /// Whether anything has been said of it.
    pub(super) fn is_given(&self) -> bool {
        self.stride.is_some() || self.io_width.is_some()
    }

    fn width(&self) -> Width {
        self.io_width.unwrap_or(Width::U8)
    }

    fn stride(&self) -> usize {
        self.stride.unwrap_or(self.width().bytes())
    }

    /// Refuses it for what has no byte-wide registers, and registers that would overlap, before anything is opened.
    pub(super) fn check(&self, block: Option<&Block>) -> anyhow::Result<()> {
        if !self.is_given() {
            return Ok(());
        }
        let is_narrow = |block: &Block| block.registers.iter().all(|register| register.width == Width::U8);
        anyhow::ensure!(
            block.is_some_and(is_narrow),
            "--stride and --io-width are for a block of byte-wide registers, such as 16550"
        );
        let (stride, width) = (self.stride(), self.width());
        anyhow::ensure!(
            stride.is_multiple_of(width.bytes()),
            "registers that are accessed by {width} can't stand {stride} bytes apart: --stride"
        );
        Ok(())
    }

    /// Refuses accesses without a name: nothing says whether their offsets would be the block's or the bus's.
    pub(super) fn check_unnamed(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_given(), "registers that stand apart are accessed by their names, as TARGET.LCR");
        Ok(())
    }

    /// Opens so many bytes of registers of the target, which are side by side then.
    pub(super) fn open(
        &self,
        target: &Target,
        system: &System,
        room: Room,
        enabling: Enabling,
    ) -> anyhow::Result<Box<dyn RegisterIo>> {
        if !self.is_given() {
            return target.open(system, room, enabling);
        }
        let room = room.map(|registers| self.bus_bytes(registers)).context("the range is too long")?;
        Ok(Box::new(Strided::new(target.open(system, room, enabling)?, self.stride(), self.width())?))
    }

    /// From the first byte of the first register to the last one of the last access; `None` if that is no number.
    pub(super) fn bus_bytes(&self, registers: usize) -> Option<usize> {
        let Some(last) = registers.checked_sub(1) else { return Some(0) };
        last.checked_mul(self.stride())?.checked_add(self.width().bytes())
    }
}

#[cfg(test)]
mod tests {
    use mapio_device::blocks;

    use super::*;

    fn spacing(stride: Option<usize>, io_width: Option<Width>) -> Spacing {
        Spacing { stride, io_width }
    }

    #[test]
    fn only_registers_of_a_byte_stand_apart_and_none_overlaps() {
        let uart = blocks::find("16550");
        for (stride, width, bytes) in [
            (None, None, 8),
            (Some(4), None, 29),
            (Some(4), Some(Width::U32), 32),
            (None, Some(Width::U16), 16),
            (Some(8), Some(Width::U16), 58),
        ] {
            let spacing = spacing(stride, width);
            spacing.check(uart).unwrap_or_else(|error| panic!("{spacing:?}: {error}"));
            assert_eq!((spacing.bus_bytes(8), spacing.bus_bytes(0)), (Some(bytes), Some(0)), "{spacing:?}");
            assert_eq!(spacing.check(blocks::find("pl011")).is_ok(), !spacing.is_given());
            assert_eq!(spacing.check(None).is_ok(), !spacing.is_given());
        }
        let error = spacing(Some(2), Some(Width::U32)).check(uart).expect_err("they overlap").to_string();
        assert_eq!(error, "registers that are accessed by 32 bits can't stand 2 bytes apart: --stride");
        assert_eq!(spacing(Some(8), None).bus_bytes(usize::MAX), None);
    }

    #[test]
    fn strides_and_widths_are_those_of_device_trees() {
        let strides = ["0", "1", "2", "3", "4", "8", "16", "x"].map(|text| stride(text).ok());
        assert_eq!(strides, [None, Some(1), Some(2), None, Some(4), Some(8), None, None]);
        let widths = ["8", "16", "32", "64", "4"].map(|text| io_width(text).ok());
        assert_eq!(widths, [Some(Width::U8), Some(Width::U16), Some(Width::U32), None, None]);
    }
}
