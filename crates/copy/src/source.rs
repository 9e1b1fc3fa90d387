//! The file that is read: opened without surprises, and watched for changes.

use std::fs::{File, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::engine::NamedFile;
use crate::error::{Error, Version};
use crate::file_system::FileSystem;

/// Opens a regular file for reading. Anything else is refused before it is opened, since opening a device or a pipe may
/// do something or wait for ever.
///
/// # Errors
/// [`Error::NotRegular`], or [`Error::Os`] with what stat(2) or open(2) say.
pub fn open_regular(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref();
    refuse_irregular(path, &path.metadata().map_err(Error::os("cannot fstat", path))?)?;
    // What it is may have changed since: O_NONBLOCK keeps a pipe from waiting, and the check is made again.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(Error::os("opening", path))?;
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
    let seconds = Duration::from_secs(metadata.mtime().try_into().unwrap_or(0));
    let rest = Duration::from_nanos(metadata.mtime_nsec().try_into().unwrap_or(0));
    Version { len: metadata.len(), modified: seconds + rest }
}

/// Refuses what is not a regular file, by name.
pub(crate) fn refuse_irregular(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    match irregular_kind(metadata.file_type()) {
        None => Ok(()),
        Some(kind) => Err(Error::NotRegular { path: path.to_owned(), kind }),
    }
}

fn irregular_kind(file_type: FileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("a directory")
    } else if file_type.is_fifo() {
        Some("a pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else if file_type.is_block_device() {
        Some("a block device")
    } else if file_type.is_char_device() {
        Some("a character device")
    } else {
        Some("something unknown")
    }
}
