//! The handler of `SIGBUS` and `SIGSEGV`: what is ours is mended, everything else is passed on.
//!
//! A fault is ours in two cases. At a guarded instruction it becomes a value (`guard`). At any other instruction, and
//! in a mapping that is registered for that, the page is replaced (`registry`). Whatever else comes goes to the handler
//! that was there before, or kills the process with its own signal. docs/design/fault.md tells the whole story, with
//! the pitfalls.
//!
//! Invariants:
//! - Once [`install`] has answered, [`PREVIOUS`] is set for every one of [`SIGNALS`], and never changes.
//! - `errno` is after the handler what it was before.
#![expect(unsafe_code, reason = "signal handlers")]
#![expect(clippy::as_conversions, reason = "handlers are integers in sigaction(2)")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{SIG_DFL, SIG_IGN, SIGBUS, SIGSEGV, c_int, c_void, sigaction, siginfo_t};

use super::guard::{self, SIGNALS};
use super::registry;
use crate::arch::Signal;

/// `si_code` of a `SIGBUS`: there is no such memory (sigaction(2), as the next three). In Linux's numbers for every
/// processor.
const BUS_ADRERR: c_int = 2;
/// The object that is mapped has failed.
const BUS_OBJERR: c_int = 3;
/// Memory has failed that the interrupted instruction wanted.
const BUS_MCEERR_AR: c_int = 4;
/// Memory has failed somewhere, not at the interrupted instruction.
const BUS_MCEERR_AO: c_int = 5;

/// `si_code` of a `SIGSEGV`: there is such memory, and it is not to be accessed in this way.
const SEGV_ACCERR: c_int = 2;

/// What was there before us, by the index in [`SIGNALS`]. Set once, before our handler is; read by the handler.
static PREVIOUS: [OnceLock<sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// Set when the handler before us has put itself back to the default. Written and read by handlers only; it publishes
/// nothing else, so relaxed accesses do.
static PREVIOUS_RESIGNED: [AtomicBool; SIGNALS.len()] = [const { AtomicBool::new(false) }; SIGNALS.len()];

/// What installing the handler has answered: an errno, if it failed.
static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();

/// Installs the handler, once per process; later calls answer what the first one did.
///
/// # Errors
/// sigaction(2) failed.
pub(crate) fn install() -> io::Result<()> {
    let installed = INSTALLED.get_or_init(|| {
        for (slot, signal) in SIGNALS.into_iter().enumerate() {
            let previous = query(signal).map_err(|e| e.raw_os_error().unwrap_or(0))?;
            let previous = PREVIOUS[slot].get_or_init(|| previous);
            set(signal, ours(previous)).map_err(|e| e.raw_os_error().unwrap_or(0))?;
        }
        stay_loaded();
        Ok(())
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// Whether the handler has been installed, whatever has become of it.
#[allow(dead_code, reason = "for processors where views need no handler")]
pub(super) fn is_installed() -> bool {
    INSTALLED.get().is_some()
}

/// Whether the handlers of all the signals are ours.
pub(super) fn is_armed() -> bool {
    SIGNALS.into_iter().all(|signal| query(signal).is_ok_and(|action| is_ours(&action)))
}

/// Whether the calling thread blocks one of the signals.
pub(super) fn is_blocked() -> bool {
    let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: with no new set, the call only writes the current mask; it fails only for a bad first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) };
    // SAFETY: written by the call above.
    let mask = unsafe { mask.assume_init() };
    // SAFETY: the mask is initialised and the signal numbers are valid.
    SIGNALS.into_iter().any(|signal| unsafe { libc::sigismember(&raw const mask, signal) } == 1)
}

/// Our entry in sigaction(2): on the alternate stack where there is one, and able to nest, because the handler that we
/// pass a fault on to may itself use guarded accesses. A signal that is only sent interrupts system calls, or does not,
/// as it did before.
fn ours(previous: &sigaction) -> sigaction {
    let restart = if previous.sa_sigaction == SIG_IGN { libc::SA_RESTART } else { previous.sa_flags & libc::SA_RESTART };
    // SAFETY: all-zero bytes are a valid sigaction: no flags, an empty mask, the default handler.
    let mut action: sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | restart;
    action
}

fn is_ours(action: &sigaction) -> bool {
    action.sa_sigaction == on_fault as *const () as usize
}

/// The handler. Async-signal-safe: for the fault of a guarded instruction it makes no call at all, for one that is
/// repaired mmap(2).
extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel, or a handler that passes a signal on, gives a valid siginfo_t (sigaction(2), SA_SIGINFO).
    let details = unsafe { *info };
    let code = details.si_code;
    // A positive code is a fault of the interrupted instruction; the others were sent by somebody (sigaction(2)).
    let origin = if code > 0 && !(signal == SIGBUS && code == BUS_MCEERR_AO) { Origin::Fault } else { Origin::Sent };
    // SAFETY: a fault of the interrupted instruction, with the siginfo and the context that this handler was given.
    if origin == Origin::Fault && unsafe { guard::resume(signal, &details, context) } {
        return;
    }
    let errno = errno();
    if !(origin == Origin::Fault && repair(signal, &details)) {
        pass_on(signal, origin, info, context);
    }
    set_errno(errno);
}

/// Replaces the page that a fault is about, if it is one of a registered mapping.
fn repair(signal: c_int, details: &siginfo_t) -> bool {
    let segv = match (signal, details.si_code) {
        (SIGBUS, BUS_ADRERR | BUS_OBJERR | BUS_MCEERR_AR) => false,
        (SIGSEGV, SEGV_ACCERR) => true,
        // BUS_ADRALN, an address that is not aligned: the instruction would fault on another page just as well.
        // SEGV_MAPERR: nothing is mapped there, so it is no mapping's. And what a later kernel may add.
        _ => return false,
    };
    // SAFETY: a fault sets si_addr.
    let addr = unsafe { details.si_addr() }.addr();
    registry::repair(addr, Signal { segv, code: usize::try_from(details.si_code).unwrap_or(0) })
}

/// Where a signal comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The interrupted instruction, which faults again when the handler returns.
    Fault,
    /// Somebody has sent it, or the kernel tells of memory elsewhere: nothing happens again.
    Sent,
}

