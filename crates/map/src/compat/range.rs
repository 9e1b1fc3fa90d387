//! The address range behind a handle: from any byte of a file on, of any length.
//!
//! ```text
//! region   |....page....|....page....|
//!          |<lead>|<----len---->|
//! ```
//! Invariant: `lead + len` lies inside the region, and `len` is at most `isize::MAX`. A range of no bytes has a page as
//! well, so that it has an address and every verb works on it.

use std::io;
use std::ops::Range;

use crate::options::Protection;
use crate::sys::{Moving, Region, Request};

/// Whole pages that hold the bytes of a handle; unmapped when dropped.
#[derive(Debug)]
pub(super) struct MappedRange {
    region: Region,
    lead: usize,
    len: usize,
}

impl MappedRange {
    /// Maps what the request says, at least a byte, as a range of `bytes` of it.
    pub(super) fn map(mut request: Request<'_>, bytes: Range<usize>) -> io::Result<Self> {
        request.len = bytes.end.max(1);
        Ok(Self { region: Region::map(&request)?, lead: bytes.start, len: bytes.len() })
    }

    /// Address of the first byte.
    #[inline]
    pub(super) fn first(&self) -> *mut u8 {
        self.region.base().wrapping_add(self.lead)
    }

    /// Bytes of the range.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of a page of it.
    pub(super) fn page_bytes(&self) -> usize {
        self.region.page_bytes()
    }

    /// All of it, as a range of the region.
    pub(super) fn whole(&self) -> Range<usize> {
        self.lead..self.lead + self.len
    }

    /// The `len` bytes from `offset` on, as a range of the region.
    ///
    /// # Errors
    /// `InvalidInput` for a range that ends after the mapping.
    pub(super) fn part(&self, offset: usize, len: usize) -> io::Result<Range<usize>> {
        if offset > self.len || len > self.len - offset {
            let reason = format!("{len} bytes from byte {offset} on end after the mapping of {} bytes", self.len);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        Ok(self.lead + offset..self.lead + offset + len)
    }

    /// The region, for its verbs on ranges that [`whole`](Self::whole) and [`part`](Self::part) answer.
    pub(super) fn region(&self) -> &Region {
        &self.region
    }

    /// Sets what all of it may be used for.
    pub(super) fn protect(&self, protection: Protection) -> io::Result<()> {
        self.region.protect(0..self.region.len(), protection)
    }

    /// Changes its length, from the same first byte.
    ///
    /// # Errors
    /// `InvalidData` for a length above `isize::MAX`, else what mremap(2) says; nothing has changed then.
    pub(super) fn resize(&mut self, len: usize, moving: Moving) -> io::Result<()> {
        let len = checked_len(u64::try_from(len).unwrap_or(u64::MAX))?;
        // Both are at most isize::MAX, so the sum fits.
        self.region.resize((self.lead + len).max(1), moving)?;
        self.len = len;
        Ok(())
    }
}

/// A length that a slice may have.
///
/// # Errors
/// `InvalidData` above `isize::MAX`.
pub(super) fn checked_len(len: u64) -> io::Result<usize> {
    match isize::try_from(len) {
        Ok(len) => Ok(len.unsigned_abs()),
        // The words are memmap2's: its own tests compare them.
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "memory map length overflows isize")),
    }
}
