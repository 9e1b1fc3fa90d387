//! The interrupted code's registers as Linux hands them to a signal handler: `ucontext_t`.
#![expect(unsafe_code, reason = "the context is a pointer from the kernel")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]

use libc::ucontext_t;

use crate::arch::FaultWord;

/// The program counter of the interrupted code.
///
/// # Safety
/// The context is the one that a signal handler was given.
pub(crate) unsafe fn program_counter(context: *const ucontext_t) -> usize {
    // SAFETY: valid by the duty; no reference is made, since the kernel keeps the siginfo inside the context's range.
    unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] as usize }
}

/// Makes the interrupted code go on at `landing`, with `word` in the register of that index, if there is one.
///
/// # Safety
/// The context is the one that a signal handler was given, and nobody else uses it.
pub(crate) unsafe fn resume_at(context: *mut ucontext_t, landing: usize, register: usize, word: FaultWord) {
    // SAFETY: valid by the duty; the reference is to the registers alone, not to what the kernel keeps behind them.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    // Indices 0 to 14 are the general registers without the stack pointer (REG_R8 to REG_RCX); 255 stands for none.
    if register <= libc::REG_RCX as usize {
        registers[register] = word.bits() as i64;
    }
    registers[libc::REG_RIP as usize] = landing as i64;
}
