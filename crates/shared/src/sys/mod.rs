//! The operating system: what neither mapping nor rustix has.
//!
//! One file per system, the same names in each:
//! - Locks on ranges of a file's bytes that belong to an open file, and that the kernel gives up when it is closed,
//!   however that comes about: `try_lock`, `unlock`, `locked`.
//! - What identifies a process to people: `start_time`, `pid_namespace`, `process_name`, `name_of`.
#![allow(dead_code, reason = "not every system's file is asked for all")]

use std::ops::Range;

cfg_select! {
    target_os = "linux" => {
        mod linux;
        pub(crate) use linux::*;
    }
    _ => {
        mod stub;
        pub(crate) use stub::*;
    }
}

/// Who else may hold a lock on the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Others who hold it shared; the file must be open for reading.
    Shared,
    /// Nobody; the file must be open for writing.
    Exclusive,
}

/// Bytes of a file, which need not exist, from the file's start.
pub(crate) type ByteRange = Range<u64>;
