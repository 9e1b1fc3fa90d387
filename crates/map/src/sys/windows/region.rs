//! Address ranges: MapViewOfFileEx, VirtualAlloc and their families.
//!
//! Windows starts every range of addresses, and every view in its file, at a multiple of 64 KiB, and a view ends with
//! its section, which is as long as the file was. Callers here ask for pages of 4 KiB, and for bytes behind the file's
//! end, which are to be theirs and to fault. So a range has up to three parts:
//!
//! ```text
//! file      |....64 KiB....|....64 KiB....|..  the file's end
//!                    ^ the page asked for
//! addresses |  lead  | view                 |  gap  |  tail: reserved      |
//!           ^ start  ^ base                         ^ a multiple of 64 KiB ^ len
//! ```
//! No other range of addresses can begin in the gap, as it is not a multiple of 64 KiB, and no access to gap or tail is
//! allowed: it faults, and is found to be behind the file's end.
//!
//! View and tail are taken one after the other, at addresses that were free a moment before. Somebody else may take
//! them in between; then all is given back and tried elsewhere. So the range belongs to its owner in every part, or is
//! not made.
#![expect(unsafe_code, reason = "calls of kernel32.dll on address ranges")]

use std::io;
use std::ops::Range;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_INVALID, ERROR_INVALID_ADDRESS, ERROR_LOCK_VIOLATION, ERROR_NOT_LOCKED,
    ERROR_WORKING_SET_QUOTA,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP, FILE_MAP_COPY, FILE_MAP_EXECUTE, FILE_MAP_READ, FILE_MAP_WRITE, FlushViewOfFile,
    GetLargePageMinimum, MEM_COMMIT, MEM_DECOMMIT, MEM_LARGE_PAGES, MEM_RELEASE, MEM_RESERVE,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFileEx, PAGE_EXECUTE_READ, PAGE_NOACCESS, PAGE_PROTECTION_FLAGS,
    PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY, PrefetchVirtualMemory, UnmapViewOfFile, VirtualAlloc, VirtualFree,
    VirtualLock, VirtualProtect, VirtualUnlock, WIN32_MEMORY_RANGE_ENTRY,
};
use windows_sys::Win32::System::ProcessStatus::{K32QueryWorkingSetEx, PSAPI_WORKING_SET_EX_INFORMATION};
use windows_sys::Win32::System::Threading::GetProcessWorkingSetSize;

use super::file::{file_len, opened, sync_all};
use super::unsupported::unsupported;
use super::{granularity_bytes, page_bytes, this_process};
use crate::arch::atomic::Atomic;
use crate::arch::{self, FaultWord};
use crate::fault::{Access, FaultKind};
use crate::nt::check;
use crate::options::{HugePages, Protection};
use crate::paging::Advice;
use crate::sys::{Moving, Request, Sharing, errno};

/// How often addresses are looked for that somebody else may take away at the same moment.
const TRIES: usize = 100;

/// The number of madvise(2)'s `MADV_WILLNEED`, the one advice by number that Windows can follow.
const WILL_NEED: i32 = 3;

/// Of a page: it is in the working set ("PSAPI_WORKING_SET_EX_BLOCK union", Microsoft's documentation).
const VALID: usize = 1;
/// Of a page: it is locked in memory.
const LOCKED: usize = 1 << 22;

/// Addresses that were taken by VirtualAlloc; given back when dropped.
#[derive(Debug)]
struct Reservation {
    addr: NonNull<u8>,
    len: usize,
}

impl Reservation {
    /// Takes addresses for `len` bytes, at least one, to which no access is allowed: at `addr`, or where the system
    /// likes.
    fn new(addr: *mut u8, len: usize) -> io::Result<Self> {
        // SAFETY: addresses are taken that nothing else uses, or none ("VirtualAlloc function", Microsoft's
        // documentation).
        let taken = unsafe { VirtualAlloc(addr.cast_const().cast(), len, MEM_RESERVE, PAGE_NOACCESS) };
        match NonNull::new(taken.cast()) {
            Some(addr) => Ok(Self { addr, len }),
            None => Err(io::Error::last_os_error()),
        }
    }

