//! What a file has beside its bytes: owner, mode and access control list, extended attributes, times.
//!
//! The order matters: a change of the owner clears set-id bits and capabilities, so the owner comes first; everything
//! else would touch the times, so they come last.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::options::{Attribute, ModeFrom, Preserve};
use crate::place::Place;
use crate::status::Status;

/// The extended attributes that hold access control lists: they belong to the mode.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";
const DEFAULT_LIST: &CStr = c"system.posix_acl_default";
/// The extended attribute that holds the SELinux context.
const CONTEXT: &CStr = c"security.selinux";

/// Who hears of an attribute that could not be copied, and why; the copy goes on.
pub(crate) type Complain<'a> = &'a dyn Fn(&'static str, Errno);

/// An open file or folder whose attributes are to be copied, and its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original<'a> {
    pub(crate) file: &'a File,
    pub(crate) status: &'a Status,
}

/// Whether a folder gets any attribute, apart from its permission bits.
pub(crate) fn wants_any(preserve: &Preserve) -> bool {
    preserve.mode != ModeFrom::SourceAndUmask
        || [preserve.ownership, preserve.timestamps, preserve.context, preserve.xattr]
            .into_iter()
            .any(Attribute::wanted)
}

/// The mode to make a new file with, so that nobody gets more than the final mode allows before it has the final owner.
pub(crate) fn creation_mode(preserve: &Preserve, source: &Status) -> u32 {
    let mode = open_mode(preserve, source);
    if preserve.ownership.wanted() { mode & 0o1700 } else { mode }
}

/// The mode of a new file whose owner nobody changes; the umask is taken off.
fn open_mode(preserve: &Preserve, source: &Status) -> u32 {
    match preserve.mode {
        ModeFrom::SourceAndUmask | ModeFrom::Source if source.is_folder() => source.mode & 0o1777,
        ModeFrom::SourceAndUmask | ModeFrom::Source => source.mode & 0o777,
        ModeFrom::Umask if source.is_folder() => 0o777,
        ModeFrom::Umask => 0o666,
    }
}

/// Copies the attributes that are wanted to an open file or folder. `is_new`: it has just been made, with
/// [`creation_mode`].
pub(crate) fn copy(from: Original<'_>, to: &File, preserve: &Preserve, is_new: bool, complain: Complain<'_>) {
    if !is_new && preserve.ownership.wanted() && preserve.mode == ModeFrom::Source {
        tell(narrow_mode(to, from.status), Attribute::Require, "preserving permissions for", complain);
    }
    let owned = !preserve.ownership.wanted() || copy_owner(from.status, to, preserve.ownership, complain);
    if preserve.xattr.wanted() {
        let copied = copy_xattrs(from.file, to, |name| name != ACCESS_LIST && name != DEFAULT_LIST && name != CONTEXT);
        tell(copied, preserve.xattr, "setting attributes for", complain);
    }
    if preserve.context.wanted() {
        let copied = copy_xattrs(from.file, to, |name| name == CONTEXT);
        tell(copied, preserve.context, "failed to set the security context of", complain);
    }
    let set_mode = |mode| rustix::fs::fchmod(to, Mode::from_raw_mode(mode));
    let changed = match preserve.mode {
        // Set-id bits are for the owner that they were given to.
        ModeFrom::Source => {
            copy_lists(from, to).and_then(|()| set_mode(from.status.mode & if owned { 0o7777 } else { 0o777 }))
        }
        ModeFrom::SourceAndUmask | ModeFrom::Umask if is_new && preserve.ownership.wanted() => {
            // A folder keeps the set-group-id bit that it has from the one above.
            let has = Status::of(to).map(|status| status.mode);
            has.and_then(|has| set_mode((has & 0o7000) | (open_mode(preserve, from.status) & !umask())))
        }
        ModeFrom::SourceAndUmask | ModeFrom::Umask => Ok(()),
    };
    tell(changed, Attribute::Require, "preserving permissions for", complain);
    if preserve.timestamps.wanted() {
        let set = rustix::fs::futimens(to, &times(from.status));
        tell(set, preserve.timestamps, "preserving times for", complain);
    }
}

