//! The linear framebuffer of QEMU's VGA, in BAR 0, and the registers that set its mode, in BAR 2.

use std::time::Instant;

use anyhow::{Result, ensure};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use mapio_device::System;
use mapio_device::screen::{Format, Picture, bochs};
use mapio_hardware::picture;
use mapio_hardware::protocol::Request;

use crate::host::Host;

/// Modes that are drawn in; the last one is compared from outside.
const FORMATS: [Format; 3] = [Format::Rgb565, Format::Rgb888, Format::Xrgb8888];

pub(crate) fn pci(host: &mut Host) -> Result<String> {
    let mut figures = Vec::new();
    for format in FORMATS {
        let mut screen = bochs::open(&System::default(), picture::SIZE, format)?;
        let start = Instant::now();
        screen.clear(Rgb888::WHITE)?;
        screen.bus().flush();
        let cleared = start.elapsed();
        picture::draw(&mut screen)?;
        screen.bus().flush();
        let drawn = start.elapsed() - cleared;
        let mut wanted = Picture::new(picture::SIZE)?;
        picture::draw(&mut wanted)?;
        let wanted = wanted.pixels().map(|pixel| format.decode(format.encode(pixel)));
        ensure!(screen.picture()?.pixels().eq(wanted), "{format} is not read back as it was drawn");
        figures.push(format!("{format} cleared in {cleared:.1?}, drawn in {drawn:.1?}"));
    }
    host.ask(Request::Photograph { name: "framebuffer".into() })?;
    host.ask(Request::ComparePicture)?;
    let Size { width, height } = picture::SIZE;
    Ok(format!("every one of {width} by {height} pixels; {}", figures.join("; ")))
}
