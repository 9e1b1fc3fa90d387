//! Miri: a mapping is heap memory that holds the file's bytes, written back by `flush` and on drop, so that everything
//! above this file runs under Miri as it does in production. Sharing and faults are not imitated.
#![expect(unsafe_code, reason = "a heap block that is accessed through raw pointers")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::arch::FaultWord;
use crate::options::MapMode;
use crate::page::{PageRange, PageSpan};

/// A heap block in place of an address range.
#[derive(Debug)]
pub(crate) struct Region {
    base: *mut u8,
    len: usize,
    offset: u64,
    /// Where to write back; `None` for mappings that don't.
    file: Option<File>,
}

// SAFETY: the block belongs to no thread, and `Region` touches its bytes only where its owner says so.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    pub(crate) const EMPTY: Self = Self { base: std::ptr::dangling_mut(), len: 0, offset: 0, file: None };

    pub(crate) fn map(file: BorrowedFd<'_>, span: PageSpan, mode: MapMode) -> io::Result<Self> {
        let file = File::from(file.try_clone_to_owned()?);
        let mut bytes = vec![0; span.map_len];
        let mut done = 0;
        while done < bytes.len() {
            match file.read_at(&mut bytes[done..], span.offset + u64::try_from(done).map_err(io::Error::other)?)? {
                0 => break,
                n => done += n,
            }
        }
        // SAFETY: the layout is not empty, since only spans of at least a byte are mapped.
        let base = unsafe { alloc_zeroed(layout(span.map_len)) };
        assert!(!base.is_null(), "out of memory under Miri");
        // SAFETY: both are blocks of that length, and the new one overlaps nothing.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, bytes.len()) };
        let file = (mode == MapMode::ReadWrite).then_some(file);
        Ok(Self { base, len: span.map_len, offset: span.offset, file })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        if let Some(file) = &self.file {
            let mut bytes = vec![0; range.len()];
            // SAFETY: the caller's range lies inside the block.
            unsafe { crate::arch::copy(bytes.as_mut_ptr(), self.base.wrapping_add(range.start), range.len()) };
            let start = self.offset + u64::try_from(range.start).map_err(io::Error::other)?;
            let len = usize::try_from(file_len_of(file)?.saturating_sub(start)).map_err(io::Error::other)?;
            file.write_all_at(&bytes[..len.min(bytes.len())], start)?;
        }
        Ok(())
    }

    pub(crate) fn residency(&self, range: Range<usize>) -> io::Result<Vec<bool>> {
        let first = range.start / page_bytes();
        Ok(vec![true; range.end.div_ceil(page_bytes()) - first])
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

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, page_bytes()).unwrap_or_else(|_| unreachable!("PageSpan bounds the length"))
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

pub(crate) fn file_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    file_len_of(&File::from(file.try_clone_to_owned()?))
}

pub(crate) fn readable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn allocatable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_full(_: BorrowedFd<'_>) -> bool {
    false
}

pub(crate) fn path_of(_: BorrowedFd<'_>) -> String {
    "file".to_owned()
}

pub(crate) fn is_armed() -> bool {
    true
}

pub(crate) fn is_blocked() -> bool {
    false
}
