//! Plain volatile accesses, for Miri, where mappings are heap memory and cannot fault, and for the type-check on
//! systems where no mapping can be made. Atomic accesses are those of `core`, so that Miri checks what they order.
#![expect(unsafe_code, reason = "volatile and atomic accesses to mapped memory")]

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::atomic::Atomic;
use super::{FaultWord, Progress};

/// Answers that these accesses are ready: they cannot fault.
pub(crate) fn arm() -> io::Result<()> {
    Ok(())
}

macro_rules! access {
    ($load:ident, $store:ident, $int:ty) => {
        /// Loads from `base + offset`.
        ///
        /// # Safety
        /// `base + offset` and the bytes behind it lie in a live mapping.
        #[inline(always)]
        pub(crate) unsafe fn $load(base: *const u8, offset: usize) -> Result<$int, FaultWord> {
            let mut bytes = [0; size_of::<$int>()];
            // SAFETY: the source is the caller's duty, the destination a local of that size.
            unsafe { copy(bytes.as_mut_ptr(), base.wrapping_add(offset), bytes.len()) };
            Ok(<$int>::from_ne_bytes(bytes))
        }

        /// Stores to `base + offset`.
        ///
        /// # Safety
        /// `base + offset` and the bytes behind it lie in a live mapping.
        #[inline(always)]
        pub(crate) unsafe fn $store(base: *mut u8, offset: usize, value: $int) -> Result<(), ()> {
            let bytes = value.to_ne_bytes();
            // SAFETY: the destination is the caller's duty, the source a local of that size.
            unsafe { copy(base.wrapping_add(offset), bytes.as_ptr(), bytes.len()) };
            Ok(())
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
/// Both ranges are valid for the access and do not overlap.
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> usize {
    // SAFETY: the same duties.
    unsafe { copy_exact(dst, src, len) }.done
}

/// Copies `len` bytes from `src` to `dst`, upwards, and tells of the byte that faulted.
///
/// # Safety
/// The duties of [`copy`].
pub(crate) unsafe fn copy_exact(dst: *mut u8, src: *const u8, len: usize) -> Progress {
    for i in 0..len {
        // SAFETY: inside the source, by the duty of this function.
        let byte = unsafe { src.wrapping_add(i).read_volatile() };
        // SAFETY: inside the destination, likewise.
        unsafe { dst.wrapping_add(i).write_volatile(byte) };
    }
    Progress { done: len, fault: None }
}

/// Does nothing: there is no hint without machine code.
pub(crate) fn prefetch(_: *const u8, _: usize) {}

/// Stores `byte` to the `len` bytes at `dst`, upwards.
///
/// # Safety
/// The range is valid for writes.
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Progress {
    for i in 0..len {
        // SAFETY: inside the destination, by the duty of this function.
        unsafe { dst.wrapping_add(i).write_volatile(byte) };
    }
    Progress { done: len, fault: None }
}

macro_rules! atomic {
    ($int:ty, $atomic:ident) => {
        impl Atomic for $int {
            #[inline(always)]
            unsafe fn load(address: *const u8, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: aligned (duty 2) and in a live mapping (duty 1), which is heap memory here, or there is none.
                Ok(unsafe { $atomic::from_ptr(address.cast_mut().cast()) }.load(order))
            }

            #[inline(always)]
            unsafe fn store(address: *mut u8, value: Self, order: Ordering) -> Result<(), FaultWord> {
                // SAFETY: as in `load`.
                unsafe { $atomic::from_ptr(address.cast()) }.store(value, order);
                Ok(())
            }

            #[inline(always)]
            unsafe fn swap(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: as in `load`.
                Ok(unsafe { $atomic::from_ptr(address.cast()) }.swap(value, order))
            }

            #[inline(always)]
            unsafe fn compare_exchange(
                address: *mut u8,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, FaultWord> {
                // SAFETY: as in `load`.
                let word = unsafe { $atomic::from_ptr(address.cast()) };
                let (Ok(found) | Err(found)) = word.compare_exchange(current, new, success, failure);
                Ok(found)
            }

            #[inline(always)]
            unsafe fn fetch_add(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                // SAFETY: as in `load`.
                Ok(unsafe { $atomic::from_ptr(address.cast()) }.fetch_add(value, order))
            }
        }
    };
}

atomic!(u8, AtomicU8);
atomic!(u16, AtomicU16);
atomic!(u32, AtomicU32);
atomic!(u64, AtomicU64);
