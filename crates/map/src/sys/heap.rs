//! Miri: a mapping is heap memory that holds the file's bytes, written back by `flush` and on drop, so that everything
//! above this file runs under Miri as it does in production. Sharing and faults are not imitated.
#![expect(unsafe_code, reason = "a heap block that is accessed through raw pointers")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::arch::FaultWord;
use crate::fault::{Access, FaultKind};
use crate::options::{HugePages, MapMode, Protection};
use crate::page::PageRange;
use crate::paging::{Advice, CacheCounts};
use crate::sys::{FileFacts, Moving, Opened, Request, Scope, Sharing};
use crate::usage::Usage;

/// Bytes that a mapping may have: more than any test needs, less than Miri gives up at.
const MOST_BYTES: usize = 1 << 30;

/// A heap block in place of an address range.
#[derive(Debug)]
pub(crate) struct Region {
    base: *mut u8,
    len: usize,
    offset: u64,
    /// Where the bytes come from, and where they are written back to by mappings that do.
    file: Option<File>,
    writes_back: bool,
}

// SAFETY: the block belongs to no thread, and `Region` touches its bytes only where its owner says so.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    pub(crate) const ATOMICS_POISON: bool = false;

    pub(crate) const EMPTY: Self =
        Self { base: std::ptr::dangling_mut(), len: 0, offset: 0, file: None, writes_back: false };

    pub(crate) fn attach(_: i32, _: Protection) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_segment(&self) -> bool {
        false
    }

    pub(crate) fn map(request: &Request<'_>) -> io::Result<Self> {
        let file = request.file.map(|file| file.try_clone_to_owned()).transpose()?.map(File::from);
        let writes_back = request.sharing == Sharing::Shared && request.protection == Protection::ReadWrite;
        let len = request.len.max(1);
        if len > MOST_BYTES {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        let mut bytes = vec![0; len];
        let mut done = 0;
        while let Some(file) = &file
            && done < len
        {
            match file.read_at(&mut bytes[done..], request.offset + u64::try_from(done).map_err(io::Error::other)?)? {
                0 => break,
                n => done += n,
            }
        }
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout(len)) };
        assert!(!base.is_null(), "out of memory under Miri");
        // SAFETY: both are blocks of that length, and the new one overlaps nothing.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, len) };
        Ok(Self { base, len, offset: request.offset, file, writes_back })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_unmapped(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn backed_bytes(&self) -> usize {
        usize::MAX
    }

    pub(crate) fn page_bytes(&self) -> usize {
        page_bytes()
    }

    pub(crate) fn resize(&mut self, len: usize, _: Moving) -> io::Result<()> {
        let request = Request {
            file: self.file.as_ref().map(std::os::fd::AsFd::as_fd),
            offset: self.offset,
            len,
            reserve: 0,
            page_bytes: page_bytes(),
            protection: if self.writes_back { Protection::ReadWrite } else { Protection::ReadOnly },
            sharing: Sharing::Shared,
            huge_pages: None,
            no_reserve: false,
            stack: false,
            populate: false,
        };
        let resized = Self::map(&request)?;
        // SAFETY: both are blocks of at least that length, and the new one overlaps nothing.
        unsafe { std::ptr::copy_nonoverlapping(self.base, resized.base, self.len.min(len)) };
        *self = resized;
        Ok(())
    }

    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        if self.writes_back
            && let Some(file) = &self.file
        {
            let mut bytes = vec![0; range.len()];
            // SAFETY: the caller's range lies inside the block.
            unsafe { crate::arch::copy(bytes.as_mut_ptr(), self.base.wrapping_add(range.start), range.len()) };
            let start = self.offset + u64::try_from(range.start).map_err(io::Error::other)?;
            let len = usize::try_from(file_len_of(file)?.saturating_sub(start)).map_err(io::Error::other)?;
            file.write_all_at(&bytes[..len.min(bytes.len())], start)?;
        }
        Ok(())
    }

    pub(crate) fn flush_async(&self, range: Range<usize>) -> io::Result<()> {
        self.flush(range)
    }

    pub(crate) fn start_write_back(&self, _: Range<usize>, _: BorrowedFd<'_>, _: u64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn residency(&self, range: Range<usize>) -> io::Result<Vec<bool>> {
        let first = range.start / page_bytes();
        Ok(vec![true; range.end.div_ceil(page_bytes()) - first])
    }

    pub(crate) fn advise(&self, _: Range<usize>, _: Advice) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn madvise(&self, _: Range<usize>, _: i32) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn populate(&self, _: Range<usize>, _: Access) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn lock(&self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn unlock(&self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn repair_atomics(&self) -> Result<(), i32> {
        Ok(())
    }

    pub(crate) fn refuse_atomics(&mut self) -> bool {
        false
    }

    pub(crate) fn fault_kind(&self, _: impl FnOnce(FaultWord) -> FaultKind, now: impl FnOnce() -> FaultKind) -> FaultKind {
        now()
    }

    pub(crate) fn protect(&self, _: Range<usize>, _: Protection) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.len > 0 {
            // Like the kernel's write-back, this has nobody left to report to.
            let _ = self.flush(0..self.len);
            // SAFETY: allocated in `map` with the same layout, freed here only.
            unsafe { dealloc(self.base, layout(self.len)) };
        }
    }
}

/// Whole pages, as mappings have.
fn layout(len: usize) -> Layout {
    Layout::from_size_align(len.next_multiple_of(page_bytes()), page_bytes())
        .unwrap_or_else(|_| unreachable!("MOST_BYTES bounds the length"))
}

