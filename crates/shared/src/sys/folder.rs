//! What every system's `Folder` is asked for, and answers; the duties are in `sys/mod.rs`.

use std::fs::File;
use std::io;

/// How a file in a folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// One that is there, for reading.
    Read,
    /// One that is there, for reading and writing.
    ReadWrite,
    /// For reading and writing; an empty one is made if there is none.
    Create,
}

/// Something has a file's name, and can't be used as one.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// A symbolic link, which is not followed.
    Link,
    /// A folder, a pipe, a socket, a device.
    NotRegular,
    /// The system's reason.
    System(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A new file that does not have its name yet.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// Open for reading and writing.
    pub(crate) file: File,
    /// The name that it has meanwhile, where the system has no files without one.
    pub(crate) temporary: Option<&'static str>,
}
