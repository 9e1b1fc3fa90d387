//! Folders by their descriptors, and what is done with the files in them.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use mapio_map::Mapping;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::{Errno, IoSlice};

use super::{locked, try_lock, unlock};
use crate::new_file;
use crate::sys::{Hold, NewFile, Opening, Unusable};

/// From how many bytes on the kernel writes what is else stored to a mapping.
const WRITTEN_FROM_BYTES: usize = 32 << 10;
/// Bytes of a folder's listing in one go: dozens of names, and at least the longest one.
const LISTING_BYTES: usize = 4096;
/// The byte that is locked; the file need not have it.
const CLAIM: Range<u64> = 0..1;

/// A folder, held open.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a regular file, and nothing else: no link, no pipe that would be waited for; `None` if there is none.
    pub(crate) fn file(&self, name: &str, opening: Opening) -> Result<Option<File>, Unusable> {
        let flags = match opening {
            Opening::Read => OFlags::RDONLY,
            Opening::ReadWrite => OFlags::RDWR,
            Opening::Create => OFlags::RDWR | OFlags::CREATE,
        };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o666)) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Unusable::Link),
            // A folder, or a socket.
            Err(Errno::ISDIR | Errno::NXIO) => return Err(Unusable::NotRegular),
            Err(errno) => return Err(Unusable::System(errno.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(io::Error::from)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if is_regular { Ok(Some(fd.into())) } else { Err(Unusable::NotRegular) }
    }

    /// Makes a file that nobody sees: without a name, or, where the file system has none such, with a temporary one.
    pub(crate) fn unnamed_file(&self, temporary: &'static str) -> io::Result<NewFile> {
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::openat(&self.0, c".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            // Not every file system has files without a name (open(2)).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            made => return Ok(NewFile { file: made?.into(), temporary: None }),
        }
        Ok(NewFile { file: self.temporary_file(temporary)?, temporary: Some(temporary) })
    }

    /// Makes a file with a temporary name, in place of what has that.
    pub(crate) fn temporary_file(&self, temporary: &str) -> io::Result<File> {
        self.remove(temporary)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, temporary, flags, Mode::from_raw_mode(0o666))?.into())
    }

    /// Gives a new file its name, which nothing else may have; it may keep the temporary one.
    pub(crate) fn give_name(&self, new: &NewFile, name: &str) -> io::Result<()> {
        match new.temporary {
            Some(temporary) => Ok(rustix::fs::linkat(&self.0, temporary, &self.0, name, AtFlags::empty())?),
            None => Ok(new_file::give_name(new.file.as_fd(), self.0.as_fd(), name)?),
        }
    }

    /// Gives a file another name, in place of what has that.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file, if it is there. Who has it open or mapped keeps it.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes what `remove` had to leave, as far as that is possible: it leaves nothing here.
    pub(crate) fn sweep(&self) {}

    /// Tells the names of all that is there, in any order; of the folder itself and the one above as well.
    pub(crate) fn names(&self, mut tell: impl FnMut(&[u8])) -> io::Result<()> {
        // A position of its own, since several threads may list.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.0, c".", flags, Mode::empty())?;
        let mut buffer = [MaybeUninit::uninit(); LISTING_BYTES];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            tell(entry?.file_name().to_bytes());
        }
        Ok(())
    }

    /// Whether an open file is still there by the name that it was opened with, as far as that is known: whether it has
    /// any name.
    pub(crate) fn has(&self, _: &str, file: BorrowedFd<'_>) -> io::Result<bool> {
        Ok(rustix::fs::fstat(file)?.st_nlink > 0)
    }

    /// Brings the names to the disk: fsync(2) on the folder.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

/// Gives a new file its length, and sets blocks aside for all of it.
pub(crate) fn set_aside(file: &File, len: u64) -> io::Result<()> {
    new_file::allocate(file.as_fd(), 0..len)
}

/// Has a range of a mapped file that was set aside ready to be stored to. Zeros are written: the kernel keeps them in
/// large folios, and a flush finds blocks that are written already.
pub(crate) fn prepare(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    new_file::write_zeros(file, range)
}

/// Whether so many bytes are written by [`write_parts_at`] instead of being stored to a mapping: pwritev(2) goes into
/// the same pages, which takes a system call and saves writing zeros first. For fewer bytes the call costs more than
/// the zeros.
#[inline]
pub(crate) fn is_written(len: usize) -> bool {
    len >= WRITTEN_FROM_BYTES
}

/// Writes all of `bytes` to a place of a file.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    new_file::write_all(file.as_fd(), bytes, at)
}

/// Writes two parts behind each other to a place of a file, as far as the system takes them: pwritev(2). Stores to a
/// mapping are made behind it.
pub(crate) fn write_parts_at(file: BorrowedFd<'_>, parts: [&[u8]; 2], at: u64) -> io::Result<usize> {
    let parts = parts.map(IoSlice::new);
    Ok(rustix::io::retry_on_intr(|| rustix::io::pwritev(file, &parts, at))?)
}

/// Reads from a place of a file, as much as there is or the system gives; 0 at the end.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, at))?)
}

/// Brings a file to the disk, with all that is known of it: fsync(2).
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fsync(file)?)
}

/// Brings the bytes of a mapped file to the disk: fdatasync(2).
pub(crate) fn sync_mapping(mapping: &Mapping) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fdatasync(mapping))?)
}

/// The next range from `at` on that may hold anything but zeros: lseek(2) with `SEEK_DATA`. It may reach beyond the
/// file's end, and its end may be `u64::MAX`; it is not empty.
pub(crate) fn next_data(file: BorrowedFd<'_>, at: u64) -> io::Result<Option<Range<u64>>> {
    let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => data.max(at),
        Err(Errno::NXIO) => return Ok(None),
        // Whoever can't tell may have data anywhere.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(at..u64::MAX)),
        Err(errno) => return Err(errno.into()),
    };
    let hole = rustix::fs::seek(file, SeekFrom::Hole(data));
    Ok(Some(data..hole.ok().filter(|&hole| hole > data).unwrap_or(u64::MAX)))
}

/// Takes the one claim to a file; `false` if somebody else has it. It ends with the file's last descriptor, or with the
/// process.
pub(crate) fn claim(file: &File) -> io::Result<bool> {
    try_lock(file.as_fd(), CLAIM, Hold::Exclusive)
}

/// Whether another open file has the claim. It takes nothing that a claim would meet.
pub(crate) fn is_claimed(file: &File) -> io::Result<bool> {
    Ok(locked(file.as_fd(), CLAIM, Hold::Exclusive)?.is_some())
}

/// Gives the claim up. Closing would do, if no other thread had just started a process that has the descriptor until
/// its execve(2).
pub(crate) fn give_up(file: &File) -> io::Result<()> {
    unlock(file.as_fd(), CLAIM)
}