    /// Makes memory of zeros of whole pages of it.
    fn commit(&self, range: Range<usize>) -> io::Result<()> {
        let first = self.addr.as_ptr().wrapping_add(range.start);
        // SAFETY: the pages lie in the reservation; those that have memory keep it and what it holds.
        let committed = unsafe { VirtualAlloc(first.cast(), range.len(), MEM_COMMIT, PAGE_READWRITE) };
        if committed.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the addresses came from VirtualAlloc, are given back here only, and whoever uses them borrows their
        // owner.
        let freed = unsafe { VirtualFree(self.addr.as_ptr().cast(), 0, MEM_RELEASE) };
        // It fails only for addresses that VirtualAlloc does not make.
        let _ = freed;
    }
}

/// A view of a section; unmapped when dropped.
#[derive(Debug)]
struct SectionView {
    addr: NonNull<u8>,
}

impl Drop for SectionView {
    fn drop(&mut self) {
        let address = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.addr.as_ptr().cast() };
        // SAFETY: the address came from MapViewOfFileEx, is unmapped here only, and whoever uses it borrows its owner.
        let unmapped = unsafe { UnmapViewOfFile(address) };
        // It fails only for addresses that MapViewOfFileEx does not make.
        let _ = unmapped;
    }
}

/// What a mapped file's range consists of, and what it takes to make it anew.
#[derive(Debug)]
struct FileParts {
    /// Held for its addresses, as the next; `None` where the file ends before the range begins.
    _view: Option<SectionView>,
    /// `None` where the view reaches to the range's end.
    _tail: Option<Reservation>,
    /// Bytes from the region's base that the view has: whole pages.
    backed: usize,
    /// To be flushed, and mapped anew.
    file: OwnedHandle,
    /// Whether that is memory alone, a section without a file, to which nothing is written back.
    is_memory: bool,
    /// Where the region's base is in the file: a multiple of the page size.
    offset: u64,
    /// What the pages allowed when they were mapped, which is the most that they can allow.
    protection: Protection,
    sharing: Sharing,
}

/// What a region is made of.
#[derive(Debug)]
enum Origin {
    Nothing,
    /// Memory of this process alone: all addresses, of which the first `len` bytes are committed.
    Anonymous(Reservation),
    File(FileParts),
}

/// An address range that the system gave us; whole pages, unless empty.
///
/// Ranges of bytes that its verbs take lie inside `0..len`, by their callers; they are widened to whole pages.
#[derive(Debug)]
pub(crate) struct Region {
    /// The first address; dangling when there is none.
    base: NonNull<u8>,
    /// Bytes that may be accessed.
    len: usize,
    page_bytes: usize,
    origin: Origin,
}

// SAFETY: the range belongs to the process, not to a thread, and `Region` itself touches its bytes only by guarded
// accesses that change nothing.
unsafe impl Send for Region {}
// SAFETY: as above; what takes `&self` passes addresses to the system.
unsafe impl Sync for Region {}

impl Region {
    /// A range of no bytes.
    pub(crate) const EMPTY: Self = Self { base: NonNull::dangling(), len: 0, page_bytes: 1, origin: Origin::Nothing };

    /// Maps at least a byte. Nothing is reserved for a file to grow into: a view cannot grow.
    pub(crate) fn map(request: &Request<'_>) -> io::Result<Self> {
        let region = match request.file {
            Some(file) => Self::map_file(file, request)?,
            None => Self::allocate(request)?,
        };
        if request.populate {
            // As far as they can be had: who accesses the others learns why not.
            let _ = region.prefetch(0..request.len);
        }
        Ok(region)
    }

    fn allocate(request: &Request<'_>) -> io::Result<Self> {
        let page_bytes = request.page_bytes;
        let len = round_up(request.len, page_bytes)?;
        let reserved = round_up(request.len.max(request.reserve), page_bytes)?;
        let reservation = match request.huge_pages {
            None => Reservation::new(ptr::null_mut(), reserved)?,
            Some(huge_pages) => allocate_huge(huge_pages, reserved)?,
        };
        if request.huge_pages.is_none() {
            reservation.commit(0..len)?;
        }
        let base = reservation.addr;
        Ok(Self { base, len: request.len, page_bytes, origin: Origin::Anonymous(reservation) })
    }

