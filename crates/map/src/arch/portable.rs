//! Guarded accesses without any machine code: `process_vm_readv(2)` on the own process.
//!
//! The kernel copies for us and answers `EFAULT` where a load or store would have been a signal. An access costs a
//! system call, is not one load or store, and is not atomic. It works on every processor that Linux runs on. Atomic
//! accesses can't be made of it, so there are none.
#![expect(unsafe_code, reason = "process_vm_readv on foreign memory")]
#![expect(clippy::as_conversions, reason = "addresses as integers")]

use std::io;
use std::sync::atomic::Ordering;

use super::atomic::Atomic;
use super::{FaultWord, Progress};

/// Pieces that one system call copies.
const PIECES: usize = 64;

/// Makes sure that the kernel lets the process read itself: a sandbox may refuse the system call.
pub(crate) fn arm() -> io::Result<()> {
    let (from, mut to) = (1u8, 0u8);
    // SAFETY: both are locals of one byte.
    if unsafe { copy_pieces(&raw mut to, &raw const from, 1) } == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

macro_rules! access {
    ($load:ident, $store:ident, $int:ty) => {
        /// Loads from `base + offset`.
        ///
        /// # Safety
        /// `base + offset` and the bytes behind it lie in an address range reserved for a mapping of ours.
        pub(crate) unsafe fn $load(base: *const u8, offset: usize) -> Result<$int, FaultWord> {
            let mut bytes = [0; size_of::<$int>()];
            // SAFETY: the source is the caller's duty, the destination a local of that size.
            let progress = unsafe { copy_exact(bytes.as_mut_ptr(), base.wrapping_add(offset), bytes.len()) };
            progress.fault.map_or(Ok(<$int>::from_ne_bytes(bytes)), Err)
        }

        /// Stores to `base + offset`.
        ///
        /// # Safety
        /// `base + offset` and the bytes behind it lie in an address range reserved for a mapping of ours.
        pub(crate) unsafe fn $store(base: *mut u8, offset: usize, value: $int) -> Result<(), ()> {
            let bytes = value.to_ne_bytes();
            // SAFETY: the destination is the caller's duty, the source a local of that size.
            let progress = unsafe { copy_exact(base.wrapping_add(offset), bytes.as_ptr(), bytes.len()) };
            progress.fault.map_or(Ok(()), |_| Err(()))
        }
    };
}

access!(load_u8, store_u8, u8);
access!(load_u16, store_u16, u16);
access!(load_u32, store_u32, u32);
access!(load_u64, store_u64, u64);

/// Copies `len` bytes from `src` to `dst`, upwards. Answers how many were copied.
///
/// # Safety
/// 1. Each of the two ranges is either in an address range reserved for a mapping of ours, or a Rust object valid for
///    the access.
/// 2. The ranges do not overlap.
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> usize {
    // SAFETY: the same duties.
    unsafe { copy_exact(dst, src, len) }.done
}

/// Copies `len` bytes from `src` to `dst`, upwards, and tells of the byte that faulted.
///
/// # Safety
/// The duties of [`copy`].
pub(crate) unsafe fn copy_exact(dst: *mut u8, src: *const u8, len: usize) -> Progress {
    let mut done = 0;
    while done < len {
        // SAFETY: the rest of the same ranges, under the same duties.
        let copied = unsafe { copy_pieces(dst.wrapping_add(done), src.wrapping_add(done), len - done) };
        if copied == 0 {
            return Progress { done, fault: Some(culprit(dst.wrapping_add(done), src.wrapping_add(done))) };
        }
        done += copied;
    }
    Progress { done, fault: None }
}

/// Copies up to [`PIECES`] pieces, none of which crosses a page on either side. The kernel counts whole pieces
/// (process_vm_readv(2), "partial transfers"), and a piece on one page faults at its first byte or not at all: so the
/// count is exact.
///
/// # Safety
/// The duties of [`copy`].
unsafe fn copy_pieces(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let page = rustix::param::page_size();
    let mut local = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PIECES];
    let mut remote = local;
    let (mut planned, mut used) = (0, 0);
    while planned < len && used < PIECES {
        let (to, from) = (dst.wrapping_add(planned), src.wrapping_add(planned));
        let room = (page - to.addr() % page).min(page - from.addr() % page).min(len - planned);
        local[used] = libc::iovec { iov_base: to.cast(), iov_len: room };
        remote[used] = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: room };
        planned += room;
        used += 1;
    }
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    // SAFETY: the vectors are initialised up to `used`; the kernel reads `src` and writes `dst` inside the ranges
    // of the caller's duties, and answers a fault with a short count or EFAULT.
    let copied = unsafe {
        libc::process_vm_readv(pid, local.as_ptr(), used as libc::c_ulong, remote.as_ptr(), used as libc::c_ulong, 0)
    };
    // A failure of the whole call is treated like a fault at its first byte; what it was is found out afterwards.
    usize::try_from(copied).unwrap_or(0)
}

/// Which side of a failed copy it was: the source, if a byte of it can't be read, else the destination.
fn culprit(dst: *const u8, src: *const u8) -> FaultWord {
    let mut byte = 0u8;
    // SAFETY: one byte at `src`, into a local; no duty of `copy` is stretched, as the kernel checks the address.
    let readable = unsafe { copy_pieces(&raw mut byte, src, 1) } == 1;
    FaultWord::new(if readable { dst.addr() } else { src.addr() }, None)
}

/// Does nothing: there is no hint without machine code.
pub(crate) fn prefetch(_: *const u8, _: usize) {}

/// Stores `byte` to the `len` bytes at `dst`, upwards.
///
/// # Safety
/// `dst..dst + len` lies in an address range reserved for a mapping of ours.
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Progress {
    let pattern = [byte; 4096];
    let mut done = 0;
    while done < len {
        let step = pattern.len().min(len - done);
        // SAFETY: a part of the caller's range, from a local.
        let progress = unsafe { copy_exact(dst.wrapping_add(done), pattern.as_ptr(), step) };
        done += progress.done;
        if progress.fault.is_some() {
            return Progress { done, fault: progress.fault };
        }
    }
    Progress { done, fault: None }
}

/// The kernel copies bytes without any promise of how many at once or in what order: no atomic access can be made of
/// that, and one that only looked like it would be worse than none.
macro_rules! atomic {
    ($($int:ty),+) => {$(
        impl Atomic for $int {
            unsafe fn load(_: *const u8, _: Ordering) -> Result<Self, FaultWord> {
                Err(FaultWord::UNSUPPORTED)
            }

            unsafe fn store(_: *mut u8, _: Self, _: Ordering) -> Result<(), FaultWord> {
                Err(FaultWord::UNSUPPORTED)
            }

            unsafe fn swap(_: *mut u8, _: Self, _: Ordering) -> Result<Self, FaultWord> {
                Err(FaultWord::UNSUPPORTED)
            }

            unsafe fn compare_exchange(
                _: *mut u8,
                _: Self,
                _: Self,
                _: Ordering,
                _: Ordering,
            ) -> Result<Self, FaultWord> {
                Err(FaultWord::UNSUPPORTED)
            }

            unsafe fn fetch_add(_: *mut u8, _: Self, _: Ordering) -> Result<Self, FaultWord> {
                Err(FaultWord::UNSUPPORTED)
            }
        }
    )+};
}

atomic!(u8, u16, u32, u64);
