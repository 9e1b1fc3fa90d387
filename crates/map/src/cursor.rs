//! A position in a view, for code that speaks [`Read`], [`Write`], [`Seek`] and [`BufRead`].

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use crate::read_buffer::ReadBuffer;
use crate::view::View;

/// A view with a position: what `std::io::Cursor` is to a slice.
///
/// Faults come as `io::Error`s that hold the [`Fault`](crate::Fault). Writing at the view's end answers 0, since a view
/// cannot grow. [`BufRead`] lends out copies; after bytes have changed, what was lent before may come once more, up to
/// 4 KiB of it; seeking forgets it.
///
/// ```
/// use std::io::{BufRead, Seek, Write};
/// use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "one\ntwo\nsix\n")?;
/// let mapping = MapOptions::read_write().open(&path)?;
/// let mut cursor = mapping.view().cursor();
/// cursor.seek(std::io::SeekFrom::Start(8))?;
/// cursor.write_all(b"ten")?;
/// cursor.rewind()?;
/// assert_eq!(cursor.lines().collect::<Result<Vec<_>, _>>()?, ["one", "two", "ten"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cursor<'a> {
    view: View<'a>,
    /// May lie behind the view's end.
    position: u64,
    buffer: ReadBuffer,
}

impl<'a> View<'a> {
    /// A position in the view, at its start, that reads and writes.
    pub fn cursor(&self) -> Cursor<'a> {
        Cursor { view: *self, position: 0, buffer: ReadBuffer::default() }
    }
}

impl<'a> Cursor<'a> {
    /// The view.
    #[must_use]
    pub fn view(&self) -> View<'a> {
        self.view
    }

    /// The position, in bytes from the view's start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The position in the view; behind its end for one that no address could have.
    fn offset(&self) -> usize {
        usize::try_from(self.position).unwrap_or(usize::MAX)
    }

    fn advance(&mut self, len: usize) {
        self.position = self.position.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.view.read_at(self.offset(), buf)?;
        self.advance(read);
        Ok(read)
    }
}

impl BufRead for Cursor<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let (view, offset) = (self.view, self.offset());
        Ok(self.buffer.fill(self.position, |bytes| view.read_at(offset, bytes))?)
    }

    fn consume(&mut self, amount: usize) {
        self.advance(amount);
    }
}

impl Write for Cursor<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.buffer.forget();
        let written = self.view.write_at(self.offset(), buf)?;
        self.advance(written);
        Ok(written)
    }

    /// Does nothing: what was written is seen by everybody. For the disk there is [`View::flush`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = u64::try_from(self.view.len()).unwrap_or(u64::MAX);
        self.position = seek(to, self.position, end)?;
        self.buffer.forget();
        Ok(self.position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }
}

/// The position that a seek leads to.
pub(crate) fn seek(to: SeekFrom, position: u64, end: u64) -> io::Result<u64> {
    let target = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::Current(distance) => position.checked_add_signed(distance),
        SeekFrom::End(distance) => end.checked_add_signed(distance),
    };
    target
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seeking to before the start or past every offset"))
}
