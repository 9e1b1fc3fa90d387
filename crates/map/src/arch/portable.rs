//! Accesses without any machine code of ours, for every processor that Linux runs on.
//!
//! **Plain ones** are `process_vm_readv(2)` on the own process: the kernel copies for us, and answers `EFAULT` where a
//! load or store would have been a signal. An access costs a system call, is not one load or store, and is not atomic.
//! Where that call is refused, it is a write(2) to a pipe and a read(2) from it (`pipe.rs`).
//!
//! **Atomic ones** can't be made of that. They are core's own, in mappings that are registered: a page that faults is
//! replaced by zeros, and the mapping is poisoned, so that this and every later access to it, plain ones too, answers
//! the fault. An access looks that up before, so that one to a poisoned mapping touches nothing, and after; between the
//! two, another thread may poison the mapping: then an access that was made answers the fault all the same.
#![expect(unsafe_code, reason = "process_vm_readv and atomics on foreign memory")]
#![expect(clippy::as_conversions, reason = "addresses as integers")]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::atomic::Atomic;
use super::{FaultWord, Progress};
use crate::sys::unguarded::Watched;

mod pipe;

/// Pieces that one system call copies.
const PIECES: usize = 64;

/// Whether bytes go through a pipe, since the process may not read itself. Written by [`arm`], read by every access; it
/// publishes nothing, as each way works at any time that it is allowed.
static BY_PIPE: AtomicBool = AtomicBool::new(false);

/// Makes sure that the kernel copies for us: a sandbox or an emulator may refuse the one system call, and then a pipe
/// does it.
pub(crate) fn arm() -> io::Result<()> {
    let (from, mut to) = (1u8, 0u8);
    // SAFETY: both are locals of one byte.
    let is_refused = unsafe { copy_pieces_at_once(&raw mut to, &raw const from, 1) } != 1;
    if is_refused {
        // SAFETY: as above.
        unsafe { pipe::copy(&raw mut to, &raw const from, 1) }?;
    }
    BY_PIPE.store(is_refused, Ordering::Relaxed);
    Ok(())
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
    let watched = [dst.addr(), src.addr()].map(|addr| (Watched::at(addr), addr));
    let fault = watched.into_iter().find_map(|(watched, _)| watched?.known_fault());
    if len == 0 || fault.is_some() {
        return Progress { done: 0, fault };
    }
    // SAFETY: the same duties.
    let progress = unsafe { copy_all(dst, src, len) };
    // In a mapping that was poisoned meanwhile no byte counts: any may be a zero that no file holds.
    match watched.into_iter().find_map(|(watched, addr)| Watched::fault_since(watched, addr)) {
        Some(word) => Progress { done: 0, fault: Some(word) },
        None => progress,
    }
}

