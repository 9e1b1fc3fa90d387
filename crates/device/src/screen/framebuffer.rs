//! A framebuffer: a screen where each pixel is a location.

use std::fmt;
use std::ops::Range;

use embedded_graphics_core::Pixel;
use embedded_graphics_core::draw_target::DrawTarget;
use embedded_graphics_core::geometry::{OriginDimensions, Point, Size};
use embedded_graphics_core::pixelcolor::Rgb888;
use embedded_graphics_core::primitives::Rectangle;

use super::{Format, Picture, extent};
use crate::bus::RegisterIo;
use crate::error::Error;
use crate::width::Width;

/// What errors call it.
const NAME: &str = "framebuffer";

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Pixels of a row, and rows.
    pub size: Size,
    /// What the bytes of a pixel are.
    pub format: Format,
    /// Bytes from the start of a row to that of the next.
    pub stride_bytes: usize,
}

impl Layout {
    /// Rows that follow each other without a gap.
    #[must_use]
    pub fn packed(size: Size, format: Format) -> Self {
        let width = usize::try_from(size.width).unwrap_or(usize::MAX);
        Self { size, format, stride_bytes: width.saturating_mul(format.bytes()) }
    }

    /// Bytes that it takes, from the first pixel to the last.
    ///
    /// # Errors
    /// [`Error::Invalid`] if rows overlap, there are no pixels, or more than memory could hold.
    pub fn len_bytes(&self) -> Result<usize, Error> {
        let (width, height) = extent(NAME, self.size)?;
        let row_bytes = width.checked_mul(self.format.bytes());
        let row_bytes = row_bytes.filter(|row| *row <= self.stride_bytes).ok_or_else(|| {
            let reason = format!("{width} pixels of {} do not fit into rows of {}", self.format, self.stride_bytes);
            Error::invalid(NAME, reason)
        })?;
        let len = self.stride_bytes.checked_mul(height - 1).and_then(|len| len.checked_add(row_bytes));
        len.ok_or_else(|| Error::invalid(NAME, "it is larger than memory"))
    }
}

/// A screen whose pixels are in memory, to be drawn on by `embedded-graphics`.
///
/// Colours are given with 8 bits a part, and stored as the screen has them. What is drawn outside is left out, however
/// far it reaches, and takes time only where its colours have to be counted off. Pixels are written 64 bits at a time
/// where several stand side by side, by accesses that are ordered among themselves only: write-combining memory is to
/// be [flushed](crate::Mmio::flush) at the end.
///
/// ```
/// use mapio_device::model;
/// use mapio_device::screen::{Format, Framebuffer, Layout, Size};
/// use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::{Circle, PrimitiveStyle}};
///
/// let layout = Layout::packed(Size::new(64, 48), Format::Rgb565);
/// let mut screen = Framebuffer::new(model::screen::framebuffer(layout)?, layout)?;
/// screen.clear(Rgb888::BLUE)?;
/// Circle::new(Point::new(16, 8), 32).into_styled(PrimitiveStyle::with_fill(Rgb888::YELLOW)).draw(&mut screen)?;
/// assert_eq!(screen.pixel(Point::new(32, 24))?, Some(Rgb888::YELLOW));
/// # Ok::<(), mapio_device::Error>(())
/// ```
pub struct Framebuffer<B> {
    bus: B,
    layout: Layout,
    columns: usize,
    rows: usize,
}

impl<B: RegisterIo> Framebuffer<B> {
    /// The screen at the start of a bus, which needs accesses of 8 bits up to those that its
    /// [alignment](RegisterIo::alignment) has. What is on it stays.
    ///
    /// # Errors
    /// Those of [`Layout::len_bytes`], and [`Error::Invalid`] for a bus that is shorter, or begins where a pixel of 16
    /// or 32 bits would be misaligned.
    pub fn new(bus: B, layout: Layout) -> Result<Self, Error> {
        let wanted = layout.len_bytes()?;
        if bus.len() < wanted {
            let reason = format!("its pixels take {wanted} bytes, and there are {}", bus.len());
            return Err(Error::invalid(NAME, reason));
        }
        // A pixel of 24 bits is written in bytes where it has to be.
        let pixel_bytes = Some(layout.format.bytes()).filter(|bytes| bytes.is_power_of_two()).unwrap_or(1);
        if bus.alignment() < pixel_bytes {
            let (format, alignment) = (layout.format, bus.alignment());
            let reason =
                format!("{format} begins at a multiple of {pixel_bytes} bytes, and the bus at one of {alignment}");
            return Err(Error::invalid(NAME, reason));
        }
        let (columns, rows) = extent(NAME, layout.size)?;
        Ok(Self { bus, layout, columns, rows })
    }

