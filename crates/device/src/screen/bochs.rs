//! The display of Bochs and QEMU, a PCI device (1234:1111): its memory is BAR 0, and the registers of its mode are in
//! BAR 2 (QEMU's docs/specs/standard-vga.rst; the names are those of Bochs's `VBE_DISPI`). The ports of a VGA from
//! 0x3c0 on are in BAR 2 from 0x400 on.

use embedded_graphics_core::geometry::Size;

use super::{Format, Framebuffer, Layout};
use crate::bus::{Mmio, RegisterIo};
use crate::error::Error;
use crate::pci::{self, Caching, Id};
use crate::registers;
use crate::system::System;

/// Vendor and device.
pub const ID: Id = Id { vendor: 0x1234, device: 0x1111 };

/// What errors call it.
const NAME: &str = "Bochs display";

/// The bits of the version that every version has.
const ID_BITS: u16 = 0xb0c0;

/// Shows the picture instead of black: bit 5 of the attribute controller's index, "Internal Palette Address Source".
const PALETTE_ON: u8 = 0x20;

registers! {
    /// The registers of the Bochs display's mode.
    pub block Registers "bochs", 0x600 bytes {
        /// The attribute controller of a VGA, port 0x3c0: index and data by turns. Bit 5 of the index shows the
        /// picture. Displays without a VGA have neither this nor the next three.
        attribute: Attribute "ATTRIBUTE" @ 0x400: u8 { read none, write plain }
        /// Miscellaneous output, port 0x3c2.
        output: Output "MISC_WRITE" @ 0x402: u8 { read none, write plain } fields {
            /// The status register is at port 0x3da, and not at 0x3ba.
            colour with_colour "COLOUR" [0],
        }
        /// What it is, port 0x3cc.
        present_output: PresentOutput "MISC_READ" @ 0x40c: u8 { read pure, write none }
        /// Input status 1, port 0x3da. Reading it makes the attribute controller expect an index.
        status: Status "STATUS1" @ 0x41a: u8 { read effect, write none }
        /// Which version of these registers.
        id: Version "ID" @ 0x500: u16 { read pure, write plain }
        /// Pixels of a row.
        width: Width "XRES" @ 0x502: u16 { read pure, write plain }
        /// Rows.
        height: Height "YRES" @ 0x504: u16 { read pure, write plain }
        /// Bits of a pixel.
        depth: Depth "BPP" @ 0x506: u16 { read pure, write plain }
        /// Whether the mode is on. Switching it on clears the picture, unless that is not wanted.
        enable: Enable "ENABLE" @ 0x508: u16 { read pure, write plain } fields {
            /// The mode is on.
            on with_on "ENABLED" [0],
            /// All memory is seen at once.
            linear with_linear "LFB" [6],
            /// The picture stays.
            keep with_keep "NOCLEARMEM" [7],
        }
        /// Pixels from the start of a row to that of the next.
        stride: Stride "VIRT_WIDTH" @ 0x50c: u16 { read pure, write plain }
    }
}

/// Finds the display, sets its mode, and opens its memory, whose writes are to be [flushed](Mmio::flush). What was
/// shown before is lost, also a console of the kernel.
///
/// # Errors
/// [`Error::NotFound`]; those of [`set_mode`] and of opening PCI devices' memory.
pub fn open(system: &System, size: Size, format: Format) -> Result<Framebuffer<Mmio>, Error> {
    let device = pci::find(system, ID)?;
    device.enable()?;
    let layout = set_mode(device.map_bar(2, Caching::Uncached)?, size, format)?;
    Framebuffer::new(device.map_bar(0, Caching::WriteCombining)?, layout)
}

/// Sets the mode of the display with these registers, and answers where its pixels are.
///
/// # Errors
/// [`Error::Invalid`] for a size of more than 16 bits, or a format that it does not have; [`Error::Unexpected`] if
/// there is no such display, or it can't show that; those of the bus.
pub fn set_mode(bus: impl RegisterIo, size: Size, format: Format) -> Result<Layout, Error> {
    let sides = u16::try_from(size.width).ok().zip(u16::try_from(size.height).ok());
    let (width, height) =
        sides.ok_or_else(|| Error::invalid(NAME, format!("it has no mode of {} by {}", size.width, size.height)))?;
    let depth = match format {
        Format::Rgb565 => 16,
        Format::Rgb888 => 24,
        Format::Xrgb8888 => 32,
        other => return Err(Error::invalid(NAME, format!("it has no pixels of {other}"))),
    };
    let mut registers = Registers::new(bus)?;
    let unexpected = |reason: String| Error::Unexpected { object: NAME.to_owned(), reason };
    let version = registers.id().read()?.0;
    if version & 0xfff0 != ID_BITS {
        return Err(unexpected(format!("its registers are of version {version:#x}, and not {ID_BITS:#x} to 0xb0cf")));
    }
    registers.enable().write(Enable::default())?;
    registers.width().write(width)?;
    registers.height().write(height)?;
    registers.depth().write(depth)?;
    registers.enable().write(Enable::default().with_on(1).with_linear(1))?;
    show(&mut registers)?;
    let mode = (registers.width().read()?.0, registers.height().read()?.0, registers.depth().read()?.0);
    let stride = registers.stride().read()?.0;
    if mode != (width, height, depth) || stride < width || registers.enable().read()?.on() == 0 {
        let (shown_width, shown_height, shown_depth) = mode;
        let shown = format!("{shown_width}x{shown_height}x{shown_depth}, {stride} pixels a row");
        return Err(unexpected(format!("asked for {width}x{height}x{depth}, it has {shown}")));
    }
    Ok(Layout { size, format, stride_bytes: usize::from(stride) * format.bytes() })
}

/// Shows the picture, whatever the attribute controller expects to come: whether that is an index can't be read. The
/// other bits of miscellaneous output stay. On displays without a VGA this reads ones, and writes nothing.
fn show(registers: &mut Registers<impl RegisterIo>) -> Result<(), Error> {
    let output = Output(registers.present_output().read()?.0);
    registers.output().write(output.with_colour(1))?;
    registers.status().read()?;
    registers.attribute().write(PALETTE_ON)
}
