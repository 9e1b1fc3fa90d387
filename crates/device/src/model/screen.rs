//! Screens in this process: memory, which the drivers use as they use a screen's, and as fast.

use std::time::Instant;

use mapio_map::MapOptions;

use super::Model;
use crate::bus::Mmio;
use crate::error::Error;
use crate::screen::{Layout, Size};
use crate::width::{Value, Width};

/// Registers of the Bochs display's mode.
const REGISTERS: usize = 10;
/// Where they begin, in bytes.
const FIRST: usize = 0x500;
/// The version that has 32 bits a pixel and linear memory (`VBE_DISPI_ID5`).
const VERSION: u16 = 0xb0c5;
// Their numbers.
const ID: usize = 0;
const WIDTH: usize = 1;
const HEIGHT: usize = 2;
const DEPTH: usize = 3;
const ENABLE: usize = 4;
const STRIDE: usize = 6;

/// Where its registers of a VGA begin, in bytes: port 0x3c0.
const VGA: usize = 0x400;
/// How many there are.
const VGA_BYTES: usize = 0x20;
// Which of them, from there on.
const ATTRIBUTE: usize = 0x00;
const ATTRIBUTE_DATA: usize = 0x01;
const OUTPUT: usize = 0x02;
const OUTPUT_READ: usize = 0x0c;
/// The first of those that are elsewhere on monochrome screens.
const COLOUR_FIRST: usize = 0x10;
const STATUS: usize = 0x1a;

/// Registers of the attribute controller.
const ATTRIBUTES: usize = 0x15;
/// How many of them are the palette.
const PALETTE: usize = 0x10;
/// The bits that there are of a register of the palette, and of each that follows.
const ATTRIBUTE_BITS: [u8; ATTRIBUTES - PALETTE + 1] = [0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f];
/// Registers of the picture tube controller.
const TUBE_REGISTERS: usize = 25;
/// Why it refuses an access.
const ONLY_BYTES: &str = "there are registers of 8 bits only";

/// The memory of a text screen with so many columns and rows: a [`TextScreen`](crate::screen::TextScreen) for it shows
/// what would be seen. Zeros at first: blanks.
///
/// # Errors
/// [`Error::Invalid`] for a screen without cells; [`Error::Map`] when there is no memory.
pub fn text(size: Size) -> Result<Mmio, Error> {
    memory("simulated text screen", u64::from(size.width) * u64::from(size.height), 2)
}

/// The memory of a framebuffer, as [`Framebuffer`](crate::screen::Framebuffer) uses it. Black at first.
///
/// # Errors
/// As [`text`], and those of [`Layout::len_bytes`].
pub fn framebuffer(layout: Layout) -> Result<Mmio, Error> {
    let len = layout.len_bytes()?;
    memory("simulated framebuffer", u64::try_from(len).unwrap_or(u64::MAX), 1)
}

/// So many bytes of a memory file.
fn memory(name: &str, count: u64, item_bytes: u64) -> Result<Mmio, Error> {
    let len = count.checked_mul(item_bytes).and_then(|len| usize::try_from(len).ok()).filter(|len| *len > 0);
    let len = len.ok_or_else(|| Error::invalid(name, "it has nothing to show, or more than memory holds"))?;
    let mapped = MapOptions::read_write().len(len).memfd(name);
    let mapping = mapped.map_err(|source| Error::Map { object: name.to_owned(), source })?;
    Mmio::new(mapping, name)
}

/// The picture tube controller of a VGA, of which a text screen needs [index and data](crate::screen::cursor). It has
/// only accesses of 8 bits, and 25 registers: behind others is nothing. All are 0 at first.
#[derive(Debug, Clone, Default)]
pub struct Tube {
    index: u8,
    registers: [u8; TUBE_REGISTERS],
}

impl Tube {
    /// The number of the cell that is shown first.
    #[must_use]
    pub fn first_cell(&self) -> u16 {
        u16::from_be_bytes([self.registers[0x0c], self.registers[0x0d]])
    }

    /// The number of the cell where the cursor is; `None` while it is hidden.
    #[must_use]
    pub fn cursor_cell(&self) -> Option<u16> {
        let cell = u16::from_be_bytes([self.registers[0x0e], self.registers[0x0f]]);
        (self.registers[0x0a] & 0x20 == 0).then_some(cell)
    }
}

impl Model for Tube {
    fn len(&self) -> usize {
        2
    }

    fn read(&mut self, offset: usize, width: Width, _: Instant) -> Result<u64, &'static str> {
        let data = self.registers.get(usize::from(self.index)).copied().unwrap_or(0);
        match (offset, width) {
            (0, Width::U8) => Ok(self.index.into()),
            (_, Width::U8) => Ok(data.into()),
            _ => Err(ONLY_BYTES),
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        match (offset, width) {
            (0, Width::U8) => self.index = u8::from_bits(value),
            (_, Width::U8) => {
                if let Some(register) = self.registers.get_mut(usize::from(self.index)) {
                    *register = u8::from_bits(value);
                }
            }
            _ => return Err(ONLY_BYTES),
        }
        Ok(())
    }
}

