//! The interrupted code's registers as Windows hands them to an exception handler: `CONTEXT` of winnt.h.
#![expect(unsafe_code, reason = "the context is a pointer from the system")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]

use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT;

use crate::arch::FaultWord;

/// The program counter of the interrupted code.
///
/// # Safety
/// The context is the one that an exception handler was given.
pub(crate) unsafe fn program_counter(context: *const CONTEXT) -> usize {
    // SAFETY: valid by the duty.
    unsafe { (*context).Rip as usize }
}

/// Makes the interrupted code go on at `landing`, with `word` in the register of that index, if there is one.
///
/// # Safety
/// The context is the one that an exception handler was given, and nobody else uses it.
pub(crate) unsafe fn resume_at(context: *mut CONTEXT, landing: usize, register: usize, word: FaultWord) {
    // SAFETY: valid by the duty, and nobody else's for as long as the handler runs.
    let context = unsafe { &mut *context };
    let word = word.bits() as u64;
    // By the indices of Linux's `ucontext_t`, REG_R8 to REG_RCX, which the records have on every system.
    match register {
        0 => context.R8 = word,
        1 => context.R9 = word,
        2 => context.R10 = word,
        3 => context.R11 = word,
        4 => context.R12 = word,
        5 => context.R13 = word,
        6 => context.R14 = word,
        7 => context.R15 = word,
        8 => context.Rdi = word,
        9 => context.Rsi = word,
        10 => context.Rbp = word,
        11 => context.Rbx = word,
        12 => context.Rdx = word,
        13 => context.Rax = word,
        14 => context.Rcx = word,
        // 255: a store, whose landing knows by being reached.
        _ => {}
    }
    context.Rip = landing as u64;
}
