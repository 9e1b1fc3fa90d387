//! The log.

mod contract;
mod hostile;
mod killed;
// Small file systems, system calls that fail, lost power.
#[cfg(target_os = "linux")]
mod limits;
// Links, pipes, files cut and removed while they are mapped.
#[cfg(target_os = "linux")]
mod posix;
mod recovery;
mod sharing;
// ptrace(2).
#[cfg(target_os = "linux")]
mod stepped;
mod support;
#[cfg(windows)]
mod windows;
