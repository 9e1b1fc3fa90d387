//! Why a file was not mapped without a promise.

use std::fmt;
use std::io;

/// Tells why [`MmapOptions::map_if_safe`](super::MmapOptions::map_if_safe) has mapped nothing: one of three reasons.
///
/// Turns into an [`io::Error`] by `?`.
pub struct MapIfSafeError {
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    NotSupported,
    NotSafe(io::Error),
    MapFailed(io::Error),
}

impl MapIfSafeError {
    /// Tells whether this system has no files that are known to hold still.
    pub fn not_supported(&self) -> bool {
        matches!(self.reason, Reason::NotSupported)
    }

    /// Tells whether the file may change or be cut short, or is shorter than the range asked for.
    pub fn not_safe(&self) -> bool {
        matches!(self.reason, Reason::NotSafe(_))
    }

    /// Tells whether the file could not be looked at or mapped at all.
    pub fn map_failed(&self) -> bool {
        matches!(self.reason, Reason::MapFailed(_))
    }

    pub(super) fn new_not_safe(error: io::Error) -> Self {
        Self { reason: Reason::NotSafe(error) }
    }

    pub(super) fn new_map_failed(error: io::Error) -> Self {
        Self { reason: Reason::MapFailed(error) }
    }

    /// From a question about a file, which a system without mappings does not answer.
    pub(super) fn new_unanswered(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Unsupported => Self { reason: Reason::NotSupported },
            _ => Self::new_map_failed(error),
        }
    }
}

impl fmt::Display for MapIfSafeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::NotSupported => io::ErrorKind::Unsupported.fmt(f),
            Reason::NotSafe(error) | Reason::MapFailed(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for MapIfSafeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for MapIfSafeError {}

impl From<MapIfSafeError> for io::Error {
    fn from(error: MapIfSafeError) -> Self {
        match error.reason {
            Reason::NotSupported => io::ErrorKind::Unsupported.into(),
            Reason::NotSafe(error) | Reason::MapFailed(error) => error,
        }
    }
}
