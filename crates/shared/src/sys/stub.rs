//! Systems without shared objects.

use std::io;
use std::os::fd::BorrowedFd;

use super::{ByteRange, Hold, SegmentStatus};

pub(crate) fn try_lock(_: BorrowedFd<'_>, _: ByteRange, _: Hold) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn unlock(_: BorrowedFd<'_>, _: ByteRange) -> io::Result<()> {
    unsupported()
}

pub(crate) fn locked(_: BorrowedFd<'_>, _: ByteRange, _: Hold) -> io::Result<Option<ByteRange>> {
    unsupported()
}

pub(crate) fn start_time() -> io::Result<u64> {
    unsupported()
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

pub(crate) fn start_time_of(_: u32) -> io::Result<u64> {
    unsupported()
}

pub(crate) fn is_ended(_: u32) -> bool {
    false
}

pub(crate) fn ipc_namespace() -> io::Result<u64> {
    unsupported()
}

pub(crate) fn create_segment(_: i32, _: usize, _: u32) -> io::Result<i32> {
    unsupported()
}

pub(crate) fn find_segment(_: i32) -> io::Result<i32> {
    unsupported()
}

pub(crate) fn set_segment(_: i32, _: (Option<u32>, Option<u32>), _: u32) -> io::Result<()> {
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
