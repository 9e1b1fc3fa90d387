//! Files that are objects.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, FileType, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::new_file::give_name;
use crate::sys::Owner;

pub(crate) use crate::new_file::allocate;

/// As shm_open(3): a symbolic link is not followed, so the name is the object's own. Opening a pipe or a terminal by
/// accident waits for nobody.
pub(crate) fn open_object(path: &Path, writable: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)
}

/// Through /proc: its permissions decide, not how it was opened.
pub(crate) fn reopen(file: BorrowedFd<'_>, _: Option<&Path>, writable: bool) -> io::Result<OwnedFd> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).map_err(io::Error::other)?;
    Ok(OpenOptions::new().read(true).write(writable).custom_flags(flags).open(link)?.into())
}

pub(crate) fn is_regular(file: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) == FileType::RegularFile)
}

pub(crate) fn file_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    u64::try_from(rustix::fs::fstat(file)?.st_size).map_err(io::Error::other)
}

pub(crate) fn cut(file: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    Ok(rustix::fs::ftruncate(file, len)?)
}

pub(crate) fn has_name(file: BorrowedFd<'_>, _: &Path) -> io::Result<bool> {
    Ok(rustix::fs::fstat(file)?.st_nlink > 0)
}

pub(crate) fn is_at(file: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let mine = rustix::fs::fstat(file)?;
    match rustix::fs::lstat(path) {
        Ok(found) => Ok((found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

/// open(2), `O_TMPFILE`.
pub(crate) fn new_unnamed(folder: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => Ok(Some(fd.into())),
        // What file systems without unnamed files answer; see open(2).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn name_unnamed(file: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    Ok(give_name(file, CWD, path)?)
}

pub(crate) fn create_temporary(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// link(2): it has both names then.
pub(crate) fn name_temporary(_: BorrowedFd<'_>, temporary: &Path, path: &Path) -> io::Result<()> {
    Ok(rustix::fs::link(temporary, path)?)
}

pub(crate) fn give_away(file: BorrowedFd<'_>, owner: Owner, permissions: u32) -> io::Result<()> {
    // The owner first: chown(2) clears bits of the mode.
    let (user, group) = (owner.0.map(Uid::from_raw), owner.1.map(Gid::from_raw));
    if user.is_some() || group.is_some() {
        rustix::fs::fchown(file, user, group)?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(permissions & 0o777))?)
}

/// flock(2), which knows nothing of the locks of bytes.
pub(crate) fn lock_whole(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn permissions(metadata: &Metadata) -> (u32, u32, u32) {
    (metadata.mode() & 0o777, metadata.uid(), metadata.gid())
}
