//! The cursor of a text screen, and which cell is its first: registers behind a window of two ports.
//!
//! The memory of a text screen has more cells than are shown, and a console scrolls by showing them from another cell
//! on (`vgacon_scroll` in Linux's drivers/video/console/vgacon.c). Cells are numbered from the start of that memory.

use std::ops::Range;

use super::text::Position;
use crate::bus::RegisterIo;
use crate::error::Error;
use crate::registers;

registers! {
    /// The picture tube controller of a VGA, at port 0x3d4 (IBM VGA Technical Reference, "CRT Controller").
    pub block Controller "crtc", 2 bytes {
        /// Which of its registers the other port is.
        index: Index "INDEX" @ 0: u8 { read pure, write plain } fields {
            /// The number of the register.
            number with_number "NUMBER" [0; 5] = {
                0x0a "cursor start", 0x0b "cursor end", 0x0c "start high", 0x0d "start low",
                0x0e "cursor high", 0x0f "cursor low",
            },
        }
        /// That register.
        data: Data "DATA" @ 1: u8 { read pure, write plain }
    }
}

/// The register whose bit 5 hides the cursor; the others are its first row of pixels.
const START: u8 = 0x0a;
/// The number of the cell that is shown first, high byte and low byte.
const FIRST: [u8; 2] = [0x0c, 0x0d];
/// The number of the cell where the cursor is, high byte and low byte.
const PLACE: [u8; 2] = [0x0e, 0x0f];
/// Hides the cursor.
const HIDDEN: u8 = 0x20;

/// How often a number of two bytes is read at most, until it has not changed between them.
const TRIES: usize = 16;

/// What errors call it.
const NAME: &str = "the cursor";

/// The ports of [`Controller`] on a PC with a screen in colours.
pub const PORTS: Range<u32> = 0x3d4..0x3d6;

/// The cursor, and which cell is shown first.
///
/// Each register takes an access to choose it and one to reach it. Nothing keeps the kernel's console from choosing
/// another one in between: on a screen on which it prints at the same time, either may meet the other's register.
#[derive(Debug)]
pub struct Cursor<B> {
    registers: Controller<B>,
}

impl<B: RegisterIo> Cursor<B> {
    /// The cursor behind these two ports, on a PC [`PORTS`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bus of one byte.
    pub fn new(bus: B) -> Result<Self, Error> {
        Ok(Self { registers: Controller::new(bus)? })
    }

    /// Shows it in a cell of a screen with so many columns, wherever the screen begins.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cell that has no 16-bit number; those of [`first_cell`](Self::first_cell).
    pub fn show(&mut self, position: Position, columns: usize) -> Result<(), Error> {
        let cell = position.row.checked_mul(columns).and_then(|start| start.checked_add(position.column));
        let cell = cell.and_then(|cell| u16::try_from(cell).ok());
        let none = || Error::invalid(NAME, format!("there is no cell {position:?}"));
        let cell = cell.ok_or_else(none)?;
        let cell = self.first_cell()?.checked_add(cell).ok_or_else(none)?;
        self.set_number(PLACE, cell)?;
        self.select(START)?;
        self.registers.data().modify(|data| Data(data.0 & !HIDDEN))
    }

    /// Hides it.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn hide(&mut self) -> Result<(), Error> {
        self.select(START)?;
        self.registers.data().modify(|data| Data(data.0 | HIDDEN))
    }

    /// The number of the cell that is shown first, in the upper left corner: 0 until somebody scrolls by it.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it changes all the time; those of the bus.
    pub fn first_cell(&mut self) -> Result<u16, Error> {
        // Who was interrupted between choosing a register and reaching it is to find it chosen.
        let chosen = self.registers.index().read()?;
        let cell = self.number(FIRST);
        self.registers.index().write(chosen)?;
        cell
    }

    /// Sets which cell is shown first. A console of the kernel sets it to its own when it scrolls next.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn set_first_cell(&mut self, cell: u16) -> Result<(), Error> {
        self.set_number(FIRST, cell)
    }

    /// A number of two registers, whose upper half is the same before and after the lower one was read.
    fn number(&mut self, [high, low]: [u8; 2]) -> Result<u16, Error> {
        let mut before = self.byte(high)?;
        for _ in 0..TRIES {
            let number = u16::from_be_bytes([before, self.byte(low)?]);
            let after = self.byte(high)?;
            if after == before {
                return Ok(number);
            }
            before = after;
        }
        Err(Error::Unexpected { object: NAME.to_owned(), reason: format!("register {high:#x} changes all the time") })
    }

    fn byte(&mut self, number: u8) -> Result<u8, Error> {
        self.select(number)?;
        Ok(self.registers.data().read()?.0)
    }

    fn set_number(&mut self, registers: [u8; 2], number: u16) -> Result<(), Error> {
        for (register, byte) in registers.into_iter().zip(number.to_be_bytes()) {
            self.select(register)?;
            self.registers.data().write(byte)?;
        }
        Ok(())
    }

    fn select(&self, number: u8) -> Result<(), Error> {
        self.registers.index().write(Index::default().with_number(number))
    }
}
