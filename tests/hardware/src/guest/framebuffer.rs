//! The linear framebuffer of QEMU's VGA, in BAR 0, and the registers that set its mode, in BAR 2.

use std::time::Instant;

use anyhow::{Result, ensure};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use mapio_device::pci::{self, Caching, Id};
use mapio_device::{Error, Mmio, RegisterIo, System, Width, registers};
use mapio_hardware::picture;
use mapio_hardware::protocol::Request;

use crate::host::Host;

const ID: Id = Id { vendor: 0x1234, device: 0x1111 };

registers! {
    /// The mode of QEMU's VGA: its docs/specs/standard-vga.rst.
    block Mode "bochs-vga", 0x600 bytes {
        /// The attribute controller; bit 5 shows the picture.
        attribute: Attribute "ATTR" @ 0x400: u8 { read none, write plain }
        /// Which version of these registers.
        id: Version "ID" @ 0x500: u16 { read pure, write plain }
        /// Pixels of a row.
        width: Columns "XRES" @ 0x502: u16 { read pure, write plain }
        /// Rows.
        height: Rows "YRES" @ 0x504: u16 { read pure, write plain }
        /// Bits of a pixel.
        depth: Depth "BPP" @ 0x506: u16 { read pure, write plain }
        /// Whether the mode is on.
        enable: Enable "ENABLE" @ 0x508: u16 { read pure, write plain } fields {
            /// It is.
            on with_on "ON" [0],
            /// All memory is seen at once.
            linear with_linear "LFB" [6],
        }
    }
}

/// Pixels of 32 bits, row by row.
struct Pixels {
    bus: Mmio,
    size: Size,
}

impl OriginDimensions for Pixels {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Pixels {
    type Color = Rgb888;
    type Error = Error;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Error> {
        let inside = self.bounding_box();
        for Pixel(point, colour) in pixels.into_iter().filter(|Pixel(point, _)| inside.contains(*point)) {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else { continue };
            let Ok(offset) = usize::try_from((y * self.size.width + x) * 4) else { continue };
            self.bus.write_relaxed(offset, Width::U32, colour.into_storage().into())?;
        }
        Ok(())
    }
}

pub(crate) fn pci(host: &mut Host) -> Result<String> {
    let device = pci::find(&System::default(), ID)?;
    device.enable()?;
    let mode = Mode::new(device.map_bar(2, Caching::Uncached)?)?;
    let version = mode.id().read()?.0;
    ensure!(version & 0xfff0 == 0xb0c0, "its registers are of version {version:#x}");
    mode.enable().write(0)?;
    mode.width().write(u16::try_from(picture::SIZE.width)?)?;
    mode.height().write(u16::try_from(picture::SIZE.height)?)?;
    mode.depth().write(32)?;
    mode.enable().write(Enable::default().with_on(1).with_linear(1))?;
    mode.attribute().write(0x20)?;
    let mut pixels = Pixels { bus: device.map_bar(0, Caching::WriteCombining)?, size: picture::SIZE };
    let start = Instant::now();
    picture::draw(&mut pixels)?;
    pixels.bus.flush();
    let took = start.elapsed();
    host.ask(Request::Photograph { name: "framebuffer".into() })?;
    host.ask(Request::ComparePicture)?;
    Ok(format!("every one of {} by {} pixels, drawn in {took:.1?}", picture::SIZE.width, picture::SIZE.height))
}
