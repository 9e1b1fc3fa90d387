//! Demand paging, made visible and steered: which pages are in memory, which are dirty, and what the kernel should do
//! with them.
//!
//! The verbs of a [`View`] here concern whole pages: neighbours of the view that share its first or last page go along,
//! unless their bytes would be lost.

use std::io;
use std::ops::Range;

use crate::descriptor::{self, BorrowedDescriptor};
use crate::error::Error;
use crate::fault::{Access, Fault, FaultKind};
use crate::options::MapMode;
use crate::residency::Residency;
use crate::sys::{self, Region};
use crate::view::View;

/// How a range is going to be used, or what is to become of its pages: madvise(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(alias("madvise", "MADV_NORMAL"))]
pub enum Advice {
    /// No particular way: the kernel reads ahead moderately.
    Normal,
    /// Here and there: it reads nothing ahead.
    Random,
    /// From start to end: it reads far ahead, and may soon drop what was read.
    Sequential,
    /// Soon: it starts to read now. See [`View::prefetch`].
    WillNeed,
    /// Not soon: the pages leave this mapping's page table. Those of a shared mapping come back as they were; a
    /// copy-on-write mapping loses its own changes, an anonymous one reads as zeros.
    DontNeed,
    /// Less than others: the pages are among the first to go when memory is short. Since Linux 5.4.
    Cold,
    /// Not for long: the pages are written back and taken out of memory now. Since Linux 5.4.
    PageOut,
    /// What copy-on-write or anonymous pages hold may be dropped, at any moment until they are written to again.
    Free,
    /// What they hold goes for ever: a hole is punched in the file, for everybody.
    Remove,
    /// In huge pages, where the system has them on demand (transparent huge pages).
    HugePage,
    /// Not in huge pages.
    NoHugePage,
    /// Not inherited by child processes.
    DontFork,
    /// Inherited again.
    DoFork,
    /// Not part of core dumps.
    DontDump,
    /// Part of core dumps again.
    DoDump,
    /// Equal anonymous pages may be merged (KSM).
    Mergeable,
    /// Not any more.
    Unmergeable,
    /// Pretends that the memory has failed, for tests: needs `CAP_SYS_ADMIN`.
    HwPoison,
}

/// What the page cache holds of a range of a file, in pages: cachestat(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "cachestat")]
pub struct CacheCounts {
    /// Pages in the cache.
    pub cached: u64,
    /// Of these, pages that the disk does not have yet. Always 0 on tmpfs, which has no disk.
    pub dirty: u64,
    /// Of these, pages that are being written.
    pub writeback: u64,
    /// Pages that were in the cache and have been taken out.
    pub evicted: u64,
    /// Of these, pages taken out so recently that they would still be there if memory were a little larger.
    pub recently_evicted: u64,
}