    fn map_file(file: BorrowedHandle<'_>, request: &Request<'_>) -> io::Result<Self> {
        let kept = file.try_clone_to_owned()?;
        let (protection, sharing) = (request.protection, request.sharing);
        let (base, parts) = place(kept, request.offset, request.len, (protection, sharing))?;
        let region = Self { base, len: request.len, page_bytes: request.page_bytes, origin: Origin::File(parts) };
        if sharing == Sharing::Private && protection == Protection::ReadOnly {
            // Its view is one that may be made writable, copying, and is not yet.
            region.protect(0..request.len, protection)?;
        }
        Ok(region)
    }

    /// Attaches a System V segment, of which there are none.
    pub(crate) fn attach(_: i32, _: Protection) -> io::Result<Self> {
        Err(unsupported("Windows has no System V segments"))
    }

    /// The first address.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes that may be accessed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A fault that an atomic access of a view meets leaves the mapping as it is.
    pub(crate) const ATOMICS_POISON: bool = false;

    /// Does nothing: atomic accesses are guarded.
    pub(crate) fn repair_atomics(&self) -> Result<(), i32> {
        Ok(())
    }

    pub(crate) fn refuse_atomics(&mut self) -> bool {
        false
    }

    pub(crate) fn fault_kind(
        &self,
        _: impl FnOnce(FaultWord) -> FaultKind,
        now: impl FnOnce() -> FaultKind,
    ) -> FaultKind {
        now()
    }

    /// Whether it is a System V segment.
    pub(crate) fn is_segment(&self) -> bool {
        false
    }

    /// Whether it is a range of no addresses.
    pub(crate) fn is_unmapped(&self) -> bool {
        matches!(self.origin, Origin::Nothing)
    }

    /// Bytes of a page of it.
    pub(crate) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Bytes, from the first one on, that something can be behind: whole pages, as many as the file had when it was
    /// mapped. It may have grown since.
    pub(crate) fn backed_bytes(&self) -> usize {
        match &self.origin {
            Origin::Nothing => 0,
            Origin::Anonymous(_) => self.len,
            Origin::File(parts) => parts.backed,
        }
    }

    /// Changes how many bytes may be accessed, to at least one.
    ///
    /// Memory of this process grows in its reservation, and by being copied beyond. A file is mapped anew, as long as
    /// it is now, at another address, and the changes of a copy-on-write mapping are copied.
    ///
    /// # Errors
    /// What the system says; nothing has changed then.
    pub(crate) fn resize(&mut self, len: usize, moving: Moving) -> io::Result<()> {
        match &self.origin {
            Origin::Nothing => Err(unsupported("a range of no addresses")),
            Origin::Anonymous(_) => self.resize_anonymous(len, moving),
            Origin::File(_) if moving == Moving::Forbidden => {
                Err(unsupported("a view of a file does not grow or shrink where it is on Windows"))
            }
            Origin::File(_) => self.map_again(len),
        }
    }

    fn resize_anonymous(&mut self, len: usize, moving: Moving) -> io::Result<()> {
        let Origin::Anonymous(reservation) = &self.origin else { return Ok(()) };
        let (old, new) = (round_up(self.len, self.page_bytes)?, round_up(len, self.page_bytes)?);
        if new <= old {
            if new < old && self.page_bytes == page_bytes() {
                let first = self.base().wrapping_add(new);
                // SAFETY: whole pages of the reservation, behind all that may still be accessed.
                check(unsafe { VirtualFree(first.cast(), old - new, MEM_DECOMMIT) })?;
            }
        } else if self.page_bytes > page_bytes() {
            return Err(unsupported("memory in huge pages does not grow on Windows"));
        } else if new <= reservation.len {
            reservation.commit(old..new)?;
        } else if moving == Moving::Forbidden {
            return Err(io::Error::from_raw_os_error(errno::NO_MEMORY));
        } else {
            let larger = Reservation::new(ptr::null_mut(), new)?;
            larger.commit(0..new)?;
            // SAFETY: both have at least `self.len` bytes of committed memory, are of this process alone, and do not
            // overlap; `&mut self` says that nobody else uses the old ones.
            unsafe { ptr::copy_nonoverlapping(self.base(), larger.addr.as_ptr(), self.len) };
            self.base = larger.addr;
            self.origin = Origin::Anonymous(larger);
        }
        self.len = len;
        Ok(())
    }

