//! A picture in memory, and as a PNG file.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, BufRead, Seek, Write};

use embedded_graphics_core::Pixel;
use embedded_graphics_core::draw_target::DrawTarget;
use embedded_graphics_core::geometry::{OriginDimensions, Point, Size};
use embedded_graphics_core::pixelcolor::{Rgb888, RgbColor};
use png::{BitDepth, ColorType, Transformations};

use super::extent;
use crate::error::Error;

/// What errors call it.
const NAME: &str = "a picture";

/// Pixels that a picture has at most, more than any screen: a file that tells of more must not take all memory.
const MOST_PIXELS: usize = 1 << 26;

/// Bytes of a pixel: red, green, blue.
const PIXEL_BYTES: usize = 3;

/// Rows of pixels, which can also be drawn on.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    columns: usize,
    rows: usize,
    /// Row by row, `PIXEL_BYTES` each.
    bytes: Vec<u8>,
}

impl Picture {
    /// A black picture.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no pixels, or more than 2^26.
    pub fn new(size: Size) -> Result<Self, Error> {
        let (columns, rows) = extent(NAME, size)?;
        if columns * rows > MOST_PIXELS {
            let reason = format!("{columns} by {rows} pixels are more than {MOST_PIXELS}");
            return Err(Error::invalid(NAME, reason));
        }
        let bytes = vec![0; columns * rows * PIXEL_BYTES];
        Ok(Self { size, columns, rows, bytes })
    }

    /// Reads a PNG file, of any kind of pixels. What is transparent becomes black.
    ///
    /// # Errors
    /// [`Error::Os`] with what is wrong with the file; [`Error::Invalid`] for more than 2^26 pixels.
    pub fn read_png(file: impl BufRead + Seek) -> Result<Self, Error> {
        let fail = |source: png::DecodingError| Error::os("reading", NAME, io::Error::from(source));
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(fail)?;
        let (width, height) = reader.info().size();
        let mut picture = Self::new(Size::new(width, height))?;
        let len = reader.output_buffer_size().ok_or_else(|| Error::invalid(NAME, "it is larger than memory"))?;
        let mut pixels = vec![0; len];
        let frame = reader.next_frame(&mut pixels).map_err(fail)?;
        let samples = frame.color_type.samples();
        for (from, to) in pixels.chunks_exact(samples).zip(picture.bytes.chunks_exact_mut(PIXEL_BYTES)) {
            let (rgb, opacity) = match *from {
                [gray] => ([gray; PIXEL_BYTES], u8::MAX),
                [gray, opacity] => ([gray; PIXEL_BYTES], opacity),
                [red, green, blue] => ([red, green, blue], u8::MAX),
                [red, green, blue, opacity, ..] => ([red, green, blue], opacity),
                [] => continue,
            };
            to.copy_from_slice(&rgb.map(|part| scale(part, opacity)));
        }
        Ok(picture)
    }

    /// Writes it as a PNG file, 24 bits a pixel.
    ///
    /// # Errors
    /// [`Error::Os`] with what the file says.
    pub fn write_png(&self, file: impl Write) -> Result<(), Error> {
        let fail = |source: png::EncodingError| Error::os("writing", NAME, io::Error::from(source));
        let mut encoder = png::Encoder::new(file, self.size.width, self.size.height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&self.bytes).map_err(fail)?;
        writer.finish().map_err(fail)
    }

    /// Its size in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// A pixel; `None` outside.
    #[must_use]
    pub fn pixel(&self, point: Point) -> Option<Rgb888> {
        let (x, y) = self.place(point)?;
        let at = (y * self.columns + x) * PIXEL_BYTES;
        Some(Rgb888::new(self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]))
    }

    /// All pixels, row by row from the top, each row from the left.
    pub fn pixels(&self) -> impl Iterator<Item = Rgb888> {
        self.bytes.chunks_exact(PIXEL_BYTES).map(|bytes| Rgb888::new(bytes[0], bytes[1], bytes[2]))
    }

    /// The same picture as large as fits into a size, in its own proportions. Each pixel becomes that which is nearest.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a size without pixels.
    pub fn scaled_into(&self, size: Size) -> Result<Self, Error> {
        let [width, height, own_width, own_height] =
            [size.width, size.height, self.size.width, self.size.height].map(u64::from);
        // As wide as the size, unless it is too high then. Each product is of two numbers of 32 bits.
        let (new_width, new_height) = if width * own_height <= height * own_width {
            (width, width * own_height / own_width)
        } else {
            (height * own_width / own_height, height)
        };
        let side = |side: u64, limit: u32| u32::try_from(side).unwrap_or(limit).max(1).min(limit);
        let mut scaled = Self::new(Size::new(side(new_width, size.width), side(new_height, size.height)))?;
        for y in 0..scaled.rows {
            for x in 0..scaled.columns {
                let (from_x, from_y) = (nearest(x, scaled.columns, self.columns), nearest(y, scaled.rows, self.rows));
                let at = (from_y * self.columns + from_x) * PIXEL_BYTES;
                scaled.set(x, y, Rgb888::new(self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]));
            }
        }
        Ok(scaled)
    }

    /// Sets a pixel that is inside.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: Rgb888) {
        let at = (y * self.columns + x) * PIXEL_BYTES;
        self.bytes[at..at + PIXEL_BYTES].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
    }

    fn place(&self, point: Point) -> Option<(usize, usize)> {
        let (x, y) = (usize::try_from(point.x).ok()?, usize::try_from(point.y).ok()?);
        (x < self.columns && y < self.rows).then_some((x, y))
    }
}

