//! What a file has beside its bytes, on Windows: what CopyFileEx copies, and what is asked for besides.
//!
//! ```text
//! always                   attributes, streams beside the contents, the time of the last write of files
//! --no-preserve=mode       none of the attributes
//! --preserve=timestamps    also the times of making and of the last access; those of folders
//! --preserve=mode          also the access control list (the DACL)
//! --preserve=ownership     also owner and group
//! ```
//! Not copied: the system access control list, extended attributes of OS/2, whether a file is compressed or encrypted.
//!
//! Streams come before the times, which writing them would change.

use std::fs::File;

use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_ARCHIVE, FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_SYSTEM,
};

use crate::options::{Attribute, ModeFrom, Preserve};
use crate::place::Place;
use crate::status::Status;
use crate::sys::{self, BasicChange, Errno, OFlags};

/// Attributes that are copied.
const COPIED: u32 =
    FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED;

/// Who hears of an attribute that could not be copied, and why; the copy goes on.
pub(crate) type Complain<'a> = &'a dyn Fn(&'static str, Errno);

/// An open file or folder whose attributes are to be copied, and its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original<'a> {
    pub(crate) file: &'a File,
    pub(crate) status: &'a Status,
}

/// Whether a folder gets any attribute: it always does.
pub(crate) fn wants_any(_: &Preserve) -> bool {
    true
}

/// The mode to make a new file with: Windows has none, and what is made inherits what its folder says.
pub(crate) fn creation_mode(_: &Preserve, source: &Status) -> u32 {
    source.mode
}

/// Copies the attributes that are wanted to an open file or folder.
pub(crate) fn copy(from: Original<'_>, to: &File, preserve: &Preserve, _is_new: bool, complain: Complain<'_>) {
    if !Status::of(to).is_ok_and(|status| status.is_regular() || status.is_folder()) {
        // A device or a pipe has none.
        return;
    }
    if preserve.ownership.wanted() {
        let copied = sys::copy_security(from.file, to, OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION);
        tell(forgive_strangers(copied), preserve.ownership, "failed to preserve ownership for", complain);
    }
    if preserve.mode == ModeFrom::Source {
        let copied = sys::copy_security(from.file, to, DACL_SECURITY_INFORMATION);
        tell(copied, Attribute::Require, "preserving permissions for", complain);
    }
    let is_folder = from.status.is_folder();
    if !is_folder {
        tell(sys::copy_streams(from.file, to), Attribute::Require, "setting attributes for", complain);
    }
    let (attributes, added) = match (preserve.mode, is_folder) {
        (ModeFrom::Umask, _) => (0, 0),
        // As CopyFileEx has it: the copy is one that was not archived yet.
        (_, false) => (COPIED, FILE_ATTRIBUTE_ARCHIVE),
        (_, true) => (COPIED, 0),
    };
    let times = preserve.timestamps.wanted();
    let change = BasicChange { modified: times || !is_folder, other_times: times, attributes, added };
    let set = sys::set_basic((from.file, from.status), to, change);
    tell(set, Attribute::Require, "preserving times for", complain);
}

/// Copies the times, if they are wanted, to a link.
pub(crate) fn copy_unopened(from: &Status, place: Place<'_>, preserve: &Preserve, complain: Complain<'_>) {
    if preserve.timestamps.wanted() {
        let set = place.open(OFlags::PATH | OFlags::NOFOLLOW, 0).and_then(|link| sys::set_times(&link, from));
        tell(set, preserve.timestamps, "preserving times for", complain);
    }
}

/// Takes away permissions that a folder got so that it could be filled: it got none.
pub(crate) fn take_mode(_: &File, _: u32, _: &Preserve, _: Complain<'_>) {}

/// Gives a new file the owner and the access control list of the one that it replaces. An error means that there can't
/// be a file just like it.
pub(crate) fn keep_identity(old: Original<'_>, new: &File) -> Result<(), Errno> {
    // Apart, since it takes more rights to change the owner, who is the same as a rule.
    sys::copy_security(old.file, new, OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION)?;
    sys::copy_security(old.file, new, DACL_SECURITY_INFORMATION)
}

/// Gives a new file the set-id bits of the one that it replaces: Windows has none.
pub(crate) fn keep_set_id(_: u32, _: &File, _: &Preserve, _: Complain<'_>) {}

/// The bits that new files do not get: Windows has none.
pub(crate) fn umask() -> u32 {
    0
}

/// Who is no administrator can't give files away, and is not told so each time.
fn forgive_strangers(given: Result<(), Errno>) -> Result<(), Errno> {
    match given {
        Err(Errno::ACCESS | Errno::PERM | Errno::INVALID_OWNER) => Ok(()),
        given => given,
    }
}

fn tell(done: Result<(), Errno>, wanted: Attribute, operation: &'static str, complain: Complain<'_>) {
    match done {
        Err(errno) if wanted == Attribute::Require => complain(operation, errno),
        // Asked for as far as it can be had.
        Err(_) | Ok(()) => {}
    }
}
