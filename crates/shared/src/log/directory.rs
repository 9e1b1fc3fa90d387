//! The folder of a log: which files are in it, and how they come and go.
//!
//! Invariant: a file has a segment's name only when its header is on the disk and all its bytes are set aside.
//! Everything is reached through one descriptor of the folder, so that renaming the folder changes nothing.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::layout::Header;
use crate::error::Error;
use crate::new_file::{allocate, give_name, write_all};
use crate::sys::{self, Hold};

/// The file that the writer has locked.
const LOCK: &str = "lock";
/// Behind the first sequence number, in 20 digits.
const SEGMENT_SUFFIX: &str = ".segment";
const INDEX_SUFFIX: &str = ".index";
/// Behind the name of what a recovery has cut off.
const LOST_SUFFIX: &str = ".lost";
/// The name of a file that will get another one.
const TEMPORARY: &str = ".mapio-new";
/// What tells that something else has a file's name.
const NOT_REGULAR: &str = "it is no regular file";
/// Digits of the largest sequence number.
const DIGITS: usize = 20;
/// Bytes of the folder's listing in one go: dozens of names, and at least the longest one.
const LISTING_BYTES: usize = 4096;

/// The folder of a log.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    /// What it is called in errors.
    path: PathBuf,
}

/// What is in the folder.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// First sequence numbers of the segments, ascending.
    pub(super) segments: Vec<u64>,
    /// First sequence numbers of the segments that have an index.
    pub(super) indexes: Vec<u64>,
    /// Whether a file was left by a writer that died.
    has_temporary: bool,
    /// Whether there is something that no log has.
    has_others: bool,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: path.to_owned() }),
            Err(Errno::NOENT) => Err(Error::NotFound { object: path.display().to_string() }),
            Err(errno) => Err(Error::os("opening the log", &path.display().to_string())(errno.into())),
        }
    }

    /// Makes the folder, and its name on the disk.
    pub(super) fn create(path: &Path) -> Result<(), Error> {
        let fail = |source: io::Error| Error::os("making the folder", &path.display().to_string())(source);
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made.map_err(fail)?,
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(fail)
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn segment_name(&self, first: u64) -> String {
        self.path.join(segment(first)).display().to_string()
    }

    /// Bytes of a segment's file; 0 if there is none.
    pub(super) fn segment_bytes(&self, first: u64) -> Result<u64, Error> {
        let Some(fd) = self.open_segment(first, OFlags::RDONLY)? else { return Ok(0) };
        let stat = rustix::fs::fstat(&fd);
        let stat = stat.map_err(|errno| Error::os("reading the status of", &self.segment_name(first))(errno.into()))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Lists what is there.
    pub(super) fn contents(&self) -> Result<Contents, Error> {
        let fail = |errno: Errno| Error::os("listing", &self.name())(errno.into());
        let mut contents = Contents::default();
        // A position of its own, since several threads may list.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, c".", flags, Mode::empty()).map_err(fail)?;
        let mut buffer = [MaybeUninit::uninit(); LISTING_BYTES];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            contents.add(entry.map_err(fail)?.file_name());
        }
        contents.segments.sort_unstable();
        Ok(contents)
    }

    /// Opens a segment's file; `None` if there is none of that name.
    pub(super) fn open_segment(&self, first: u64, flags: OFlags) -> Result<Option<OwnedFd>, Error> {
        self.open_file(&segment(first), flags)
    }

    pub(super) fn open_index(&self, first: u64) -> Result<Option<OwnedFd>, Error> {
        self.open_file(&index(first), OFlags::RDONLY)
    }

    /// Opens a regular file, and nothing else: no link, no pipe that would be waited for.
    fn open_file(&self, name: &str, flags: OFlags) -> Result<Option<OwnedFd>, Error> {
        let path = || self.path.join(name).display().to_string();
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666)) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Error::Foreign { object: path(), reason: "it is a symbolic link" }),
            // A folder, or a socket.
            Err(Errno::ISDIR | Errno::NXIO) => {
                return Err(Error::Foreign { object: path(), reason: NOT_REGULAR });
            }
            Err(errno) => return Err(Error::os("opening", &path())(errno.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| Error::os("reading the status of", &path())(errno.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::Foreign { object: path(), reason: NOT_REGULAR });
        }
        Ok(Some(fd))
    }

    /// Becomes the writer.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        let object = self.path.join(LOCK).display().to_string();
        let fd = self.open_file(LOCK, OFlags::RDWR | OFlags::CREATE)?;
        let fd = fd.ok_or_else(|| Error::NotFound { object: object.clone() })?;
        match sys::try_lock(fd.as_fd(), 0..1, Hold::Exclusive).map_err(Error::os("locking", &object))? {
            true => Ok(Lock(fd)),
            false => Err(Error::WouldBlock { object: format!("the log {} has a writer already", self.name()) }),
        }
    }

    /// Whether somebody is the writer now.
    pub(super) fn is_locked(&self) -> Result<bool, Error> {
        let Some(fd) = self.open_file(LOCK, OFlags::RDONLY)? else { return Ok(false) };
        let locked = sys::locked(fd.as_fd(), 0..1, Hold::Exclusive);
        locked.map(|range| range.is_some()).map_err(Error::os("asking for the lock of", &self.name()))
    }

    /// Makes a segment, whole: its bytes set aside, its header on the disk, and then its name, which the caller brings
    /// there. Whatever can fail is done before it has the name, `prepare` too: an error leaves nothing.
    pub(super) fn create_segment<T>(
        &self,
        header: &Header,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.segment_name(header.first);
        let fail = || Error::os("making", &path);
        let (file, temporary) = self.unnamed_file().map_err(|errno| fail()(errno.into()))?;
        let made = fill(file.as_fd(), header).map_err(fail()).and_then(|()| {
            let prepared = prepare(file.as_fd())?;
            self.link(file.as_fd(), temporary, &segment(header.first)).map_err(fail())?;
            Ok(prepared)
        });
        if let Some(temporary) = temporary {
            self.remove_temporary(temporary);
        }
        made
    }

    /// A file that nobody sees: without a name, or, where there are none such, with a temporary one.
    fn unnamed_file(&self) -> Result<(OwnedFd, Option<&'static str>), Errno> {
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::openat(&self.fd, c".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            // Not every file system has files without a name (open(2)).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            made => return made.map(|file| (file, None)),
        }
        self.temporary_file().map(|file| (file, Some(TEMPORARY)))
    }

    /// A new file with the temporary name.
    fn temporary_file(&self) -> Result<OwnedFd, Errno> {
        match rustix::fs::unlinkat(&self.fd, TEMPORARY, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, TEMPORARY, flags, Mode::from_raw_mode(0o666))
    }

    fn remove_temporary(&self, name: &str) {
        // If it can't be removed, the next writer will.
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
    }

    /// Gives a file its name, which nothing else may have.
    fn link(&self, file: BorrowedFd<'_>, temporary: Option<&str>, name: &str) -> io::Result<()> {
        if let Some(temporary) = temporary {
            return Ok(rustix::fs::linkat(&self.fd, temporary, &self.fd, name, AtFlags::empty())?);
        }
        Ok(give_name(file, self.fd.as_fd(), name)?)
    }

    /// Writes an index, whole. It need not survive the machine.
    pub(super) fn write_index(&self, first: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.temporary_file()?;
        let written = write_all(file.as_fd(), bytes, 0);
        let renamed = written.and_then(|()| Ok(rustix::fs::renameat(&self.fd, TEMPORARY, &self.fd, index(first))?));
        if renamed.is_err() {
            self.remove_temporary(TEMPORARY);
        }
        renamed
    }

    /// Removes a segment and its index.
    pub(super) fn remove_segment(&self, first: u64) -> Result<(), Error> {
        for name in [index(first), segment(first)] {
            self.remove(&name)?;
        }
        Ok(())
    }

    /// Gives a segment that was cut off a name under which it is no part of the log.
    pub(super) fn set_aside(&self, first: u64) -> Result<(), Error> {
        self.remove(&index(first))?;
        let name = segment(first);
        let renamed = rustix::fs::renameat(&self.fd, &name, &self.fd, format!("{name}{LOST_SUFFIX}"));
        renamed.map_err(|errno| Error::os("renaming", &self.segment_name(first))(errno.into()))
    }

    /// Removes what writers that died have left: a file without its name, indexes without their segments.
    pub(super) fn tidy(&self, contents: &Contents) -> Result<(), Error> {
        if contents.has_temporary {
            self.remove(TEMPORARY)?;
        }
        let orphans = contents.indexes.iter().filter(|first| contents.segments.binary_search(first).is_err());
        orphans.copied().try_for_each(|first| self.remove(&index(first)))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::os("removing", &self.path.join(name).display().to_string())(errno.into())),
        }
    }

    /// Brings the names to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        rustix::fs::fsync(&self.fd).map_err(|errno| Error::os("flushing the folder", &self.name())(errno.into()))
    }
}

