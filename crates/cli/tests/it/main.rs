//! The command, run as a user runs it.

mod bench;
mod channel;
mod commands;
// Signals, terminals, links, permission bits.
#[cfg(not(windows))]
mod copy;
// Scripts of a shell, beside GNU's cp.
#[cfg(not(windows))]
mod cp;
// Registers and screens, which are Linux's.
#[cfg(not(windows))]
mod device;
// The commands of the documents are written for a shell.
#[cfg(not(windows))]
mod docs;
// What the guide to Windows shows was printed there.
#[cfg(windows)]
mod guide;
mod log;
mod manual;
mod pages;
// Serial ports, which are Linux's.
#[cfg(not(windows))]
mod serial;
mod shared;
mod support;
// Signals, /proc, devices.
#[cfg(not(windows))]
mod tour;
#[cfg(windows)]
mod windows;
