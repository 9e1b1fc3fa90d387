//! A mapping: the owner of an address range that stands for bytes of a file.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::arch::FaultWord;
use crate::error::Error;
use crate::fault::{Access, Fault, FaultKind};
use crate::options::MapMode;
use crate::residency::Residency;
use crate::sys::{self, Region};
use crate::view::View;

/// A range of addresses that stands for bytes of a file; unmapped when dropped.
///
/// The bytes are reached through [`view`](Mapping::view). The file's length and contents are the business of everybody
/// who has it open: nothing here stops them from changing, and nothing that they do makes an access more than an `Err`.
///
/// Dropping a mapping does not wait for the disk, unless its file system writes back when a file is closed, as NFS does. Stores are in the page cache from the moment they are made, visible
/// to every other process, and survive the death of this one; only [`flush`](View::flush) makes them survive the death of
/// the machine.
pub struct Mapping {
    /// Whole pages, given back on drop.
    region: Region,
    /// Bytes from the region's start to the mapping's first byte; `lead + len` lies inside the region.
    lead: usize,
    len: usize,
    offset: u64,
    mode: MapMode,
    /// Tells after a fault what has become of the file.
    file: OwnedFd,
}

impl Mapping {
    pub(crate) fn new(region: Region, lead: usize, len: usize, offset: u64, mode: MapMode, file: OwnedFd) -> Self {
        Self { region, lead, len, offset, mode, file }
    }

    /// Bytes mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no bytes are mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Offset of the first byte in the file.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        self.offset
    }

    /// Whether stores are allowed, and who sees them.
    #[must_use]
    pub fn mode(&self) -> MapMode {
        self.mode
    }

    /// A window on all of it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::whole(self)
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.region.base().wrapping_add(self.lead)
    }

    /// Writes the dirty pages of `range` (of bytes of the mapping) back.
    pub(crate) fn flush(&self, range: Range<usize>) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let flushed = self.region.flush(self.lead + range.start..self.lead + range.end);
        flushed.map_err(|source| self.os_error("flushing", &range, source))
    }

    /// Which pages of `range` (of bytes of the mapping) are in memory.
    pub(crate) fn residency(&self, range: Range<usize>) -> Result<Residency, Error> {
        if range.is_empty() {
            return Ok(Residency::new(sys::page_bytes(), Vec::new()));
        }
        let pages = self.region.residency(self.lead + range.start..self.lead + range.end);
        let pages = pages.map_err(|source| self.os_error("asking for the residency of", &range, source))?;
        Ok(Residency::new(sys::page_bytes(), pages))
    }

    fn os_error(&self, operation: &'static str, range: &Range<usize>, source: io::Error) -> Error {
        let (offset, len) = (self.file_offset_of(range.start), range.len());
        Error::Os { operation, object: sys::path_of(self.as_fd()), offset, len, source }
    }

    /// Asks whether the file has the `len` bytes from byte `at` of the mapping; the fault's offset counts from `at`.
    pub(crate) fn check_backed(&self, at: usize, len: usize) -> Result<(), Fault> {
        let fault = |offset, kind| Err(Fault { offset, kind, access: Access::Read });
        let file_len = match sys::file_len(self.as_fd()) {
            Ok(file_len) => file_len,
            Err(error) => return fault(0, FaultKind::Io(error.raw_os_error().unwrap_or(libc::EIO))),
        };
        let backed = file_len.saturating_sub(self.file_offset_of(at));
        match usize::try_from(backed) {
            Ok(backed) if backed < len => fault(backed, FaultKind::Truncated { file_len }),
            _ => Ok(()),
        }
    }

    /// Whether an address is of one of the mapping's pages.
    pub(crate) fn owns_page(&self, page_addr: usize) -> bool {
        let first = self.region.base().addr();
        let last = first + self.lead + self.len;
        // The word that carries the address is cut to 4 KiB, the smallest page.
        (first..last).contains(&page_addr)
    }

    /// Finds out why an access to byte `at` of the mapping has faulted, by asking about the file.
    ///
    /// The order matters: what the hardware said for certain comes first, then what the file says, and a fault that
    /// neither explains is put down to a file that was cut and has grown back, or to space that has been freed meanwhile.
    #[cold]
    pub(crate) fn diagnose(&self, word: FaultWord, at: usize, access: Access) -> FaultKind {
        if word == FaultWord::UNSUPPORTED {
            return FaultKind::Unsupported;
        }
        if word.is_hwpoison() {
            return FaultKind::HwPoison;
        }
        if access == Access::Write && self.mode == MapMode::ReadOnly {
            return FaultKind::Protection;
        }
        let byte = self.file_offset_of(at);
        let file_len = match sys::file_len(self.as_fd()) {
            Ok(file_len) => file_len,
            Err(error) => return FaultKind::Io(error.raw_os_error().unwrap_or(libc::EIO)),
        };
        if byte >= file_len {
            return FaultKind::Truncated { file_len };
        }
        if word.is_segv() {
            // Inside the file and not a matter of our mode: somebody has changed the protection of our pages.
            return FaultKind::Protection;
        }
        if let Err(error) = sys::readable(self.as_fd(), byte) {
            return FaultKind::Io(error.raw_os_error().unwrap_or(libc::EIO));
        }
        if access == Access::Write && self.mode == MapMode::ReadWrite {
            match sys::allocatable(self.as_fd(), byte).map_err(|error| error.raw_os_error()) {
                Ok(()) => {}
                // A file system that cannot be asked: the byte can be read and not written, which leaves the space.
                Err(Some(libc::ENOSPC | libc::EDQUOT | libc::EOPNOTSUPP | libc::ENOSYS)) => return FaultKind::NoSpace,
                Err(errno) => return FaultKind::Io(errno.unwrap_or(libc::EIO)),
            }
        }
        if (access == Access::Read || self.mode == MapMode::CopyOnWrite) && sys::is_full(self.as_fd()) {
            return FaultKind::NoSpace;
        }
        FaultKind::Truncated { file_len }
    }

    /// Offset in the file of byte `at` of the mapping, which may lie behind its end; `u64::MAX` if there is none so large.
    #[must_use]
    pub fn file_offset_of(&self, at: usize) -> u64 {
        u64::try_from(at).map_or(u64::MAX, |at| self.offset.saturating_add(at))
    }
}

impl AsFd for Mapping {
    /// The mapping's own descriptor of the file.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("file", &sys::path_of(self.as_fd()))
            .field("offset", &self.offset)
            .field("len", &self.len)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
