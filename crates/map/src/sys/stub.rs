//! Systems without an implementation: nothing can be mapped, and everything says so.
#![expect(unsafe_code, reason = "the names and duties of the other systems")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::arch::FaultWord;
use crate::descriptor::{BorrowedDescriptor, OwnedDescriptor};
use crate::fault::{Access, FaultKind};
use crate::options::{HugePages, MapMode, Protection};
use crate::page::PageRange;
use crate::paging::{Advice, CacheCounts};
use crate::sys::{FileFacts, Moving, Opened, Request, Scope};
use crate::usage::Usage;

/// No address range: none is ever made, but for the empty one.
#[derive(Debug)]
pub(crate) struct Region;

impl Region {
    pub(crate) const ATOMICS_POISON: bool = false;

    pub(crate) const EMPTY: Self = Self;

    pub(crate) fn map(_: &Request<'_>) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn attach(_: i32, _: Protection) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn is_segment(&self) -> bool {
        false
    }

    pub(crate) fn base(&self) -> *mut u8 {
        std::ptr::dangling_mut()
    }

    pub(crate) fn len(&self) -> usize {
        0
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

    pub(crate) fn resize(&mut self, _: usize, _: Moving) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn flush(&self, _: Range<usize>) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn flush_async(&self, _: Range<usize>) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn start_write_back(&self, _: Range<usize>, _: BorrowedDescriptor<'_>, _: u64) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn residency(&self, _: Range<usize>) -> io::Result<Vec<bool>> {
        unsupported()
    }

    pub(crate) fn advise(&self, _: Range<usize>, _: Advice) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn madvise(&self, _: Range<usize>, _: i32) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn populate(&self, _: Range<usize>, _: Access) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn lock(&self, _: Range<usize>) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn unlock(&self, _: Range<usize>) -> io::Result<()> {
        unsupported()
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
        unsupported()
    }
}

/// A mapping of plain atomics: none can be made.
#[derive(Debug)]
pub(crate) struct Registration;

impl Registration {
    /// Answers that there is no such thing.
    ///
    /// # Safety
    /// None here; see the one of Linux.
    pub(crate) unsafe fn new(_: PageRange) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn fault(&self) -> Option<FaultWord> {
        None
    }
}

pub(crate) fn open(_: &Path, _: MapMode) -> io::Result<File> {
    unsupported()
}

pub(crate) fn facts(_: BorrowedDescriptor<'_>) -> io::Result<FileFacts> {
    unsupported()
}

pub(crate) fn huge_page_bytes() -> io::Result<usize> {
    unsupported()
}

pub(crate) fn file_len(_: BorrowedDescriptor<'_>) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn readable(_: BorrowedDescriptor<'_>, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn allocatable(_: BorrowedDescriptor<'_>, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_full(_: BorrowedDescriptor<'_>, _: u64) -> bool {
    false
}

pub(crate) fn stand_in(_: &str, _: u64) -> io::Result<OwnedDescriptor> {
    unsupported()
}

pub(crate) fn path_of(_: BorrowedDescriptor<'_>) -> String {
    "file".to_owned()
}

/// # Safety
/// None: nothing is done.
pub(crate) unsafe fn write(_: BorrowedDescriptor<'_>, _: *const u8, _: usize) -> io::Result<usize> {
    unsupported()
}

/// # Safety
/// None: nothing is done.
pub(crate) unsafe fn read(_: BorrowedDescriptor<'_>, _: *mut u8, _: usize) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn grow(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<u64> {
    unsupported()
}

pub(crate) const GROWS_IN_PLACE: bool = true;

pub(crate) fn read_at(_: BorrowedDescriptor<'_>, _: &mut [u8], _: u64) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn write_at(_: BorrowedDescriptor<'_>, _: &[u8], _: u64) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn append(_: BorrowedDescriptor<'_>, _: &[u8]) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn most_file_bytes() -> u64 {
    u64::MAX
}

pub(crate) fn has_holes(_: BorrowedDescriptor<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn fill_holes(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_in_memory(_: BorrowedDescriptor<'_>) -> bool {
    false
}

pub(crate) fn set_len(_: BorrowedDescriptor<'_>, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn opened(_: BorrowedDescriptor<'_>) -> io::Result<Opened> {
    unsupported()
}

pub(crate) fn reopen(_: BorrowedDescriptor<'_>) -> io::Result<OwnedDescriptor> {
    unsupported()
}

pub(crate) fn sync_all(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn sync_data(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn start_write_back(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn drop_cache(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn cache_counts(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<CacheCounts> {
    unsupported()
}

pub(crate) fn memfd(_: &str, _: u64, _: Option<HugePages>) -> io::Result<OwnedDescriptor> {
    unsupported()
}

pub(crate) fn seal(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_sealed(_: BorrowedDescriptor<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn immutable(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn has_advice(_: i32) -> bool {
    false
}

pub(crate) const NARROWEST_SCOPE: Scope = Scope::Thread;

pub(crate) fn usage(_: Scope) -> io::Result<Usage> {
    unsupported()
}

pub(crate) fn page_bytes() -> usize {
    4096
}

/// # Safety
/// None here.
pub(crate) unsafe fn futex_wait(_: *const u32, _: u32, _: Option<Duration>) -> io::Result<bool> {
    unsupported()
}

/// # Safety
/// None here.
pub(crate) unsafe fn futex_wake(_: *const u32, _: u32) -> io::Result<u32> {
    unsupported()
}

pub(crate) fn fault_error(_: FaultWord) -> Option<io::Error> {
    None
}

pub(crate) fn is_armed() -> bool {
    false
}

pub(crate) fn is_blocked() -> bool {
    false
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