impl View<'_> {
    /// Writes the view's bytes, as far as they are dirty, to the disk, and waits for it.
    ///
    /// A read-only or copy-on-write mapping has nothing to write. When this has answered `Ok`, the bytes survive the
    /// death of the machine.
    ///
    /// # Errors
    /// [`Error::Os`] with what msync(2) says: the medium failed (`EIO`) or is full (`ENOSPC`), or the pages are locked
    /// (`EBUSY`). After a failure the kernel may take the pages for clean, and another flush has nothing to do: store
    /// again what must reach the disk (fsync(2)).
    #[doc(alias("msync", "MS_SYNC"))]
    pub fn flush(&self) -> Result<(), Error> {
        self.on_pages("flushing", Region::flush)
    }

    /// Starts to write the view's dirty bytes to the disk, and does not wait.
    ///
    /// An error of the disk shows at the next [`flush`](Self::flush). A plain msync(2) with `MS_ASYNC` does nothing on
    /// Linux; this is sync_file_range(2).
    ///
    /// # Errors
    /// [`Error::Os`]: the file cannot be written back by ranges, such as a character device's.
    #[doc(alias("msync", "MS_ASYNC", "sync_file_range"))]
    pub fn flush_async(&self) -> Result<(), Error> {
        let (mapping, at) = (self.mapping(), self.offset());
        self.on_pages("starting to flush", |region, range| {
            region.start_write_back(range, descriptor::of(mapping), mapping.file_offset_of(at))
        })
    }

    /// Asks which of the view's pages are in memory.
    ///
    /// Reads nothing from the disk. The answer may be old when it arrives.
    ///
    /// On Linux a page counts if it is in the page cache, whoever has brought it there (mincore(2)). Linux tells the
    /// truth only to who owns the file or may write to it; to others every page is in memory.
    ///
    /// On Windows a page counts if it is in the working set of this process (QueryWorkingSetEx): an access to it takes
    /// no page fault. Nothing tells of pages that are only in the system's cache, so of a new mapping no page counts,
    /// whatever the cache holds, until it is accessed or [populated](Self::populate).
    ///
    /// # Errors
    /// [`Error::Os`] with what mincore(2) or QueryWorkingSetEx says.
    #[doc(alias("mincore", "QueryWorkingSetEx"))]
    pub fn residency(&self) -> Result<Residency, Error> {
        let mut pages = Vec::new();
        self.on_pages("asking for the residency of", |region, range| {
            pages = region.residency(range)?;
            Ok(())
        })?;
        Ok(Residency::new(sys::page_bytes(), pages))
    }

    /// Asks what the page cache holds of the view's part of the file: counts only, and much faster than
    /// [`residency`](Self::residency).
    ///
    /// # Errors
    /// [`Error::Os`]: `ENOSYS` before Linux 6.5, `EOPNOTSUPP` for hugetlbfs, `EPERM` for who neither owns the file nor
    /// may write to it.
    pub fn cache_counts(&self) -> Result<CacheCounts, Error> {
        let mut counts = CacheCounts::default();
        self.on_file("asking for the cached pages of", |file, offset, len| {
            counts = sys::cache_counts(file, offset, len)?;
            Ok(())
        })?;
        Ok(counts)
    }

    /// Counts the view's pages that the disk does not have yet, whoever has written to them.
    ///
    /// # Errors
    /// As [`cache_counts`](Self::cache_counts).
    pub fn dirty_pages(&self) -> Result<u64, Error> {
        self.cache_counts().map(|counts| counts.dirty)
    }

    /// Brings all the view's pages in and enters them into the page table, so that no access to them takes a page
    /// fault: for reading, or for writing, which makes a copy-on-write mapping's copies. Blocks for the disk.
    ///
    /// # Errors
    /// The fault of the first page that cannot be had; those before it are in memory.
    #[doc(alias("MAP_POPULATE", "MADV_POPULATE_READ", "MADV_POPULATE_WRITE"))]
    pub fn populate(&self, access: Access) -> Result<(), Fault> {
        if access == Access::Write && self.mapping().mode() == MapMode::ReadOnly && !self.is_empty() {
            return Err(Fault { offset: 0, kind: FaultKind::Protection, access });
        }
        match self.on_pages("populating", |region, range| region.populate(range, access)) {
            Ok(()) => Ok(()),
            // A page cannot be had, or the kernel does not have this advice: touching the pages does the same, and
            // tells.
            Err(_) => self.touch_pages(access),
        }
    }

    /// Starts to read the view's pages from the disk, and does not wait.
    ///
    /// # Errors
    /// [`Error::Os`] with what madvise(2) says.
    #[doc(alias("readahead", "MADV_WILLNEED"))]
    pub fn prefetch(&self) -> Result<(), Error> {
        self.advise(Advice::WillNeed)
    }

    /// Takes the view's pages out of memory, for everybody: writes the whole file's dirty pages back first, waiting for
    /// the disk.
    ///
    /// The first and the last page go along. Pages that another mapping uses stay, as do parts of the larger pieces
    /// (folios) that the kernel keeps a file in when the rest of the piece is not evicted, as do locked ones, and those
    /// that a copy-on-write mapping has made its own: nothing is lost. Ask [`residency`](Self::residency) for what is
    /// left.
    ///
    /// # Errors
    /// [`Error::Os`]: the disk failed, or the file cannot be evicted.
    #[doc(alias("posix_fadvise", "POSIX_FADV_DONTNEED"))]
    pub fn evict(&self) -> Result<(), Error> {
        let advice = match self.mapping().mode() {
            MapMode::ReadOnly | MapMode::ReadWrite => Advice::DontNeed,
            // That would drop the mapping's own changes.
            MapMode::CopyOnWrite => Advice::PageOut,
        };
        // Our own page table's entries would keep the pages. Locked pages are refused, and stay.
        let _ = self.advise(advice);
        self.on_file("evicting", sys::drop_cache)
    }

    /// Tells the kernel how the view is going to be used, or what is to become of its pages.
    ///
    /// On Windows `WillNeed` is PrefetchVirtualMemory, `DontNeed` and `PageOut` take pages out of the working set
    /// (VirtualUnlock), and the rest is `Unsupported`.
    ///
    /// All of it is safe here: what [`DontNeed`](Advice::DontNeed), [`Free`](Advice::Free) and
    /// [`Remove`](Advice::Remove) change is the bytes, which others may change at any time, too. Where they do that,
    /// they concern only the pages that lie wholly inside the view; all other advice also concerns its first and its
    /// last page, if they are shared with neighbours.
    ///
    /// # Errors
    /// [`Error::Os`] with what madvise(2) says: `EINVAL` for advice that the kernel does not have or that does not fit
    /// the mapping, `EBADF` for a file that cannot follow it.
    #[doc(alias = "madvise")]
    pub fn advise(&self, advice: Advice) -> Result<(), Error> {
        let loses_bytes = match advice {
            Advice::Free | Advice::Remove => true,
            Advice::DontNeed => self.mapping().mode() == MapMode::CopyOnWrite,
            _ => false,
        };
        self.on_pages("advising on", |region, range| {
            let page = region.page_bytes();
            let inner = range.start.next_multiple_of(page)..range.end - range.end % page;
            match (loses_bytes, inner.is_empty()) {
                (false, _) => region.advise(range, advice),
                (true, false) => region.advise(inner, advice),
                (true, true) => Ok(()),
            }
        })
    }

    /// Keeps the view's pages in memory until [`unlock`](Self::unlock) or until the mapping is dropped; brings them in
    /// first, and blocks for the disk. Locks do not add up: one `unlock` undoes many.
    ///
    /// # Errors
    /// [`Error::Os`]: `ENOMEM` beyond `RLIMIT_MEMLOCK` or where the file has no such pages, `EPERM` without the right
    /// to lock any. On Windows (VirtualLock) `QuotaExceeded` beyond the minimum working set of the process.
    #[doc(alias = "mlock")]
    pub fn lock(&self) -> Result<(), Error> {
        self.on_pages("locking", Region::lock)
    }

    /// Allows the view's pages to leave memory again.
    ///
    /// # Errors
    /// [`Error::Os`] with what munlock(2) says.
    #[doc(alias = "munlock")]
    pub fn unlock(&self) -> Result<(), Error> {
        self.on_pages("unlocking", Region::unlock)
    }

    /// Does something with the pages of the view, if it has any.
    fn on_pages(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Region, Range<usize>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let start = self.offset();
        self.mapping().on_pages(operation, start..start + self.len(), act)
    }

    /// Does something with the view's part of the file, if it has any: the descriptor, the offset of the first byte,
    /// the length.
    fn on_file(
        &self,
        operation: &'static str,
        act: impl FnOnce(BorrowedDescriptor<'_>, u64, u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let mapping = self.mapping();
        let offset = mapping.file_offset_of(self.offset());
        let len = u64::try_from(self.len()).unwrap_or(u64::MAX);
        act(descriptor::of(mapping), offset, len)
            .map_err(|source| mapping.os_error(operation, &(self.offset()..self.offset() + self.len()), source))
    }

    /// Touches a byte of every page: what populating means, without the kernel's help.
    pub(crate) fn touch_pages(&self, access: Access) -> Result<(), Fault> {
        let page = sys::page_bytes();
        let mut at = 0;
        while at < self.len() {
            self.touch(at, access).map_err(|word| self.fault(word, at, access))?;
            at += page - (self.address(at).addr() % page);
        }
        Ok(())
    }
}
