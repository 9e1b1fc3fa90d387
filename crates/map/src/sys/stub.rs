//! Systems without an implementation: nothing can be mapped, and everything says so.
#![expect(unsafe_code, reason = "a function that is unsafe where it does something")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;

use crate::arch::FaultWord;
use crate::options::MapMode;
use crate::page::{PageRange, PageSpan};

/// No address range: none is ever made, but for the empty one.
#[derive(Debug)]
pub(crate) struct Region;

impl Region {
    pub(crate) const EMPTY: Self = Self;

    pub(crate) fn map(_: BorrowedFd<'_>, _: PageSpan, _: MapMode) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn base(&self) -> *mut u8 {
        std::ptr::dangling_mut()
    }

    pub(crate) fn flush(&self, _: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn residency(&self, _: Range<usize>) -> io::Result<Vec<bool>> {
        Err(io::ErrorKind::Unsupported.into())
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
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn page_bytes() -> usize {
    4096
}

pub(crate) fn file_len(_: BorrowedFd<'_>) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn readable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn allocatable(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_full(_: BorrowedFd<'_>) -> bool {
    false
}

pub(crate) fn path_of(_: BorrowedFd<'_>) -> String {
    "file".to_owned()
}

pub(crate) fn is_armed() -> bool {
    false
}

pub(crate) fn is_blocked() -> bool {
    false
}