    /// Maps the file anew, with another length.
    fn map_again(&mut self, len: usize) -> io::Result<()> {
        let Origin::File(parts) = &self.origin else { return Ok(()) };
        let file = parts.file.try_clone()?;
        let (base, new) = place(file, parts.offset, len, (parts.protection, parts.sharing))?;
        if parts.sharing == Sharing::Private {
            copy_changes(self.base(), base.as_ptr(), parts.backed.min(new.backed))?;
        }
        *self = Self { base, len, page_bytes: self.page_bytes, origin: Origin::File(new) };
        Ok(())
    }

    /// Writes the dirty pages of a range back to the file and waits for the disk: FlushViewOfFile, which does not wait
    /// for the disk's own cache, and FlushFileBuffers, which does. There is nothing to do where stores do not reach the
    /// file.
    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        self.flush_async(range)?;
        match &self.origin {
            Origin::File(parts) if parts.writes_back() => sync_all(parts.file.as_handle()),
            _ => Ok(()),
        }
    }

    /// Has the dirty pages of a range written to the file: FlushViewOfFile.
    pub(crate) fn flush_async(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.backed_pages(range);
        match &self.origin {
            Origin::File(parts) if parts.writes_back() && len > 0 => {}
            _ => return Ok(()),
        }
        for _ in 0..TRIES {
            // SAFETY: the range lies in a view of ours; no memory changes.
            match check(unsafe { FlushViewOfFile(first.cast(), len) }) {
                // The system is writing the same pages just now ("FlushViewOfFile function").
                Err(error) if is(&error, ERROR_LOCK_VIOLATION) => std::thread::yield_now(),
                answer => return answer,
            }
        }
        Err(io::Error::from_raw_os_error(ERROR_LOCK_VIOLATION.cast_signed()))
    }

    /// Starts to write the dirty pages of a range to the disk, without waiting for it: FlushViewOfFile.
    pub(crate) fn start_write_back(&self, range: Range<usize>, _: BorrowedHandle<'_>, _: u64) -> io::Result<()> {
        self.flush_async(range)
    }

    /// Which pages of a range are in the working set of this process: QueryWorkingSetEx. Pages that are in memory, and
    /// that this process has not accessed for a while, or at all, do not count.
    pub(crate) fn residency(&self, range: Range<usize>) -> io::Result<Vec<bool>> {
        Ok(self.working_set(range)?.iter().map(|flags| flags & VALID != 0).collect())
    }

    /// What QueryWorkingSetEx tells of each page of a range: [`VALID`], [`LOCKED`] and others.
    fn working_set(&self, range: Range<usize>) -> io::Result<Vec<usize>> {
        let page = page_bytes();
        let start = range.start - range.start % page;
        let pages = (start..range.end).step_by(page);
        let mut asked: Vec<_> = pages
            .map(|at| PSAPI_WORKING_SET_EX_INFORMATION {
                VirtualAddress: self.base().wrapping_add(at).cast(),
                ..Default::default()
            })
            .collect();
        for some in asked.chunks_mut(1 << 16) {
            let bytes = u32::try_from(size_of_val(some)).map_err(io::Error::other)?;
            // SAFETY: the handle is this process's, and the call fills so many bytes of the buffer.
            check(unsafe { K32QueryWorkingSetEx(this_process(), some.as_mut_ptr().cast(), bytes) })?;
        }
        // SAFETY: the field is an integer in either reading of the union.
        Ok(asked.iter().map(|page| unsafe { page.VirtualAttributes.Flags }).collect())
    }

    /// Tells the system how a range is used, as far as it has a call for it.
    pub(crate) fn advise(&self, range: Range<usize>, advice: Advice) -> io::Result<()> {
        match (advice, &self.origin) {
            (Advice::WillNeed, _) => self.prefetch(range),
            (Advice::DontNeed, Origin::Anonymous(_)) => self.zero(range),
            (Advice::DontNeed, Origin::File(parts)) if parts.sharing == Sharing::Private => {
                Err(unsupported("Windows takes no change of a copy-on-write mapping back"))
            }
            (Advice::DontNeed | Advice::PageOut, _) => self.leave_working_set(range),
            (Advice::Normal | Advice::Random | Advice::Sequential, _) => Err(unsupported(
                "Windows is told of the order of accesses when a file is opened, not for a range of it",
            )),
            _ => Err(unsupported("Windows has no such advice")),
        }
    }

    /// Follows madvise(2)'s advice by its number, where there is a call for it.
    pub(crate) fn madvise(&self, range: Range<usize>, number: i32) -> io::Result<()> {
        match number {
            WILL_NEED => self.prefetch(range),
            _ => Err(unsupported("Windows has no such advice")),
        }
    }

    /// Starts to read the pages of a range: PrefetchVirtualMemory.
    fn prefetch(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.backed_pages(range);
        if len == 0 {
            return Ok(());
        }
        let entry = WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: first.cast(), NumberOfBytes: len };
        // SAFETY: the handle is this process's, and the entry a local; no memory changes.
        check(unsafe { PrefetchVirtualMemory(this_process(), 1, &raw const entry, 0) })
    }

    /// Fills whole pages of anonymous memory with zeros, and lets them leave the working set; locked ones are refused.
    fn zero(&self, range: Range<usize>) -> io::Result<()> {
        self.refuse_locked(range.clone())?;
        let (first, len) = self.backed_pages(range.clone());
        // SAFETY: committed memory of this process, whose owner gives this advice only where nobody has a reference to
        // it; `AnonMap::discard` has `&mut self`.
        unsafe { ptr::write_bytes(first, 0, len) };
        self.leave_working_set(range)
    }

    /// Takes the pages of a range out of the working set: VirtualUnlock, which does so for pages that are not locked
    /// ("VirtualUnlock function", Microsoft's documentation), and calls that an error. Locked pages are refused, and
    /// stay.
    fn leave_working_set(&self, range: Range<usize>) -> io::Result<()> {
        self.refuse_locked(range.clone())?;
        match self.unlock(range) {
            Err(error) if is(&error, ERROR_NOT_LOCKED) => Ok(()),
            answer => answer,
        }
    }

    /// Makes sure that no page of a range is locked.
    fn refuse_locked(&self, range: Range<usize>) -> io::Result<()> {
        match self.working_set(range)?.iter().any(|flags| flags & VALID != 0 && flags & LOCKED != 0) {
            true => Err(io::Error::new(io::ErrorKind::InvalidInput, "some of the pages are locked in memory")),
            false => Ok(()),
        }
    }

    /// Brings all pages of a range in, by an access to each, which changes nothing.
    pub(crate) fn populate(&self, range: Range<usize>, access: Access) -> io::Result<()> {
        arch::arm()?;
        let (first, len) = self.pages(range);
        for at in (0..len).step_by(page_bytes()) {
            let byte = first.wrapping_add(at);
            let touched = match access {
                // SAFETY: the byte lies in the region, whose faults are caught.
                Access::Read => unsafe { arch::load_u8(byte, 0) }.map(drop),
                // SAFETY: as above; adding nothing leaves the byte what it is, whoever reads it meanwhile.
                Access::Write => unsafe { <u8 as Atomic>::fetch_add(byte, 0, Ordering::Relaxed) }.map(drop),
            };
            touched.map_err(|_| io::Error::from_raw_os_error(ERROR_INVALID_ADDRESS.cast_signed()))?;
        }
        Ok(())
    }

    /// Keeps the pages of a range in memory, and brings them in: VirtualLock.
    ///
    /// # Errors
    /// `QuotaExceeded` where the process's working set has no room for them; else what the system says.
    pub(crate) fn lock(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.pages(range.clone());
        if self.backed_pages(range) != (first, len) {
            return Err(io::Error::from_raw_os_error(ERROR_INVALID_ADDRESS.cast_signed()));
        }
        // SAFETY: the range lies inside the region; no memory changes.
        check(unsafe { VirtualLock(first.cast(), len) }).map_err(|error| match is(&error, ERROR_WORKING_SET_QUOTA) {
            true => working_set_error(&error),
            false => error,
        })
    }

    /// Undoes `lock`: VirtualUnlock.
    pub(crate) fn unlock(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.backed_pages(range);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range lies inside the region; no memory changes.
        check(unsafe { VirtualUnlock(first.cast(), len) })
    }

    /// Sets what the pages of a range may be used for: VirtualProtect. Those behind the file's end allow nothing, and
    /// are left alone.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` for more than the view was mapped for.
    pub(crate) fn protect(&self, range: Range<usize>, protection: Protection) -> io::Result<()> {
        let (first, len) = self.backed_pages(range);
        if len == 0 {
            return Ok(());
        }
        let flags = self.protection_flags(protection)?;
        let mut before = 0;
        // SAFETY: the range lies inside the region, whose bytes are reached by accesses that survive a refusal; who has
        // made references into the region allows what they need.
        check(unsafe { VirtualProtect(first.cast(), len, flags, &raw mut before) })
    }

    fn protection_flags(&self, protection: Protection) -> io::Result<PAGE_PROTECTION_FLAGS> {
        let denied = || Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed()));
        let parts = match &self.origin {
            Origin::File(parts) => Some(parts),
            Origin::Nothing | Origin::Anonymous(_) => None,
        };
        Ok(match (protection, parts) {
            (Protection::None, _) => PAGE_NOACCESS,
            (Protection::ReadOnly, _) => PAGE_READONLY,
            (Protection::ReadWrite, Some(parts)) if parts.sharing == Sharing::Private => PAGE_WRITECOPY,
            (Protection::ReadWrite, Some(parts)) if parts.protection != Protection::ReadWrite => return denied(),
            (Protection::ReadWrite, _) => PAGE_READWRITE,
            (Protection::ReadExecute, Some(parts)) if parts.protection != Protection::ReadExecute => return denied(),
            (Protection::ReadExecute, _) => PAGE_EXECUTE_READ,
        })
    }

    /// The address and the length of the whole pages that hold a range.
    fn pages(&self, range: Range<usize>) -> (*mut u8, usize) {
        let start = range.start - range.start % self.page_bytes;
        let end = range.end.next_multiple_of(self.page_bytes);
        (self.base().wrapping_add(start), end - start)
    }

    /// The same, without the pages behind the file's end.
    fn backed_pages(&self, range: Range<usize>) -> (*mut u8, usize) {
        let start = range.start - range.start % self.page_bytes;
        let end =
            range.end.next_multiple_of(self.page_bytes).min(self.backed_bytes().next_multiple_of(self.page_bytes));
        (self.base().wrapping_add(start), end.saturating_sub(start))
    }
}