/// The same without asking whether a mapping is poisoned.
///
/// # Safety
/// The duties of [`copy`].
unsafe fn copy_all(dst: *mut u8, src: *const u8, len: usize) -> Progress {
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

/// Copies some bytes, and answers how many: exactly those before a byte that faults.
///
/// # Safety
/// The duties of [`copy`].
unsafe fn copy_pieces(dst: *mut u8, src: *const u8, len: usize) -> usize {
    if BY_PIPE.load(Ordering::Relaxed) {
        // A failure is treated as below.
        // SAFETY: the same duties, for the bytes of one piece.
        unsafe { pipe::copy(dst, src, piece_len(dst, src, len)) }.unwrap_or(0)
    } else {
        // SAFETY: the same duties.
        unsafe { copy_pieces_at_once(dst, src, len) }
    }
}

/// How many of `len` bytes lie on one page on either side.
fn piece_len(dst: *const u8, src: *const u8, len: usize) -> usize {
    let page = rustix::param::page_size();
    (page - dst.addr() % page).min(page - src.addr() % page).min(len)
}

/// Copies up to [`PIECES`] pieces, none of which crosses a page on either side. The kernel counts whole pieces
/// (process_vm_readv(2), "partial transfers"), and a piece on one page faults at its first byte or not at all: so the
/// count is exact.
///
/// # Safety
/// The duties of [`copy`].
unsafe fn copy_pieces_at_once(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let mut local = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PIECES];
    let mut remote = local;
    let (mut planned, mut used) = (0, 0);
    while planned < len && used < PIECES {
        let (to, from) = (dst.wrapping_add(planned), src.wrapping_add(planned));
        let room = piece_len(to, from, len - planned);
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

/// The integer by which all atomic accesses are made: the widest that the processor has.
///
/// Two atomic accesses of different widths that overlap and race are undefined behaviour (`core::sync::atomic`, "Memory
/// model for atomic accesses"), and safe code may ask for such. So one of a narrower value is one of the whole cell in
/// which it lies, whose other bytes stay as they are: all accesses have one width.
#[cfg(target_has_atomic = "64")]
type Cell = std::sync::atomic::AtomicU64;
#[cfg(not(target_has_atomic = "64"))]
type Cell = std::sync::atomic::AtomicU32;

/// What a cell holds, as bytes in memory.
type Bytes = [u8; size_of::<Cell>()];

/// Makes an atomic access to the cell that holds the bytes at `address`; `act` gets it, and the number of the first of
/// them in it.
///
/// # Safety
/// Those of [`Atomic`].
unsafe fn access<T>(address: *const u8, act: impl FnOnce(&Cell, usize) -> T) -> Result<T, FaultWord> {
    let Some(watched) = Watched::at(address.addr()) else { return Err(FaultWord::UNSUPPORTED) };
    if let Some(word) = watched.known_fault() {
        return Err(word);
    }
    let at = address.addr() % size_of::<Cell>();
    let cell = address.wrapping_sub(at).cast_mut().cast();
    // SAFETY: the duties of `from_ptr`.
    // 1. The pointer is aligned: what it has too much was taken off.
    // 2. It is valid for reads and writes as long as the reference lives, which is this call: the cell lies in the page
    //    in which the value does, as its size divides a page's, so in a mapping (duty 1 of `Atomic`), which the caller
    //    keeps. That is registered, as `Watched` has found: an access that the page does not allow is done on one of
    //    zeros that does. So none traps, as far as the program can tell, and every value is valid.
    // 3. All accesses of the program are by cells: other code of this file makes system calls, and the mapping of an
    //    `AtomicMapping` is not in this list.
    let answer = act(unsafe { Cell::from_ptr(cell) }, at);
    // A page that is replaced is replaced before the access is done; so it is known now whether it was of any use.
    watched.fault().map_or(Ok(answer), Err)
}

/// Stores in a cell what `change` makes of it, unless that is `None`; answers what it was before.
fn update(cell: &Cell, success: Ordering, failure: Ordering, change: impl Fn(Bytes) -> Option<Bytes>) -> Bytes {
    let mut before = cell.load(failure);
    while let Some(after) = change(before.to_ne_bytes()) {
        match cell.compare_exchange_weak(before, Integer::from_ne_bytes(after), success, failure) {
            Ok(_) => break,
            Err(found) => before = found,
        }
    }
    before.to_ne_bytes()
}

macro_rules! atomic {
    ($int:ty) => {
        impl Atomic for $int {
            unsafe fn load(address: *const u8, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: the same duties.
                unsafe { access(address, |cell, at| <$int>::part(cell.load(order).to_ne_bytes(), at)) }
            }

            unsafe fn store(address: *mut u8, value: Self, order: Ordering) -> Result<(), FaultWord> {
                // SAFETY: the same duties.
                unsafe { Self::swap(address, value, order) }.map(drop)
            }

            unsafe fn swap(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: the same duties.
                unsafe { changed(address, order, Ordering::Relaxed, |_: $int| Some(value)) }
            }

            unsafe fn compare_exchange(
                address: *mut u8,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, FaultWord> {
                // SAFETY: the same duties.
                unsafe { changed(address, success, failure, |found: $int| (found == current).then_some(new)) }
            }

            unsafe fn fetch_add(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: the same duties.
                unsafe { changed(address, order, Ordering::Relaxed, |before: $int| Some(before.wrapping_add(value))) }
            }
        }

        impl Part for $int {
            fn part(bytes: Bytes, at: usize) -> Self {
                Self::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
            }

            fn put(self, mut bytes: Bytes, at: usize) -> Bytes {
                bytes[at..at + size_of::<Self>()].copy_from_slice(&self.to_ne_bytes());
                bytes
            }
        }
    };
}

/// A value that is a part of a cell.
trait Part: Copy {
    /// The value whose first byte is number `at`.
    fn part(bytes: Bytes, at: usize) -> Self;

    /// The bytes with this value in its place.
    fn put(self, bytes: Bytes, at: usize) -> Bytes;
}

/// Stores what `change` makes of the value, unless that is `None`; answers what it was before.
///
/// # Safety
/// Those of [`Atomic`].
unsafe fn changed<T: Part>(
    address: *mut u8,
    success: Ordering,
    failure: Ordering,
    change: impl Fn(T) -> Option<T>,
) -> Result<T, FaultWord> {
    let act = |cell: &Cell, at: usize| {
        let change = |bytes| change(T::part(bytes, at)).map(|value| value.put(bytes, at));
        T::part(update(cell, success, failure, change), at)
    };
    // SAFETY: the same duties.
    unsafe { access(address, act) }
}

atomic!(u8);
atomic!(u16);
atomic!(u32);

#[cfg(target_has_atomic = "64")]
atomic!(u64);
#[cfg(target_has_atomic = "64")]
type Integer = u64;

#[cfg(not(target_has_atomic = "64"))]
mod narrow {
    //! Processors without atomics of 8 bytes.

    use super::{Atomic, FaultWord, Ordering};

    pub(super) type Integer = u32;

    impl Atomic for u64 {
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
}
#[cfg(not(target_has_atomic = "64"))]
use narrow::Integer;
