//! How files are opened, what they are, and when: by the names that other systems have.

use std::ops::{BitOr, Sub};

/// How a file is opened, in the words of open(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OFlags(u32);

impl OFlags {
    pub(crate) const RDONLY: Self = Self(0);
    pub(crate) const WRONLY: Self = Self(1);
    pub(crate) const RDWR: Self = Self(2);
    /// Made, if there is none.
    pub(crate) const CREATE: Self = Self(4);
    /// Made, and there must be none.
    pub(crate) const EXCL: Self = Self(8);
    /// It must be a folder.
    pub(crate) const DIRECTORY: Self = Self(16);
    /// It must be no link.
    pub(crate) const NOFOLLOW: Self = Self(32);
    /// For questions about it alone.
    pub(crate) const PATH: Self = Self(64);
    /// A file without a name, which Windows has not.
    pub(crate) const TMPFILE: Self = Self(128);
    /// Pipes are not waited for: they never are here.
    pub(crate) const NONBLOCK: Self = Self(0);
    /// A terminal becomes nobody's: it never does here.
    pub(crate) const NOCTTY: Self = Self(0);

    pub(crate) const fn empty() -> Self {
        Self(0)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn set(&mut self, other: Self, is_set: bool) {
        self.0 = if is_set { self.0 | other.0 } else { self.0 & !other.0 };
    }

    /// Whether it is opened for writing.
    pub(crate) fn writes(self) -> bool {
        self.0 & (Self::WRONLY.0 | Self::RDWR.0) != 0
    }
}

impl BitOr for OFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for OFlags {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    RegularFile,
    Directory,
    /// A symbolic link or a junction: a reparse point that stands for another name.
    Symlink,
    Fifo,
    CharacterDevice,
    Unknown,
}

/// A time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Timespec {
    pub(crate) tv_sec: i64,
    /// Nanoseconds, a multiple of 100.
    pub(crate) tv_nsec: i64,
}

/// From 1601, when Windows' times begin, to 1970, in units of 100 ns ("File Times", Microsoft's documentation).
const EPOCH: i64 = 116_444_736_000_000_000;
/// Units of 100 ns in a second.
const PER_SECOND: i64 = 10_000_000;

impl Timespec {
    pub(super) fn from_file_time(time: i64) -> Self {
        let since = time.saturating_sub(EPOCH);
        Self { tv_sec: since.div_euclid(PER_SECOND), tv_nsec: since.rem_euclid(PER_SECOND) * 100 }
    }

    pub(super) fn to_file_time(self) -> i64 {
        self.tv_sec.saturating_mul(PER_SECOND).saturating_add(self.tv_nsec / 100).saturating_add(EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        assert_eq!(Timespec::from_file_time(EPOCH), Timespec::default());
        assert_eq!(Timespec::from_file_time(EPOCH - 1), Timespec { tv_sec: -1, tv_nsec: 999_999_900 });
        for time in [1, EPOCH - 1, EPOCH, EPOCH + 12_345_678, i64::MAX - EPOCH] {
            assert_eq!(Timespec::from_file_time(time).to_file_time(), time);
        }
    }
}
