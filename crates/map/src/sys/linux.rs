//! Linux.

use std::fs;
use std::io;

mod file;
mod futex;
mod region;
mod registry;
mod rusage;
mod signal;
cfg_select! {
    // The same condition as for `portable` in `arch`.
    any(mapio_portable, target_pointer_width = "32", not(any(target_arch = "x86_64", target_arch = "aarch64"))) => {
        pub(crate) mod unguarded;
        use unguarded as guard;
    }
    _ => {
        pub(crate) mod guard;
    }
}

pub(crate) use file::*;
pub(crate) use futex::{futex_wait, futex_wake};
pub(crate) use region::{Region, has_advice};
pub(crate) use registry::Registration;
pub(crate) use rusage::{NARROWEST_SCOPE, usage};

use crate::arch::FaultWord;

/// What has kept a page from being read, where the fault has brought the reason along: a signal does not.
pub(crate) fn fault_error(_: FaultWord) -> Option<io::Error> {
    None
}

/// Whether faults are caught now; see `fault::Status`.
pub(crate) fn is_armed() -> bool {
    guard::is_armed()
}

/// Whether the calling thread blocks a signal that is needed; see `fault::Status`.
pub(crate) fn is_blocked() -> bool {
    guard::is_blocked()
}

/// Bytes of a page.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// Bytes of a huge page of the default size: `/proc/meminfo`.
pub(crate) fn huge_page_bytes() -> io::Result<usize> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.and_then(|kib: usize| kib.checked_mul(1024)).ok_or_else(|| io::ErrorKind::Unsupported.into())
}
