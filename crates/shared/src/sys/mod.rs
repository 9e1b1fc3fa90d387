//! The operating system: what neither mapping nor rustix has, and all in which systems differ.
//!
//! One file per system, the same names in each:
//! - Locks on ranges of a file's bytes that belong to an open file, and that the kernel gives up when it is closed,
//!   however that comes about: `try_lock`, `unlock`. Linux also has `locked`, which tells of those of others.
//! - `Locks`: the same for a handle that takes part in an object, on the bytes of the mapped file or on what stands for
//!   them; `try_lock`, `unlock`, `has_others`, `others` (at most so many). Those of the handle itself do not count
//!   among others. `of_section(full name)`: locks that are no file's; `are_of_section`; `try_lock_alone`, before
//!   anything is mapped. "Nobody else has it" is true for ever where the byte is given once; "somebody has it" may be
//!   wrong for a moment. `READING`: how those lock a byte who only read.
//! - What identifies a process to people: `start_time`, `start_time_of`, `is_ended`, `pid_namespace`, `process_name`,
//!   `name_of`.
//! - Files that are objects: `open_object` (everybody else may go on doing with it what he likes, symbolic links are
//!   not followed), `reopen` (another open file of the same, which may be at a path), `is_regular`, `file_len`, `cut`,
//!   `allocate` (a range, which is behind the end or of a new file), `has_name` (any at all; the path is the one that
//!   it had), `is_at` (a path), `unlink`, `give_away` (owner and permissions of a new file), `lock_whole` (for who
//!   may not write to it; another lock than those above), `permissions` (with the numbers of user and group).
//! - Files that come into being: `new_unnamed` (`None` where they need a temporary name meanwhile), `name_unnamed`,
//!   `create_temporary` (for the user alone), `name_temporary` (which may leave the temporary name to be removed); both
//!   are atomic, and answer `AlreadyExists` if something has the name, `NotFound` if the temporary name is gone.
//! - `OBJECT_FOLDER`: where named memory is, if it consists of files; `MOST_NAME_BYTES`.
//! - Sections, memory that has a name in the kernel: `NO_SECTIONS` (why there are none), `create_section` (`None` if
//!   something has the name), `open_section`, `sections` (names, and whether they are the machine's).
//! - `Parking`: sleeping on a word of an object, in any process: `wait`, `wake`. `wait` sleeps only while the word is
//!   what was expected, comes back for any reason, and answers `false` if the time is over; `wake` comes after the word
//!   was changed, misses nobody, may wake others as well, and answers how many it has woken at least, `count` at most.
//!   `of_section(full name)`: of memory that is no file.
//! - `Signal`: a descriptor that others can wait for: `new`, `set`, `clear`, `descriptor`.
//! - `Watcher`: processes, each until it ends: `new`, `add` (a key, counted from 0; `None` if there is no such process,
//!   or none that may be watched),
//!   `wait` (the keys of those who have ended).
//! - `Maps`: who has mapped a file or a segment: `of_file`, `of_segment`; `None` where the system does not tell.
//! - System V segments: `NO_SEGMENTS` (why there are none), `create_segment`, `find_segment`, `set_segment`,
//!   `remove_segment`, `segment`, `segments`; `ipc_namespace`.
//! - `Folder`: a folder, held open, whose files are reached by it alone, so that it may be renamed: `open`, `file`,
//!   `unnamed_file`, `temporary_file`, `give_name` (which replaces nothing), `rename` (which replaces), `remove` (while
//!   others use the file, too), `sweep`, `names`, `has`, `sync`.
//! - Files of a folder: `set_aside`, `prepare`, `read_at`, `write_all_at`, `write_parts_at`, `is_written`,
//!   `sync_file`, `sync_mapping`, `next_data`; the claim that one process has to a file, until it ends: `claim`,
//!   `is_claimed`, `give_up`.
#![allow(dead_code, reason = "not every system's file is asked for all")]
#![cfg_attr(loom, allow(unused_imports, reason = "models have no objects"))]

use std::ops::Range;

use mapio_map::descriptor::BorrowedDescriptor;

#[cfg(not(loom))]
mod folder;
#[cfg(not(any(loom, windows)))]
mod parking;

#[cfg(not(loom))]
pub(crate) use folder::{NewFile, Opening, Unusable};

cfg_select! {
    loom => {}
    target_os = "linux" => {
        mod linux;
        pub(crate) use linux::*;
    }
    windows => {
        mod windows;
        pub(crate) use windows::*;
    }
    _ => {
        mod stub;
        pub(crate) use stub::*;
    }
}

/// User and group that something is given to; `None` for what it would be otherwise.
pub(crate) type Owner = (Option<u32>, Option<u32>);

/// Where a word is: in which file or section, at which byte of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) file: BorrowedDescriptor<'a>,
    pub(crate) offset: u64,
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
