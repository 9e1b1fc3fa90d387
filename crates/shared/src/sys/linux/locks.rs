//! The locks by which a handle takes part: those of an open file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{locked, try_lock, unlock};
use crate::sys::{ByteRange, Hold};

/// See `sys`.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// The file whose bytes are locked, where that is not the mapped one.
    companion: Option<OwnedFd>,
}

impl Locks {
    /// Those of another open file than the mapped one.
    pub(crate) fn of_companion(companion: OwnedFd) -> Self {
        Self { companion: Some(companion) }
    }

    /// There are no sections here, and none is made: `create_section` and `open_section` answer so.
    pub(crate) fn of_section(_: &str) -> Self {
        Self::default()
    }

    pub(crate) fn are_of_section(&self) -> bool {
        false
    }

    pub(crate) fn try_lock_alone(&self, _: ByteRange) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn file<'a>(&'a self, mapped: BorrowedFd<'a>) -> BorrowedFd<'a> {
        self.companion.as_ref().map_or(mapped, AsFd::as_fd)
    }

    pub(crate) fn try_lock(&self, mapped: BorrowedFd<'_>, bytes: ByteRange, hold: Hold) -> io::Result<bool> {
        try_lock(self.file(mapped), bytes, hold)
    }

    pub(crate) fn unlock(&self, mapped: BorrowedFd<'_>, bytes: ByteRange) -> io::Result<()> {
        unlock(self.file(mapped), bytes)
    }

    pub(crate) fn has_others(&self, mapped: BorrowedFd<'_>, bytes: ByteRange) -> io::Result<bool> {
        Ok(locked(self.file(mapped), bytes, Hold::Exclusive)?.is_some())
    }

    /// The range is halved by each lock that is found.
    pub(crate) fn others(&self, mapped: BorrowedFd<'_>, bytes: ByteRange, most: usize) -> io::Result<Vec<u64>> {
        let (mut ranges, mut found) = (vec![bytes], Vec::new());
        while let Some(range) = ranges.pop() {
            if range.is_empty() || found.len() >= most {
                continue;
            }
            let Some(lock) = locked(self.file(mapped), range.clone(), Hold::Exclusive)? else { continue };
            let (start, end) = (lock.start.max(range.start), lock.end.min(range.end));
            // One who has locked more than his byte is not listed for each.
            found.push(start);
            ranges.push(range.start..start);
            ranges.push(end..range.end);
        }
        Ok(found)
    }
}
