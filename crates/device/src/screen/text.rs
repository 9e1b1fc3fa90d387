//! A text screen: cells in memory, each a character and its colours.

use std::fmt;

use embedded_graphics_core::geometry::Size;

use super::cursor::{self, Cursor};
use super::{Attribute, Picture, code_page, extent};
use crate::bus::{self, Mmio, PortFile, RegisterIo};
use crate::error::Error;
use crate::system::System;

/// Where the memory of a PC's text screen begins. What is shown begins there as long as nobody has scrolled by moving
/// it.
pub const TEXT_ADDR: u64 = 0xb_8000;

/// Bytes of that memory that a program can reach.
pub const TEXT_BYTES: usize = 0x8000;

/// What errors call it.
const NAME: &str = "text screen";

/// Bytes of a cell.
const CELL_BYTES: usize = 2;

/// Columns from one tabulator stop to the next.
const TAB: usize = 8;

/// What is shown for a character that the font does not have.
const MISSING: u8 = b'?';

/// Where in a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Cells to its left.
    pub column: usize,
    /// Rows above it.
    pub row: usize,
}

/// What is in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cell {
    /// The character's number in the [code page](code_page).
    pub byte: u8,
    /// Its colours.
    pub attribute: Attribute,
}

/// A text screen: 80 columns and 25 rows, or others.
///
/// It keeps where the next character goes, and its colours; what is on the screen is in the screen's memory alone,
/// which others may write to as well. One access of 16 bits is one cell.
///
/// ```
/// use mapio_device::model;
/// use mapio_device::screen::{Colour, Size, TextScreen};
///
/// let size = Size::new(80, 25);
/// let mut screen = TextScreen::new(model::screen::text(size)?, size)?;
/// screen.clear()?;
/// screen.set_attribute(Colour::Yellow.on(Colour::Blue));
/// screen.print("Good morning.\n")?;
/// assert_eq!(screen.text()?.trim_end(), "Good morning.");
/// screen.picture()?.write_png(Vec::new())?;
/// # Ok::<(), mapio_device::Error>(())
/// ```
pub struct TextScreen<B> {
    bus: B,
    size: Size,
    columns: usize,
    rows: usize,
    /// Where the next character goes; the column is `columns` behind the last one of a row.
    position: Position,
    attribute: Attribute,
}

impl<B: RegisterIo> TextScreen<B> {
    /// The screen whose first cell is at the start of this bus, usually with 80 columns and 25 rows. What is on it
    /// stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size that the memory does not have, or that is none.
    pub fn new(bus: B, size: Size) -> Result<Self, Error> {
        let (columns, rows) = extent(NAME, size)?;
        let wanted = columns.saturating_mul(rows).saturating_mul(CELL_BYTES);
        if bus.len() < wanted {
            let reason = format!("{columns} by {rows} cells take {wanted} bytes, and there are {}", bus.len());
            return Err(Error::invalid(NAME, reason));
        }
        Ok(Self { bus, size, columns, rows, position: Position::default(), attribute: Attribute::default() })
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Where the next character goes. Behind a full row, that is its last cell, until the character comes.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { column: self.position.column.min(self.columns - 1), ..self.position }
    }

    /// Sets where the next character goes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a place outside.
    pub fn set_position(&mut self, position: Position) -> Result<(), Error> {
        self.offset(position)?;
        self.position = position;
        Ok(())
    }

    /// Sets the colours of what is printed from now on, and of what is cleared.
    pub fn set_attribute(&mut self, attribute: Attribute) {
        self.attribute = attribute;
    }

