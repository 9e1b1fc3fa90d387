//! Why a mapping could not be made or flushed.

use std::fmt;
use std::io;

/// An operation on a whole mapping that failed. Accesses answer [`Fault`](crate::Fault) instead.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Os {
        /// What was being done, such as `mapping` or `flushing`.
        operation: &'static str,
        /// The file, by path where one is known.
        object: String,
        /// First byte in the file.
        offset: u64,
        /// Bytes concerned.
        len: usize,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Atomics were asked for in a mapping that allows no stores: an atomic load may store too, on some processors.
    ReadOnly {
        /// The file, by path where one is known.
        object: String,
        /// First byte of the mapping, in the file.
        offset: u64,
        /// Bytes of the mapping.
        len: usize,
    },
    /// The range asked for cannot exist: it starts after the file's end with no length given, or its end does not fit
    /// a file offset or the address space.
    Range {
        /// The file, by path where one is known.
        object: String,
        /// First byte asked for, in the file.
        offset: u64,
        /// Bytes asked for; `None` when the rest of the file was.
        len: Option<usize>,
        /// Length of the file, in bytes; `u64::MAX` for a device without one.
        file_len: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What concerns the file as a whole.
            Self::Os { operation, object, offset: 0, len: 0, .. } => write!(f, "{operation} {object}"),
            Self::Os { operation, object, offset, len, .. } => {
                write!(f, "{operation} {object} (offset {offset:#x}, {len} bytes)")
            }
            Self::ReadOnly { object, offset, len } => {
                write!(f, "using atomics in {object} (offset {offset:#x}, {len} bytes): the mapping is read-only")
            }
            Self::Range { object, offset, len: Some(len), .. } => {
                write!(f, "mapping {object} (offset {offset:#x}, {len} bytes): the range has no end that can be mapped")
            }
            Self::Range { object, offset, len: None, file_len: u64::MAX } => {
                write!(f, "mapping {object} (offset {offset:#x}): a device has no length, it must be given")
            }
            Self::Range { object, offset, len: None, file_len } => {
                write!(f, "mapping {object} (offset {offset:#x}): the file has only {file_len} bytes")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            Self::ReadOnly { .. } | Self::Range { .. } => None,
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind, and puts the reason behind the message: an `io::Error` is shown without its causes.
    fn from(error: Error) -> Self {
        match &error {
            Error::Os { source, .. } => io::Error::new(source.kind(), format!("{error}: {source}")),
            Error::ReadOnly { .. } => io::Error::new(io::ErrorKind::PermissionDenied, error),
            Error::Range { .. } => io::Error::new(io::ErrorKind::InvalidInput, error),
        }
    }
}
