//! A mapping: the owner of an address range that stands for bytes of a file.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::arch::FaultWord;
use crate::descriptor::{self, OwnedDescriptor};
use crate::error::Error;
use crate::fault::{Access, Fault, FaultKind};
use crate::options::{MapMode, MapOptions, Protection};
use crate::page::PageSpan;
use crate::sys::{self, Moving, Region, errno};
use crate::view::View;

/// What the kernel keeps in one piece of its page cache, at most, and finds blocks for when one byte of it is stored
/// to: a huge page of x86-64 (`MAX_PAGECACHE_ORDER` in Linux, include/linux/pagemap.h). ext4 has such pieces since
/// Linux 6.16.
const FOLIO_BYTES: u64 = 2 << 20;

/// A range of addresses that stands for bytes of a file; unmapped when dropped.
///
/// The bytes are reached through [`view`](Mapping::view). The file's length and contents are the business of everybody
/// who has it open: nothing here stops them from changing, and nothing that they do makes an access more than an `Err`.
///
/// Dropping a mapping does not wait for the disk, unless its file system writes back when a file is closed, as NFS
/// does. Stores are in the page cache from the moment they are made, visible to every other process, and survive the
/// death of this one; only [`flush`](View::flush) makes them survive the death of the machine.
pub struct Mapping {
    /// Whole pages, given back on drop.
    region: Region,
    /// Bytes from the region's start to the mapping's first byte; `lead + len` lies inside the region.
    lead: usize,
    len: usize,
    offset: u64,
    mode: MapMode,
    /// Tells after a fault what has become of the file; of a System V segment, a descriptor that stands for it.
    file: OwnedDescriptor,
}

impl Mapping {
    pub(crate) fn new(
        region: Region,
        lead: usize,
        len: usize,
        offset: u64,
        mode: MapMode,
        file: OwnedDescriptor,
    ) -> Self {
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

    /// Whether stores are allowed, and who sees them, as it was mapped; [`protect`](Self::protect) does not change it.
    #[must_use]
    pub fn mode(&self) -> MapMode {
        self.mode
    }

    /// A window on all of it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::whole(self)
    }

    /// Bytes of a page of it.
    pub(crate) fn page_bytes(&self) -> usize {
        self.region.page_bytes()
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.region.base().wrapping_add(self.lead)
    }

    /// Maps more or less of the file, from the same first byte. The file's own length is not changed and not looked at:
    /// bytes behind its end answer [`Truncated`](FaultKind::Truncated) until it has grown.
    ///
    /// Up to what [`MapOptions::reserve`] has asked for, nothing moves and nothing is copied; beyond, the range may
    /// move as a whole, which costs a page-table entry for each page in use and copies no byte; that is refused when
    /// its parts differ in protection, advice or locks. What is added is neither locked nor populated. What a
    /// copy-on-write mapping has changed is kept, as far as it stays mapped.
    ///
    /// On Windows the file is mapped again, as long as it is now, at another address, whatever was reserved: this is
    /// how a mapping gets the bytes that its file has got. What a copy-on-write mapping has changed is copied, and its
    /// parts are readable and writable again.
    ///
    /// # Errors
    /// [`Error::Range`] when the range would have no end; [`Error::Os`] with what mremap(2) or mprotect(2) says, such
    /// as no address space (`ENOMEM`). The mapping is then as it was.
    #[doc(alias("mremap", "remap"))]
    pub fn resize(&mut self, len: usize) -> Result<(), Error> {
        if self.region.is_unmapped() {
            *self = MapOptions::new(self.mode).offset(self.offset).len(len).map(&*self)?;
            return Ok(());
        }
        let file_len = sys::file_len(descriptor::of(self)).unwrap_or(0);
        let span = PageSpan::new(self.offset, len, sys::page_bytes()).ok_or_else(|| Error::Range {
            object: sys::path_of(descriptor::of(self)),
            offset: self.offset,
            len: Some(len),
            file_len,
        })?;
        // The lead is that of the file's own pages, which may be huge ones.
        let end = span.map_len - span.lead + self.lead;
        let resized = self.region.resize(end.max(1), Moving::Allowed);
        resized.map_err(|source| self.os_error("resizing the mapping of", &(0..len), source))?;
        self.len = len;
        Ok(())
    }

    /// Sets what the pages that hold a range of the mapping's bytes may be used for. An access that is not allowed then
    /// answers [`Protection`](FaultKind::Protection).
    ///
    /// # Errors
    /// [`Error::Os`] for a range that ends after the mapping, and with what mprotect(2) says: `EACCES` for stores to a
    /// file that was not opened for writing. On Windows (VirtualProtect) `ERROR_ACCESS_DENIED` for more than the mode
    /// has asked for.
    #[doc(alias = "mprotect")]
    pub fn protect(&mut self, range: Range<usize>, protection: Protection) -> Result<(), Error> {
        if range.start > range.end || range.end > self.len {
            let source =
                io::Error::new(io::ErrorKind::InvalidInput, format!("outside the mapping of {} bytes", self.len));
            return Err(self.os_error("protecting", &range, source));
        }
        self.on_pages("protecting", range, |region, pages| region.protect(pages, protection))
    }

