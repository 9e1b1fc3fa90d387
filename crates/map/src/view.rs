//! Views: bounds-checked windows on a mapping, and every access to its bytes.
//!
//! # Soundness
//! The bytes of a mapping are foreign memory: other processes, other mappings of the same file and other threads change
//! them at any time. No reference to them is ever made and no Rust object lives there. They are touched only by the
//! guarded accesses of `arch`, which the compiler sees as opaque machine code. docs/design/views.md has the argument.
//!
//! Invariant of [`View`], on which every `unsafe` block here rests:
//! - V1: `base..base + len` lies inside the address range of `mapping`, which the lifetime keeps mapped.
//! - V2: `arch::arm` has run: a `Mapping` is only made after it.
#![expect(unsafe_code, reason = "guarded accesses through raw pointers")]

use std::ops::{Bound, RangeBounds};
use std::sync::atomic::Ordering;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arch::atomic::Atomic;
use crate::arch::{self, FaultWord};
use crate::atomic::{AtomicInteger, AtomicView};
use crate::chunks::Chunks;
use crate::fault::{Access, Fault, FaultKind};
use crate::mapping::Mapping;
use crate::sys::Region;

/// Bytes of the buffer through which overlapping views are copied.
const BOUNCE_BYTES: usize = 4096;

/// A window on the bytes of a [`Mapping`], at any byte offset and of any length.
///
/// Offsets are in bytes from the start of the view. Every access is checked against the view's bounds and answers a
/// [`Fault`] when the bytes are not to be had; none blocks except as a page fault does, for the disk. Stores take
/// `&self`, because the bytes belong to everybody; several threads may use a view, or views that overlap, at the same
/// time, and each byte then has one of the values stored.
///
/// ```
/// use mapio_map::{FaultKind, MapOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, vec![7; 10_000])?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// let view = mapping.view();
/// assert_eq!(view.load::<u8>(9_999)?, 7);
///
/// # if cfg!(windows) { return Ok(()); }
/// std::fs::write(&path, b"cut")?; // Somebody else cuts the file short, which only Windows forbids.
/// let fault = view.load::<u8>(9_999).unwrap_err();
/// # #[cfg(not(miri))]
/// assert_eq!(fault.kind, FaultKind::Truncated { file_len: 3 });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The first byte; see V1. Never dereferenced, only passed to `arch`.
    base: *mut u8,
    len: usize,
    mapping: &'a Mapping,
}

// SAFETY: a view is an address range that no Rust object lives in and a `&Mapping`, which is Send.
unsafe impl Send for View<'_> {}
// SAFETY: every access is one that the range allows from several threads at once.
unsafe impl Sync for View<'_> {}

impl<'a> View<'a> {
    /// The window on all of a mapping.
    pub(crate) fn whole(mapping: &'a Mapping) -> Self {
        Self { base: mapping.base(), len: mapping.len(), mapping }
    }

