//! The text screen: what is printed is there, as on the plainest terminal.

use std::time::Instant;

use mapio_device::bus::trace::Direction;
use mapio_device::model::screen::Tube;
use mapio_device::model::{self, Memory, Model, Simulated};
use mapio_device::screen::cursor::Cursor;
use mapio_device::screen::{Attribute, Cell, Colour, Position, Size, TEXT_BYTES, TextScreen, code_page};
use mapio_device::{Mmio, RegisterIo, Trace, Width, bus};
use proptest::prelude::*;

/// A terminal by rows of characters.
fn oracle(text: &str, columns: usize, rows: usize) -> String {
    let mut lines = vec![vec![' '; columns]];
    let mut column = 0;
    for character in text.chars() {
        match character {
            '\n' => {
                lines.push(vec![' '; columns]);
                column = 0;
            }
            '\r' => column = 0,
            '\t' => column = columns.min((column | 7) + 1),
            '\u{8}' => column = column.max(1) - 1,
            '\u{c}' => (lines, column) = (vec![vec![' '; columns]], 0),
            _ => {
                if column == columns {
                    lines.push(vec![' '; columns]);
                    column = 0;
                }
                let known = !character.is_control() && code_page::from_char(character).is_some();
                lines.last_mut().expect("one")[column] = if known { character } else { '?' };
                column += 1;
            }
        }
    }
    lines.drain(..lines.len().saturating_sub(rows));
    lines.resize(rows, vec![' '; columns]);
    lines.into_iter().map(|line| format!("{}\n", String::from_iter(line).trim_end_matches(' '))).collect()
}

fn screen(columns: u32, rows: u32) -> TextScreen<Mmio> {
    let size = Size::new(columns, rows);
    let mut screen = TextScreen::new(model::screen::text(size).expect("memory"), size).expect("it fits");
    screen.clear().expect("memory");
    screen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_is_read_back_as_the_plainest_terminal_shows_it(
        parts in prop::collection::vec("[ -~é█€\n\r\t\u{8}\u{1b}]{0,30}|\u{c}|\n{1,9}", 0..12),
        columns in 1..30_u32,
        rows in 1..8_u32,
    ) {
        let mut screen = screen(columns, rows);
        for part in &parts {
            screen.print(part).expect("memory");
        }
        let (columns, rows) = (usize::try_from(columns).expect("small"), usize::try_from(rows).expect("small"));
        prop_assert_eq!(screen.text().expect("memory"), oracle(&parts.concat(), columns, rows));
    }
}

#[test]
fn a_cell_is_one_access_of_16_bits_character_first() {
    let memory = Simulated::new(Memory::new(vec![0; 16]));
    let trace = Trace::new(memory.clone());
    let mut screen = TextScreen::new(&trace, Size::new(4, 2)).expect("it fits");
    screen.set_attribute(Colour::Yellow.on(Colour::Blue));
    screen.set_position(Position { column: 1, row: 1 }).expect("it is inside");
    screen.print("A").expect("memory");
    assert_eq!(memory.model().bytes()[10..12], [b'A', 0x1e]);
    let accesses: Vec<_> = trace.take().into_iter().map(|record| (record.offset, record.width)).collect();
    assert_eq!(accesses, [(10, Width::U16)]);
    let cell = screen.cell(Position { column: 1, row: 1 }).expect("it is inside");
    assert_eq!(cell, Cell { byte: b'A', attribute: Attribute(0x1e) });
}

#[test]
fn a_full_row_ends_only_when_something_follows() {
    let mut screen = screen(4, 2);
    screen.print("abcd").expect("memory");
    assert_eq!(screen.position(), Position { column: 3, row: 0 });
    screen.print("\nefgh").expect("memory");
    assert_eq!(screen.text().expect("memory"), "abcd\nefgh\n");
    screen.print("i").expect("memory");
    assert_eq!(screen.text().expect("memory"), "efgh\ni\n");
}

#[test]
fn scrolling_moves_the_colours_and_clears_in_the_present_ones() {
    let mut screen = screen(2, 2);
    screen.set_attribute(Attribute(0x1e));
    screen.print("a\nb").expect("memory");
    screen.set_attribute(Attribute(0x4f));
    screen.print("\n").expect("memory");
    let cells = [(0, 0), (1, 0), (0, 1)].map(|(column, row)| screen.cell(Position { column, row }).expect("inside"));
    let cell = |byte, attribute| Cell { byte, attribute: Attribute(attribute) };
    assert_eq!(cells, [cell(b'b', 0x1e), cell(b' ', 0x07), cell(b' ', 0x4f)]);
}