fn file_len_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// A mapping of plain atomics: a heap block cannot fault.
#[derive(Debug)]
pub(crate) struct Registration;

impl Registration {
    /// Does nothing.
    ///
    /// # Safety
    /// None here; see the one of Linux.
    pub(crate) unsafe fn new(_: PageRange) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn fault(&self) -> Option<FaultWord> {
        None
    }
}

pub(crate) fn open(path: &Path, mode: MapMode) -> io::Result<File> {
    File::options().read(true).write(mode == MapMode::ReadWrite).open(path)
}

pub(crate) fn page_bytes() -> usize {
    4096
}

pub(crate) fn facts(file: BorrowedFd<'_>) -> io::Result<FileFacts> {
    Ok(FileFacts { len: file_len(file)?, page_bytes: page_bytes(), can_be_mapped: true })
}

pub(crate) fn huge_page_bytes() -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn file_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    file_len_of(&File::from(file.try_clone_to_owned()?))
}

pub(crate) fn readable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn allocatable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_full(_: BorrowedFd<'_>, _: u64) -> bool {
    false
}

pub(crate) fn stand_in(_: &str, _: u64) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn path_of(_: BorrowedFd<'_>) -> String {
    "file".to_owned()
}

/// # Safety
/// `bytes..bytes + len` lies in a region.
pub(crate) unsafe fn write(file: BorrowedFd<'_>, bytes: *const u8, len: usize) -> io::Result<usize> {
    let mut copy = vec![0; len];
    // SAFETY: the source by the caller's duty; the destination is a buffer of that length.
    unsafe { crate::arch::copy(copy.as_mut_ptr(), bytes, len) };
    File::from(file.try_clone_to_owned()?).write(&copy)
}

/// # Safety
/// `bytes..bytes + len` lies in a region.
pub(crate) unsafe fn read(file: BorrowedFd<'_>, bytes: *mut u8, len: usize) -> io::Result<usize> {
    let mut copy = vec![0; len];
    let read = File::from(file.try_clone_to_owned()?).read(&mut copy)?;
    // SAFETY: the destination by the caller's duty; the source is a buffer of that length.
    unsafe { crate::arch::copy(bytes, copy.as_ptr(), read) };
    Ok(read)
}

pub(crate) fn grow(file: BorrowedFd<'_>, _: u64, end: u64) -> io::Result<u64> {
    set_len(file, end)?;
    Ok(end)
}

pub(crate) const GROWS_IN_PLACE: bool = true;

pub(crate) fn read_at(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    File::from(file.try_clone_to_owned()?).read_at(bytes, offset)
}

pub(crate) fn write_at(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<usize> {
    File::from(file.try_clone_to_owned()?).write_at(bytes, offset)
}

pub(crate) fn append(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn most_file_bytes() -> u64 {
    u64::MAX
}

pub(crate) fn has_holes(_: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn fill_holes(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_in_memory(_: BorrowedFd<'_>) -> bool {
    false
}

pub(crate) fn set_len(file: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    File::from(file.try_clone_to_owned()?).set_len(len)
}

/// Miri has no `F_GETFL`.
pub(crate) fn opened(_: BorrowedFd<'_>) -> io::Result<Opened> {
    Ok(Opened { reads: true, writes: true, appends: false, maps: true })
}

pub(crate) fn reopen(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    file.try_clone_to_owned()
}

pub(crate) fn sync_all(file: BorrowedFd<'_>) -> io::Result<()> {
    File::from(file.try_clone_to_owned()?).sync_all()
}

pub(crate) fn sync_data(file: BorrowedFd<'_>) -> io::Result<()> {
    File::from(file.try_clone_to_owned()?).sync_data()
}

pub(crate) fn start_write_back(_: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn drop_cache(_: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn cache_counts(_: BorrowedFd<'_>, _: u64, _: u64) -> io::Result<CacheCounts> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A file that is removed at once, since Miri has no memfd_create(2).
pub(crate) fn memfd(name: &str, len: u64, _: Option<HugePages>) -> io::Result<OwnedFd> {
    let path = std::env::temp_dir().join(format!("mapio-miri-{name}-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(len)?;
    Ok(file.into())
}

/// Nothing to do: there are no other processes.
pub(crate) fn seal(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_sealed(_: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(true)
}

pub(crate) fn immutable(_: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::ErrorKind::InvalidInput.into())
}

pub(crate) fn has_advice(_: i32) -> bool {
    true
}

pub(crate) const NARROWEST_SCOPE: Scope = Scope::Thread;

pub(crate) fn usage(_: Scope) -> io::Result<Usage> {
    Ok(Usage::default())
}

/// Comes back at once, as a wait may: whoever waits looks again, and lets the others run meanwhile.
///
/// # Safety
/// None here.
pub(crate) unsafe fn futex_wait(_: *const u32, _: u32, _: Option<Duration>) -> io::Result<bool> {
    std::thread::yield_now();
    Ok(true)
}

/// Wakes nobody: nobody sleeps.
///
/// # Safety
/// None here.
pub(crate) unsafe fn futex_wake(_: *const u32, _: u32) -> io::Result<u32> {
    Ok(0)
}

pub(crate) fn fault_error(_: FaultWord) -> Option<io::Error> {
    None
}

pub(crate) fn is_armed() -> bool {
    true
}

pub(crate) fn is_blocked() -> bool {
    false
}