    /// Bytes in the view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the view has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mapping that the view looks at.
    #[must_use]
    pub fn mapping(&self) -> &'a Mapping {
        self.mapping
    }

    /// A view from what [`OwnedView`](crate::OwnedView) keeps of one.
    ///
    /// # Safety
    /// 1. `base` and `len` are those of a view of this mapping, which has not been resized since.
    #[inline(always)]
    pub(crate) unsafe fn from_parts(base: *mut u8, len: usize, mapping: &'a Mapping) -> Self {
        Self { base, len, mapping }
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes from the start of the mapping to the first byte of the view.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base.addr() - self.mapping.base().addr()
    }

    /// Narrows the view to a range of its bytes.
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds) when the range ends after the view or before it starts.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, Fault> {
        let (start, len) = self.resolve(range, Access::Read)?;
        Ok(Self { base: self.address(start), len, mapping: self.mapping })
    }

    /// Reads from `offset` into `buf`, as pread(2) does: as much as the view has, and no more.
    ///
    /// Answers the number of bytes read: less than `buf.len()` at the end of the view, or where a fault came after
    /// at least one byte; 0 at or past the end. Bytes of `buf` behind that are unchanged.
    ///
    /// # Errors
    /// The fault of the first byte.
    #[doc(alias = "pread")]
    #[inline]
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<usize, Fault> {
        let len = buf.len().min(self.len.saturating_sub(offset));
        if len == 0 {
            return Ok(0);
        }
        partial(offset, len, self.copy_out(offset, &mut buf[..len]))
    }

    /// Reads exactly `buf.len()` bytes from `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds) when the range does not lie inside the view; nothing is read
    /// then. Else the fault of the first byte that could not be read; the bytes before it are in `buf`.
    #[inline]
    pub fn read_exact_at(&self, offset: usize, buf: &mut [u8]) -> Result<(), Fault> {
        self.check(offset, buf.len(), Access::Read)?;
        self.copy_out(offset, buf)
    }

    /// Writes `buf` at `offset`, as pwrite(2) does to a file that cannot grow: as much as the view has room for.
    ///
    /// Answers the number of bytes written: less than `buf.len()` at the end of the view, or where a fault came after
    /// at least one byte; 0 at or past the end.
    ///
    /// # Errors
    /// The fault of the first byte.
    #[doc(alias = "pwrite")]
    #[inline]
    pub fn write_at(&self, offset: usize, buf: &[u8]) -> Result<usize, Fault> {
        let len = buf.len().min(self.len.saturating_sub(offset));
        if len == 0 {
            return Ok(0);
        }
        partial(offset, len, self.copy_in(offset, &buf[..len]))
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds) when the range does not lie inside the view; nothing is written
    /// then. Else the fault of the first byte that could not be written; the bytes before it are written.
    #[inline]
    pub fn write_all_at(&self, offset: usize, buf: &[u8]) -> Result<(), Fault> {
        self.check(offset, buf.len(), Access::Write)?;
        self.copy_in(offset, buf)
    }

    /// Sets every byte of a range.
    ///
    /// # Errors
    /// As [`write_all_at`](Self::write_all_at).
    #[doc(alias = "memset")]
    pub fn fill(&self, range: impl RangeBounds<usize>, byte: u8) -> Result<(), Fault> {
        let (start, len) = self.resolve(range, Access::Write)?;
        // SAFETY: `resolve` has checked the range against the view (V1); V2.
        let progress = unsafe { arch::fill(self.address(start), byte, len) };
        match progress.fault {
            None => Ok(()),
            Some(word) => Err(self.fault(word, start + progress.done, Access::Write)),
        }
    }

    /// Copies all bytes of this view to the start of `dst`, which may be longer, without a buffer in between.
    ///
    /// Where the two views overlap in one mapping, the destination gets what the source held before. Two mappings of
    /// one file may also overlap in the file, which is not looked for: the bytes there are then a mixture of old and
    /// new.
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds) when `dst` is shorter; nothing is copied then. Else the fault of
    /// the first byte that could not be copied, whose `access` tells the side: `Read` for this view, `Write` for `dst`.
    /// The bytes before it are copied, except between overlapping views.
    #[doc(alias = "memcpy")]
    pub fn copy_to(&self, dst: &View<'_>) -> Result<(), Fault> {
        dst.check(0, self.len, Access::Write)?;
        let distance = dst.base.addr().wrapping_sub(self.base.addr());
        if distance < self.len || distance.wrapping_neg() < self.len {
            return self.copy_overlapping(dst);
        }
        // SAFETY: both ranges lie inside their views (V1 of each, and the check above for `dst`), and they do not
        // overlap by the distance just computed; V2.
        let done = unsafe { arch::copy(dst.base, self.base, self.len) };
        if done == self.len {
            return Ok(());
        }
        let (to, from) = (dst.address(done), self.address(done));
        // SAFETY: the rest of the same ranges.
        let progress = unsafe { arch::copy_exact(to, from, self.len - done) };
        match progress.fault {
            None => Ok(()),
            Some(word) => Err(self.fault_between(dst, word, done + progress.done)),
        }
    }

    /// Loads a value from `offset`, which need not be aligned.
    ///
    /// A value of 1, 2, 4 or 8 bytes is one load instruction on x86-64 and aarch64, and therefore never torn if its
    /// address is a multiple of its size. Other sizes are copied like [`read_exact_at`](Self::read_exact_at). The bytes
    /// are in this machine's order. Nothing is ordered with other accesses: this is for data; to synchronise, there is
    /// [`atomic`](Self::atomic).
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds), or the fault of the first byte that could not be read.
    #[inline]
    pub fn load<T: FromBytes>(&self, offset: usize) -> Result<T, Fault> {
        self.check(offset, size_of::<T>(), Access::Read)?;
        // SAFETY: 1: `check` has found the bytes.
        unsafe { self.load_unchecked(offset) }
    }

    /// Loads a value from an offset that was checked before, as [`load`](Self::load) does.
    ///
    /// # Errors
    /// The fault of the first byte that could not be read.
    ///
    /// # Safety
    /// 1. `offset` and the bytes of `T` together are at most the view's length.
    #[inline(always)]
    pub unsafe fn load_unchecked<T: FromBytes>(&self, offset: usize) -> Result<T, Fault> {
        let base = self.base;
        // SAFETY, for the four loads: `size_of::<T>()` bytes at `offset` lie inside the view (duty 1, V1); V2.
        let loaded = match size_of::<T>() {
            // SAFETY: as above.
            1 => unsafe { arch::load_u8(base, offset) }.map(|v| from_bytes(&v.to_ne_bytes())),
            // SAFETY: as above.
            2 => unsafe { arch::load_u16(base, offset) }.map(|v| from_bytes(&v.to_ne_bytes())),
            // SAFETY: as above.
            4 => unsafe { arch::load_u32(base, offset) }.map(|v| from_bytes(&v.to_ne_bytes())),
            // SAFETY: as above.
            8 => unsafe { arch::load_u64(base, offset) }.map(|v| from_bytes(&v.to_ne_bytes())),
            _ => return self.load_large(offset),
        };
        match loaded {
            Ok(value) => Ok(value),
            // A copy, so that a view that is made for one access is in memory only where it has failed.
            Err(word) => Err({ *self }.fault_in(word, offset, size_of::<T>(), Access::Read)),
        }
    }

    /// Stores a value at `offset`, which need not be aligned.
    ///
    /// A value of 1, 2, 4 or 8 bytes is one store instruction on x86-64 and aarch64, and therefore never seen torn if
    /// its address is a multiple of its size. Other sizes are copied like [`write_all_at`](Self::write_all_at). The
    /// bytes are in this machine's order. Nothing is ordered with other accesses: this is for data; to synchronise,
    /// there is [`atomic`](Self::atomic).
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds), or the fault of the first byte that could not be written.
    #[inline]
    pub fn store<T: IntoBytes + Immutable>(&self, offset: usize, value: T) -> Result<(), Fault> {
        self.check(offset, size_of::<T>(), Access::Write)?;
        // SAFETY: 1: `check` has found the bytes.
        match unsafe { self.store_whole(offset, &value) } {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(self.store_fault(offset, size_of::<T>())),
            None => self.copy_in(offset, value.as_bytes()),
        }
    }

    /// Stores a value of 1, 2, 4 or 8 bytes at an offset that was checked before, as [`store`](Self::store) does. No
    /// byte is touched again after a fault, which is therefore always the first byte's: for registers of devices.
    ///
    /// # Errors
    /// The fault.
    ///
    /// # Panics
    /// If the value has another size.
    ///
    /// # Safety
    /// 1. `offset` and the bytes of `T` together are at most the view's length.
    #[inline(always)]
    pub unsafe fn store_unchecked<T: IntoBytes + Immutable>(&self, offset: usize, value: T) -> Result<(), Fault> {
        // SAFETY: 1: by duty 1 of this function.
        match unsafe { self.store_whole(offset, &value) } {
            Some(Ok(())) => Ok(()),
            // A copy, as in `load_unchecked`.
            Some(Err(())) => Err({ *self }.untouched_store_fault(offset)),
            None => panic!("no instruction stores {} bytes", size_of::<T>()),
        }
    }

    /// Stores a value by one instruction; `None` if it has a size that no instruction has.
    ///
    /// # Safety
    /// 1. `offset` and the bytes of `T` together are at most the view's length.
    #[inline(always)]
    unsafe fn store_whole<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Option<Result<(), ()>> {
        let (base, bytes) = (self.base, value.as_bytes());
        // SAFETY, for the four stores: that many bytes at `offset` lie inside the view (duty 1, V1); V2.
        Some(if let Ok(bytes) = bytes.try_into() {
            // SAFETY: as above.
            unsafe { arch::store_u8(base, offset, u8::from_ne_bytes(bytes)) }
        } else if let Ok(bytes) = bytes.try_into() {
            // SAFETY: as above.
            unsafe { arch::store_u16(base, offset, u16::from_ne_bytes(bytes)) }
        } else if let Ok(bytes) = bytes.try_into() {
            // SAFETY: as above.
            unsafe { arch::store_u32(base, offset, u32::from_ne_bytes(bytes)) }
        } else if let Ok(bytes) = bytes.try_into() {
            // SAFETY: as above.
            unsafe { arch::store_u64(base, offset, u64::from_ne_bytes(bytes)) }
        } else {
            return None;
        })
    }

    /// Makes an atomic integer of the bytes at `offset`, for threads and processes to meet on.
    ///
    /// Nothing is accessed yet, so nothing can fault yet.
    ///
    /// # Errors
    /// [`OutOfBounds`](FaultKind::OutOfBounds); or [`Misaligned`](FaultKind::Misaligned) when the byte's offset in the
    /// file, which is `offset` plus the view's and the mapping's own, is not a multiple of the size of `T`. On
    /// processors without guarded instructions [`Io`](FaultKind::Io), if no fault handler can be installed.
    #[inline]
    pub fn atomic<T: AtomicInteger>(&self, offset: usize) -> Result<AtomicView<'a, T>, Fault> {
        let align = size_of::<T>();
        self.check(offset, align, Access::Read)?;
        let bytes = Self { base: self.address(offset), len: align, mapping: self.mapping };
        // A mapping keeps the place in the page, so the address is aligned as the offset in the file is.
        if !bytes.base.addr().is_multiple_of(align) {
            return Err(Fault { offset, kind: FaultKind::Misaligned { align }, access: Access::Read });
        }
        if let Err(errno) = self.mapping.region().repair_atomics() {
            return Err(Fault { offset, kind: FaultKind::Io(errno), access: Access::Read });
        }
        Ok(AtomicView::new(bytes, offset))
    }

    /// Walks through the view by copies of `chunk_bytes` bytes, from start to end.
    ///
    /// This is the way to read a whole view. With chunks of 1 KiB it takes no longer than reading a slice that comes
    /// from memory, since the next bytes are fetched ahead; larger chunks are slower. A `chunk_bytes` of 0 counts as 1.
    pub fn chunks(&self, chunk_bytes: usize) -> Chunks<'a> {
        Chunks::new(*self, chunk_bytes)
    }

    /// Asks for `len` bytes from `offset`, as far as the view has them, to be fetched into the processor's cache.
    #[inline]
    pub(crate) fn prefetch_to_cache(&self, offset: usize, len: usize) {
        let len = len.min(self.len.saturating_sub(offset));
        arch::prefetch(self.base.wrapping_add(offset), len);
    }

    /// Asks whether the file still has all of the view's bytes, now: fstat(2).
    ///
    /// The last page of a file reads as zeros behind the file's end, without a fault. Who must tell such zeros from
    /// data of a file that others may cut asks this after the read.
    ///
    /// # Errors
    /// [`Truncated`](crate::FaultKind::Truncated) with the offset of the first byte that the file lacks;
    /// [`Io`](crate::FaultKind::Io) when the file cannot be asked.
    #[doc(alias = "fstat")]
    pub fn check_backed(&self) -> Result<(), Fault> {
        self.mapping.check_backed(self.offset(), self.len)
    }

    /// The address of the first byte, for foreign functions and for code of your own that is `unsafe`.
    ///
    /// Valid as long as the mapping is. An access through it is not guarded: a byte that is not to be had kills the
    /// process; or, on processors without guarded instructions, reads as zero, if there are atomics of the mapping.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base
    }

    /// The bytes as a slice, for code that can't do without, at its own risk.
    ///
    /// # Safety
    /// As long as the slice is used:
    /// 1. Nobody changes these bytes: no process by write(2) or through a mapping, no thread of this one through a
    ///    view.
    /// 2. Nobody makes the file shorter, and all pages can be had: an access to one that can't kills the process.
    /// 3. The pages may be read; see [`Mapping::protect`].
    #[must_use]
    pub unsafe fn as_slice(&self) -> &'a [u8] {
        // SAFETY: the range is mapped as long as the mapping is borrowed (V1), at most `isize::MAX` bytes (`PageSpan`),
        // and holds initialised bytes, a file's; that nobody changes them is duty 1, that they can be read duties 2 and
        // 3.
        unsafe { std::slice::from_raw_parts(self.base, self.len) }
    }

    /// Address of byte `offset`, which is at most the length.
    #[inline(always)]
    pub(crate) fn address(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        // Wrapping, because `add` speaks of Rust's allocations, which a mapping is none of. By V1 it does not wrap.
        self.base.wrapping_add(offset)
    }

    #[inline(always)]
    fn check(&self, offset: usize, len: usize, access: Access) -> Result<(), Fault> {
        match self.len.checked_sub(len) {
            Some(last) if offset <= last => Ok(()),
            _ => Err(self.out_of_bounds(offset, access)),
        }
    }

    #[cold]
    fn out_of_bounds(&self, offset: usize, access: Access) -> Fault {
        Fault::out_of_bounds(offset, access, self.len)
    }

    /// Start and length of a range of the view's bytes.
    fn resolve(&self, range: impl RangeBounds<usize>, access: Access) -> Result<(usize, usize), Fault> {
        let start = match range.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.checked_add(1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => Some(self.len),
        };
        let start_or_max = start.unwrap_or(usize::MAX);
        match end.and_then(|end| end.checked_sub(start_or_max)) {
            Some(len) => self.check(start_or_max, len, access).map(|()| (start_or_max, len)),
            None => Err(self.out_of_bounds(start_or_max, access)),
        }
    }

    /// Copies bytes of the view, which the caller has checked to be there, into `buf`.
    #[inline]
    fn copy_out(&self, offset: usize, buf: &mut [u8]) -> Result<(), Fault> {
        // SAFETY: the source lies inside the view (the caller's check, V1), the destination is a Rust object, and the
        // two cannot overlap because no Rust object lives in a mapping; V2.
        let done = unsafe { arch::copy(buf.as_mut_ptr(), self.address(offset), buf.len()) };
        if done == buf.len() { Ok(()) } else { self.copy_out_rest(offset, buf, done) }
    }

    /// Goes on with a copy that has met a fault after `done` bytes or later, byte by byte.
    #[cold]
    fn copy_out_rest(&self, offset: usize, buf: &mut [u8], mut done: usize) -> Result<(), Fault> {
        let mut touched = None;
        while done < buf.len() {
            let rest = &mut buf[done..];
            // SAFETY: as in `copy_out`, for the rest of the same ranges.
            let progress = unsafe { arch::copy_exact(rest.as_mut_ptr(), self.address(offset + done), rest.len()) };
            done += progress.done;
            match progress.fault {
                Some(word) if self.owns(word) || touched == Some(done) => {
                    return Err(self.fault(word, offset + done, Access::Read));
                }
                // The caller's own buffer has faulted: not our business. Touched without a guard, it goes where it
                // would have gone; if that repairs it, the copy goes on.
                Some(_) => {
                    touch(&mut buf[done]);
                    touched = Some(done);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Copies `buf` to bytes of the view, which the caller has checked to be there.
    #[inline]
    fn copy_in(&self, offset: usize, buf: &[u8]) -> Result<(), Fault> {
        // SAFETY: as in `copy_out`, the other way round.
        let done = unsafe { arch::copy(self.address(offset), buf.as_ptr(), buf.len()) };
        if done == buf.len() { Ok(()) } else { self.copy_in_rest(offset, buf, done) }
    }

    /// Goes on with a copy that has met a fault after `done` bytes or later, byte by byte.
    #[cold]
    fn copy_in_rest(&self, offset: usize, buf: &[u8], mut done: usize) -> Result<(), Fault> {
        let mut touched = None;
        while done < buf.len() {
            let rest = &buf[done..];
            // SAFETY: as in `copy_in`, for the rest of the same ranges.
            let progress = unsafe { arch::copy_exact(self.address(offset + done), rest.as_ptr(), rest.len()) };
            done += progress.done;
            match progress.fault {
                Some(word) if self.owns(word) || touched == Some(done) => {
                    return Err(self.fault(word, offset + done, Access::Write));
                }
                Some(_) => {
                    // SAFETY: a byte of a slice. As in `copy_out_rest`, its fault is not ours.
                    unsafe { (&raw const buf[done]).read_volatile() };
                    touched = Some(done);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Copies between views that overlap, through a buffer, from the end if the destination is the later one.
    fn copy_overlapping(&self, dst: &View<'_>) -> Result<(), Fault> {
        let mut bounce = [0; BOUNCE_BYTES];
        let from_the_end = dst.base > self.base;
        let steps = self.len.div_ceil(BOUNCE_BYTES);
        for step in 0..steps {
            let at = BOUNCE_BYTES * if from_the_end { steps - 1 - step } else { step };
            let part = &mut bounce[..BOUNCE_BYTES.min(self.len - at)];
            self.copy_out(at, part)?;
            dst.copy_in(at, part)?;
        }
        Ok(())
    }

    /// Loads a value of a size that no instruction has.
    fn load_large<T: FromBytes>(&self, offset: usize) -> Result<T, Fault> {
        let mut value = T::new_zeroed();
        let destination = (&raw mut value).cast::<u8>();
        // SAFETY: the caller has checked the source; the destination is a local of that size, for which any bytes are a
        // valid value (`FromBytes`); they do not overlap; V2.
        let done = unsafe { arch::copy(destination, self.address(offset), size_of::<T>()) };
        if done == size_of::<T>() {
            return Ok(value);
        }
        let (rest, from) = (destination.wrapping_add(done), self.address(offset + done));
        // SAFETY: the rest of the same ranges.
        let progress = unsafe { arch::copy_exact(rest, from, size_of::<T>() - done) };
        match progress.fault {
            None => Ok(value),
            Some(word) => Err(self.fault(word, offset + done + progress.done, Access::Read)),
        }
    }

    /// The fault of a store at `offset`, as far as it is known without touching a byte.
    #[cold]
    fn untouched_store_fault(&self, offset: usize) -> Fault {
        self.fault(FaultWord::new(self.address(offset).addr(), None), offset, Access::Write)
    }

    /// The fault of a store of `len` bytes at `offset`, which tells nothing itself. It is not tried again, since a
    /// store that is done in pieces could be seen torn: adding nothing to its first and its last byte tells as much,
    /// and changes nothing.
    #[cold]
    fn store_fault(&self, offset: usize, len: usize) -> Fault {
        for byte in [offset, offset + len - 1] {
            if let Err(word) = self.touch(byte, Access::Write) {
                return self.fault_in(word, offset, len, Access::Write);
            }
        }
        self.untouched_store_fault(offset)
    }

    /// Accesses a byte of the view, without changing it, whoever else writes to it at the same time.
    pub(crate) fn touch(&self, offset: usize, access: Access) -> Result<(), FaultWord> {
        debug_assert!(offset < self.len);
        // Where it would poison the mapping, reading the byte must do.
        if access == Access::Write && !Region::ATOMICS_POISON {
            // SAFETY: a byte of the view (V1), and aligned as any byte is; V2.
            return unsafe { <u8 as Atomic>::fetch_add(self.address(offset), 0, Ordering::Relaxed) }.map(drop);
        }
        // SAFETY: as above.
        unsafe { arch::load_u8(self.base, offset) }.map(drop)
    }

    /// Whether the address that faulted is one of the mapping's, rather than of a buffer of the caller's.
    fn owns(&self, word: FaultWord) -> bool {
        self.mapping.owns_page(word.page_addr())
    }

    /// The fault of byte `offset` of the view.
    #[cold]
    pub(crate) fn fault(&self, word: FaultWord, offset: usize, access: Access) -> Fault {
        Fault { offset, kind: self.mapping.diagnose(word, self.offset() + offset, access), access }
    }

    /// The fault of a copy to `dst` at byte `offset` of both. The address can't tell the side, since both may be on one
    /// page: the source is tried once more.
    #[cold]
    fn fault_between(&self, dst: &View<'_>, word: FaultWord, offset: usize) -> Fault {
        // SAFETY: a byte of the view, since the copy of it has been tried (V1); V2.
        match unsafe { arch::load_u8(self.base, offset) } {
            Err(word) => self.fault(word, offset, Access::Read),
            Ok(_) => dst.fault(word, offset, Access::Write),
        }
    }

    /// The fault of an access to `len` bytes at `offset`: of its first byte, or of the first on the next page if the
    /// faulting page is that one.
    #[cold]
    fn fault_in(&self, word: FaultWord, offset: usize, len: usize, access: Access) -> Fault {
        let first_on_page = word.page_addr().saturating_sub(self.address(offset).addr());
        self.fault(word, offset + if first_on_page < len { first_on_page } else { 0 }, access)
    }
}

/// The value that consists of these bytes, whose number is the value's size.
#[inline(always)]
fn from_bytes<T: FromBytes>(bytes: &[u8]) -> T {
    T::read_from_bytes(bytes).unwrap_or_else(|_| unreachable!("chosen by the size of T"))
}

/// What pread(2) and pwrite(2) answer for a copy of `len` bytes at `offset`: a fault after the first byte is a short
/// count.
#[inline]
fn partial(offset: usize, len: usize, copied: Result<(), Fault>) -> Result<usize, Fault> {
    match copied {
        Ok(()) => Ok(len),
        Err(fault) if fault.offset > offset => Ok(fault.offset - offset),
        Err(fault) => Err(fault),
    }
}

/// Accesses a byte of the caller's without a guard, for reading and writing, and leaves it as it is.
fn touch(byte: &mut u8) {
    let pointer = std::ptr::from_mut(byte);
    // SAFETY: a valid reference.
    let value = unsafe { pointer.read_volatile() };
    // SAFETY: likewise.
    unsafe { pointer.write_volatile(value) };
}

/// Small enough for Miri, which sees every access that does not stay inside a mapping or a buffer. The whole contract,
/// on real mappings, is in `tests/it`.
#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::{MapMode, MapOptions, Mapping};

    const LEN: usize = 300;

    fn mapping(mode: MapMode) -> Mapping {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[9; 7]).unwrap();
        file.write_all(&bytes()).unwrap();
        MapOptions::new(mode).offset(7).map(&file).unwrap()
    }

    fn bytes() -> Vec<u8> {
        mapio_testkit::pattern(LEN)
    }

    #[test]
    fn every_access_stays_inside_the_view_and_the_buffer() {
        let mapping = mapping(MapMode::CopyOnWrite);
        let view = mapping.view().slice(10..290).unwrap();
        let bytes = &bytes()[10..290];
        for (offset, len) in [(0, 280), (0, 1), (3, 17), (100, 64), (279, 1), (280, 0)] {
            let mut buf = vec![0; len];
            view.read_exact_at(offset, &mut buf).unwrap();
            assert_eq!(buf, bytes[offset..offset + len]);
            assert_eq!(view.write_at(offset, &buf), Ok(len));
        }
        assert_eq!(view.read_at(270, &mut [0; 20]), Ok(10));
        assert_eq!(view.read_at(usize::MAX, &mut [0; 20]), Ok(0));
        assert!(view.read_exact_at(270, &mut [0; 20]).is_err());
        assert!(view.write_all_at(usize::MAX, &[0; 2]).is_err());
        for offset in [0, 1, 272] {
            let loaded = view.load::<u64>(offset).unwrap();
            assert_eq!(loaded.to_ne_bytes(), bytes[offset..offset + 8]);
            view.store(offset, loaded).unwrap();
        }
        assert_eq!(view.load::<[u8; 5]>(275).unwrap(), bytes[275..]);
        view.store(275, [1u8; 5]).unwrap();
        view.fill(275.., 2).unwrap();
        assert_eq!(view.load::<[u8; 5]>(275), Ok([2; 5]));
        assert!(view.load::<u16>(279).is_err() && view.store(279, 0u32).is_err() && view.fill(279..281, 0).is_err());
    }

    #[test]
    fn copies_between_views_touch_nothing_else() {
        let (from, to) = (mapping(MapMode::ReadOnly), mapping(MapMode::CopyOnWrite));
        let source = from.view().slice(50..150).unwrap();
        source.copy_to(&to.view().slice(100..).unwrap()).unwrap();
        let mut expected = bytes();
        expected.copy_within(50..150, 100);
        let mut seen = vec![0; LEN];
        to.view().read_exact_at(0, &mut seen).unwrap();
        assert_eq!(seen, expected);
        for (start, end) in [(0, 30), (30, 0), (5, 5)] {
            let (source, target) = (start..start + 200, end..end + 200);
            to.view().slice(source.clone()).unwrap().copy_to(&to.view().slice(target).unwrap()).unwrap();
            expected.copy_within(source, end);
            to.view().read_exact_at(0, &mut seen).unwrap();
            assert_eq!(seen, expected);
        }
        assert!(to.view().copy_to(&source).is_err());
    }

    #[test]
    fn chunks_read_every_byte_once() {
        let mapping = mapping(MapMode::ReadOnly);
        for chunk_bytes in [0, 64, 100, LEN, usize::MAX] {
            let (mut chunks, mut seen) = (mapping.view().chunks(chunk_bytes), Vec::new());
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                seen.extend_from_slice(chunk);
            }
            assert_eq!(seen, bytes());
        }
    }

    #[test]
    fn a_view_is_used_from_several_threads() {
        let mapping = mapping(MapMode::CopyOnWrite);
        std::thread::scope(|scope| {
            for thread in 0..3usize {
                let view = mapping.view().slice(thread * 100..(thread + 1) * 100).unwrap();
                scope.spawn(move || view.fill(.., u8::try_from(thread).unwrap()).unwrap());
            }
        });
        assert_eq!(mapping.view().load::<[u8; 3]>(98), Ok([0, 0, 1]));
    }
}