/// The registers of the [Bochs display](crate::screen::bochs): BAR 2 of the PCI device, with those of the VGA that
/// decide whether there is a picture.
///
/// It has a mode when it is switched on with one that it has memory for. As QEMU's, it has no accesses but those of 16
/// bits to these registers, and those of 8 bits to the VGA's.
#[derive(Debug, Clone)]
pub struct Bochs {
    memory_bytes: u64,
    /// By their numbers, from `ID` on.
    registers: [u16; REGISTERS],
    vga: Vga,
}

impl Bochs {
    /// A display with so many bytes of memory, and no mode. The picture is off, as after a reset.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let mut registers = [0; REGISTERS];
        registers[ID] = VERSION;
        Self { memory_bytes, registers, vga: Vga::default() }
    }

    /// Switches the mode on, if it is one.
    fn enable(&mut self, value: u16) {
        let [width, height, depth] = [WIDTH, HEIGHT, DEPTH].map(|number| self.registers[number]);
        let pixel_bytes = u64::from(depth / 8);
        let len = u64::from(width) * u64::from(height) * pixel_bytes;
        let is_mode = matches!(depth, 16 | 24 | 32) && (1..=self.memory_bytes).contains(&len);
        self.registers[ENABLE] = if is_mode { value } else { 0 };
        if value & 1 == 1 && is_mode {
            self.registers[STRIDE] = width;
        }
    }

    /// The register of an access.
    fn place(offset: usize, width: Width) -> Result<Place, &'static str> {
        let number = offset.checked_sub(FIRST).map(|place| place / 2).filter(|number| *number < REGISTERS);
        match (number, width) {
            (Some(number), Width::U16) => Ok(Place::Mode(number)),
            (Some(_), _) => Err("the registers of the mode take 16 bits"),
            (None, Width::U8) if (VGA..VGA + VGA_BYTES).contains(&offset) => Ok(Place::Vga(offset - VGA)),
            (None, _) => Err("there is no register of this width"),
        }
    }
}

/// Which register of a [`Bochs`].
#[derive(Debug, Clone, Copy)]
enum Place {
    /// One of the mode, by its number.
    Mode(usize),
    /// One of the VGA, from port 0x3c0 on.
    Vga(usize),
}

impl Model for Bochs {
    fn len(&self) -> usize {
        0x1000
    }

    fn read(&mut self, offset: usize, width: Width, _: Instant) -> Result<u64, &'static str> {
        Ok(match Self::place(offset, width)? {
            Place::Mode(number) => self.registers[number].into(),
            Place::Vga(port) => self.vga.read(port).into(),
        })
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        match (Self::place(offset, width)?, u16::from_bits(value)) {
            (Place::Vga(port), _) => self.vga.write(port, u8::from_bits(value)),
            (Place::Mode(ENABLE), value) => self.enable(value),
            // While a mode is on, its size stays.
            (Place::Mode(WIDTH | HEIGHT | DEPTH), _) if self.registers[ENABLE] & 1 == 1 => {}
            (Place::Mode(number @ (WIDTH | HEIGHT | DEPTH | STRIDE)), value) => self.registers[number] = value,
            (Place::Mode(_), _) => {}
        }
        Ok(())
    }
}

/// The attribute controller of a VGA, and what it takes to reach it (`vga_ioport_read` and `vga_ioport_write` in QEMU's
/// hw/display/vga.c). All zeros after a reset: no picture, and the status register at the port of monochrome screens.
#[derive(Debug, Clone, Default)]
struct Vga {
    /// Bit 5 shows the picture.
    index: u8,
    /// The next write to the attribute controller is data.
    takes_data: bool,
    attributes: [u8; ATTRIBUTES],
    output: u8,
}

impl Vga {
    /// Whether the status register is where it is looked for.
    fn is_colour(&self) -> bool {
        self.output & 1 == 1
    }

    fn read(&mut self, port: usize) -> u8 {
        match port {
            ATTRIBUTE if !self.takes_data => self.index,
            ATTRIBUTE_DATA => self.attributes.get(usize::from(self.index & 0x1f)).copied().unwrap_or(0),
            OUTPUT_READ => self.output,
            STATUS if self.is_colour() => {
                self.takes_data = false;
                0
            }
            // Ports that belong to the other kind of screen.
            COLOUR_FIRST.. if !self.is_colour() => u8::MAX,
            _ => 0,
        }
    }

    fn write(&mut self, port: usize, value: u8) {
        match port {
            ATTRIBUTE if self.takes_data => {
                let number = usize::from(self.index & 0x1f);
                if let Some(attribute) = self.attributes.get_mut(number) {
                    *attribute = value & ATTRIBUTE_BITS[number.saturating_sub(PALETTE - 1)];
                }
                self.takes_data = false;
            }
            ATTRIBUTE => {
                self.index = value & 0x3f;
                self.takes_data = true;
            }
            OUTPUT => self.output = value & !0x10,
            _ => {}
        }
    }
}
