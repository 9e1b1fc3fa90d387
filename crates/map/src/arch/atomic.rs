//! What every processor's file offers of atomic accesses: one trait, so that the compiler checks that they offer the
//! same.
#![expect(unsafe_code, reason = "the duties of atomic accesses to foreign memory")]

use std::sync::atomic::Ordering;

use super::FaultWord;

/// Guarded atomic accesses of one width.
///
/// Each is one access, made whole or not at all: one that faults has changed nothing. An ordering is what
/// `core::sync::atomic` takes it for, for the processor and for the compiler, and one that core would refuse is not
/// passed here. An ordering that core may add one day counts as `SeqCst`, the strongest.
///
/// # Safety
/// The duties are the same for all functions:
/// 1. `address` and the bytes of `Self` behind it lie in an address range reserved for a mapping of ours.
/// 2. `address` is a multiple of the size of `Self`.
/// 3. `arm` has run.
pub trait Atomic: Copy {
    /// Loads the value.
    ///
    /// # Safety
    /// The duties of the trait.
    unsafe fn load(address: *const u8, order: Ordering) -> Result<Self, FaultWord>;

    /// Stores a value.
    ///
    /// # Safety
    /// The duties of the trait.
    unsafe fn store(address: *mut u8, value: Self, order: Ordering) -> Result<(), FaultWord>;

    /// Stores a value and answers the one that it has replaced.
    ///
    /// # Safety
    /// The duties of the trait.
    unsafe fn swap(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord>;

    /// Stores `new` if the value is `current`, and answers the value that was found: `current` exactly if `new` is
    /// stored. It does not fail for any other reason.
    ///
    /// # Safety
    /// The duties of the trait.
    unsafe fn compare_exchange(
        address: *mut u8,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, FaultWord>;

    /// Adds to the value, wrapping around, and answers what it was before.
    ///
    /// # Safety
    /// The duties of the trait.
    unsafe fn fetch_add(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord>;
}

/// What an access answers whose fault register holds `word`.
#[allow(dead_code, reason = "for processors whose accesses are guarded instructions")]
#[inline(always)]
pub(crate) fn answer<T>(value: T, word: usize) -> Result<T, FaultWord> {
    match FaultWord::from_register(word) {
        None => Ok(value),
        Some(word) => Err(word),
    }
}
