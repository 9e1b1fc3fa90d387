//! The cursor of a text screen, which two registers behind a window of two ports move.

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
            number with_number "NUMBER" [0; 5] = { 0x0a "cursor start", 0x0b "cursor end", 0x0e "cursor high", 0x0f "cursor low" },
        }
        /// That register.
        data: Data "DATA" @ 1: u8 { read pure, write plain }
    }
}

/// The register whose bit 5 hides the cursor; the others are its first row of pixels.
const START: u8 = 0x0a;
/// The number of the cell where it is, high byte and low byte.
const PLACE: [u8; 2] = [0x0e, 0x0f];
/// Hides the cursor.
const HIDDEN: u8 = 0x20;

/// The cursor.
#[derive(Debug)]
pub struct Cursor<B> {
    registers: Controller<B>,
}

impl<B: RegisterIo> Cursor<B> {
    /// The cursor behind these two ports: 0x3d4 and 0x3d5.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bus of one byte.
    pub fn new(bus: B) -> Result<Self, Error> {
        Ok(Self { registers: Controller::new(bus)? })
    }

    /// Shows it in a cell of a screen with so many columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cell that has no 16-bit number; those of the bus.
    pub fn show(&mut self, position: Position, columns: usize) -> Result<(), Error> {
        let cell = position.row.checked_mul(columns).and_then(|start| start.checked_add(position.column));
        let cell = cell.and_then(|cell| u16::try_from(cell).ok());
        let cell = cell.ok_or_else(|| Error::invalid("the cursor", format!("there is no cell {position:?}")))?;
        for (number, byte) in PLACE.into_iter().zip(cell.to_be_bytes()) {
            self.select(number)?;
            self.registers.data().write(byte)?;
        }
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

    fn select(&self, number: u8) -> Result<(), Error> {
        self.registers.index().write(Index::default().with_number(number))
    }
}
