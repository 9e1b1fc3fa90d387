//! Why a file could not be copied or compared.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mapio_map::{Access, FaultKind};

use crate::quote::Quoted;

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
    /// The operating system refused something that two files take part in.
    Pair {
        /// What was being done, such as `failed to clone`.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// How the other one comes in, such as `from`.
        relation: &'static str,
        /// The other file.
        other: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A source could not be opened.
    Open {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// What was asked for would destroy something, or means nothing.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The source.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
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

/// Why a name is not copied although the operating system might.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The source is a folder, and folders were not asked for.
    Folder,
    /// A folder would be overwritten by something else.
    FolderByOther,
    /// Something else would be overwritten by a folder.
    OtherByFolder,
    /// The destination was written by this very copy.
    JustCreated,
    /// The destination leads through a symbolic link that this very copy has made.
    ThroughJustCreated,
    /// A folder would be copied into itself.
    IntoItself,
    /// A folder contains itself, by a symbolic link.
    Cycle,
    /// Symbolic links that are relative can be made only in the current folder.
    RelativeLink,
    /// The backup of the destination would be the source.
    BackupOverSource,
    /// The destination is a symbolic link to nothing.
    Dangling,
    /// The source has been replaced by another file since it was looked at.
    Replaced,
    /// The destination exists, and none was to be replaced.
    Exists,
    /// A folder that has a copy already can't get a hard link.
    LinkToFolder,
    /// The destination of `--parents` is no folder.
    ParentsNeedFolder,
    /// What would be a folder above the destination is something else.
    ParentIsNoFolder,
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
        move |source| Self::Os { operation, path: path.into(), source }
    }

    pub(crate) fn pair<'a>(
        operation: &'static str,
        path: &'a Path,
        relation: &'static str,
        other: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Pair { operation, path: path.to_owned(), relation, other: other.to_owned(), source }
    }
}

impl Refusal {
    /// Says it in the words of cp(1).
    fn write(self, f: &mut fmt::Formatter<'_>, from: Quoted<'_>, to: Quoted<'_>) -> fmt::Result {
        match self {
            Self::Folder => write!(f, "-r not specified; omitting directory {from}"),
            Self::FolderByOther => write!(f, "cannot overwrite directory {to} with non-directory"),
            Self::OtherByFolder => write!(f, "cannot overwrite non-directory {to} with directory {from}"),
            Self::JustCreated => write!(f, "will not overwrite just-created {to} with {from}"),
            Self::ThroughJustCreated => write!(f, "will not copy {from} through just-created symlink {to}"),
            Self::IntoItself => write!(f, "cannot copy a directory, {from}, into itself, {to}"),
            Self::Cycle => write!(f, "cannot copy cyclic symbolic link {from}"),
            Self::ParentIsNoFolder => write!(f, "{to} exists but is not a directory"),
            Self::RelativeLink => {
                write!(f, "{}: can make relative symbolic links only in current directory", to.if_needed())
            }
            Self::BackupOverSource => write!(f, "backing up {to} might destroy source;  {from} not copied"),
            Self::Dangling => write!(f, "not writing through dangling symlink {to}"),
            Self::Replaced => write!(f, "skipping file {from}, as it was replaced while being copied"),
            Self::Exists => write!(f, "not replacing {to}"),
            Self::LinkToFolder => write!(f, "will not create hard link {to} to directory {from}"),
            Self::ParentsNeedFolder => write!(f, "with --parents, the destination must be a directory"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, path, .. } => write!(f, "{operation} {}", Quoted(path)),
            Self::Pair { operation, path, relation, other, .. } => {
                write!(f, "{operation} {} {relation} {}", Quoted(path), Quoted(other))
            }
            Self::Open { path, .. } => write!(f, "cannot open {} for reading", Quoted(path)),
            Self::Refused { refusal, from, to } => refusal.write(f, Quoted(from), Quoted(to)),
            Self::Map { path, source } => write!(f, "{}: {source}", Quoted(path)),
            Self::Fault { path, offset, access, kind } => {
                let verb = match access {
                    Access::Read => "reading",
                    Access::Write => "writing",
                };
                write!(f, "{verb} byte {offset} of {}: {kind}", Quoted(path))
            }
            Self::NotRegular { path, kind } => write!(f, "{} is {kind}, not a regular file", Quoted(path)),
            Self::SameFile { from, to } => write!(f, "{} and {} are the same file", Quoted(from), Quoted(to)),
            Self::SourceChanged { path, before, after } if before.len != after.len => write!(
                f,
                "{} changed while it was read: it had {} bytes and has {} now",
                Quoted(path),
                before.len,
                after.len
            ),
            Self::SourceChanged { path, before, after } => write!(
                f,
                "{} changed while it was read: it was modified at {} s since 1970, and is at {} s",
                Quoted(path),
                before.modified.as_secs_f64(),
                after.modified.as_secs_f64()
            ),
            Self::Cancelled { path } => write!(f, "copying to {} was stopped", Quoted(path)),
            Self::VerifyFailed { path, offset } => {
                write!(f, "the copy for {} differs from its source at byte {offset}", Quoted(path))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } | Self::Pair { source, .. } | Self::Open { source, .. } => Some(source),
            // Its own words are in ours.
            Self::Map { source, .. } => source.source(),
            Self::Fault { .. }
            | Self::Refused { .. }
            | Self::NotRegular { .. }
            | Self::SameFile { .. }
            | Self::SourceChanged { .. }
            | Self::Cancelled { .. }
            | Self::VerifyFailed { .. } => None,
        }
    }
}