/// Copies the attributes that are wanted to something that is not opened: a link, a pipe, a device.
pub(crate) fn copy_unopened(from: &Status, place: Place<'_>, preserve: &Preserve, complain: Complain<'_>) {
    if !wants_any(preserve) {
        return;
    }
    // By descriptor: what takes its place meanwhile, maybe as another name of somebody's file, must not get them.
    let file = match open_made(from, place) {
        Ok(file) => file,
        Err(errno) => return complain("preserving attributes for", errno),
    };
    let (uid, gid) = (Uid::from_raw(from.uid), Gid::from_raw(from.gid));
    let mut owned = true;
    if preserve.ownership.wanted() {
        let given = rustix::fs::chownat(&file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH);
        owned = given.is_ok();
        tell(forgive_strangers(given), preserve.ownership, "failed to preserve ownership for", complain);
    }
    let mode = match preserve.mode {
        _ if from.is_link() => None,
        ModeFrom::Source => Some(from.mode & if owned { 0o7777 } else { 0o777 }),
        ModeFrom::SourceAndUmask | ModeFrom::Umask => {
            preserve.ownership.wanted().then(|| open_mode(preserve, from) & !umask())
        }
    };
    if let Some(mode) = mode {
        let mode = Mode::from_raw_mode(mode);
        let changed = rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode);
        tell(changed, Attribute::Require, "preserving permissions for", complain);
    }
    if preserve.timestamps.wanted() {
        let set = match rustix::fs::utimensat(&file, c"", &times(from), AtFlags::EMPTY_PATH) {
            // Before Linux 5.8 it took a name.
            Err(Errno::INVAL | Errno::NOENT) => {
                rustix::fs::utimensat(place.dir, place.name, &times(from), AtFlags::SYMLINK_NOFOLLOW)
            }
            set => set,
        };
        tell(set, preserve.timestamps, "preserving times for", complain);
    }
}

/// Opens what was just made under a name, if that is still what the name means.
fn open_made(from: &Status, place: Place<'_>) -> Result<File, Errno> {
    let file = place.open(OFlags::PATH | OFlags::NOFOLLOW, 0)?;
    let made = Status::of(&file)?;
    if made.kind == from.kind && made.nlink <= 1 { Ok(file) } else { Err(Errno::STALE) }
}

/// The times in the form that utimensat(2) takes.
fn times(status: &Status) -> Timestamps {
    Timestamps { last_access: status.accessed, last_modification: status.modified }
}

/// Takes away the permissions of the owner that a folder got so that it could be filled.
pub(crate) fn take_mode(folder: &File, added: u32, preserve: &Preserve, complain: Complain<'_>) {
    if added == 0 || preserve.mode == ModeFrom::Source || preserve.ownership.wanted() {
        // There are none, or it has its final mode.
        return;
    }
    let taken = Status::of(folder).and_then(|status| {
        let mode = status.mode & !added;
        rustix::fs::fchmod(folder, Mode::from_raw_mode(mode))
    });
    tell(taken, Attribute::Require, "preserving permissions for", complain);
}