    /// Does something with the pages that hold a range of the mapping's bytes, if there are any.
    pub(crate) fn on_pages(
        &self,
        operation: &'static str,
        range: Range<usize>,
        act: impl FnOnce(&Region, Range<usize>) -> io::Result<()>,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let acted = act(&self.region, self.lead + range.start..self.lead + range.end);
        acted.map_err(|source| self.os_error(operation, &range, source))
    }

    pub(crate) fn os_error(&self, operation: &'static str, range: &Range<usize>, source: io::Error) -> Error {
        let (offset, len) = (self.file_offset_of(range.start), range.len());
        Error::Os { operation, object: sys::path_of(descriptor::of(self)), offset, len, source }
    }

    /// Asks whether the file has the `len` bytes from byte `at` of the mapping; the fault's offset counts from `at`.
    pub(crate) fn check_backed(&self, at: usize, len: usize) -> Result<(), Fault> {
        let fault = |offset, kind| Err(Fault { offset, kind, access: Access::Read });
        let file_len = match sys::file_len(descriptor::of(self)) {
            Ok(file_len) => file_len,
            Err(error) => return fault(0, FaultKind::Io(errno::number(&error))),
        };
        let in_file = usize::try_from(file_len.saturating_sub(self.file_offset_of(at))).unwrap_or(usize::MAX);
        let backed = in_file.min(self.region.backed_bytes().saturating_sub(self.lead + at));
        if backed < len { fault(backed, FaultKind::Truncated { file_len }) } else { Ok(()) }
    }

    /// The address range.
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Has atomic accesses of views refused, where they are not guarded; answers whether one has met a fault.
    pub(crate) fn refuse_atomics(&mut self) -> bool {
        self.region.refuse_atomics()
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
    /// neither explains is put down to a file that was cut and has grown back, or to space that has been freed
    /// meanwhile.
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
        let first = |word: FaultWord| self.find_out(word, word.page_addr().saturating_sub(self.base().addr()), access);
        self.region.fault_kind(first, || self.find_out(word, at, access))
    }

    /// The part of `diagnose` that asks about the file.
    fn find_out(&self, word: FaultWord, at: usize, access: Access) -> FaultKind {
        let byte = self.file_offset_of(at);
        let file_len = match sys::file_len(descriptor::of(self)) {
            Ok(file_len) => file_len,
            Err(error) => return FaultKind::Io(errno::number(&error)),
        };
        if byte >= file_len {
            return FaultKind::Truncated { file_len };
        }
        if self.lead + at >= self.region.backed_bytes() {
            // The file has grown since it was mapped, where a mapping does not grow with it.
            return FaultKind::Truncated { file_len };
        }
        if let Some(error) = sys::fault_error(word) {
            return if errno::is_out_of_space(&error) {
                FaultKind::NoSpace
            } else {
                FaultKind::Io(errno::number(&error))
            };
        }
        if word.is_segv() {
            // Inside the file and not a matter of our mode: somebody has changed the protection of our pages.
            return FaultKind::Protection;
        }
        if file_len == sys::ENDLESS {
            // A device has refused. It is not asked why, since asking may be an access like any other.
            return FaultKind::Io(errno::IO_FAILED);
        }
        if self.region.is_segment() {
            // Its pages are there or in the swap space, from where one has not come back.
            return FaultKind::Io(errno::IO_FAILED);
        }
        if let Err(error) = sys::readable(descriptor::of(self), byte) {
            return FaultKind::Io(errno::number(&error));
        }
        if access == Access::Write && self.mode == MapMode::ReadWrite {
            match sys::allocatable(descriptor::of(self), byte) {
                Ok(()) => {}
                // A file system that cannot be asked: the byte can be read and not written, which leaves the space.
                Err(error) if errno::is_out_of_space(&error) || errno::cannot_tell(&error) => {
                    return FaultKind::NoSpace;
                }
                Err(error) => return FaultKind::Io(errno::number(&error)),
            }
        }
        // Also for a write whose own block could just be reserved: the kernel needs one for each page of its folio.
        let needed_bytes = if access == Access::Write && self.mode == MapMode::ReadWrite { FOLIO_BYTES } else { 1 };
        if sys::is_full(descriptor::of(self), needed_bytes) {
            return FaultKind::NoSpace;
        }
        FaultKind::Truncated { file_len }
    }

    /// Offset in the file of byte `at` of the mapping, which may lie behind its end; `u64::MAX` if there is none so
    /// large.
    #[must_use]
    pub fn file_offset_of(&self, at: usize) -> u64 {
        u64::try_from(at).map_or(u64::MAX, |at| self.offset.saturating_add(at))
    }
}

impl From<Mapping> for OwnedDescriptor {
    /// Unmaps, and hands the descriptor over.
    fn from(mapping: Mapping) -> Self {
        mapping.file
    }
}

crate::lend_descriptor!(
    /// The mapping's own descriptor of the file. That of a System V segment tells its name and its length, and refuses
    /// everything else (`EBADF`).
    Mapping,
    |mapping| descriptor::of(&mapping.file)
);

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("file", &sys::path_of(descriptor::of(self)))
            .field("offset", &self.offset)
            .field("len", &self.len)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
