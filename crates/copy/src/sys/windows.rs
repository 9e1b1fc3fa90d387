//! Windows 10 and later.
//!
//! Names are opened below open folders, as on other systems, by NtCreateFile. The bytes of a name are those of
//! `OsStr::as_encoded_bytes`: UTF-8, in which half a surrogate pair is encoded as if it were a character.

mod flags;
mod folder;
mod full;
mod information;
mod link;
mod nt;
mod open_file;
mod system_errors;

pub(crate) use flags::{FileType, OFlags, Timespec};
pub(crate) use folder::*;
pub(crate) use full::{SEPARATOR, folder_bytes, is_separator, name_key, path, path_behind};
pub(crate) use information::{BasicChange, copy_security, copy_streams, file_system, fstat, set_basic, set_times};
pub(crate) use link::{copy_linkat, linkat, readlinkat, rename_no_replace, renameat, symlinkat};
pub(crate) use open_file::*;
pub(crate) use system_errors::Errno;

use std::fs::FileType as StdFileType;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::thread;

/// The number of a file on its volume; ReFS has 128 bits.
pub(crate) type Inode = u128;

/// Whether two names that differ in case may mean one file.
pub(crate) const FOLDS_CASE: bool = true;
/// Whether [`evict`] takes pages away: Windows has nothing for that.
pub(crate) const EVICTS: bool = false;
/// Whether the system can be told to copy by itself: CopyFileEx copies by names, and not what is open.
pub(crate) const OFFLOADS: bool = false;
/// Whether what [`next_data`] passes over reads as zeros: what was stored through a mapping may be there, and have no
/// room on the disk yet.
pub(crate) const KNOWS_HOLES: bool = false;

/// A folder in which names are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dir<'a> {
    /// The current one of the process; names are paths.
    Current,
    /// None: there is no name in it.
    None,
    /// An open one.
    Open(BorrowedHandle<'a>),
}

/// The current folder.
pub(crate) const CWD: Dir<'static> = Dir::Current;
/// No folder.
pub(crate) const ABS: Dir<'static> = Dir::None;

/// The folder that an open file is.
pub(crate) fn dir(file: &impl AsHandle) -> Dir<'_> {
    Dir::Open(file.as_handle())
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Handles that this process may have: there is no limit that matters.
pub(crate) fn most_descriptors() -> u64 {
    u64::from(u32::MAX)
}

/// The number of the user whose files this process makes. Windows has no such numbers; who may do what with a file
/// is in its security descriptor.
pub(crate) fn user_id() -> u32 {
    0
}

/// What a file is that is not a regular one.
pub(crate) fn irregular_kind(file_type: StdFileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("a directory")
    } else {
        Some("something unknown")
    }
}

/// Whether a rename was refused because the file there can't be replaced, only written to: somebody has it open, and
/// does not share its removal, or the file system has no such rename.
pub(crate) fn is_irreplaceable(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::ACCESS | Errno::SHARING | Errno::MAPPED))
}

/// Whether a mapping is impossible for ever: the file can't be mapped at all, not with these rights, or address space
/// or memory is lacking.
pub(crate) fn is_refusal_of_map(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, Unsupported};
    matches!(error.kind(), OutOfMemory | PermissionDenied | Unsupported)
}
