//! Pictures of the guest's screen, and whether they show what they should.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Cells of a row of the text screen, and of rows.
const COLUMNS: usize = 80;
const ROWS: usize = 25;

/// Pixels of a character, from top to bottom.
const CHARACTER_HEIGHT: usize = 16;

/// The colours of a text attribute: red, green and blue of each, 0 to 63 as the VGA's converter takes them.
const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [0, 0, 42],
    [0, 42, 0],
    [0, 42, 42],
    [42, 0, 0],
    [42, 0, 42],
    [42, 21, 0],
    [42, 42, 42],
    [21, 21, 21],
    [21, 21, 63],
    [21, 63, 21],
    [21, 63, 63],
    [63, 21, 21],
    [63, 21, 63],
    [63, 63, 21],
    [63, 63, 63],
];

/// A picture of the screen.
#[derive(Debug, Clone)]
pub(crate) struct Photograph {
    width: usize,
    height: usize,
    /// Red, green and blue of each pixel, row by row.
    pixels: Vec<[u8; 3]>,
}

impl Photograph {
    /// Reads a picture in the form that QEMU writes: PPM, binary, 8 bits a colour (ppm(5)).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is not a picture", path.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
        let mut field = || fields.next();
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<usize>().ok();
        (field()? == b"P6").then_some(())?;
        let (width, height) = (number(field()?)?, number(field()?)?);
        let pixels = field()?.strip_prefix(b"255\n")?.as_chunks::<3>().0.to_vec();
        (pixels.len() == width.checked_mul(height)?).then_some(Self { width, height, pixels })
    }

    /// Compares each pixel of each cell with what the character generator makes of it: the bits of the character's
    /// glyph in the two colours of the attribute. A ninth column repeats the eighth for box drawing characters, for
    /// QEMU 0xb0 to 0xdf, and is background for others.
    pub(crate) fn compare_text(&self, cells: &[u8], font: &[u8]) -> Result<()> {
        let (cells, rest) = cells.as_chunks::<2>();
        let (font, _) = font.as_chunks::<CHARACTER_HEIGHT>();
        ensure!(rest.is_empty() && cells.len() == COLUMNS * ROWS, "{} cells are no screen", cells.len());
        ensure!(font.len() == 256, "{} characters are no font", font.len());
        let character_width = self.width / COLUMNS;
        ensure!(
            [8, 9].contains(&character_width) && self.height == ROWS * CHARACTER_HEIGHT,
            "the picture has {} by {} pixels",
            self.width,
            self.height
        );
        for (index, [character, attribute]) in cells.iter().enumerate() {
            let (row, column) = (index / COLUMNS, index % COLUMNS);
            for (line, bits) in font[usize::from(*character)].iter().enumerate() {
                for dot in 0..character_width {
                    let is_box = (0xb0..=0xdf).contains(character);
                    let is_set = if dot < 8 { bits >> (7 - dot) & 1 == 1 } else { is_box && bits & 1 == 1 };
                    let colour = colour(if is_set { attribute & 0xf } else { attribute >> 4 });
                    let (x, y) = (column * character_width + dot, row * CHARACTER_HEIGHT + line);
                    let seen = self.pixels[y * self.width + x];
                    ensure!(
                        seen == colour,
                        "row {row}, column {column} ({character:#04x} in {attribute:#04x}): pixel {dot}, {line} has \
                         colour {seen:?}, not {colour:?}"
                    );
                }
            }
        }
        Ok(())
    }

    /// Compares each pixel with what the same drawing is on a simulated framebuffer.
    pub(crate) fn compare_picture(&self) -> Result<()> {
        bail!("there is nothing to compare {} by {} pixels with", self.width, self.height)
    }
}

/// A colour of 6 bits a part as QEMU shows it: the lowest bit fills up what 8 bits have more.
fn colour(index: u8) -> [u8; 3] {
    PALETTE[usize::from(index)].map(|six| six << 2 | (six & 1) << 1 | six & 1)
}
