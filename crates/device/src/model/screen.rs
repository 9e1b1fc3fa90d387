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
/// The attribute controller of the VGA, in bytes.
const ATTRIBUTE: usize = 0x400;

/// The memory of a text screen with so many columns and rows: a [`TextScreen`](crate::screen::TextScreen) for it shows what
/// would be seen. Zeros at first: blanks.
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

/// The registers of the [Bochs display](crate::screen::bochs): BAR 2 of the PCI device, without the VGA's registers there.
///
/// It has a mode when it is switched on with one that it has memory for. As QEMU's, it has no accesses but those of 16 bits
/// to these registers, and the attribute controller's of 8 bits.
#[derive(Debug, Clone)]
pub struct Bochs {
    memory_bytes: u64,
    /// By their numbers, from `ID` on.
    registers: [u16; REGISTERS],
}

impl Bochs {
    /// A display with so many bytes of memory, and no mode.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let mut registers = [0; REGISTERS];
        registers[ID] = VERSION;
        Self { memory_bytes, registers }
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
    fn place(offset: usize, width: Width) -> Result<Option<usize>, &'static str> {
        let number = offset.checked_sub(FIRST).map(|place| place / 2).filter(|number| *number < REGISTERS);
        match (number, width) {
            (Some(number), Width::U16) => Ok(Some(number)),
            (Some(_), _) => Err("the registers of the mode take 16 bits"),
            (None, Width::U8) if (ATTRIBUTE..ATTRIBUTE + 0x20).contains(&offset) => Ok(None),
            (None, _) => Err("there is no register of this width"),
        }
    }
}

impl Model for Bochs {
    fn len(&self) -> usize {
        0x1000
    }

    fn read(&mut self, offset: usize, width: Width, _: Instant) -> Result<u64, &'static str> {
        Ok(Self::place(offset, width)?.map_or(0, |number| self.registers[number].into()))
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        let value = u16::from_bits(value);
        match Self::place(offset, width)? {
            Some(ENABLE) => self.enable(value),
            // While a mode is on, its size stays.
            Some(WIDTH | HEIGHT | DEPTH) if self.registers[ENABLE] & 1 == 1 => {}
            Some(number @ (WIDTH | HEIGHT | DEPTH | STRIDE)) => self.registers[number] = value,
            _ => {}
        }
        Ok(())
    }
}