    /// Fills the screen with spaces, and begins at its top.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn clear(&mut self) -> Result<(), Error> {
        for row in 0..self.rows {
            self.clear_row(row)?;
        }
        self.position = Position::default();
        Ok(())
    }

    /// Prints. `\n` begins the next row, `\r` the same row again; `\t` goes to the next column that is a multiple of 8,
    /// at most to the end of the row; `\u{8}` goes one back; `\u{c}` clears. Behind the last column comes the next row,
    /// as soon as there is something to be put there; behind the last row all rows move up. What the font does not have
    /// is a `?`.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn print(&mut self, text: &str) -> Result<(), Error> {
        for character in text.chars() {
            match character {
                '\n' => self.next_row()?,
                '\r' => self.position.column = 0,
                '\t' => self.position.column = ((self.position.column / TAB + 1) * TAB).min(self.columns),
                '\u{8}' => self.position.column = self.position.column.saturating_sub(1),
                '\u{c}' => self.clear()?,
                _ => self.put(code_page::from_char(character).unwrap_or(MISSING))?,
            }
        }
        Ok(())
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a place outside; those of the bus.
    pub fn cell(&self, position: Position) -> Result<Cell, Error> {
        let [byte, attribute] = bus::read::<u16>(&self.bus, self.offset(position)?)?.to_le_bytes();
        Ok(Cell { byte, attribute: Attribute(attribute) })
    }

    /// Writes a cell.
    ///
    /// # Errors
    /// As [`cell`](Self::cell).
    pub fn set_cell(&mut self, position: Position, cell: Cell) -> Result<(), Error> {
        let value = u16::from_le_bytes([cell.byte, cell.attribute.0]);
        bus::write(&self.bus, self.offset(position)?, value)
    }

    /// Reads the screen back as text: a line for each row, without the blanks at its end.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn text(&self) -> Result<String, Error> {
        let mut text = String::new();
        for row in 0..self.rows {
            let cells = (0..self.columns).map(|column| self.cell(Position { column, row }));
            let line = cells.map(|cell| Ok(code_page::to_char(cell?.byte))).collect::<Result<String, Error>>()?;
            text.push_str(line.trim_end_matches(' '));
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads the screen back as a picture, in the font of IBM's monochrome adapter: 9 by 14 pixels for each cell,
    /// without the cursor.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn picture(&self) -> Result<Picture, Error> {
        let mut picture = Picture::new(Size::new(
            self.size.width.saturating_mul(glyph::SIZE.width),
            self.size.height.saturating_mul(glyph::SIZE.height),
        ))?;
        for row in 0..self.rows {
            for column in 0..self.columns {
                let position = Position { column, row };
                glyph::draw(&mut picture, position, self.cell(position)?);
            }
        }
        Ok(picture)
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// Takes the bus out again.
    pub fn into_bus(self) -> B {
        self.bus
    }

    fn put(&mut self, byte: u8) -> Result<(), Error> {
        if self.position.column == self.columns {
            self.next_row()?;
        }
        self.set_cell(self.position, Cell { byte, attribute: self.attribute })?;
        self.position.column += 1;
        Ok(())
    }

    fn next_row(&mut self) -> Result<(), Error> {
        self.position.column = 0;
        if self.position.row + 1 < self.rows {
            self.position.row += 1;
            return Ok(());
        }
        for row in 1..self.rows {
            for column in 0..self.columns {
                let cell = self.cell(Position { column, row })?;
                self.set_cell(Position { column, row: row - 1 }, cell)?;
            }
        }
        self.clear_row(self.rows - 1)
    }

    fn clear_row(&mut self, row: usize) -> Result<(), Error> {
        for column in 0..self.columns {
            self.set_cell(Position { column, row }, Cell { byte: b' ', attribute: self.attribute })?;
        }
        Ok(())
    }

    /// Of a cell, in bytes. The constructor has checked that the last one's is inside.
    fn offset(&self, position: Position) -> Result<usize, Error> {
        let Position { column, row } = position;
        if column < self.columns && row < self.rows {
            return Ok((row * self.columns + column) * CELL_BYTES);
        }
        let reason = format!("there is no column {column} of row {row} in {} by {}", self.columns, self.rows);
        Err(Error::invalid(NAME, reason))
    }
}

