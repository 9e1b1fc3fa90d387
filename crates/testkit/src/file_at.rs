//! Reading and writing files at an offset, by the same names on every system.

use std::fs::File;
use std::io;

use crate::sys;

/// What Unix's `FileExt` offers, for files on every system; on Windows it moves the file's position.
pub trait FileAt {
    /// Reads from `offset` on, in bytes from the file's start; answers how many bytes there were, 0 at the end.
    ///
    /// # Errors
    /// The system refuses.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`, in bytes from the file's start; answers how many were taken.
    ///
    /// # Errors
    /// The system refuses.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads all of `bytes` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before; the system refuses.
    fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.read_at(bytes, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => (bytes, offset) = (&mut bytes[read..], offset + u64::try_from(read).unwrap_or(0)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// `WriteZero` where nothing is taken any more; the system refuses.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => (bytes, offset) = (&bytes[written..], offset + u64::try_from(written).unwrap_or(0)),
            }
        }
        Ok(())
    }
}

impl FileAt for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        sys::read_at(self, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        sys::write_at(self, bytes, offset)
    }
}