impl FileParts {
    /// Whether stores reach the file.
    fn writes_back(&self) -> bool {
        !self.is_memory && self.sharing == Sharing::Shared && self.protection == Protection::ReadWrite
    }
}

/// Maps `len` bytes of a file from `offset`, a multiple of the page size; answers the address of the first one, and
/// what keeps it.
fn place(
    file: OwnedHandle,
    offset: u64,
    len: usize,
    (protection, sharing): (Protection, Sharing),
) -> io::Result<(NonNull<u8>, FileParts)> {
    let granularity = granularity_bytes();
    let lead =
        usize::try_from(offset % u64::try_from(granularity).map_err(io::Error::other)?).map_err(io::Error::other)?;
    let whole = round_up(lead.checked_add(len).ok_or_else(no_memory)?, granularity)?;
    let start_offset = offset - u64::try_from(lead).map_err(io::Error::other)?;
    let mut failed = no_memory();
    for _ in 0..TRIES {
        let file_len = file_len(file.as_handle())?;
        let in_file = usize::try_from(file_len.saturating_sub(start_offset)).unwrap_or(usize::MAX);
        // To the end of what is asked for, or of the file: a section ends with the file's bytes, though a view of it
        // has the rest of the last page.
        let viewed = if in_file <= lead { 0 } else { in_file.min(lead + len) };
        match map_parts(&file, (protection, sharing), start_offset, viewed, whole) {
            Ok((start, view, tail)) => {
                let backed = round_up(viewed, page_bytes())?.saturating_sub(lead);
                let is_memory = super::section::is_section(file.as_handle());
                let parts =
                    FileParts { _view: view, _tail: tail, backed, file, is_memory, offset, protection, sharing };
                return Ok((offset_by(start, lead), parts));
            }
            // The addresses have been taken meanwhile.
            Err(error) if is(&error, ERROR_INVALID_ADDRESS) => failed = error,
            // Or the file has been cut since it was measured: a view longer than its section is denied, and a section
            // of no bytes is no file's.
            Err(error) if is(&error, ERROR_ACCESS_DENIED) || is(&error, ERROR_FILE_INVALID) => {
                if self::file_len(file.as_handle())? >= file_len {
                    return Err(error);
                }
                failed = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(failed)
}

/// Maps `viewed` bytes of a file, if any, and keeps the addresses behind them up to `whole`, a multiple of the
/// granularity; answers the first address, and what keeps them.
fn map_parts(
    file: &OwnedHandle,
    (protection, sharing): (Protection, Sharing),
    offset: u64,
    viewed: usize,
    whole: usize,
) -> io::Result<(NonNull<u8>, Option<SectionView>, Option<Reservation>)> {
    if viewed == 0 {
        check_access(file, protection, sharing)?;
        let tail = Reservation::new(ptr::null_mut(), whole)?;
        return Ok((tail.addr, None, Some(tail)));
    }
    let section = section(file, protection, sharing)?;
    let (view, tail) = map_whole(&section, view_access(protection, sharing), offset, viewed, whole)?;
    Ok((view.addr, Some(view), tail))
}

/// Whether a file of which no byte is mapped was opened for what its mapping is for.
///
/// # Errors
/// `ERROR_ACCESS_DENIED`, as for a file that has bytes.
fn check_access(file: &OwnedHandle, protection: Protection, sharing: Sharing) -> io::Result<()> {
    let opened = opened(file.as_handle())?;
    let writes = sharing == Sharing::Shared && protection == Protection::ReadWrite;
    if !opened.reads || writes && (!opened.writes || opened.appends) {
        return Err(io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed()));
    }
    Ok(())
}

/// A section of all of a file, as long as that is; a section is itself.
fn section(file: &OwnedHandle, protection: Protection, sharing: Sharing) -> io::Result<OwnedHandle> {
    if super::section::is_section(file.as_handle()) {
        return file.try_clone();
    }
    let flags = match (sharing, protection) {
        (Sharing::Shared, Protection::ReadWrite) => PAGE_READWRITE,
        (_, Protection::ReadExecute) => PAGE_EXECUTE_READ,
        (Sharing::Private, _) => PAGE_WRITECOPY,
        (Sharing::Shared, _) => PAGE_READONLY,
    };
    // A size of zero is the file's: any other could make it longer.
    // SAFETY: the handle is open; no attributes and no name are given ("CreateFileMappingW function").
    let made = unsafe { CreateFileMappingW(file.as_raw_handle(), ptr::null(), flags, 0, 0, ptr::null()) };
    if made.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(made) })
}