/// Gives a new file what the one that it replaces has: mode, owner, access control list and extended attributes. An
/// error means that there can't be a file just like it.
pub(crate) fn keep_identity(old: Original<'_>, new: &File) -> Result<(), Errno> {
    let own = rustix::fs::fstat(new)?;
    let (uid, gid) = (old.status.uid, old.status.gid);
    if (own.st_uid, own.st_gid) != (uid, gid) {
        rustix::fs::fchown(new, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    // A write takes capabilities away, so they are not kept.
    copy_xattrs(old.file, new, |name| name != c"security.capability" && name != ACCESS_LIST)?;
    // The new file may have inherited an access control list that the old one does not have.
    copy_lists(old, new)?;
    // Set-id bits come last, as they are not for a file that is not whole.
    let mode = old.status.mode & 0o777;
    if own.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(new, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// Gives a new file the set-id bits of the one that it replaces. A write in place, which is what cp does, takes them
/// away unless it is root's.
pub(crate) fn keep_set_id(old_mode: u32, new: &File, preserve: &Preserve, complain: Complain<'_>) {
    let is_kept = preserve.mode != ModeFrom::Source && !preserve.ownership.wanted();
    if old_mode & 0o6000 != 0 && is_kept && rustix::process::geteuid().is_root() {
        let kept = rustix::fs::fchmod(new, Mode::from_raw_mode(old_mode));
        tell(kept, Attribute::Require, "preserving permissions for", complain);
    }
}

/// The bits that new files do not get (umask(2)).
pub(crate) fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or_else(|| {
            // Older kernels tell it only to those who change it; for an instant new files are nobody else's.
            let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
            rustix::process::umask(mask);
            mask.bits()
        })
    })
}

/// Leaves an old file the permissions that its old and its new owner have, so that the new one does not own for a
/// moment what the old mode gives to all.
fn narrow_mode(file: &File, new: &Status) -> Result<(), Errno> {
    let old = Status::of(file)?;
    if (old.uid, old.gid) == (new.uid, new.gid) || old.mode & !(new.mode & 0o777) == 0 {
        return Ok(());
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(old.mode & new.mode & 0o700))
}

/// Gives a file the owner of another. Answers whether it has that owner now.
fn copy_owner(from: &Status, to: &File, wanted: Attribute, complain: Complain<'_>) -> bool {
    let (uid, gid) = (Uid::from_raw(from.uid), Gid::from_raw(from.gid));
    let given = rustix::fs::fchown(to, Some(uid), Some(gid));
    if given.is_err() {
        // The group alone may be allowed; that it is not is told by what is told of both.
        let _ = rustix::fs::fchown(to, None, Some(gid));
    }
    tell(forgive_strangers(given), wanted, "failed to preserve ownership for", complain);
    given.is_ok()
}

/// Who is not root can't give files away, and is not told so each time.
fn forgive_strangers(given: Result<(), Errno>) -> Result<(), Errno> {
    match given {
        Err(Errno::PERM | Errno::INVAL) if !rustix::process::geteuid().is_root() => Ok(()),
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

/// Copies the access control lists. What has none takes away what the new file has inherited.
fn copy_lists(from: Original<'_>, to: &File) -> Result<(), Errno> {
    let lists: &[&CStr] = if from.status.is_folder() { &[ACCESS_LIST, DEFAULT_LIST] } else { &[ACCESS_LIST] };
    for &list in lists {
        match read_xattr(from.file, list) {
            Ok(value) => rustix::fs::fsetxattr(to, list, &value, XattrFlags::empty())?,
            Err(Errno::NODATA | Errno::OPNOTSUPP) => match rustix::fs::fremovexattr(to, list) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Copies the extended attributes that `takes` says yes to, as many as can be; answers the first refusal.
fn copy_xattrs(from: &File, to: &File, takes: impl Fn(&CStr) -> bool) -> Result<(), Errno> {
    let names = match list_xattrs(from) {
        // A file system without any.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        names => names?,
    };
    let mut copied = Ok(());
    for name in names.split_inclusive(|&byte| byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        if takes(name) {
            let set =
                read_xattr(from, name).and_then(|value| rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty()));
            copied = copied.and(set);
        }
    }
    copied
}

/// The names of a file's extended attributes, each with its zero behind it.
fn list_xattrs(file: &File) -> Result<Vec<u8>, Errno> {
    growing(|buffer| rustix::fs::flistxattr(file.as_fd(), buffer), || rustix::fs::flistxattr_query(file))
}

fn read_xattr(file: &File, name: &CStr) -> Result<Vec<u8>, Errno> {
    growing(|buffer| rustix::fs::fgetxattr(file.as_fd(), name, buffer), || rustix::fs::fgetxattr_query(file, name))
}

/// Reads what may have become longer since its length was asked for. Most files have nothing, and are asked once.
fn growing(
    read: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    length: impl Fn() -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => buffer.resize(length()?.max(buffer.len() + 1), 0),
            Err(errno) => return Err(errno),
        }
    }
}
