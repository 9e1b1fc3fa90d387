//! A file that is to be written: checked early, written late, whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::Error;

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

impl Target {
    /// Looks whether a file can be written at this path, and leaves all as it is.
    ///
    /// # Errors
    /// `NotAFile` for what must not be replaced: a folder, a device. `Writing` with the system's reason if no file
    /// can be made in the folder.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let behind = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if behind.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let target = Self { given: path.to_owned(), path: behind };
        // It vanishes at once.
        target.beside().map(drop).map_err(|source| target.error(source))?;
        Ok(target)
    }

    /// Where it is, behind all links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file with these bytes in its place. Blocks while they are written, and not until they are on the disk.
    ///
    /// # Errors
    /// `Writing` with the system's reason; then what was there is there still.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let written = || {
            let mut file = self.beside()?;
            file.write_all(bytes)?;
            file.persist(&self.path).map_err(|error| error.error)
        };
        written().map(drop).map_err(|source| self.error(source))
    }

    /// A new file in the same folder, which is removed unless it gets another name.
    fn beside(&self) -> io::Result<NamedTempFile<File>> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // With the permissions that new files get, not with those of files that are nobody else's business.
        Builder::new()
            .prefix(".mapio-")
            .make_in(folder.unwrap_or(Path::new(".")), |path| File::options().write(true).create_new(true).open(path))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Writing { path: self.given.clone(), source }
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
