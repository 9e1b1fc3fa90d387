//! Sequential reading of a view by copies that stay in the first-level cache.

use crate::fault::Fault;
use crate::view::View;

/// The chunks of a view, made by [`View::chunks`].
///
/// ```
/// use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, vec![1; 10_000])?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// let mut chunks = mapping.view().chunks(4096);
/// let mut sum = 0;
/// while let Some(chunk) = chunks.next_chunk()? {
///     sum += chunk.iter().map(|&byte| u64::from(byte)).sum::<u64>();
/// }
/// assert_eq!(sum, 10_000);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "chunks are read only when they are asked for"]
pub struct Chunks<'a> {
    view: View<'a>,
    /// The first byte not handed out yet; at most the view's length.
    offset: usize,
    /// Room for one chunk; not empty.
    buffer: Box<[u8]>,
}

impl<'a> Chunks<'a> {
    pub(crate) fn new(view: View<'a>, chunk_bytes: usize) -> Self {
        let buffer = vec![0; chunk_bytes.clamp(1, view.len().max(1))].into_boxed_slice();
        Self { view, offset: 0, buffer }
    }

    /// Copies out the next chunk; the last one may be shorter. `None` after the end of the view.
    ///
    /// Before a byte that faults, the bytes up to it come as a shorter chunk; the fault comes at the next call, and again at
    /// each further one as long as the byte cannot be read.
    ///
    /// # Errors
    /// The fault of the first byte of the chunk.
    #[inline]
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, Fault> {
        let read = self.view.read_at(self.offset, &mut self.buffer)?;
        self.offset += read;
        Ok(if read == 0 { None } else { Some(&self.buffer[..read]) })
    }

    /// Offset in the view of the first byte that has not been handed out.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}
