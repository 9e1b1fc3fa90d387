//! Systems without shared objects.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

use mapio_map::descriptor::{BorrowedDescriptor, OwnedDescriptor};

mod folder;

pub(crate) use folder::*;

pub(crate) use super::parking::Parking;

use super::{ByteRange, Hold, Owner, SegmentStatus};

pub(crate) const OBJECT_FOLDER: Option<&str> = None;
pub(crate) const MOST_NAME_BYTES: usize = 255;
pub(crate) const READING: Hold = Hold::Shared;
pub(crate) const NO_SEGMENTS: Option<&str> = Some("shared objects are not on this system");
pub(crate) const NO_SECTIONS: Option<&str> = Some("shared objects are not on this system");

pub(crate) fn try_lock(_: BorrowedDescriptor<'_>, _: ByteRange, _: Hold) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn unlock(_: BorrowedDescriptor<'_>, _: ByteRange) -> io::Result<()> {
    unsupported()
}

pub(crate) fn locked(_: BorrowedDescriptor<'_>, _: ByteRange, _: Hold) -> io::Result<Option<ByteRange>> {
    unsupported()
}

/// Locks that can't be had.
#[derive(Debug, Default)]
pub(crate) struct Locks;

impl Locks {
    pub(crate) fn of_section(_: &str) -> Self {
        Self
    }

    pub(crate) fn are_of_section(&self) -> bool {
        false
    }

    pub(crate) fn try_lock_alone(&self, _: ByteRange) -> io::Result<bool> {
        unsupported()
    }

    pub(crate) fn try_lock(&self, _: BorrowedDescriptor<'_>, _: ByteRange, _: Hold) -> io::Result<bool> {
        unsupported()
    }

    pub(crate) fn unlock(&self, _: BorrowedDescriptor<'_>, _: ByteRange) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn has_others(&self, _: BorrowedDescriptor<'_>, _: ByteRange) -> io::Result<bool> {
        unsupported()
    }

    pub(crate) fn others(&self, _: BorrowedDescriptor<'_>, _: ByteRange, _: usize) -> io::Result<Vec<u64>> {
        unsupported()
    }
}

/// A signal that can't be made.
#[derive(Debug)]
pub(crate) enum Signal {}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn set(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn clear(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn descriptor(&self) -> BorrowedDescriptor<'_> {
        match *self {}
    }
}

/// Processes that can't be waited for.
#[derive(Debug)]
pub(crate) enum Watcher {}

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn add(&mut self, _: u32, _: u64) -> io::Result<Option<usize>> {
        match *self {}
    }

    pub(crate) fn wait(&mut self, _: Option<Duration>) -> io::Result<Vec<usize>> {
        match *self {}
    }
}

/// Who has mapped what is not known.
#[derive(Debug, Default)]
pub(crate) struct Maps {}

impl Maps {
    pub(crate) fn of_file(&mut self, _: &Metadata) -> Option<&[u32]> {
        None
    }

    pub(crate) fn of_segment(&mut self, _: i32) -> Option<&[u32]> {
        None
    }
}

pub(crate) fn open_object(_: &Path, _: bool) -> io::Result<File> {
    unsupported()
}

pub(crate) fn reopen(_: BorrowedDescriptor<'_>, _: Option<&Path>, _: bool) -> io::Result<OwnedDescriptor> {
    unsupported()
}

pub(crate) fn is_regular(_: BorrowedDescriptor<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn file_len(_: BorrowedDescriptor<'_>) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn cut(_: BorrowedDescriptor<'_>, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn allocate(_: BorrowedDescriptor<'_>, _: ByteRange) -> io::Result<()> {
    unsupported()
}

pub(crate) fn has_name(_: BorrowedDescriptor<'_>, _: &Path) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn is_at(_: BorrowedDescriptor<'_>, _: &Path) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn unlink(_: &Path) -> io::Result<()> {
    unsupported()
}

pub(crate) fn new_unnamed(_: &Path) -> io::Result<Option<File>> {
    unsupported()
}

pub(crate) fn name_unnamed(_: BorrowedDescriptor<'_>, _: &Path) -> io::Result<()> {
    unsupported()
}

pub(crate) fn create_temporary(_: &Path) -> io::Result<File> {
    unsupported()
}

pub(crate) fn name_temporary(_: BorrowedDescriptor<'_>, _: &Path, _: &Path) -> io::Result<()> {
    unsupported()
}

pub(crate) fn give_away(_: BorrowedDescriptor<'_>, _: Owner, _: u32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn lock_whole(_: &File) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn permissions(_: &Metadata) -> (u32, u32, u32) {
    (0, 0, 0)
}

pub(crate) fn create_section(_: &str, _: u64, _: Owner, _: u32) -> io::Result<Option<OwnedDescriptor>> {
    unsupported()
}

pub(crate) fn open_section(_: &str, _: bool) -> io::Result<OwnedDescriptor> {
    unsupported()
}

pub(crate) fn sections() -> io::Result<Vec<(String, bool)>> {
    unsupported()
}

pub(crate) fn start_time() -> io::Result<u64> {
    unsupported()
}

pub(crate) fn start_time_of(_: u32) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn is_ended(_: u32) -> bool {
    false
}

pub(crate) fn pid_namespace() -> io::Result<u64> {
    unsupported()
}

pub(crate) fn process_name() -> io::Result<String> {
    unsupported()
}

pub(crate) fn name_of(_: u32) -> io::Result<String> {
    unsupported()
}

pub(crate) fn remove_segment(_: i32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn segments() -> io::Result<Vec<SegmentStatus>> {
    unsupported()
}

pub(crate) fn segment(_: i32) -> io::Result<Option<SegmentStatus>> {
    unsupported()
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
