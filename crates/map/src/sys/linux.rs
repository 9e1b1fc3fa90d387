//! Linux: mmap(2), msync(2), and what a file descriptor can tell after a fault.
#![expect(unsafe_code, reason = "mmap, munmap, mincore")]

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;

use rustix::fs::FallocateFlags;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

use crate::options::MapMode;
use crate::page::PageSpan;

mod registry;
mod signal;
cfg_select! {
    // The same condition as for `portable` in `arch`.
    any(mapio_portable, target_pointer_width = "32", not(any(target_arch = "x86_64", target_arch = "aarch64"))) => {
        mod unguarded;
        use unguarded as guard;
    }
    _ => {
        pub(crate) mod guard;
    }
}

pub(crate) use registry::Registration;

/// Whether faults are caught now; see `fault::Status`.
pub(crate) fn is_armed() -> bool {
    guard::is_armed()
}

/// Whether the calling thread blocks a signal that is needed; see `fault::Status`.
pub(crate) fn is_blocked() -> bool {
    guard::is_blocked()
}

/// An address range that the kernel gave us; whole pages, unless empty.
#[derive(Debug)]
pub(crate) struct Region {
    /// The first address; dangling when `len` is zero.
    base: NonNull<u8>,
    /// Bytes that were asked for; the kernel rounds them up to whole pages.
    len: usize,
}

// SAFETY: the range belongs to the process, not to a thread, and `Region` itself never touches its bytes.
unsafe impl Send for Region {}
// SAFETY: as above; flush only passes addresses to the kernel.
unsafe impl Sync for Region {}

impl Region {
    /// A range of no bytes, which mmap(2) does not make.
    pub(crate) const EMPTY: Self = Self { base: NonNull::dangling(), len: 0 };

    /// Maps a span of a file. Blocks only as mmap(2) does: for the process's other address-space changes.
    pub(crate) fn map(file: BorrowedFd<'_>, span: PageSpan, mode: MapMode) -> io::Result<Self> {
        let (protection, flags) = match mode {
            MapMode::ReadOnly => (ProtFlags::READ, MapFlags::SHARED),
            MapMode::ReadWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            MapMode::CopyOnWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
        };
        // SAFETY: no address is asked for, so the kernel picks a range that nothing else uses, and no existing Rust
        // object changes (mmap(2)).
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), span.map_len, protection, flags, file, span.offset) }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap answered address 0"))?;
        Ok(Self { base, len: span.map_len })
    }

    /// The first address.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Writes the dirty pages of a range of bytes back to the file and waits for it: msync(2) with `MS_SYNC`.
    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        let start = range.start - range.start % page_bytes();
        if range.end <= start {
            return Ok(());
        }
        // SAFETY: the range lies inside the region, by its caller in `Mapping`; msync changes no memory.
        unsafe { rustix::mm::msync(self.base().wrapping_add(start).cast(), range.end - start, MsyncFlags::SYNC) }?;
        Ok(())
    }

    /// Which pages of a range of bytes, which is not empty, are in memory: mincore(2).
    pub(crate) fn residency(&self, range: Range<usize>) -> io::Result<Vec<bool>> {
        let page = page_bytes();
        let start = range.start - range.start % page;
        let len = range.end - start;
        let mut pages = vec![0u8; len.div_ceil(page)];
        loop {
            let first = self.base().wrapping_add(start).cast();
            // SAFETY: the range lies inside the region, by its caller in `Mapping`; the kernel writes a byte for each page.
            if unsafe { libc::mincore(first, len, pages.as_mut_ptr()) } == 0 {
                // Only the lowest bit is defined.
                return Ok(pages.into_iter().map(|page| page & 1 == 1).collect());
            }
            match io::Error::last_os_error() {
                // Out of kernel resources for a moment (mincore(2)).
                error if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                error => return Err(error),
            }
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the range came from mmap, is unmapped here only, and whoever uses its addresses borrows its owner.
            let unmapped = unsafe { rustix::mm::munmap(self.base().cast(), self.len) };
            // munmap(2) fails only for ranges that mmap does not make, and then the range just stays.
            let _ = unmapped;
        }
    }
}

/// Opens a file with the access that a mode needs. A pipe without a writer is not waited for: it can't be mapped anyway.
pub(crate) fn open(path: &Path, mode: MapMode) -> io::Result<File> {
    let write = mode == MapMode::ReadWrite;
    File::options().read(true).write(write).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Bytes of a page.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// Length of a file, in bytes: fstat(2).
pub(crate) fn file_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    u64::try_from(stat.st_size).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

/// Whether the byte at `offset` can be read by pread(2): the error of the medium, if not.
pub(crate) fn readable(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut [0u8; 1], offset))?;
    Ok(())
}

/// Whether the file system has room for the byte at `offset`, which somebody wanted to write: fallocate(2). The byte's
/// block is reserved if so; the file's length does not change.
pub(crate) fn allocatable(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, offset, 1))?;
    Ok(())
}

/// Whether the file system has no free block: fstatvfs(2). One that cannot be asked is not full.
pub(crate) fn is_full(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|fs| fs.f_blocks > 0 && fs.f_bavail == 0)
}

/// The path of an open file as the kernel knows it, for messages.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> String {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Without /proc there is no path to be had, and the message is still right.
    fs::read_link(link).map_or_else(|_| format!("file descriptor {}", file.as_raw_fd()), |p| p.display().to_string())
}
