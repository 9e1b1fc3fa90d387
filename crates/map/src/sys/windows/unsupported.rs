//! What Windows has nothing for: each says what is missing.
#![expect(unsafe_code, reason = "the names and duties of the other systems")]

use std::io;

use crate::arch::FaultWord;
use crate::descriptor::{BorrowedDescriptor, OwnedDescriptor};
use crate::page::PageRange;
use crate::paging::CacheCounts;

/// An error of the kind `Unsupported` that names what is missing.
pub(super) fn unsupported(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

/// A mapping of plain atomics: a page of a view cannot be replaced alone, so none can be made.
#[derive(Debug)]
pub(crate) struct Registration;

impl Registration {
    /// Answers that there is no such thing.
    ///
    /// # Safety
    /// None here; see the one of Linux.
    pub(crate) unsafe fn new(_: PageRange) -> io::Result<Self> {
        Err(unsupported("Windows cannot replace a page of a view, so no fault of a plain atomic could be mended"))
    }

    pub(crate) fn fault(&self) -> Option<FaultWord> {
        None
    }
}

pub(crate) fn stand_in(_: &str, _: u64) -> io::Result<OwnedDescriptor> {
    Err(unsupported("Windows has no System V segments"))
}

pub(crate) fn seal(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    Err(unsupported("Windows has no seals that keep a file from being changed"))
}

pub(crate) fn is_sealed(_: BorrowedDescriptor<'_>) -> io::Result<bool> {
    Err(unsupported("Windows has no seals that keep a file from being changed"))
}

pub(crate) fn immutable(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    Err(unsupported("Windows has no files that nobody can change"))
}

pub(crate) fn has_holes(_: BorrowedDescriptor<'_>) -> io::Result<bool> {
    Err(unsupported("Windows does not tell which pages of a file take memory"))
}

pub(crate) fn fill_holes(_: BorrowedDescriptor<'_>) -> io::Result<()> {
    Err(unsupported("Windows has no seals that keep a file from being changed"))
}

pub(crate) fn cache_counts(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<CacheCounts> {
    Err(unsupported("Windows does not tell which pages of a file are in its cache"))
}

pub(crate) fn drop_cache(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<()> {
    Err(unsupported("Windows has no call that takes a file's pages out of its cache"))
}

pub(crate) fn grow(_: BorrowedDescriptor<'_>, _: u64, _: u64) -> io::Result<u64> {
    Err(unsupported("a view does not grow with its file on Windows"))
}
