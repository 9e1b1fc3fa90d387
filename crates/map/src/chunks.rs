//! Sequential reading of a view by copies that stay in the first-level cache.

use zerocopy::{FromBytes, IntoBytes};

use crate::fault::Fault;
use crate::view::View;

/// How far ahead of the next chunk the cache is asked for its bytes. Measured by `bench/` on two AMD
/// EPYC (Zen 5, and an older one without AVX-512): from here on, memory keeps up with chunks of 1 KiB.
const PREFETCH_AHEAD_BYTES: usize = 8192;
/// Bytes that are asked for at once, at most: more would fill the processor's queue of outstanding loads.
const PREFETCH_BYTES: usize = 4096;

/// The chunks of a view, made by [`View::chunks`].
///
/// ```
/// use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, vec![1; 10_000])?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// let mut chunks = mapping.view().chunks(1024);
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
    /// Bytes of a chunk; not zero.
    chunk_bytes: usize,
    /// Room for one chunk, in whole cache lines.
    buffer: Box<[Line]>,
}

/// A cache line: vector accesses to a buffer of these never straddle two, which would halve their speed.
#[derive(Debug, Clone, FromBytes, IntoBytes)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl<'a> Chunks<'a> {
    pub(crate) fn new(view: View<'a>, chunk_bytes: usize) -> Self {
        let chunk_bytes = chunk_bytes.clamp(1, view.len().max(1));
        let buffer = vec![Line([0; 64]); chunk_bytes.div_ceil(64)].into_boxed_slice();
        Self { view, offset: 0, chunk_bytes, buffer }
    }

    /// Copies out the next chunk; the last one may be shorter. `None` after the end of the view.
    ///
    /// Before a byte that faults, the bytes up to it come as a shorter chunk; the fault comes at the next call, and
    /// again at each further one as long as the byte cannot be read.
    ///
    /// # Errors
    /// The fault of the first byte of the chunk.
    #[inline]
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, Fault> {
        let buffer = &mut self.buffer.as_mut_bytes()[..self.chunk_bytes];
        let read = self.view.read_at(self.offset, buffer)?;
        self.offset += read;
        // Later chunks come from memory while the caller works on this one.
        self.view.prefetch_to_cache(self.offset + PREFETCH_AHEAD_BYTES, self.chunk_bytes.min(PREFETCH_BYTES));
        Ok(if read == 0 { None } else { Some(&buffer[..read]) })
    }

    /// Offset in the view of the first byte that has not been handed out.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}
