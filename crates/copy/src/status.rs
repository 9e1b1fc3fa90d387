//! What stat(2) says of a file, in one form for every processor.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FileType, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::error::Version;

/// The status of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: FileType,
    /// Permission, set-id and sticky bits.
    pub(crate) mode: u32,
    pub(crate) nlink: u64,
    pub(crate) uid: u32,
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
    pub(crate) inode: u64,
}

impl Status {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "the fields have other types on other processors"
    )]
    pub(crate) fn new(stat: &Stat) -> Self {
        let time = |seconds, nanoseconds| Timespec { tv_sec: i64::from(seconds), tv_nsec: nanoseconds };
        Self {
            id: FileId { device: u64::from(stat.st_dev), inode: u64::from(stat.st_ino) },
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            nlink: u64::from(stat.st_nlink),
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: u64::from(stat.st_rdev),
            len: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            accessed: time(stat.st_atime, stat.st_atime_nsec.try_into().unwrap_or(0)),
            modified: time(stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
        }
    }

    /// Of an open file.
    pub(crate) fn of(file: &File) -> Result<Self, Errno> {
        rustix::fs::fstat(file).map(|stat| Self::new(&stat))
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

    /// The times in the form that utimensat(2) takes.
    pub(crate) fn times(&self) -> Timestamps {
        Timestamps { last_access: self.accessed, last_modification: self.modified }
    }

    /// What tells one state of the file from another.
    pub(crate) fn version(&self) -> Version {
        let seconds = Duration::from_secs(self.modified.tv_sec.try_into().unwrap_or(0));
        let rest = Duration::from_nanos(self.modified.tv_nsec.try_into().unwrap_or(0));
        Version { len: self.len, modified: seconds + rest }
    }
}
