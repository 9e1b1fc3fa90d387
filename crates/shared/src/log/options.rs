//! How a log is asked for.

use std::path::Path;
use std::time::Duration;

use super::layout::{self, LEAST_SEGMENT_BYTES, MOST_SEGMENT_BYTES};
use super::writer::{Existing, Writer};
use crate::error::Error;

/// Bytes of a segment unless another length is set.
const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

/// When a record is on the disk, so that it survives the death of the machine. The death of processes it survives from
/// the moment at which its append has returned, whatever is chosen here.
///
/// # Platforms
/// On Windows, FlushViewOfFile and FlushFileBuffers stand for fdatasync(2). A new segment's name is on the disk as far
/// as its file system keeps a journal of names, as NTFS does: FAT and exFAT may lose a segment with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before its append returns: fdatasync(2) in each append, once for a batch. Readers may see a record a moment
    /// before it is on the disk.
    Always,
    /// At most this long, and the time of two flushes, after its append has returned: a thread of the writer flushes
    /// this long after the first append since the last flush. It sleeps while nothing is appended. An append that
    /// begins a new segment waits for the flush of the finished one.
    Interval(Duration),
    /// When the kernel writes it back, or at [`Writer::flush`]. Only a log of which more than 1 GiB was never flushed
    /// waits at the beginning of a new segment, for its oldest segments to be flushed: so there is an end to what is
    /// looked through when it is opened again.
    Kernel,
}

/// Options of a writer. They are its own: nothing of them but the length of each segment is kept in the log.
///
/// ```
/// use mapio_shared::log::{Durability, Options};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let options = Options::new().segment_bytes(1 << 20).durability(Durability::Always).retain_bytes(10 << 20);
/// let mut writer = options.create(dir.path().join("log"))?;
/// writer.append(b"on the disk")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "options open nothing until `open`, `create` or `open_or_create` is called"]
pub struct Options {
    pub(super) segment_bytes: u64,
    pub(super) durability: Durability,
    pub(super) retain_bytes: Option<u64>,
    pub(super) retain_age: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Segments of 64 MiB, flushed by the kernel, kept for ever.
    pub const fn new() -> Self {
        Self {
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            durability: Durability::Kernel,
            retain_bytes: None,
            retain_age: None,
        }
    }

    /// Makes new segments this long, rounded up to a multiple of 4096: 8 KiB to 4 GiB; 64 MiB unless set. A record or a
    /// batch must fit in one. Their blocks are set aside when they are made.
    pub const fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Chooses when records are on the disk; [`Durability::Kernel`] unless set.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Removes the oldest segments, so that all of them together take at most so many bytes; the one that is being
    /// written is never removed. This happens when the log is opened and when a segment is begun.
    pub const fn retain_bytes(mut self, bytes: u64) -> Self {
        self.retain_bytes = Some(bytes);
        self
    }

    /// Removes segments all of whose records are older than this; the one that is being written is never removed. This
    /// happens when the log is opened, when a segment is begun, and at [`Writer::retain`].
    pub const fn retain_age(mut self, age: Duration) -> Self {
        self.retain_age = Some(age);
        self
    }

    /// Opens a log that exists, as its writer, and recovers it if its last writer has died.
    ///
    /// Blocks for the disk. What was never flushed is looked through, and flushed unless durability is left to the
    /// kernel: then all that this log holds when it is opened is on the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::WouldBlock`] if the log has a writer; [`Error::Foreign`] for a folder with
    /// something else in it; [`Error::Corrupt`] for damage in front of what was last flushed, which no death explains
    /// and which [`Log::repair`](super::Log::repair) cuts off; [`Error::Invalid`] for options that make no sense;
    /// [`Error::Os`], [`Error::Map`] and [`Error::Fault`] for what the system refuses.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Writer, Error> {
        self.writer(path.as_ref(), Existing::Required)
    }

    /// Makes a log, and its folder if that is not there; the folder above must be.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a log; for the rest as [`open`](Self::open).
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Writer, Error> {
        self.writer(path.as_ref(), Existing::Refused)
    }

    /// Opens a log as [`open`](Self::open) does, or makes it as [`create`](Self::create) does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Writer, Error> {
        self.writer(path.as_ref(), Existing::Welcome)
    }

    fn writer(&self, path: &Path, existing: Existing) -> Result<Writer, Error> {
        let mut options = *self;
        let rounded = self.segment_bytes.checked_next_multiple_of(4096).filter(|&bytes| layout::is_segment_len(bytes));
        options.segment_bytes = rounded.ok_or_else(|| {
            let most = MOST_SEGMENT_BYTES;
            let reason = format!("a segment has {LEAST_SEGMENT_BYTES} to {most} bytes, not {}", self.segment_bytes);
            Error::invalid(path.display().to_string(), reason)
        })?;
        Writer::open(path, options, existing)
    }
}
