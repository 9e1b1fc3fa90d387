//! Tests of the crate from outside: each module is one promise.

mod combined;
mod comparing;
mod contract;
// File systems on loop devices, tmpfs, /proc, holes by lseek(2).
#[cfg(target_os = "linux")]
mod engines;
// File systems whose reads and writes fail, and whose disks are full.
#[cfg(target_os = "linux")]
mod harmed;
// System calls that fail by ptrace(2).
#[cfg(target_os = "linux")]
mod injected;
// Processes that are killed at system calls.
#[cfg(target_os = "linux")]
mod killed;
mod nothing_lost;
mod resume;
mod streams;
mod support;
// Links, owners, access control lists, limits of descriptors.
#[cfg(target_os = "linux")]
mod trees;
#[cfg(windows)]
mod windows;