/// What makes a process the writer, until this is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, if no other thread had just started a process that has the descriptor until its exec(2).
        let _ = sys::unlock(self.0.as_fd(), 0..1);
    }
}

impl Contents {
    fn add(&mut self, name: &CStr) {
        let name = name.to_bytes();
        if let Some(first) = number(name, SEGMENT_SUFFIX) {
            self.segments.push(first);
        } else if let Some(first) = number(name, INDEX_SUFFIX) {
            self.indexes.push(first);
        } else if name == TEMPORARY.as_bytes() {
            self.has_temporary = true;
        } else if ![b".".as_slice(), b"..", LOCK.as_bytes()].contains(&name) && !name.ends_with(LOST_SUFFIX.as_bytes())
        {
            self.has_others = true;
        }
    }
}

/// Whether a folder belongs to something else: no segment is in it, and other things are.
pub(super) fn contents_are_foreign(contents: &Contents) -> bool {
    contents.segments.is_empty() && contents.has_others
}

/// The number that a file's name consists of, before its suffix.
fn number(name: &[u8], suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix.as_bytes())?;
    let is_number = digits.len() == DIGITS && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

fn segment(first: u64) -> String {
    format!("{first:0DIGITS$}{SEGMENT_SUFFIX}")
}

fn index(first: u64) -> String {
    format!("{first:0DIGITS$}{INDEX_SUFFIX}")
}

