//! What the crate promises, between real processes.
//!
//! The same on every system, but for the modules that a line says to be of one; on Windows `windows` names those that
//! are not compiled there.

mod channel;
mod cleaning;
mod contract;
// fork(2).
#[cfg(target_os = "linux")]
mod forked;
// A small /dev/shm.
#[cfg(target_os = "linux")]
mod full;
mod hostile;
// Python, numpy, C and Boost of Linux.
#[cfg(target_os = "linux")]
mod interop;
// strace(1).
#[cfg(target_os = "linux")]
mod killed;
// Zombies, namespaces, users.
#[cfg(target_os = "linux")]
mod life;
mod log;
mod object;
mod storm;
mod support;
mod sync;
// Sections, and what else is of Windows alone.
#[cfg(windows)]
mod windows;
