//! Pipes of Windows.

use std::fs::File;
use std::os::windows::io::OwnedHandle;

/// The end of a pipe as a file.
pub(super) fn file_of(end: impl Into<OwnedHandle>) -> File {
    File::from(end.into())
}
