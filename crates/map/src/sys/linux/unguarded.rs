//! The exception table's place on processors whose guarded accesses raise no signal: `process_vm_readv(2)` answers
//! `EFAULT` itself. A handler is installed only for plain atomics, when the first mapping of these is made.
#![expect(unsafe_code, reason = "a function that is unsafe where it does something")]

use libc::{SIGBUS, c_int, c_void, siginfo_t};

use super::signal;

/// The signal that a plain atomic access raises.
pub(super) const SIGNALS: [c_int; 1] = [SIGBUS];

/// Does nothing: no instruction is guarded.
///
/// # Safety
/// None here.
pub(super) unsafe fn resume(_: c_int, _: &siginfo_t, _: *mut c_void) -> bool {
    false
}

/// Whether the handler is ours; always while no access needs one.
pub(super) fn is_armed() -> bool {
    !signal::is_installed() || signal::is_armed()
}

/// Whether the calling thread blocks the signal; never while no access raises it.
pub(super) fn is_blocked() -> bool {
    signal::is_installed() && signal::is_blocked()
}