/// Does with a signal that is not ours what would have happened without us.
fn pass_on(signal: c_int, origin: Origin, info: *mut siginfo_t, context: *mut c_void) {
    // One of ours, whose previous action was set before our handler was: there is always one.
    let Some(slot) = SIGNALS.into_iter().position(|known| known == signal) else { return };
    let Some(previous) = PREVIOUS[slot].get() else { return };
    let resigned = PREVIOUS_RESIGNED[slot].load(Ordering::Relaxed);
    match previous.sa_sigaction {
        SIG_IGN if !resigned && origin == Origin::Sent => {}
        SIG_IGN | SIG_DFL => die(signal, origin),
        _ if resigned => die(signal, origin),
        _ => {
            let ours_was_first = query(signal).is_ok_and(|action| is_ours(&action));
            if previous.sa_flags & libc::SA_RESETHAND != 0 {
                PREVIOUS_RESIGNED[slot].store(true, Ordering::Relaxed);
            }
            call(previous, signal, info, context);
            // std's handler answers what it does not know by restoring the default and returning: a fault then
            // happens again and kills, as it should. A signal that was only sent must not leave us without a handler;
            // we stay, and remember that the next one of its kind is to kill.
            if origin == Origin::Sent && ours_was_first && query(signal).is_ok_and(|action| action.sa_sigaction == SIG_DFL) {
                PREVIOUS_RESIGNED[slot].store(true, Ordering::Relaxed);
                // It was accepted with the same arguments before.
                let _ = set(signal, ours(previous));
            }
        }
    }
}

/// Restores the default action: a fault happens again when we return, with its own siginfo; a sent signal is sent
/// again.
fn die(signal: c_int, origin: Origin) {
    // SAFETY: all-zero bytes are the default action.
    let default: sigaction = unsafe { std::mem::zeroed() };
    // It fails only for signals that cannot be caught.
    let _ = set(signal, default);
    if origin == Origin::Sent {
        // It comes now, or when a handler in front of ours, which may have it blocked, has returned.
        // SAFETY: raise is async-signal-safe.
        unsafe { libc::raise(signal) };
    }
}

/// Calls another handler under the signal mask that the kernel would have given it.
fn call(handler: &sigaction, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let mut mask = handler.sa_mask;
    if handler.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: the set is initialised and the signal number valid.
        unsafe { libc::sigaddset(&raw mut mask, signal) };
    }
    let mut saved = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both pointers are to locals; pthread_sigmask is async-signal-safe.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, saved.as_mut_ptr()) };
    if handler.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with SA_SIGINFO the number is the address of a function of three arguments (sigaction(2)).
        let function: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(handler.sa_sigaction as *const ()) };
        function(signal, info, context);
    } else {
        // SAFETY: without SA_SIGINFO it is one of one argument.
        let function: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler.sa_sigaction as *const ()) };
        function(signal);
    }
    // SAFETY: `saved` was written by the first call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, saved.as_ptr(), std::ptr::null_mut()) };
}

/// The action that is in force for a signal.
fn query(signal: c_int) -> io::Result<sigaction> {
    let mut action = MaybeUninit::<sigaction>::uninit();
    // SAFETY: with no new action, the call only writes the current one.
    if unsafe { sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the successful call.
    Ok(unsafe { action.assume_init() })
}

fn set(signal: c_int, action: sigaction) -> io::Result<()> {
    // SAFETY: the action is valid: ours, or the default. Ours is async-signal-safe and keeps the others' behaviour.
    if unsafe { sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The calling thread's errno.
fn errno() -> c_int {
    // SAFETY: no preconditions; it does nothing but to answer an address, from a signal handler too.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: valid as long as the thread, which alone uses it.
    unsafe { *errno }
}

fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as in `errno`.
    unsafe { *errno = value };
}

/// Keeps the shared object that holds the handler loaded, if it is one: `dlclose` would leave the kernel with an
/// address where there is no code any more.
fn stay_loaded() {
    #[cfg(not(target_feature = "crt-static"))]
    {
        let mut found = MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: dladdr(3) takes any address and writes the second argument if it answers non-zero.
        if unsafe { libc::dladdr(on_fault as *const c_void, found.as_mut_ptr()) } != 0 {
            // SAFETY: written by the successful call.
            let name = unsafe { found.assume_init() }.dli_fname;
            // RTLD_NOLOAD answers null for what is not loaded under that name, such as the program itself, which
            // is never unloaded anyway. The handle is kept on purpose.
            // SAFETY: the name is a string that lives as long as the object.
            unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
        }
    }
}
