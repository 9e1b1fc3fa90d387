//! Pictures of the guest's screen, and whether they show what they should.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use mapio_hardware::picture;

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

    /// Compares each pixel with what the same drawing is in memory of the runner.
    pub(crate) fn compare_picture(&self) -> Result<()> {
        let mut wanted = Self::blank(picture::SIZE);
        let Ok(()) = picture::draw(&mut wanted);
        let size = (self.width, self.height);
        ensure!(size == (wanted.width, wanted.height), "the picture has {} by {} pixels", size.0, size.1);
        let pairs = self.pixels.iter().zip(&wanted.pixels).enumerate();
        let different = pairs.filter(|(_, (seen, wanted))| seen != wanted).collect::<Vec<_>>();
        let Some((index, (seen, wanted))) = different.first() else { return Ok(()) };
        let (x, y) = (index % self.width, index / self.width);
        bail!("{} pixels differ, the first at {x}, {y}: {seen:?}, not {wanted:?}", different.len())
    }

    fn blank(size: Size) -> Self {
        let [width, height] = [size.width, size.height].map(|pixels| usize::try_from(pixels).unwrap_or_default());
        Self { width, height, pixels: vec![[0; 3]; width * height] }
    }
}

impl OriginDimensions for Photograph {
    fn size(&self) -> Size {
        let [width, height] = [self.width, self.height].map(|pixels| u32::try_from(pixels).unwrap_or_default());
        Size::new(width, height)
    }
}

impl DrawTarget for Photograph {
    type Color = Rgb888;
    type Error = Infallible;

    /// Pixel by pixel: it should be right, not fast.
    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else { continue };
            if x < self.width && y < self.height {
                self.pixels[y * self.width + x] = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }
}

/// A colour of 6 bits a part as QEMU shows it: the lowest bit fills up what 8 bits have more.
fn colour(index: u8) -> [u8; 3] {
    PALETTE[usize::from(index)].map(|six| six << 2 | (six & 1) << 1 | six & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one screen that shows `cells` in a font whose character `n` has the bits of `n` in each line.
    fn screen(character_width: usize, cells: &[[u8; 2]]) -> (Photograph, Vec<u8>) {
        let font = (0..=u8::MAX).flat_map(|character| [character; CHARACTER_HEIGHT]).collect::<Vec<_>>();
        let width = COLUMNS * character_width;
        let pixels = (0..ROWS * CHARACTER_HEIGHT * width).map(|at| {
            let (x, y) = (at % width, at / width);
            let [character, attribute] = cells[y / CHARACTER_HEIGHT * COLUMNS + x / character_width];
            let dot = x % character_width;
            let is_set = match dot {
                8 => (0xb0..=0xdf).contains(&character) && character & 1 == 1,
                _ => character & (0x80 >> dot) != 0,
            };
            colour(if is_set { attribute & 0xf } else { attribute >> 4 })
        });
        (Photograph { width, height: ROWS * CHARACTER_HEIGHT, pixels: pixels.collect() }, font)
    }

    #[test]
    fn a_text_screen_is_right_until_one_pixel_is_wrong() {
        let cells = (0..COLUMNS * ROWS).map(|at| [at.to_le_bytes()[0], at.to_le_bytes()[0] ^ 0x5a]).collect::<Vec<_>>();
        for width in [8, 9] {
            let (mut photograph, font) = screen(width, &cells);
            photograph.compare_text(cells.as_flattened(), &font).expect("it is the same");
            let last = photograph.pixels.len() - 1;
            photograph.pixels[last] = [1, 2, 3];
            let error = photograph.compare_text(cells.as_flattened(), &font).expect_err("it differs").to_string();
            assert!(error.starts_with("row 24, column 79 "), "{error}");
        }
        let (photograph, font) = screen(8, &cells);
        assert!(photograph.compare_text(&cells.as_flattened()[2..], &font).is_err());
        assert!(photograph.compare_text(cells.as_flattened(), &font[16..]).is_err());
    }

    #[test]
    fn a_picture_is_right_until_one_pixel_is_wrong() {
        let mut photograph = Photograph::blank(picture::SIZE);
        assert!(photograph.compare_picture().is_err());
        let Ok(()) = picture::draw(&mut photograph);
        photograph.compare_picture().expect("it is the same");
        photograph.pixels[640 * 7 + 5][2] ^= 1;
        let error = photograph.compare_picture().expect_err("it differs").to_string();
        assert!(error.starts_with("1 pixels differ, the first at 5, 7: "), "{error}");
    }

    #[test]
    fn only_whole_pictures_are_read() {
        let ppm = b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06";
        let photograph = Photograph::parse(ppm).expect("it is whole");
        assert_eq!((photograph.width, photograph.pixels), (2, vec![[1, 2, 3], [4, 5, 6]]));
        for end in 0..ppm.len() {
            assert!(Photograph::parse(&ppm[..end]).is_none(), "{end}");
        }
    }
}
