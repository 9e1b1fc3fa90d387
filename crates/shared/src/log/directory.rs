//! The folder of a log: which files are in it, and how they come and go.
//!
//! Invariant: a file has a segment's name only when its header is on the disk and all its bytes are set aside.
//! Everything is reached through the open folder, so that renaming the folder changes nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use mapio_map::descriptor::{self, BorrowedDescriptor};

use super::layout::Header;
use crate::error::Error;
use crate::sys::{self, Folder, Opening, Unusable};

/// The file that the writer has locked.
const LOCK: &str = "lock";
/// Behind the first sequence number, in 20 digits.
const SEGMENT_SUFFIX: &str = ".segment";
const INDEX_SUFFIX: &str = ".index";
/// Behind the name of what a recovery has cut off.
const LOST_SUFFIX: &str = ".lost";
/// The name of a file that will get another one.
const TEMPORARY: &str = ".mapio-new";
/// Digits of the largest sequence number.
const DIGITS: usize = 20;

/// The folder of a log.
#[derive(Debug)]
pub(super) struct Directory {
    folder: Folder,
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
        match Folder::open(path) {
            Ok(folder) => Ok(Self { folder, path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotFound { object: path.display().to_string() })
            }
            Err(error) => Err(Error::os("opening the log", &path.display().to_string())(error)),
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
        Folder::open(parent).and_then(|parent| parent.sync()).map_err(fail)
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn segment_name(&self, first: u64) -> String {
        self.path.join(segment(first)).display().to_string()
    }

    /// Bytes of a segment's file; 0 if there is none.
    pub(super) fn segment_bytes(&self, first: u64) -> Result<u64, Error> {
        let Some(file) = self.open_segment(first, Opening::Read)? else { return Ok(0) };
        let len = sys::file_len(descriptor::of(&file));
        len.map_err(Error::os("reading the status of", &self.segment_name(first)))
    }

    /// Lists what is there.
    pub(super) fn contents(&self) -> Result<Contents, Error> {
        let mut contents = Contents::default();
        self.folder.names(|name| contents.add(name)).map_err(Error::os("listing", &self.name()))?;
        contents.segments.sort_unstable();
        Ok(contents)
    }

    /// Opens a segment's file; `None` if there is none of that name.
    pub(super) fn open_segment(&self, first: u64, opening: Opening) -> Result<Option<File>, Error> {
        self.open_file(&segment(first), opening)
    }

    pub(super) fn open_index(&self, first: u64) -> Result<Option<File>, Error> {
        self.open_file(&index(first), Opening::Read)
    }

    fn open_file(&self, name: &str, opening: Opening) -> Result<Option<File>, Error> {
        let path = || self.path.join(name).display().to_string();
        self.folder.file(name, opening).map_err(|unusable| match unusable {
            Unusable::Link => Error::Foreign { object: path(), reason: "it is a symbolic link" },
            Unusable::NotRegular => Error::Foreign { object: path(), reason: "it is no regular file" },
            Unusable::System(source) => Error::os("opening", &path())(source),
        })
    }

    /// Becomes the writer.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        let object = self.path.join(LOCK).display().to_string();
        let file = self.open_file(LOCK, Opening::Create)?;
        let file = file.ok_or_else(|| Error::NotFound { object: object.clone() })?;
        match sys::claim(&file).map_err(Error::os("locking", &object))? {
            true => Ok(Lock(file)),
            false => Err(Error::WouldBlock { object: format!("the log {} has a writer already", self.name()) }),
        }
    }

    /// Whether somebody is the writer now.
    pub(super) fn is_locked(&self) -> Result<bool, Error> {
        let Some(file) = self.open_file(LOCK, Opening::Read)? else { return Ok(false) };
        sys::is_claimed(&file).map_err(Error::os("asking for the lock of", &self.name()))
    }

    /// Makes a segment, whole: its bytes set aside, its header on the disk, and then its name, which the caller brings
    /// there. Whatever can fail is done before it has the name, `prepare` too: an error leaves nothing.
    pub(super) fn create_segment<T>(
        &self,
        header: &Header,
        prepare: impl FnOnce(&File) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.segment_name(header.first);
        let fail = || Error::os("making", &path);
        let new = self.folder.unnamed_file(TEMPORARY).map_err(fail())?;
        let made = fill(&new.file, header).map_err(fail()).and_then(|()| {
            let prepared = prepare(&new.file)?;
            self.folder.give_name(&new, &segment(header.first)).map_err(fail())?;
            Ok(prepared)
        });
        if new.temporary.is_some() {
            self.remove_temporary();
        }
        made
    }

    fn remove_temporary(&self) {
        // If it can't be removed, the next writer will.
        let _ = self.folder.remove(TEMPORARY);
    }

    /// Writes an index, whole. It need not survive the machine.
    pub(super) fn write_index(&self, first: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.folder.temporary_file(TEMPORARY)?;
        let written = sys::write_all_at(&file, bytes, 0);
        // Nobody has it open when it gets its name.
        drop(file);
        let renamed = written.and_then(|()| self.folder.rename(TEMPORARY, &index(first)));
        if renamed.is_err() {
            self.remove_temporary();
        }
        renamed
    }

    /// Removes a segment and its index.
    pub(super) fn remove_segment(&self, first: u64) -> Result<(), Error> {
        // What was still used when it was removed may be so no longer.
        self.folder.sweep();
        for name in [index(first), segment(first)] {
            self.remove(&name)?;
        }
        Ok(())
    }

    /// Gives a segment that was cut off a name under which it is no part of the log.
    pub(super) fn set_aside(&self, first: u64) -> Result<(), Error> {
        self.remove(&index(first))?;
        let name = segment(first);
        let renamed = self.folder.rename(&name, &format!("{name}{LOST_SUFFIX}"));
        renamed.map_err(Error::os("renaming", &self.segment_name(first)))
    }

    /// Whether an open segment is still in the folder, though maybe set aside.
    pub(super) fn keeps(&self, first: u64, file: BorrowedDescriptor<'_>) -> io::Result<bool> {
        let name = segment(first);
        Ok(self.folder.has(&name, file)? || self.folder.has(&format!("{name}{LOST_SUFFIX}"), file)?)
    }

    /// Removes what writers that died have left: a file without its name, indexes without their segments.
    pub(super) fn tidy(&self, contents: &Contents) -> Result<(), Error> {
        self.folder.sweep();
        if contents.has_temporary {
            self.remove(TEMPORARY)?;
        }
        let orphans = contents.indexes.iter().filter(|first| contents.segments.binary_search(first).is_err());
        orphans.copied().try_for_each(|first| self.remove(&index(first)))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let removed = self.folder.remove(name);
        removed.map_err(Error::os("removing", &self.path.join(name).display().to_string()))
    }

    /// Brings the names to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.folder.sync().map_err(Error::os("flushing the folder", &self.name()))
    }
}

/// What makes a process the writer, until this is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing gives it up, too.
        let _ = sys::give_up(&self.0);
    }
}

impl Contents {
    fn add(&mut self, name: &[u8]) {
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
fn fill(file: &File, header: &Header) -> io::Result<()> {
    sys::set_aside(file, header.segment_bytes)?;
    sys::write_all_at(file, &header.encode(), 0)?;
    sys::sync_file(file)
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
