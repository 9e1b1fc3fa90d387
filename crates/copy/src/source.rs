//! The file that is read: opened without surprises, and watched for changes.

use std::fs::{File, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::engine::NamedFile;
use crate::error::{Error, Version};

/// A regular file that is open for reading, and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

impl Source {
    /// Opens a regular file. Anything else is refused before it is opened, since opening a device or a pipe may do
    /// something or wait for ever.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        refuse_irregular(path, &path.metadata().map_err(Error::os("reading the status of", path))?)?;
        // What it is may have changed since: O_NONBLOCK keeps a pipe from waiting, and the check is made again.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(Error::os("opening", path))?;
        let metadata = file.metadata().map_err(Error::os("reading the status of", path))?;
        refuse_irregular(path, &metadata)?;
        Ok(Self { path: path.to_owned(), file, metadata })
    }

    /// The file with its name.
    pub(crate) fn named(&self) -> NamedFile<'_> {
        NamedFile { file: &self.file, path: &self.path }
    }

    /// Length when it was opened, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// Permission bits when it was opened.
    pub(crate) fn mode(&self) -> u32 {
        self.metadata.mode() & 0o777
    }

    /// Whether `other` is this very file.
    pub(crate) fn is(&self, other: &Metadata) -> bool {
        (self.metadata.dev(), self.metadata.ino()) == (other.dev(), other.ino())
    }

    /// Checks that the file is still what it was when it was opened, and that `copied` bytes are all of it.
    pub(crate) fn check_unchanged(&self, copied: u64) -> Result<(), Error> {
        let before = version(&self.metadata);
        let after = version(&self.file.metadata().map_err(Error::os("reading the status of", &self.path))?);
        // Files of /proc have no length and any number of bytes.
        let whole = copied == after.len || after.len == 0;
        if before == after && whole {
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