    /// Where its pixels are.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Reads a pixel; `None` outside.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn pixel(&self, point: Point) -> Result<Option<Rgb888>, Error> {
        let Some((x, y)) = self.place(point) else { return Ok(None) };
        let mut bytes = [0; 4];
        let len = self.layout.format.bytes();
        self.load(self.offset(x, y), &mut bytes[..len])?;
        Ok(Some(self.layout.format.decode(u32::from_le_bytes(bytes))))
    }

    /// Reads the screen back.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn picture(&self) -> Result<Picture, Error> {
        let mut picture = Picture::new(self.layout.size)?;
        let pixel_bytes = self.layout.format.bytes();
        let mut row = vec![0; self.columns * pixel_bytes];
        for y in 0..self.rows {
            self.load(self.offset(0, y), &mut row)?;
            for (x, pixel) in row.chunks_exact(pixel_bytes).enumerate() {
                let mut bytes = [0; 4];
                bytes[..pixel_bytes].copy_from_slice(pixel);
                picture.set(x, y, self.layout.format.decode(u32::from_le_bytes(bytes)));
            }
        }
        Ok(picture)
    }

    /// Draws a picture whose upper left corner is at a point.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn draw_picture(&mut self, picture: &Picture, corner: Point) -> Result<(), Error> {
        self.fill_contiguous(&Rectangle::new(corner, picture.size()), picture.pixels())
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// Takes the bus out again.
    pub fn into_bus(self) -> B {
        self.bus
    }

    fn place(&self, point: Point) -> Option<(usize, usize)> {
        let (x, y) = (usize::try_from(point.x).ok()?, usize::try_from(point.y).ok()?);
        (x < self.columns && y < self.rows).then_some((x, y))
    }

    /// The part of an area that is on the screen; `None` if there is none.
    fn seen(&self, area: &Rectangle) -> Option<Seen> {
        let (columns, left) = clip(area.top_left.x, area.size.width, self.columns)?;
        let (rows, above) = clip(area.top_left.y, area.size.height, self.rows)?;
        let width = u64::from(area.size.width);
        // Rows above are 2^31 at most, and each has less than 2^32 pixels.
        let unseen_before = above * width + left;
        let unseen_between = width - u64::try_from(columns.len()).ok()?;
        Some(Seen { columns, rows, unseen_before, unseen_between })
    }

    /// Of a pixel that is inside, in bytes; `new` has checked that the last one's is on the bus.
    fn offset(&self, x: usize, y: usize) -> usize {
        y * self.layout.stride_bytes + x * self.layout.format.bytes()
    }

    /// Appends the bytes of a pixel.
    fn encode(&self, colour: Rgb888, bytes: &mut Vec<u8>) {
        let pixel = self.layout.format.encode(colour).to_le_bytes();
        bytes.extend_from_slice(&pixel[..self.layout.format.bytes()]);
    }

    /// Writes bytes, by the widest accesses that are aligned.
    fn store(&self, mut offset: usize, mut bytes: &[u8]) -> Result<(), Error> {
        let alignment = self.bus.alignment();
        let has_words = alignment >= Width::U64.bytes();
        while !bytes.is_empty() {
            // All that is aligned in one go: it is most of it.
            while let Some((word, rest)) = bytes.split_first_chunk().filter(|_| has_words && offset.is_multiple_of(8)) {
                self.bus.write_relaxed(offset, Width::U64, u64::from_le_bytes(*word))?;
                (offset, bytes) = (offset + 8, rest);
            }
            if !bytes.is_empty() {
                let width = widest(offset, bytes.len().min(alignment));
                let (part, rest) = bytes.split_at(width.bytes());
                let mut word = [0; 8];
                word[..part.len()].copy_from_slice(part);
                self.bus.write_relaxed(offset, width, u64::from_le_bytes(word))?;
                (offset, bytes) = (offset + width.bytes(), rest);
            }
        }
        Ok(())
    }

    /// Reads bytes in the same way.
    fn load(&self, mut offset: usize, mut bytes: &mut [u8]) -> Result<(), Error> {
        let alignment = self.bus.alignment();
        while !bytes.is_empty() {
            let width = widest(offset, bytes.len().min(alignment));
            let word = self.bus.read_relaxed(offset, width)?.to_le_bytes();
            let (part, rest) = bytes.split_at_mut(width.bytes());
            part.copy_from_slice(&word[..width.bytes()]);
            (offset, bytes) = (offset + width.bytes(), rest);
        }
        Ok(())
    }
}