fn view_access(protection: Protection, sharing: Sharing) -> FILE_MAP {
    match (sharing, protection) {
        (Sharing::Shared, Protection::ReadWrite) => FILE_MAP_READ | FILE_MAP_WRITE,
        (_, Protection::ReadExecute) => FILE_MAP_READ | FILE_MAP_EXECUTE,
        (Sharing::Private, _) => FILE_MAP_COPY,
        (Sharing::Shared, _) => FILE_MAP_READ,
    }
}

/// Maps `viewed` bytes of a section, and keeps the addresses behind them up to `whole`. Answers `ERROR_INVALID_ADDRESS`
/// if somebody else has taken the addresses in between.
fn map_whole(
    section: &OwnedHandle,
    access: FILE_MAP,
    offset: u64,
    viewed: usize,
    whole: usize,
) -> io::Result<(SectionView, Option<Reservation>)> {
    let own = round_up(viewed, granularity_bytes())?;
    if own >= whole {
        return Ok((map_view(section, access, offset, viewed, ptr::null_mut())?, None));
    }
    let room = Reservation::new(ptr::null_mut(), whole)?;
    let addr = room.addr.as_ptr();
    drop(room);
    let view = map_view(section, access, offset, viewed, addr)?;
    let tail = Reservation::new(addr.wrapping_add(own), whole - own);
    Ok((view, Some(tail.map_err(|_| io::Error::from_raw_os_error(ERROR_INVALID_ADDRESS.cast_signed()))?)))
}

