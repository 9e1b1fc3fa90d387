//! What a copy has done.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Transferred;
use crate::plan::Plan;

/// What the copy of one file has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The file that was read.
    pub source: PathBuf,
    /// The file that was written; behind the link, where one was followed.
    pub destination: PathBuf,
    /// How the contents came to their name.
    pub placed: Placed,
    /// What was decided.
    pub plan: Plan,
    /// What was moved, and how.
    pub transferred: Transferred,
    /// Bytes at the start of the destination that an interrupted copy had left, and that were compared and kept.
    pub resumed_bytes: u64,
    /// System calls that moved the bytes; see [`Meter::calls`](crate::Meter::calls).
    pub calls: u64,
    /// Time from opening the source to naming the destination, without the verification.
    pub elapsed: Duration,
    /// The verification, if one was asked for; it found no difference.
    pub verified: Option<Verified>,
}

/// How the contents of a file came to their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// A file that had no name got it when it was whole.
    Whole,
    /// A file was made under its name, and then written.
    Written,
    /// A file that had the name was replaced in one step.
    Replaced,
    /// A file that had the name was cut and written.
    InPlace,
}

/// A verification that has found no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Time that it took, flushing included.
    pub elapsed: Duration,
    /// Where the copy was read from.
    pub from: VerifiedFrom,
}

/// Where the copy was read from for its verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedFrom {
    /// What holds the file system: the copy was flushed and dropped from the page cache before.
    Disk,
    /// Memory, because the file system is there.
    Memory,
}

/// What a copy of several names has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Regular files whose contents were copied.
    pub files: u64,
    /// Folders that were made or gone into.
    pub folders: u64,
    /// Hard and symbolic links that were made.
    pub links: u64,
    /// Pipes, devices and sockets that were made.
    pub special: u64,
    /// Destinations that were left as they are, as was asked for.
    pub skipped: u64,
    /// Names that were not copied, and attributes that were not: the observer has heard of each.
    pub failed: u64,
    /// Bytes that the copies have.
    pub bytes: u64,
    /// Of these, bytes that take no room.
    pub hole_bytes: u64,
    /// Time from the first look at a source to the end.
    pub elapsed: Duration,
}
