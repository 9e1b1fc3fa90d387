//! Owners and permission bits.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

/// Of a folder in which each may replace only what is his own: `S_ISVTX`, inode(7).
const STICKY: u32 = 0o1000;

/// Checks whether whoever has made `own` in a folder may replace the file `old` there.
///
/// # Errors
/// `PermissionDenied`: the folder is sticky, and the file is another's.
pub(crate) fn check_owner(old: &Metadata, folder: &Metadata, own: &Metadata) -> io::Result<()> {
    let is_free = folder.mode() & STICKY == 0;
    if is_free || [0, old.uid(), folder.uid()].contains(&own.uid()) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another's, and the folder is sticky"))
}

/// Gives a new file the permissions of the one that it is to replace; and its owner and group, as far as that is allowed.
///
/// # Errors
/// The system refuses the permissions.
pub(crate) fn make_alike(new: &File, old: &Metadata) -> io::Result<()> {
    let keeps_group = fchown(new, Some(old.uid()), Some(old.gid())).or_else(|_| fchown(new, None, Some(old.gid())));
    // What one group was allowed is not allowed to another one.
    let kept = if keeps_group.is_ok() { 0o777 } else { 0o707 };
    new.set_permissions(Permissions::from_mode(old.mode() & kept))
}
