//! Bytes read ahead for [`BufRead`](std::io::BufRead), which lends out a slice and so needs a copy to lend.

/// Bytes of a buffer; not much, because filling it again costs no system call.
const BUFFER_BYTES: usize = 4096;

/// A copy of the bytes from one offset on, as they were when they were read.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    /// Empty until it is used.
    bytes: Box<[u8]>,
    /// Offset of `bytes[0]` in what is read.
    offset: u64,
    /// How many bytes are valid.
    len: usize,
}

impl ReadBuffer {
    /// Forgets what was read: it has changed.
    pub(crate) fn forget(&mut self) {
        self.len = 0;
    }

    /// The bytes from `position` on, as many as there are in the buffer; read by `read` if there are none. Empty at the
    /// end.
    pub(crate) fn fill<E>(
        &mut self,
        position: u64,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<&[u8], E> {
        let inside = position.checked_sub(self.offset).and_then(|start| usize::try_from(start).ok());
        if let Some(start) = inside
            && start < self.len
        {
            return Ok(&self.bytes[start..self.len]);
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; BUFFER_BYTES].into_boxed_slice();
        }
        self.len = 0;
        self.len = read(&mut self.bytes)?;
        self.offset = position;
        Ok(&self.bytes[..self.len])
    }
}
