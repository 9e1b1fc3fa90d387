//! Files that come into being whole: what objects and logs have in common there.
//!
//! ```text
//! open(folder, O_TMPFILE) -> allocate -> filled -> give_name(folder, "name")
//! ```

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, FallocateFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Bytes of zeros in one write: the more there are, the larger are the folios that the kernel keeps them in.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Gives a file without a name its own, below `at`; an error if something has it.
pub(crate) fn give_name(file: BorrowedFd<'_>, at: BorrowedFd<'_>, name: impl Arg + Copy) -> Result<(), Errno> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, unnamed, at, name, AtFlags::SYMLINK_FOLLOW) {
        // Without /proc, those may who may search everything, and others on newer kernels.
        Err(Errno::NOENT) => rustix::fs::linkat(file, c"", at, name, AtFlags::EMPTY_PATH),
        linked => linked,
    }
}

/// Sets memory or blocks aside for a range of bytes, so that no store meets a full file system later. They lie behind
/// the file's end, or are those of a new file.
pub(crate) fn allocate(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let len = range.end.saturating_sub(range.start);
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), range.start, len)) {
        Ok(()) => Ok(()),
        // Where the file system can't, zeros are written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, range),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes zeros to a range of a file.
pub(crate) fn write_zeros(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        at += write_some(file, &ZEROS[..len], at)?;
    }
    Ok(())
}

/// Writes all of `bytes` to a place of a file.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write_some(file, bytes, at)?;
        at += written;
        bytes = &bytes[usize::try_from(written).map_err(io::Error::other)?..];
    }
    Ok(())
}

/// Writes as much as the system takes, which is something.
fn write_some(file: BorrowedFd<'_>, bytes: &[u8], at: u64) -> io::Result<u64> {
    match rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, at))? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => u64::try_from(written).map_err(io::Error::other),
    }
}
