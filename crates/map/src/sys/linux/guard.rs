//! Signals at guarded instructions: looked up in the exception table, `arch/table.rs`, and made values.
//!
//! Invariant: only instructions in the table are ever resumed elsewhere, and only at their own landing.
#![expect(unsafe_code, reason = "the interrupted context")]
#![expect(clippy::as_conversions, reason = "a signal's code is an integer of another width")]

use std::io;

use libc::{SIGBUS, SIGSEGV, c_int, c_void, siginfo_t, ucontext_t};

pub(crate) use super::signal::install;
pub(super) use super::signal::{is_armed, is_blocked};
use crate::arch::{self, FaultWord, Signal, table};
use crate::fault::FaultKind;
use crate::page::PageRange;

/// The signals that a guarded instruction raises.
pub(super) const SIGNALS: [c_int; 2] = [SIGBUS, SIGSEGV];

/// Makes the interrupted instruction go on at its landing, if it is a guarded one, and answers whether it is.
///
/// # Safety
/// `context` is what a handler was given, with these details, for a fault of the interrupted instruction.
pub(super) unsafe fn resume(signal: c_int, details: &siginfo_t, context: *mut c_void) -> bool {
    let context = context.cast::<ucontext_t>();
    // SAFETY: the third argument of a handler is the interrupted thread's context.
    let program_counter = unsafe { arch::program_counter(context) };
    let Some(landing) = table::find(program_counter) else { return false };
    // SAFETY: a fault sets si_addr.
    let addr = unsafe { details.si_addr() }.addr();
    let word = FaultWord::new(addr, Some(Signal { segv: signal == SIGSEGV, code: details.si_code as usize }));
    // SAFETY: as above, and nobody else uses it while the thread is in its handler.
    unsafe { arch::resume_at(context, landing.addr, landing.register, word) };
    true
}

/// Makes a system call on bytes at an address of a mapping: no mapping of views is ever poisoned.
#[inline(always)]
pub(super) fn checked<T>(_: usize, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    call()
}

/// What a mapping needs so that the faults of its views' atomics are repaired: nothing.
#[derive(Debug)]
pub(super) struct Repair;

impl Repair {
    /// Whether a fault that an atomic access of a view meets poisons its mapping.
    pub(super) const POISONS: bool = false;

    pub(super) const fn new() -> Self {
        Self
    }

    /// Does nothing.
    ///
    /// # Safety
    /// None here.
    #[inline(always)]
    pub(super) unsafe fn start(&self, _: impl FnOnce() -> PageRange) -> Result<(), i32> {
        Ok(())
    }

    pub(super) fn refuse(&mut self) -> bool {
        false
    }

    pub(super) fn pause(&mut self) {}

    /// Does nothing.
    ///
    /// # Safety
    /// None here.
    pub(super) unsafe fn go_on(&mut self, _: PageRange) {}

    pub(super) fn kind(&self, _: impl FnOnce(FaultWord) -> FaultKind, now: impl FnOnce() -> FaultKind) -> FaultKind {
        now()
    }
}
