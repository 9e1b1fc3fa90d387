//! The text screen at 0xb8000, and its font, which the BIOS has put into plane 2 of the VGA's memory.

use anyhow::{Result, ensure};
use mapio_device::screen::cursor::{self, Cursor};
use mapio_device::screen::{Attribute, Cell, Position, Size, TextScreen};
use mapio_device::{Error, Mmio, Ports, RegisterIo, System, Width, registers};
use mapio_hardware::protocol::Request;

use crate::host::Host;

registers! {
    /// The VGA's indexed registers that say where its memory is: IBM VGA, and QEMU's hw/display/vga.c.
    block Vga "vga", 0x20 bytes {
        /// Which of the sequencer's registers.
        sequencer_index: SequencerIndex "SR_INDEX" @ 0x04: u8 { read pure, write plain }
        /// That one.
        sequencer: Sequencer "SR_DATA" @ 0x05: u8 { read pure, write plain }
        /// Which of the graphics controller's registers.
        graphics_index: GraphicsIndex "GR_INDEX" @ 0x0e: u8 { read pure, write plain }
        /// That one.
        graphics: Graphics "GR_DATA" @ 0x0f: u8 { read pure, write plain }
        /// Which of the picture tube controller's registers.
        tube_index: TubeIndex "CR_INDEX" @ 0x14: u8 { read pure, write plain }
        /// That one.
        tube: Tube "CR_DATA" @ 0x15: u8 { read pure, write plain }
    }
}

/// Of the screen, in cells.
const SIZE: Size = Size::new(80, 25);

/// The last cell from which on a whole screen is in the memory of 32 KiB.
const LAST_START: u16 = (32 << 10) / 2 - 80 * 25;

/// Sequencer register 4: odd and even addresses are no longer different planes.
const MEMORY_MODE: (u8, u8) = (4, 0x06);
/// Graphics registers 4, 5 and 6: plane 2 is read, plainly, at 0xa0000.
const READ_PLANE_2: [(u8, u8); 3] = [(4, 2), (5, 0), (6, 0x04)];

pub(crate) fn screen(host: &mut Host) -> Result<String> {
    let vga = Vga::new(Ports::open(0x3c0..0x3e0)?)?;
    // The picture must not depend on whether the cursor blinks.
    vga.tube_index().write(0x0a)?;
    vga.tube().modify(|start| Tube(start.0 | 0x20))?;
    let font = font(&vga)?;
    let mut tube = Cursor::new(Ports::open(cursor::PORTS)?)?;
    tube.set_first_cell(LAST_START + 1)?;
    let beyond = TextScreen::open(&System::default(), SIZE);
    // As a console leaves it that has scrolled to the end of the memory; then as it was.
    for first in [LAST_START, 0] {
        tube.set_first_cell(first)?;
        let mut screen = TextScreen::open(&System::default(), SIZE)?;
        print(&mut screen)?;
        let mut cells = Vec::new();
        for position in positions() {
            let cell = screen.cell(position)?;
            cells.extend([cell.byte, cell.attribute.0]);
        }
        host.ask(Request::Photograph { name: "text".into() })?;
        host.ask(Request::CompareText { cells, font: font.clone() })?;
    }
    ensure!(matches!(beyond, Err(Error::Unexpected { .. })), "a screen that is not all in memory: {beyond:?}");
    Ok(format!("every pixel of 80 by 25 cells, shown from cell {LAST_START} and from 0 on"))
}

/// Every place, row by row.
fn positions() -> impl Iterator<Item = Position> {
    (0..25).flat_map(|row| (0..80).map(move |column| Position { column, row }))
}

/// Prints on it until it has scrolled, and then a page with every character, and every pair of colours.
fn print(screen: &mut TextScreen<Mmio>) -> Result<()> {
    screen.clear()?;
    for number in 0..40 {
        screen.print(&format!("{number}\n"))?;
    }
    let text = screen.text()?;
    let wanted: String = (16..40).map(|number| format!("{number}\n")).chain(["\n".to_owned()]).collect();
    ensure!(text == wanted, "it shows {text:?}");
    let mut put = |row: usize, column: usize, attribute: u8, bytes: &[u8]| {
        bytes.iter().enumerate().try_for_each(|(index, byte)| {
            let cell = Cell { byte: *byte, attribute: Attribute(attribute) };
            screen.set_cell(Position { column: column + index, row }, cell)
        })
    };
    for row in 0..25 {
        put(row, 0, 0x17, &[b' '; 80])?;
    }
    let title = "Each place on the screen is a place in memory, from 0xb8000 on";
    put(0, 0, 0x4f, format!("{title:^80}").as_bytes())?;
    let characters = (0..=u8::MAX).collect::<Vec<_>>();
    for (row, line) in characters.chunks(64).enumerate() {
        put(2 + row, 8, 0x1e, line)?;
    }
    for attribute in 0..=u8::MAX {
        let (row, column) = (usize::from(attribute >> 4), usize::from(attribute & 0xf));
        put(7 + row, 8 + column * 4, attribute, format!(" {attribute:02x} ").as_bytes())?;
    }
    let last = "a character and its two colours: one write of 16 bits";
    put(24, 0, 0x70, format!("{last:^80}").as_bytes())?;
    Ok(())
}

/// Reads the font: 256 characters of 16 bytes, each in the first half of 32.
fn font(vga: &Vga<Ports>) -> Result<Vec<u8>> {
    let sequencer = |(index, value): (u8, u8)| -> Result<(u8, u8), Error> {
        vga.sequencer_index().write(index)?;
        let before = vga.sequencer().read()?.0;
        vga.sequencer().write(value)?;
        Ok((index, before))
    };
    let graphics = |(index, value): (u8, u8)| -> Result<(u8, u8), Error> {
        vga.graphics_index().write(index)?;
        let before = vga.graphics().read()?.0;
        vga.graphics().write(value)?;
        Ok((index, before))
    };
    let memory_mode = sequencer(MEMORY_MODE)?;
    let mut others = Vec::new();
    for setting in READ_PLANE_2 {
        others.push(graphics(setting)?);
    }
    let plane = Mmio::open("/dev/mem", 0xa0000..0xa0000 + 256 * 32)?;
    let read = (0..256 * 16).map(|at| plane.read(at / 16 * 32 + at % 16, Width::U8)).collect::<Result<Vec<_>, _>>();
    for setting in others.into_iter().rev() {
        graphics(setting)?;
    }
    sequencer(memory_mode)?;
    Ok(read?.into_iter().map(u8::try_from).collect::<Result<_, _>>()?)
}
