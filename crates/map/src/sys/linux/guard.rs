//! The exception table, in which the faults of guarded instructions are looked up.
//!
//! ```text
//! .text                                   section mapio_extable_v1
//!   2: mov rax, [rbx + rcx]    <--------- { from: 2b - ., to: 3b - ., register: 12 }
//!   3: test rdx, rdx           <---------------------'
//! ```
//!
//! A fault at an instruction that is in the table goes on at its landing, with a [`FaultWord`] in the register named.
//!
//! Invariant: only instructions in the table are ever resumed elsewhere, and only at their own landing.
#![expect(unsafe_code, reason = "the exception table, the interrupted context")]
#![expect(clippy::as_conversions, reason = "registers and offsets carry integers of every width")]

use libc::{SIGBUS, SIGSEGV, c_int, c_void, siginfo_t, ucontext_t};

pub(crate) use super::signal::install;
pub(super) use super::signal::{is_armed, is_blocked};
use crate::arch::{self, FaultWord, Signal};

/// The signals that a guarded instruction raises.
pub(super) const SIGNALS: [c_int; 2] = [SIGBUS, SIGSEGV];

/// A record of the exception table. Offsets are from the field's own address, so the table needs no relocation.
#[repr(C)]
struct Record {
    /// To the instruction that may fault.
    from: i32,
    /// To its landing.
    to: i32,
    /// The register that gets the fault word, as `arch` numbers them; 255 for none.
    register: u32,
}

unsafe extern "C" {
    // The linker makes these two for any section whose name is a C identifier.
    #[link_name = "__start_mapio_extable_v1"]
    static TABLE_START: [Record; 0];
    #[link_name = "__stop_mapio_extable_v1"]
    static TABLE_END: [Record; 0];
}

/// Keeps the section in every output that holds this code, or lld would not make the two symbols above.
#[used]
// SAFETY: the section holds `Record`s only; this adds none.
#[unsafe(link_section = "mapio_extable_v1")]
static TABLE_ANCHOR: [Record; 0] = [];

/// Makes the interrupted instruction go on at its landing, if it is a guarded one, and answers whether it is.
///
/// # Safety
/// `context` is what a handler was given, with these details, for a fault of the interrupted instruction.
pub(super) unsafe fn resume(signal: c_int, details: &siginfo_t, context: *mut c_void) -> bool {
    let context = context.cast::<ucontext_t>();
    // SAFETY: the third argument of a handler is the interrupted thread's context.
    let program_counter = unsafe { arch::program_counter(context) };
    let Some(record) = find(program_counter) else { return false };
    // SAFETY: a fault sets si_addr.
    let addr = unsafe { details.si_addr() }.addr();
    let word = FaultWord::new(addr, Some(Signal { segv: signal == SIGSEGV, code: details.si_code as usize }));
    // SAFETY: as above, and nobody else uses it while the thread is in its handler.
    unsafe { arch::resume_at(context, target(&record.to), record.register as usize, word) };
    true
}

/// The record of the instruction at `program_counter`, if it is a guarded one.
fn find(program_counter: usize) -> Option<&'static Record> {
    let start = &raw const TABLE_START as *const Record;
    let end = &raw const TABLE_END as *const Record;
    let count = (end.addr() - start.addr()) / size_of::<Record>();
    // SAFETY: the linker puts all records of this output between the two symbols, each emitted whole and aligned
    // to 4 by `guarded!` in `arch`; the section is read-only.
    let table = unsafe { std::slice::from_raw_parts(start, count) };
    table.iter().find(|record| target(&record.from) == program_counter)
}

/// The address that a field of a record stands for.
fn target(field: &i32) -> usize {
    std::ptr::from_ref(field).addr().wrapping_add_signed(*field as isize)
}
