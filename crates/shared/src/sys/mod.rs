//! The operating system: what neither mapping nor rustix has.
//!
//! One file per system, the same names in each:
//! - Locks on ranges of a file's bytes that belong to an open file, and that the kernel gives up when it is closed,
//!   however that comes about: `try_lock`, `unlock`, `locked`.
//! - What identifies a process to people: `start_time`, `start_time_of`, `is_ended`, `pid_namespace`, `process_name`,
//!   `name_of`.
//! - System V segments: `create_segment`, `find_segment`, `set_segment`, `remove_segment`, `segment`, `segments`;
//!   `ipc_namespace`.
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

/// What the system tells of a System V segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentStatus {
    /// 0 for a private one.
    pub(crate) key: i32,
    pub(crate) id: i32,
    /// The nine bits of its permissions.
    pub(crate) mode: u32,
    /// Whether it was removed, and stays for those only who have it attached.
    pub(crate) is_removed: bool,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// The process that has made it, or 0 if that is in another PID namespace.
    pub(crate) creator: u32,
    /// How often it is attached now.
    pub(crate) attached: u64,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// When it was made, or its permissions set, in seconds since 1970.
    pub(crate) changed_s: u64,
}