#[test]
fn a_place_or_a_size_that_is_none_is_an_error() {
    let mut screen = screen(80, 25);
    for (column, row) in [(80, 0), (0, 25), (usize::MAX, usize::MAX)] {
        assert!(screen.set_position(Position { column, row }).is_err());
        assert!(screen.cell(Position { column, row }).is_err());
        assert!(screen.set_cell(Position { column, row }, Cell::default()).is_err());
    }
    let memory = || Simulated::new(Memory::new(vec![0; 3999]));
    for (columns, rows) in [(80, 25), (0, 25), (80, 0), (u32::MAX, u32::MAX)] {
        let size = Size::new(columns, rows);
        assert!(TextScreen::new(memory(), size).is_err(), "{size}");
    }
    let error = TextScreen::new(memory(), Size::new(80, 25)).expect_err("a byte too few").to_string();
    assert_eq!(error, "text screen: 80 by 25 cells take 4000 bytes, and there are 3999");
    assert!(model::screen::text(Size::new(0, 25)).is_err());
}

#[test]
fn the_picture_shows_each_cell_in_its_colours() {
    let mut screen = screen(3, 2);
    screen.set_attribute(Colour::White.on(Colour::Red));
    // A full block is all foreground, a space all background.
    screen.print("█ ").expect("memory");
    let picture = screen.picture().expect("memory");
    assert_eq!(picture.size(), Size::new(27, 28));
    let colour = |x, y| picture.pixel(embedded_graphics::prelude::Point::new(x, y)).expect("inside");
    for y in 0..14 {
        for x in 0..9 {
            assert_eq!(colour(x, y), Colour::White.rgb(), "{x} {y}");
            assert_eq!(colour(9 + x, y), Colour::Red.rgb(), "{x} {y}");
            assert_eq!(colour(18 + x, 14 + y), Colour::Black.rgb(), "{x} {y}");
        }
    }
}

#[test]
fn each_character_has_a_picture_of_its_own() {
    let mut screen = screen(256, 1);
    for byte in 0..=u8::MAX {
        let position = Position { column: byte.into(), row: 0 };
        screen.set_cell(position, Cell { byte, attribute: Attribute::default() }).expect("inside");
    }
    let picture = screen.picture().expect("memory");
    let pixels: Vec<_> = picture.pixels().collect();
    let glyph = |byte: usize| (0..14).flat_map(|y| &pixels[y * 256 * 9 + byte * 9..][..9]).collect::<Vec<_>>();
    let mut alike = Vec::new();
    for byte in 0..256 {
        alike.extend((0..byte).filter(|other| glyph(*other) == glyph(byte)).map(|other| (other, byte)));
    }
    // Three blanks; and what IBM's font draws alike.
    alike.retain(|pair| ![(0, 0x20), (0, 0xff), (0x20, 0xff)].contains(pair));
    assert_eq!(alike, []);
}

#[test]
fn the_cursor_is_told_by_index_and_data() {
    let tube = Simulated::new(Tube::default());
    let trace = Trace::new(tube.clone());
    let mut cursor = Cursor::new(&trace).expect("two ports");
    cursor.show(Position { column: 3, row: 4 }, 80).expect("it is inside");
    assert_eq!(tube.model().cursor_cell(), Some(4 * 80 + 3));
    cursor.hide().expect("it is memory");
    assert_eq!(tube.model().cursor_cell(), None);
    let writes = trace.take().into_iter().filter(|record| record.direction == Direction::Write);
    let writes: Vec<_> = writes.map(|record| (record.offset, record.value.expect("it was written"))).collect();
    let first = [(0, 0x0c), (0, 0x0d), (0, 0x0c), (0, 0)];
    let place = [(0, 0x0e), (1, 0x01), (0, 0x0f), (1, 0x43), (0, 0x0a), (1, 0x00)];
    assert_eq!(writes, [&first[..], &place, &[(0, 0x0a), (1, 0x20)]].concat());
    assert!(cursor.show(Position { column: 0, row: 1000 }, 80).is_err());
    assert_eq!(trace.take(), []);
}