/// Maps a part of a section, at `addr` or where the system likes.
fn map_view(
    section: &OwnedHandle,
    access: FILE_MAP,
    offset: u64,
    len: usize,
    addr: *mut u8,
) -> io::Result<SectionView> {
    let (high, low) = (u32::try_from(offset >> 32), u32::try_from(offset & u64::from(u32::MAX)));
    let (high, low) = (high.map_err(io::Error::other)?, low.map_err(io::Error::other)?);
    // SAFETY: addresses are taken that nothing else uses, or none ("MapViewOfFileEx function").
    let mapped = unsafe { MapViewOfFileEx(section.as_raw_handle(), access, high, low, len, addr.cast()) };
    match NonNull::new(mapped.Value.cast()) {
        Some(addr) => Ok(SectionView { addr }),
        None => Err(io::Error::last_os_error()),
    }
}

/// Stores in a new copy-on-write mapping what an old one of the same bytes has changed, page by page.
fn copy_changes(old: *const u8, new: *mut u8, len: usize) -> io::Result<()> {
    let gone = || io::Error::from_raw_os_error(errno::IO_FAILED);
    arch::arm()?;
    let (mut before, mut now) = ([0; 4096], [0; 4096]);
    for at in (0..len).step_by(before.len()) {
        let bytes = before.len().min(len - at);
        let (old, new) = (old.wrapping_add(at), new.wrapping_add(at));
        // SAFETY: `bytes` bytes of a live mapping, into a buffer that has room for them; faults are caught.
        let read = unsafe { arch::copy_exact(before.as_mut_ptr(), old, bytes) };
        // SAFETY: as above.
        let seen = unsafe { arch::copy_exact(now.as_mut_ptr(), new, bytes) };
        if read.fault.is_some() || seen.fault.is_some() {
            return Err(gone());
        }
        // SAFETY: as above, the other way round.
        if before != now && unsafe { arch::copy_exact(new, before.as_ptr(), bytes) }.fault.is_some() {
            return Err(gone());
        }
    }
    Ok(())
}

