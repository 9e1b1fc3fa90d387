//! A file that is to be written: checked early, written late, whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::Error;
use crate::sys;

/// A file that can be written, as far as that can be known beforehand.
///
/// What it gets goes to a file beside it first, which then takes its name: whoever looks finds the old bytes or all the
/// new ones.
#[derive(Debug)]
pub struct Target {
    /// As it was given.
    given: PathBuf,
    /// Behind all links.
    path: PathBuf,
}

/// What a target is to get, beside it on the disk; removed if it is not published.
#[derive(Debug)]
pub struct Staged<'a> {
    target: &'a Target,
    file: NamedTempFile<File>,
}

impl Target {
    /// Looks whether a file can be written at this path, and leaves all as it is.
    ///
    /// # Errors
    /// `NotAFile` for what must not be replaced: a folder, a device, a link to nothing. `Writing` with the reason if no
    /// file can be made in the folder, or the one that is there must not be written or replaced.
    pub fn new(path: &Path) -> Result<Self, Error> {
        // Of a link to nothing the link itself is left.
        let behind = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let old = fs::symlink_metadata(&behind).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let target = Self { given: path.to_owned(), path: behind };
        target.check(old.as_ref()).map_err(|source| target.error(source))?;
        Ok(target)
    }

    /// Where it is, behind all links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file with these bytes in its place. Blocks while they are written, and not until they are on the disk.
    ///
    /// A file that is there passes its permissions on; on Linux its owner and group, too, as far as that is allowed.
    ///
    /// # Errors
    /// `Writing` with the system's reason; then what was there is there still.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.stage(bytes)?.publish()
    }

    /// Does the first half of [`write`](Self::write), for who writes several files or none: all that takes room.
    ///
    /// # Errors
    /// As `write`.
    pub fn stage(&self, bytes: &[u8]) -> Result<Staged<'_>, Error> {
        let staged = || {
            let mut file = self.beside()?;
            // Before the bytes are there for somebody else to read.
            if let Ok(old) = fs::metadata(&self.path) {
                sys::make_alike(file.as_file(), &old)?;
            }
            // The handle itself, since the errors of `file` name the file beside.
            file.as_file_mut().write_all(bytes)?;
            Ok(Staged { target: self, file })
        };
        staged().map_err(|source| self.error(source))
    }

    fn check(&self, old: Option<&Metadata>) -> io::Result<()> {
        // It vanishes at once.
        let beside = self.beside()?;
        if let Some(old) = old {
            // Whoever may not write to a file may not replace it.
            File::options().write(true).open(&self.path)?;
            sys::check_owner(old, &fs::metadata(self.folder())?, &beside.as_file().metadata()?)?;
        }
        Ok(())
    }

    /// A new file in the same folder, which is removed unless it gets another name.
    fn beside(&self) -> io::Result<NamedTempFile<File>> {
        // The error that is made of it names that file.
        let mut reason = None;
        // With the permissions that new files get, not with those of files that are nobody else's business.
        let made = Builder::new().prefix(".mapio-").make_in(self.folder(), |path| {
            File::options().write(true).create_new(true).open(path).map_err(|error| {
                let kind = error.kind();
                reason = Some(error);
                kind.into()
            })
        });
        made.map_err(|error| reason.unwrap_or(error))
    }

    fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Writing { path: self.given.clone(), source }
    }
}

impl Staged<'_> {
    /// Puts it in the target's place. That can only fail with the disk, or if somebody changes the folder meanwhile.
    ///
    /// # Errors
    /// `Writing` with the system's reason; then what was there is there still.
    pub fn publish(self) -> Result<(), Error> {
        let Self { target, file } = self;
        file.persist(&target.path).map(drop).map_err(|error| target.error(error.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_target_is_checked_without_a_trace_and_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        let target = Target::new(&path).unwrap();
        assert!(names(folder.path()).is_empty());
        target.write(b"first and longer").unwrap();
        target.write(b"second").unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"second".to_vec(), vec!["a.svg".to_owned()]));
    }

    #[test]
    fn what_can_not_be_written_is_refused_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Target::new(&folder.path().join("missing/a.svg")).unwrap_err();
        assert!(matches!(missing, Error::Writing { .. }), "{missing}");
        assert!(matches!(Target::new(folder.path()), Err(Error::NotAFile { .. })));
    }

    #[test]
    fn a_failure_leaves_the_old_bytes_and_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        let target = Target::new(&path).unwrap();
        // No file takes the name of a folder.
        fs::create_dir(&path).unwrap();
        assert!(matches!(target.write(b"bytes"), Err(Error::Writing { .. })));
        assert_eq!(names(folder.path()), ["a.svg"]);
    }
}