impl TextScreen<Mmio> {
    /// The text screen of a PC with a VGA, in /dev/mem: the cells that are seen now, as the ports of /dev/port tell.
    /// What is on it stays.
    ///
    /// The kernel's console scrolls by showing other cells. After that, this is the memory that was shown before: a
    /// screen that is to be used for long is opened where no console prints, or opened again.
    ///
    /// # Errors
    /// [`Error::Os`] and [`Error::Map`] of opening; those of [`shown`](Self::shown).
    pub fn open(system: &System, size: Size) -> Result<Self, Error> {
        let ports = u64::from(cursor::PORTS.start)..u64::from(cursor::PORTS.end);
        let mut controller = Cursor::new(PortFile::open(system.path("/dev/port"), ports)?)?;
        let len = u64::try_from(TEXT_BYTES).unwrap_or_else(|_| unreachable!("it has 16 bits"));
        let memory = Mmio::open(system.path("/dev/mem"), TEXT_ADDR..TEXT_ADDR + len)?;
        Self::shown(&memory, &mut controller, size)
    }

    /// The cells of a text screen's memory that its controller shows now.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if the memory does not have all of them, as where there is no text; those of
    /// [`new`](Self::new) and of [`Cursor::first_cell`].
    pub fn shown(memory: &Mmio, controller: &mut Cursor<impl RegisterIo>, size: Size) -> Result<Self, Error> {
        let (columns, rows) = extent(NAME, size)?;
        let cell = controller.first_cell()?;
        let len = columns.saturating_mul(rows).saturating_mul(CELL_BYTES);
        if len > memory.len() {
            // That is an error wherever it begins, and `new` tells it.
            return Self::new(memory.clone(), size);
        }
        let start = usize::from(cell) * CELL_BYTES;
        let end = start.checked_add(len).filter(|end| *end <= memory.len()).ok_or_else(|| {
            let cells = memory.len() / CELL_BYTES;
            let reason =
                format!("{columns} by {rows} cells are shown from number {cell} on, and its memory has {cells}");
            Error::Unexpected { object: NAME.to_owned(), reason }
        })?;
        Self::new(memory.part(start..end)?, size)
    }
}

impl<B> fmt::Debug for TextScreen<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("TextScreen");
        fields.field("size", &self.size).field("position", &self.position).finish_non_exhaustive()
    }
}

/// What characters look like: crate `ibm437`, taken from the font memory of IBM's monochrome adapter.
mod glyph {
    use embedded_graphics_core::geometry::Size;

    use super::{Cell, Position};
    use crate::screen::{Picture, code_page};

    /// Pixels of a character.
    pub(super) const SIZE: Size = Size::new(9, 14);
    const COLUMNS: usize = 9;
    const ROWS: usize = 14;

    /// Characters that stand side by side in the font's picture.
    const ACROSS: usize = 16;

    /// Pixels of a byte of the font.
    const BYTE_BITS: usize = 8;

    pub(super) fn draw(picture: &mut Picture, position: Position, cell: Cell) {
        let colours = [cell.attribute.background().rgb(), cell.attribute.foreground().rgb()];
        // The font has an order of its own.
        let glyph = ibm437::char_offset_impl(code_page::to_char(cell.byte));
        let (line, place) = (glyph / ACROSS, glyph % ACROSS);
        for y in 0..ROWS {
            for x in 0..COLUMNS {
                let bit = (line * ROWS + y) * ACROSS * COLUMNS + place * COLUMNS + x;
                let is_set = ibm437::IBM437_9X14_REGULAR_DATA[bit / BYTE_BITS] & (0x80 >> (bit % BYTE_BITS)) != 0;
                let colour = colours[usize::from(is_set)];
                picture.set(position.column * COLUMNS + x, position.row * ROWS + y, colour);
            }
        }
    }
}
