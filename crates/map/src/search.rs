//! Looking for bytes in a view: searching, counting, lines. All by copies that stay in the processor's cache.

use std::ops::Range;

use memchr::memmem;

use crate::fault::Fault;
use crate::view::View;

/// Bytes looked at between two copies: they stay in the first-level cache.
const CHUNK_BYTES: usize = 4096;

/// The same where a look is as fast as a copy: smaller, so that the copy of one hides behind the look at the last.
const COUNT_BYTES: usize = 1024;

impl<'a> View<'a> {
    /// Finds the first place where `needle` begins; `Some(0)` for an empty one.
    ///
    /// # Errors
    /// The first fault before it.
    pub fn find(&self, needle: &[u8]) -> Result<Option<usize>, Fault> {
        let finder = memmem::Finder::new(needle);
        let mut window = vec![0; CHUNK_BYTES + needle.len().saturating_sub(1)];
        let mut start = 0;
        loop {
            // As many bytes as can be had: a match before a fault is a match.
            let filled = match self.read_at(start, &mut window) {
                Ok(filled) => filled,
                Err(_) if needle.is_empty() => 0,
                Err(fault) => return Err(fault),
            };
            if let Some(at) = finder.find(&window[..filled]) {
                return Ok(Some(start + at));
            }
            if start + filled == self.len() {
                return Ok(None);
            }
            if filled < window.len() {
                // The byte that could not be read; if it can be read by now, the search goes on there.
                self.read_exact_at(start + filled, &mut [0])?;
            }
            // One byte less than the needle may be its start.
            start += (filled + 1).saturating_sub(needle.len());
        }
    }

    /// Finds the last place where `needle` begins; the view's length for an empty one.
    ///
    /// # Errors
    /// The fault that is met first on the way from the end.
    pub fn rfind(&self, needle: &[u8]) -> Result<Option<usize>, Fault> {
        let finder = memmem::FinderRev::new(needle);
        let mut window = vec![0; CHUNK_BYTES + needle.len().saturating_sub(1)];
        let mut end = self.len();
        loop {
            let start = end.saturating_sub(window.len());
            let bytes = &mut window[..end - start];
            self.read_exact_at(start, bytes)?;
            match finder.rfind(&*bytes) {
                Some(at) => return Ok(Some(start + at)),
                None if start == 0 => return Ok(None),
                // One byte less than the needle may be its start.
                None => end = start + needle.len() - 1,
            }
        }
    }

    /// Counts how often a byte occurs: `count(b'\n')` counts lines.
    ///
    /// # Errors
    /// The first fault.
    pub fn count(&self, byte: u8) -> Result<usize, Fault> {
        let mut chunks = self.chunks(COUNT_BYTES);
        let mut count = 0;
        while let Some(chunk) = chunks.next_chunk()? {
            count += memchr::memchr_iter(byte, chunk).count();
        }
        Ok(count)
    }

    /// Walks through the lines of the view; a line ends before `\n` or at the end.
    pub fn lines(&self) -> Lines<'a> {
        Lines { view: *self, buffer: Vec::new(), line: 0..0, filled: 0, offset: 0 }
    }
}

/// The lines of a view, made by [`View::lines`]; each is lent until the next is asked for.
///
/// ```
/// use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "one\n\ntwo")?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// let (mut lines, mut longest) = (mapping.view().lines(), 0);
/// while let Some(line) = lines.next_line()? {
///     longest = longest.max(line.len());
/// }
/// assert_eq!(longest, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "lines are read only when they are asked for"]
pub struct Lines<'a> {
    view: View<'a>,
    /// Bytes of the view that end at `offset`; the first `filled` are valid.
    buffer: Vec<u8>,
    /// What was handed out last; what is behind its end is still to come.
    line: Range<usize>,
    filled: usize,
    /// The first byte of the view that is not in the buffer.
    offset: usize,
}

impl Lines<'_> {
    /// The next line, without its `\n`; `None` after the last one. What follows the last `\n` is a line if it is not
    /// empty.
    ///
    /// # Errors
    /// The fault of a byte of the line; the same line comes again at the next call, if it can be read then.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Fault> {
        let (mut start, mut searched) = (self.line.end, self.line.end);
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.filled]) {
                self.line = start..searched + at + 1;
                return Ok(Some(&self.buffer[start..searched + at]));
            }
            searched = self.filled;
            if self.offset == self.view.len() {
                self.line = start..self.filled;
                return Ok((start < self.filled).then(|| &self.buffer[start..self.filled]));
            }
            // Only what is left of the buffer is kept, and a line that fills it makes it larger.
            self.buffer.copy_within(start..self.filled, 0);
            (searched, self.filled, self.line, start) = (searched - start, self.filled - start, 0..0, 0);
            if self.buffer.len() < self.filled + CHUNK_BYTES {
                self.buffer.resize(2 * self.filled + CHUNK_BYTES, 0);
            }
            let read = self.view.read_at(self.offset, &mut self.buffer[self.filled..])?;
            self.offset += read;
            self.filled += read;
        }
    }
}