/// The widest access that is aligned there, and of no more than so many bytes, which are one at least.
fn widest(offset: usize, len: usize) -> Width {
    let fits = |width: &Width| offset.is_multiple_of(width.bytes()) && width.bytes() <= len;
    Width::ALL.into_iter().rev().find(fits).unwrap_or(Width::U8)
}

impl<B: RegisterIo> OriginDimensions for Framebuffer<B> {
    fn size(&self) -> Size {
        self.layout.size
    }
}

impl<B: RegisterIo> DrawTarget for Framebuffer<B> {
    type Color = Rgb888;
    type Error = Error;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Error> {
        for Pixel(point, colour) in pixels {
            if let Some((x, y)) = self.place(point) {
                let bytes = self.layout.format.encode(colour).to_le_bytes();
                self.store(self.offset(x, y), &bytes[..self.layout.format.bytes()])?;
            }
        }
        Ok(())
    }

    fn fill_contiguous<I: IntoIterator<Item = Rgb888>>(&mut self, area: &Rectangle, colours: I) -> Result<(), Error> {
        let Some(seen) = self.seen(area) else { return Ok(()) };
        let mut colours = colours.into_iter().fuse();
        let mut row = Vec::new();
        let mut unseen = seen.unseen_before;
        for y in seen.rows {
            skip(&mut colours, unseen);
            row.clear();
            let first = self.offset(seen.columns.start, y);
            for colour in colours.by_ref().take(seen.columns.len()) {
                self.encode(colour, &mut row);
            }
            self.store(first, &row)?;
            if row.len() < seen.columns.len() * self.layout.format.bytes() {
                break;
            }
            unseen = seen.unseen_between;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Error> {
        let Some(seen) = self.seen(area) else { return Ok(()) };
        let mut row = Vec::new();
        seen.columns.clone().for_each(|_| self.encode(colour, &mut row));
        for y in seen.rows {
            self.store(self.offset(seen.columns.start, y), &row)?;
        }
        Ok(())
    }
}

/// The part of an area that is on the screen.
#[derive(Debug, Clone)]
struct Seen {
    /// Not empty.
    columns: Range<usize>,
    /// Not empty.
    rows: Range<usize>,
    /// Pixels of the area before the first that is seen, row by row.
    unseen_before: u64,
    /// Pixels of the area from the last that is seen of a row to the first of the next.
    unseen_between: u64,
}

/// What of a stretch that begins at `start` lies in `0..end`, and what of it lies below.
fn clip(start: i32, len: u32, end: usize) -> Option<(Range<usize>, u64)> {
    let start = i64::from(start);
    // Of 33 bits and a sign, at most.
    let stop = start + i64::from(len);
    let seen = usize::try_from(start.max(0)).ok()?..usize::try_from(stop).ok()?.min(end);
    Some((seen, u64::try_from(-start).unwrap_or(0))).filter(|(seen, _)| !seen.is_empty())
}

/// Takes so many items out of an iterator, or all.
fn skip(items: &mut impl Iterator, mut count: u64) {
    while let Some(last) = count.checked_sub(1) {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        if items.nth(last).is_none() {
            return;
        }
        // `last` is below the count, which therefore does not become negative.
        count = count.saturating_sub(u64::try_from(last).unwrap_or(u64::MAX)).saturating_sub(1);
    }
}

impl<B> fmt::Debug for Framebuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framebuffer").field("layout", &self.layout).finish_non_exhaustive()
    }
}
