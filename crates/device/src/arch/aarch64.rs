//! aarch64: registers are mapped as Device memory, whose accesses keep their order among themselves, but not with those
//! to ordinary memory: for that, barriers as Linux's `readl` and `writel` have them (arch/arm64/include/asm/io.h).
#![expect(unsafe_code, reason = "inline assembly")]

use std::arch::asm;

/// Whether an access to mapped memory is one instruction, whose fault is an error.
pub(crate) const HAS_MMIO: bool = true;

/// Orders a read of a register before everything behind it.
#[inline(always)]
pub(crate) fn after_read() {
    // SAFETY: a barrier: the load before, for the outer shareable domain, and what comes later.
    unsafe { asm!("dmb oshld", options(nostack, preserves_flags)) };
}

/// Orders all stores before it before a write to a register. Loads are not ordered: a buffer that was read is given
/// back by a fence of all accesses first.
#[inline(always)]
pub(crate) fn before_write() {
    // SAFETY: a barrier between stores, for the outer shareable domain.
    unsafe { asm!("dmb oshst", options(nostack, preserves_flags)) };
}

/// Waits until all stores before it have arrived. Loads are not waited for: what calls it has written to
/// write-combining memory, and reads nothing there.
pub(crate) fn flush_writes() {
    // SAFETY: a barrier that waits for the stores before it, and does nothing else.
    unsafe { asm!("dsb st", options(nostack, preserves_flags)) };
}
