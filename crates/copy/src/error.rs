//! Why a file could not be copied or compared.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mapio_map::{Access, FaultKind};

/// A copy or a comparison that was not made. Nothing was changed: a destination that existed is as it was, and no
/// temporary file is left, unless the message says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Os {
        /// What was being done, such as `opening`.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file could not be mapped, or its bytes not flushed.
    Map {
        /// Which file.
        path: PathBuf,
        /// What the mapping said.
        source: mapio_map::Error,
    },
    /// A mapped file could not be accessed at a byte.
    Fault {
        /// Which file.
        path: PathBuf,
        /// The byte, from the start of the file.
        offset: u64,
        /// Whether it was being read or written.
        access: Access,
        /// Why it could not be.
        kind: FaultKind,
    },
    /// The file is not a regular one, so it can be neither copied nor replaced here.
    NotRegular {
        /// Which file.
        path: PathBuf,
        /// What it is instead, such as `a directory`.
        kind: &'static str,
    },
    /// Source and destination are one file, by path, by hard link or by symbolic link.
    SameFile {
        /// The source.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
    },
    /// A file that was read is not what it was at the beginning.
    SourceChanged {
        /// Which file.
        path: PathBuf,
        /// What it was.
        before: Version,
        /// What it is.
        after: Version,
    },
    /// Somebody has called [`Meter::stop`](crate::Meter::stop).
    Cancelled {
        /// The file that was being written.
        path: PathBuf,
    },
    /// The copy was read back and is not what the source holds.
    VerifyFailed {
        /// The destination.
        path: PathBuf,
        /// The first byte that differs, from the start of the file.
        offset: u64,
    },
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Length, in bytes.
    pub len: u64,
    /// Time of the last modification, since 1970, as far as the file system keeps it.
    pub modified: Duration,
}

impl Error {
    pub(crate) fn os(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Os { operation, path, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, path, .. } => write!(f, "{operation} '{}'", path.display()),
            Self::Map { path, source } => write!(f, "'{}': {source}", path.display()),
            Self::Fault { path, offset, access, kind } => {
                let verb = match access {
                    Access::Read => "reading",
                    Access::Write => "writing",
                };
                write!(f, "{verb} byte {offset} of '{}': {kind}", path.display())
            }
            Self::NotRegular { path, kind } => write!(f, "'{}' is {kind}, not a regular file", path.display()),
            Self::SameFile { from, to } => write!(f, "'{}' and '{}' are the same file", from.display(), to.display()),
            Self::SourceChanged { path, before, after } if before.len != after.len => write!(
                f,
                "'{}' changed while it was read: it had {} bytes and has {} now",
                path.display(),
                before.len,
                after.len
            ),
            Self::SourceChanged { path, before, after } => write!(
                f,
                "'{}' changed while it was read: it was modified at {} s since 1970, and is at {} s",
                path.display(),
                before.modified.as_secs_f64(),
                after.modified.as_secs_f64()
            ),
            Self::Cancelled { path } => write!(f, "copying to '{}' was stopped", path.display()),
            Self::VerifyFailed { path, offset } => {
                write!(f, "the copy for '{}' differs from its source at byte {offset}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            // Its own words are in ours.
            Self::Map { source, .. } => source.source(),
            Self::Fault { .. }
            | Self::NotRegular { .. }
            | Self::SameFile { .. }
            | Self::SourceChanged { .. }
            | Self::Cancelled { .. }
            | Self::VerifyFailed { .. } => None,
        }
    }
}
