//! The file that is read: opened without surprises, and watched for changes.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::engine::NamedFile;
use crate::error::{Error, Version};
use crate::file_system::FileSystem;
use crate::sys;

/// Opens a regular file for reading. Anything else is refused before it is opened, since opening a device or a pipe may
/// do something or wait for ever.
///
/// # Errors
/// [`Error::NotRegular`], or [`Error::Os`] with what stat(2) or open(2) say.
pub fn open_regular(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref();
    refuse_irregular(path, &path.metadata().map_err(Error::os("cannot fstat", path))?)?;
    // What it is may have changed since: a pipe is not waited for, and the check is made again.
    let file = sys::open_nonblocking(path).map_err(Error::os("opening", path))?;
    refuse_irregular(path, &file.metadata().map_err(Error::os("cannot fstat", path))?)?;
    Ok(file)
}

/// A regular file that is open for reading, and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Length in bytes; 0 for a file that does not know it, as in /proc and /sys.
    len: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = open_regular(path)?;
        let metadata = file.metadata().map_err(Error::os("cannot fstat", path))?;
        let len = if FileSystem::of(&file) == FileSystem::Kernel { 0 } else { metadata.len() };
        Ok(Self { path: path.to_owned(), file, metadata, len })
    }

    /// The file with its name.
    pub(crate) fn named(&self) -> NamedFile<'_> {
        NamedFile::new(&self.file, &self.path)
    }

    /// Length when it was opened, in bytes; 0 for one that is to be read to its end, wherever that is.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Checks that the file is still what it was when it was opened, by length and time of modification.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        let before = version(&self.metadata);
        let after = version(&self.file.metadata().map_err(Error::os("cannot fstat", &self.path))?);
        // The kernel's own files know neither their length nor when they change.
        if before == after || FileSystem::of(&self.file) == FileSystem::Kernel {
            return Ok(());
        }
        Err(Error::SourceChanged { path: self.path.clone(), before, after })
    }
}

fn version(metadata: &Metadata) -> Version {
    let modified = metadata.modified().ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    Version { len: metadata.len(), modified: modified.unwrap_or(Duration::ZERO) }
}

/// Refuses what is not a regular file, by name.
pub(crate) fn refuse_irregular(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    match sys::irregular_kind(metadata.file_type()) {
        None => Ok(()),
        Some(kind) => Err(Error::NotRegular { path: path.to_owned(), kind }),
    }
}