/// Sets all bytes of a new segment aside, and brings them and its header to the disk.
fn fill(file: BorrowedFd<'_>, header: &Header) -> io::Result<()> {
    allocate(file, 0..header.segment_bytes)?;
    write_all(file, &header.encode(), 0)?;
    Ok(rustix::fs::fsync(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_twenty_digits_name_segments() {
        let names = ["00000000000000000007.segment", "18446744073709551615.segment"];
        assert_eq!(names.map(|name| number(name.as_bytes(), SEGMENT_SUFFIX)), [Some(7), Some(u64::MAX)]);
        let others = ["7.segment", "18446744073709551616.segment", "+0000000000000000007.segment", ".segment", "lock"];
        assert!(others.iter().all(|name| number(name.as_bytes(), SEGMENT_SUFFIX).is_none()));
        assert_eq!(number(segment(42).as_bytes(), SEGMENT_SUFFIX), Some(42));
        assert_eq!(number(index(42).as_bytes(), INDEX_SUFFIX), Some(42));
    }

    #[test]
    fn a_segment_has_its_name_only_when_it_is_whole_and_never_replaces_one() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let header = Header { log_id: [1; 16], first: 3, created_ns: 0, segment_bytes: 8192 };
        let refused = directory.create_segment(&header, |_| Err::<(), _>(Error::invalid("it", "not now")));
        assert!(matches!(refused, Err(Error::Invalid { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        directory.create_segment(&header, |_| Ok(())).unwrap();
        assert_eq!(fs::metadata(dir.path().join(segment(3))).unwrap().len(), 8192);
        assert!(matches!(directory.create_segment(&header, |_| Ok(())), Err(Error::Os { .. })));
        assert_eq!(directory.contents().unwrap().segments, [3]);
        directory.remove_segment(3).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
