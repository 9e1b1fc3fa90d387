//! Tests of the crate from outside: each module is one promise.

mod atomics;
// Linux's device mapper makes the sectors.
#[cfg(target_os = "linux")]
mod bad_sector;
// Signals.
#[cfg(target_os = "linux")]
mod coexistence;
mod compat;
mod contract;
mod every_byte;
mod far;
// A file system in user space: FUSE.
#[cfg(target_os = "linux")]
mod faulty_fs;
// File systems of some mebibytes, on loop devices.
#[cfg(target_os = "linux")]
mod full_disk;
// Memory files with seals, huge pages, System V segments, devices.
#[cfg(target_os = "linux")]
mod kinds;
mod mapped_file;
mod model;
// mincore(2), cachestat(2), madvise(2), and the faults that they save.
#[cfg(target_os = "linux")]
mod paging;
// Pages that a signal handler replaces.
#[cfg(target_os = "linux")]
mod poison;
mod reading;
// Seals, and descriptors sent to other processes.
#[cfg(target_os = "linux")]
mod sharing;
// Files that are cut and grow while threads access them.
#[cfg(target_os = "linux")]
mod storm;
mod support;
// Files that are cut under their mappings.
#[cfg(target_os = "linux")]
mod unguarded;
#[cfg(windows)]
mod windows;