#[test]
fn the_cursor_is_where_the_screen_is() {
    let tube = Simulated::new(Tube::default());
    let mut cursor = Cursor::new(&tube).expect("two ports");
    cursor.set_first_cell(80 * 37).expect("it is memory");
    assert_eq!((cursor.first_cell().expect("it is memory"), tube.model().first_cell()), (80 * 37, 80 * 37));
    cursor.show(Position { column: 3, row: 4 }, 80).expect("it is inside");
    assert_eq!(tube.model().cursor_cell(), Some(80 * 41 + 3));
    cursor.set_first_cell(u16::MAX).expect("it is memory");
    let error = cursor.show(Position { column: 1, row: 0 }, 80).expect_err("there is no cell 0x10000").to_string();
    assert!(error.starts_with("the cursor: there is no cell"), "{error}");
}

/// A tube that scrolls after each look at its first cell's upper half, so many times.
struct Scrolling {
    tube: Tube,
    times: usize,
    looks: usize,
    index: u64,
}

impl Model for Scrolling {
    fn len(&self) -> usize {
        self.tube.len()
    }

    fn read(&mut self, offset: usize, width: Width, now: Instant) -> Result<u64, &'static str> {
        let answer = self.tube.read(offset, width, now);
        if (offset, self.index) == (1, 0x0c) {
            self.looks += 1;
            if self.times > 0 {
                self.times -= 1;
                for (register, byte) in [0x0c, 0x0d].into_iter().zip((self.tube.first_cell() + 0x180).to_be_bytes()) {
                    self.tube.write(0, Width::U8, register, now)?;
                    self.tube.write(1, Width::U8, byte.into(), now)?;
                }
                self.tube.write(0, Width::U8, self.index, now)?;
            }
        }
        answer
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, now: Instant) -> Result<(), &'static str> {
        if offset == 0 {
            self.index = value;
        }
        self.tube.write(offset, width, value, now)
    }
}

#[test]
fn a_screen_that_scrolls_while_it_is_looked_for_is_found_or_an_error() {
    for times in [0, 1, 2, 5] {
        let bus = Simulated::new(Scrolling { tube: Tube::default(), times, looks: 0, index: 7 });
        let cell = Cursor::new(&bus).expect("two ports").first_cell().expect("it ends");
        assert_eq!((cell, usize::from(cell)), (bus.model().tube.first_cell(), 0x180 * times));
        assert_eq!(bus.model().looks, times + 2, "twice the same");
    }
    let bus = Simulated::new(Scrolling { tube: Tube::default(), times: 100, looks: 0, index: 7 });
    let error = Cursor::new(&bus).expect("two ports").first_cell().expect_err("it goes on").to_string();
    assert_eq!(error, "the cursor: register 0xc changes all the time");
}

#[test]
fn looking_for_the_first_cell_leaves_the_chosen_register() {
    let tube = Simulated::new(Tube::default());
    bus::write(&tube, 0, 0x0e_u8).expect("a port");
    Cursor::new(&tube).expect("two ports").first_cell().expect("it is memory");
    assert_eq!(bus::read::<u8>(&tube, 0).expect("a port"), 0x0e);
}

#[test]
fn what_is_printed_is_in_the_cells_that_are_shown() {
    let size = Size::new(80, 25);
    let memory = model::screen::text(Size::new(128, 128)).expect("memory");
    assert_eq!(memory.len(), TEXT_BYTES);
    let mut controller = Cursor::new(Simulated::new(Tube::default())).expect("two ports");
    for first in [0_u16, 80, 81, 128 * 128 - 80 * 25] {
        controller.set_first_cell(first).expect("it is memory");
        let mut screen = TextScreen::shown(&memory, &mut controller, size).expect("it is inside");
        screen.clear().expect("memory");
        screen.print(&format!("from {first} on")).expect("memory");
        assert_eq!(screen.text().expect("memory").trim_end(), format!("from {first} on"));
        let bytes = (0..4).map(|at| bus::read::<u8>(&memory, (usize::from(first) + at) * 2).expect("inside"));
        assert_eq!(bytes.collect::<Vec<_>>(), b"from");
    }
    for first in [128 * 128 - 80 * 25 + 1, u16::MAX] {
        controller.set_first_cell(first).expect("it is memory");
        let error = TextScreen::shown(&memory, &mut controller, size).expect_err("its end is outside").to_string();
        let wanted = format!("text screen: 80 by 25 cells are shown from number {first} on, and its memory has 16384");
        assert_eq!(error, wanted);
    }
    let large = TextScreen::shown(&memory, &mut controller, Size::new(128, 129));
    let error = large.expect_err("there is less").to_string();
    assert_eq!(error, "text screen: 128 by 129 cells take 33024 bytes, and there are 32768");
    assert!(TextScreen::shown(&memory, &mut controller, Size::new(0, 1)).is_err());
}
