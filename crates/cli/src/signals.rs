//! Signals that would end the program where something better can be done.
#![expect(unsafe_code, reason = "signal(2), sigaction(2), and an action in a signal handler")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use mapio_copy::Meter;

/// Ignores SIGXFSZ: a write beyond the limit of file sizes (setrlimit(2), `RLIMIT_FSIZE`) then answers `EFBIG`.
pub(crate) fn ignore_file_size_limit() {
    // SAFETY: ignoring a signal runs no code of ours. It fails only for signals that can't be ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Whether a signal is ignored, as a shell does for what it runs in the background.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null action changes nothing; the answer goes to `action`, which has room for it and is ours.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it was zeroed, which is a value of each of its fields: integers, a set of bits, and no function.
    let action = unsafe { action.assume_init() };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Stops what the meter counts when this signal comes.
pub(crate) fn stop_at(signal: i32, meter: &'static Meter) -> io::Result<()> {
    // SAFETY: the action is one store to an atomic, which signal-safety(7) has no objection to; it does not panic.
    unsafe { signal_hook::low_level::register(signal, move || meter.stop()) }.map(drop)
}
