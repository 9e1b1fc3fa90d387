//! Systems without shared objects.

use std::io;
use std::os::fd::BorrowedFd;

use super::{ByteRange, Hold};

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

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
