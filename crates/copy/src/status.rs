//! What the system says of a file, in one form for every system and processor.

use std::fs::File;
use std::time::Duration;

use crate::error::Version;
use crate::sys::{self, Errno, FileType, Inode, Timespec};

/// The status of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: FileType,
    /// Permission, set-id and sticky bits.
    pub(crate) mode: u32,
    pub(crate) nlink: u64,
    pub(crate) uid: u32,
    #[allow(dead_code, reason = "where there are no groups nobody looks at it")]
    pub(crate) gid: u32,
    /// Which device it stands for, if it stands for one.
    pub(crate) rdev: u64,
    /// Bytes.
    pub(crate) len: u64,
    /// Bytes that have a place on the disk.
    pub(crate) allocated: u64,
    pub(crate) accessed: Timespec,
    pub(crate) modified: Timespec,
}

/// What tells one file from another: device and inode, both of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: Inode,
}

impl Status {
    /// Of an open file.
    pub(crate) fn of(file: &File) -> Result<Self, Errno> {
        sys::fstat(file)
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(crate) fn is_regular(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind == FileType::Symlink
    }

    /// What tells one state of the file from another.
    pub(crate) fn version(&self) -> Version {
        let seconds = Duration::from_secs(self.modified.tv_sec.try_into().unwrap_or(0));
        let rest = Duration::from_nanos(self.modified.tv_nsec.try_into().unwrap_or(0));
        Version { len: self.len, modified: seconds + rest }
    }
}
