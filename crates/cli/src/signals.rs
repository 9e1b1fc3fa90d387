//! Signals that would end the program where an error can be told instead.
#![expect(unsafe_code, reason = "signal(2)")]

/// Ignores SIGXFSZ: a write beyond the limit of file sizes (setrlimit(2), `RLIMIT_FSIZE`) then answers `EFBIG`.
pub(crate) fn ignore_file_size_limit() {
    // SAFETY: ignoring a signal runs no code of ours. It fails only for signals that can't be ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
