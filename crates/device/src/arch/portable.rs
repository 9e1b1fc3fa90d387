//! Other processors: the strongest barrier there is, everywhere.

use std::sync::atomic::{Ordering, fence};

/// Whether an access to mapped memory is one instruction, whose fault is an error.
pub(crate) const HAS_MMIO: bool = false;

/// Orders a read of a register before everything behind it.
#[inline(always)]
pub(crate) fn after_read() {
    fence(Ordering::SeqCst);
}

/// Orders everything before it before a write to a register.
#[inline(always)]
pub(crate) fn before_write() {
    fence(Ordering::SeqCst);
}

/// Waits until stores have left the processor, as far as that can be asked for.
pub(crate) fn flush_writes() {
    fence(Ordering::SeqCst);
}