/// Memory in huge pages, which is committed at once: `MEM_LARGE_PAGES`, for who holds the privilege
/// `SeLockMemoryPrivilege`.
fn allocate_huge(huge_pages: HugePages, len: usize) -> io::Result<Reservation> {
    let page_bytes = huge_page_bytes()?;
    if !matches!(huge_pages, HugePages::Default) && huge_pages != HugePages::Bytes(page_bytes) {
        return Err(io::Error::from_raw_os_error(errno::INVALID));
    }
    let kind = MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES;
    // SAFETY: addresses are taken that nothing else uses, or none.
    let taken = unsafe { VirtualAlloc(ptr::null(), len, kind, PAGE_READWRITE) };
    match NonNull::new(taken.cast()) {
        Some(addr) => Ok(Reservation { addr, len }),
        None => Err(io::Error::last_os_error()),
    }
}

/// Bytes of a huge page: GetLargePageMinimum.
pub(crate) fn huge_page_bytes() -> io::Result<usize> {
    // SAFETY: takes no arguments.
    match unsafe { GetLargePageMinimum() } {
        0 => Err(unsupported("the processor has no huge pages")),
        bytes => Ok(bytes),
    }
}

/// Whether advice of madvise(2)'s number is followed.
pub(crate) fn has_advice(number: i32) -> bool {
    number == WILL_NEED
}

/// Says how much a process may lock, which is what is behind `ERROR_WORKING_SET_QUOTA`.
fn working_set_error(error: &io::Error) -> io::Error {
    let (mut least, mut most) = (0, 0);
    // SAFETY: the handle is this process's, and both results are locals.
    let told = unsafe { GetProcessWorkingSetSize(this_process(), &raw mut least, &raw mut most) };
    let limit = if told == 0 { "an unknown number of".to_owned() } else { least.to_string() };
    let reason = format!(
        "{error}: a process may lock a little less than its minimum working set of {limit} bytes, which \
         SetProcessWorkingSetSize changes"
    );
    io::Error::new(io::ErrorKind::QuotaExceeded, reason)
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

fn no_memory() -> io::Error {
    io::Error::from_raw_os_error(errno::NO_MEMORY)
}

fn round_up(len: usize, to: usize) -> io::Result<usize> {
    len.checked_next_multiple_of(to).ok_or_else(no_memory)
}

/// An address behind another one, in the same range.
fn offset_by(addr: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: the callers' ranges have more bytes than that from `addr` on, so the sum is in them.
    unsafe { addr.add(bytes) }
}