/// Which of `from` pixels the middle of pixel `index` of `to` falls on.
fn nearest(index: usize, to: usize, from: usize) -> usize {
    let wide = |number: usize| u128::try_from(number).unwrap_or(u128::MAX);
    let place = (2 * wide(index) + 1) * wide(from) / (2 * wide(to));
    usize::try_from(place).unwrap_or(usize::MAX).min(from - 1)
}

/// A part of a colour, of which so much is seen before black.
fn scale(part: u8, opacity: u8) -> u8 {
    let seen = u16::from(part) * u16::from(opacity) / u16::from(u8::MAX);
    u8::try_from(seen).unwrap_or(u8::MAX)
}

impl OriginDimensions for Picture {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Picture {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            if let Some((x, y)) = self.place(point) {
                self.set(x, y, colour);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn gradient(size: Size) -> Picture {
        let mut picture = Picture::new(size).expect("a size");
        for (at, byte) in picture.bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at * 7 % 256).expect("a byte");
        }
        picture
    }

    #[test]
    fn a_png_file_holds_the_same_pixels() {
        for size in [Size::new(1, 1), Size::new(640, 3), Size::new(3, 100)] {
            let picture = gradient(size);
            let mut file = Vec::new();
            picture.write_png(&mut file).expect("room");
            assert_eq!(Picture::read_png(Cursor::new(file)).expect("a picture"), picture);
        }
    }

    #[test]
    fn every_kind_of_png_is_read() {
        let kinds = [
            (ColorType::Grayscale, &[100][..], Rgb888::new(100, 100, 100)),
            (ColorType::GrayscaleAlpha, &[100, 51], Rgb888::new(20, 20, 20)),
            (ColorType::Rgba, &[255, 100, 0, 51], Rgb888::new(51, 20, 0)),
            (ColorType::Rgb, &[255, 100, 0], Rgb888::new(255, 100, 0)),
        ];
        for (kind, pixel, wanted) in kinds {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 2, 2);
            encoder.set_color(kind);
            encoder.write_header().expect("room").write_image_data(&pixel.repeat(4)).expect("room");
            let picture = Picture::read_png(Cursor::new(file)).expect("a picture");
            assert!(picture.pixels().all(|pixel| pixel == wanted), "{kind:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_or_is_cut_short_is_an_error() {
        let mut file = Vec::new();
        gradient(Size::new(20, 20)).write_png(&mut file).expect("room");
        for len in [0, 1, 8, 30, file.len() / 2] {
            assert!(Picture::read_png(Cursor::new(&file[..len])).is_err(), "{len} bytes");
        }
        assert!(Picture::new(Size::new(0, 5)).is_err());
        assert!(Picture::new(Size::new(u32::MAX, u32::MAX)).is_err());
    }

    #[test]
    fn scaling_keeps_the_proportions_and_the_places() {
        let picture = gradient(Size::new(8, 4));
        let double = picture.scaled_into(Size::new(16, 100)).expect("a size");
        assert_eq!(double.size(), Size::new(16, 8));
        for (x, y) in [(0, 0), (15, 7), (7, 3)] {
            assert_eq!(double.pixel(Point::new(x, y)), picture.pixel(Point::new(x / 2, y / 2)));
        }
        assert_eq!(double.scaled_into(Size::new(8, 4)).expect("a size").size(), picture.size());
        assert_eq!(picture.scaled_into(Size::new(100, 1)).expect("a size").size(), Size::new(2, 1));
        assert_eq!(picture.scaled_into(Size::new(1, 1)).expect("a size").size(), Size::new(1, 1));
        assert!(picture.scaled_into(Size::new(0, 1)).is_err());
    }
}
