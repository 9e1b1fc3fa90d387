//! What can go wrong.

use std::path::PathBuf;
use std::{fmt, io};

/// Why a chart was not drawn, or a file not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The library that draws has refused.
    Drawing {
        /// In its words.
        reason: String,
    },
    /// The name of a file has none of the endings that say what belongs into it.
    Ending {
        /// The file.
        path: PathBuf,
        /// What it may end with.
        allowed: &'static [&'static str],
    },
    /// There is something by this name that is no regular file, and is not replaced.
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The file can't be written.
    Writing {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawing { reason } => write!(f, "drawing a chart: {reason}"),
            Self::Ending { path, allowed } => {
                write!(f, "'{}' ends with none of {}", path.display(), allowed.join(", "))
            }
            Self::NotAFile { path } => write!(f, "'{}' is there, and is not a regular file", path.display()),
            Self::Writing { path, .. } => write!(f, "writing '{}'", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Writing { source, .. } => Some(source),
            Self::Drawing { .. } | Self::Ending { .. } | Self::NotAFile { .. } => None,
        }
    }
}
