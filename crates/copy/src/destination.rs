//! The file that is written: nobody sees it before it is whole, or everybody does, as was asked for.
//!
//! ```text
//! unnamed    open(dir, O_TMPFILE) -> written -> linkat(dir, "name")                 a new file
//!                                            \-> linkat(dir, ".mapio-x"), rename    a replaced one
//! temporary  open(dir, ".mapio-x") -> written -> rename                             where there are no unnamed files
//! direct     open(dir, "name", O_EXCL) -> written                                   a new file of a new folder
//! in place   open(dir, "name") -> ftruncate -> written                              an old file that stays the same
//! partial    open(dir, ".mapio-x-partial") -> written, maybe by several runs -> rename
//! ```
//! Invariant of the first two and the last: until [`Destination::commit`] has succeeded, whatever had the destination's
//! name still has it, unchanged.
//!
//! The temporary name follows from the destination's, and a file that has it is locked (flock(2)) by whoever is writing
//! it. So the next copy to the same name finds what one that was killed has left, sees that nobody holds it, and
//! removes it.

use std::ffi::CString;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};

use crate::attributes::{self, Original};
use crate::error::Error;
use crate::options::Existing;
use crate::place::{Link, Place};
use crate::status::Status;
use crate::sys::{self, Errno, OFlags};

/// How the names of temporary files begin.
pub(crate) const TEMPORARY_PREFIX: &str = ".mapio-";
/// What a rename that was refused is called.
pub(crate) const CANNOT_REPLACE: &str = "cannot replace";
/// How many temporary names are tried, should others be copying to the same name.
const TEMPORARY_NAMES: u32 = 64;

/// How the file comes to its name.
#[derive(Debug)]
enum Naming {
    /// It has none yet.
    Unnamed,
    /// It has this one until it is renamed.
    Temporary(CString),
    /// It has this one, and keeps it until it is whole, even if that takes another run.
    Partial(CString),
    /// It was made under its own name, and goes if it can't be filled.
    Direct,
    /// It is the old file, whatever happens to it.
    InPlace,
    /// It is no file but a pipe or a device.
    Stream,
}

/// The file that will become the destination.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    place: Place<'a>,
    file: File,
    naming: Naming,
    /// Whether something has the name that is to be replaced.
    replaces: bool,
    /// Bytes that an interrupted copy has left in it.
    left_bytes: u64,
    /// The mode of the file that it has its identity from.
    old_mode: Option<u32>,
}

impl<'a> Destination<'a> {
    /// Makes a file that gets its name when it is whole. `replaces`: something has that name now.
    pub(crate) fn unnamed(place: Place<'a>, mode: u32, replaces: bool) -> Result<Self, Error> {
        let fail = place.refused("cannot create regular file");
        remove_stale(place, &temporary_name(place, 0));
        remove_partial(place);
        let (file, naming) = match unnamed_file(place, mode) {
            Ok(file) => (file, Naming::Unnamed),
            // Not every file system has files without a name (open(2)); EISDIR comes from kernels that know none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => match temporary_file(place, mode) {
                Ok((file, name)) => (file, Naming::Temporary(name)),
                Err(errno) => return Err(fail(errno)),
            },
            Err(errno) => return Err(fail(errno)),
        };
        Ok(Self { place, file, naming, replaces, left_bytes: 0, old_mode: None })
    }

    /// Opens the file that an interrupted copy has left for this name, or makes it: one that stays until it is whole.
    /// What is in it is to be checked.
    pub(crate) fn partial(place: Place<'a>, mode: u32, replaces: bool) -> Result<Self, Error> {
        let name = partial_name(place);
        let partial = place.named(&name);
        let fail = place.refused("cannot go on with the copy for");
        let open = |flags| partial.open(OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | flags, mode);
        let (file, was_left) = match open(OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => (file, false),
            Err(Errno::EXIST) => match open(OFlags::empty()) {
                Ok(file) => (file, true),
                Err(errno) => return Err(fail(errno)),
            },
            Err(errno) => return Err(fail(errno)),
        };
        let status = Status::of(&file).map_err(partial.refused("cannot fstat"))?;
        // A file that somebody else has put there could be changed by him later; one with other names is in use.
        // Whoever owns what is replaced will own this, and may have got it already.
        let may_own = |uid: u32| {
            uid == sys::user_id() || (replaces && place.status(Link::Itself).is_ok_and(|old| old.uid == uid))
        };
        if !status.is_regular() || status.nlink != 1 || !may_own(status.uid) {
            return Err(fail(Errno::EXIST));
        }
        // It may have been finished, or removed, by whoever had the lock.
        if !lock(&file) || !partial.status(Link::Itself).is_ok_and(|there| there.id == status.id) {
            let reason = std::io::Error::new(std::io::ErrorKind::WouldBlock, "another copy is at it");
            return Err(Error::os("cannot go on with the copy for", place.path())(reason));
        }
        // The copy that has left it may have been told to give it another mode.
        let mode = mode & !attributes::umask();
        if was_left && status.mode != mode {
            sys::set_mode(&file, mode).map_err(fail)?;
        }
        Ok(Self { place, file, naming: Naming::Partial(name), replaces, left_bytes: status.len, old_mode: None })
    }

    /// Makes a file under its name, which must be free: `EEXIST` otherwise.
    pub(crate) fn direct(place: Place<'a>, mode: u32) -> Result<Self, Errno> {
        let file = place.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)?;
        Ok(Self { place, file, naming: Naming::Direct, replaces: false, left_bytes: 0, old_mode: None })
    }

    /// Takes a file that is open for writing as it is.
    pub(crate) fn in_place(place: Place<'a>, file: File) -> Self {
        Self { place, file, naming: Naming::InPlace, replaces: false, left_bytes: 0, old_mode: None }
    }

    /// Takes a pipe or a device that is open for writing.
    pub(crate) fn stream(place: Place<'a>, file: File) -> Self {
        Self { place, file, naming: Naming::Stream, replaces: false, left_bytes: 0, old_mode: None }
    }

    /// Makes it a file just like the one that it will replace. An error means that there can't be one.
    pub(crate) fn keep_identity(&mut self, old: Original<'_>) -> Result<(), Errno> {
        attributes::keep_identity(old, &self.file)?;
        self.old_mode = Some(old.status.mode);
        Ok(())
    }

    /// The mode of the file that it has its identity from; `None` if it has one of its own.
    pub(crate) fn old_mode(&self) -> Option<u32> {
        self.old_mode
    }

    /// Bytes that an interrupted copy has left in it, which nobody has checked.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.naming, Naming::Stream)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file the destination's name, replacing what has it.
    ///
    /// What has got it since it was looked at is replaced only if `existing` says that it may be.
    pub(crate) fn commit(mut self, existing: Existing) -> Result<(), Error> {
        let may_replace = self.replaces || existing == Existing::Overwrite;
        if matches!(self.naming, Naming::Unnamed) {
            if !self.replaces {
                match link(&self.file, self.place) {
                    // Somebody has made it meanwhile: it is replaced.
                    Err(Errno::EXIST) if may_replace => {}
                    Err(errno) => return Err(self.place.refused("cannot create regular file")(errno)),
                    Ok(()) => {
                        self.naming = Naming::InPlace;
                        return Ok(());
                    }
                }
            }
            let name = link_temporarily(&self.file, self.place)
                .map_err(self.place.refused("cannot give a temporary name beside"))?;
            self.naming = Naming::Temporary(name);
        }
        if let Naming::Temporary(name) | Naming::Partial(name) = &self.naming {
            rename(self.place, name, may_replace).map_err(self.place.refused(CANNOT_REPLACE))?;
        }
        // It is somebody's file now.
        self.naming = Naming::InPlace;
        Ok(())
    }
}

impl Drop for Destination<'_> {
    /// Removes what was not committed.
    fn drop(&mut self) {
        // If it can't be removed, the next copy to this name will try again: there is nothing else to do about it.
        let _ = match &self.naming {
            Naming::Temporary(name) => self.place.named(name).remove(),
            Naming::Direct if self.is_still_there() => self.place.remove(),
            // A child that another thread has just forked has the descriptor, and with it the lock, until it executes.
            Naming::Partial(_) => sys::unlock(&self.file),
            Naming::Direct | Naming::Unnamed | Naming::InPlace | Naming::Stream => Ok(()),
        };
    }
}

impl Destination<'_> {
    /// Whether the name still means the file that was made.
    fn is_still_there(&self) -> bool {
        self.place.status(Link::Itself).is_ok_and(|there| is_file(&self.file, &there))
    }
}

/// The temporary name of a destination: always the same, but for a number when others use it too.
fn temporary_name(place: Place<'_>, number: u32) -> CString {
    let name = place.name.to_bytes();
    let mut hasher = DefaultHasher::new();
    hasher.write(&sys::name_key(place.named(&place.sibling(c".")), &name[sys::folder_bytes(name)..]));
    let hash = hasher.finish();
    let bytes = match number {
        0 => format!("{TEMPORARY_PREFIX}{hash:016x}"),
        _ => format!("{TEMPORARY_PREFIX}{hash:016x}-{number}"),
    };
    place.sibling(&CString::new(bytes).unwrap_or_default())
}

/// The name of the file that is kept if a copy is interrupted.
fn partial_name(place: Place<'_>) -> CString {
    let name = temporary_name(place, 0);
    CString::new([name.as_bytes(), b"-partial"].concat()).unwrap_or(name)
}

/// Removes what an interrupted copy has left to go on with, as none will.
pub(crate) fn remove_partial(place: Place<'_>) {
    remove_stale(place, &partial_name(place));
}

/// Makes something that is not written any more, under a temporary name beside its own, and renames it in one step.
pub(crate) fn make_beside(place: Place<'_>, make: impl Fn(Place<'_>) -> Result<(), Errno>) -> Result<(), Errno> {
    for _attempt in 0..TEMPORARY_NAMES {
        let ((), name) = with_temporary_name(place, &make)?;
        let beside = place.named(&name);
        match sys::renameat(place.dir, &name, place.name) {
            Ok(()) => {
                // rename(2) of one hard link to another of the same file does nothing, and leaves both.
                let id = |place: Place<'_>| place.status(Link::Itself).ok().map(|status| status.id);
                return if id(beside).is_some_and(|left| id(place) == Some(left)) { beside.remove() } else { Ok(()) };
            }
            // What can't be locked looks like a left one: another copy to the same name has removed it.
            Err(Errno::NOENT) => {}
            Err(errno) => {
                // The next copy to this name will try again.
                let _ = beside.remove();
                return Err(errno);
            }
        }
    }
    Err(Errno::EXIST)
}

/// Removes what has a temporary name, if nobody is writing it any more. Links, pipes and devices never are.
fn remove_stale(place: Place<'_>, name: &CString) {
    let place = place.named(name);
    match place.status(Link::Itself) {
        Ok(there) if there.is_regular() => {}
        // A folder stays: it is none of ours.
        Ok(there) if !there.is_folder() => {
            // As below.
            let _ = place.remove();
            return;
        }
        Ok(_) | Err(_) => return,
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(file) = place.open(flags, 0) else { return };
    let is_regular = || place.status(Link::Itself).is_ok_and(|there| there.is_regular() && is_file(&file, &there));
    if sys::lock(&file).is_ok() && is_regular() {
        // Should that fail, the next name is taken.
        let _ = place.remove();
    }
}

/// A file without a name, on the file system of a folder.
fn unnamed_file(place: Place<'_>, mode: u32) -> Result<File, Errno> {
    if !sys::has_unnamed() {
        return Err(Errno::OPNOTSUPP);
    }
    let folder = place.sibling(c".");
    place.named(&folder).open(OFlags::TMPFILE | OFlags::RDWR, mode)
}

/// A file with a temporary name, for file systems that have no others.
fn temporary_file(place: Place<'_>, mode: u32) -> Result<(File, CString), Errno> {
    with_temporary_name(place, |place| {
        let file = place.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode)?;
        // Somebody may have taken it for a left one, between the two calls.
        let is_ours = lock(&file) && place.status(Link::Itself).is_ok_and(|there| is_file(&file, &there));
        if is_ours { Ok(file) } else { Err(Errno::EXIST) }
    })
}

/// Gives a file without a name a temporary one.
fn link_temporarily(file: &File, place: Place<'_>) -> Result<CString, Errno> {
    // Locked before it has a name, so nobody takes it for a left one.
    let _ = lock(file);
    with_temporary_name(place, |place| link(file, place)).map(|((), name)| name)
}

/// Does something with the first temporary name that is free.
fn with_temporary_name<T>(
    place: Place<'_>,
    make: impl Fn(Place<'_>) -> Result<T, Errno>,
) -> Result<(T, CString), Errno> {
    for number in 0..TEMPORARY_NAMES {
        let name = temporary_name(place, number);
        match make(place.named(&name)) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EXIST) => remove_stale(place, &name),
            Err(errno) => return Err(errno),
        }
        match make(place.named(&name)) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

/// Says that the file is being written; `false` if somebody else says so. Where files can't be locked, what a killed
/// copy leaves stays.
fn lock(file: &File) -> bool {
    sys::lock(file) != Err(Errno::WOULDBLOCK)
}

/// Whether a status is that of an open file.
fn is_file(file: &File, status: &Status) -> bool {
    Status::of(file).is_ok_and(|own| own.id == status.id)
}

/// Gives a file that has a temporary name its own.
fn rename(place: Place<'_>, temporary: &CString, may_replace: bool) -> Result<(), Errno> {
    match may_replace {
        true => sys::renameat(place.dir, temporary, place.name),
        false => sys::rename_no_replace(place.dir, temporary, place.name),
    }
}

/// Gives a file without a name this one, if it is free.
fn link(file: &File, place: Place<'_>) -> Result<(), Errno> {
    sys::name_unnamed(file, place.dir, place.name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::path::Path;

    use super::*;

    fn c_string(path: &Path) -> CString {
        CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
    }

    fn temporary_files(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())).count()
    }

    /// The way that file systems without unnamed files take, which the file systems of most machines never do.
    #[test]
    fn a_named_temporary_file_becomes_the_destination_or_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for (existing, committed) in [(false, false), (false, true), (true, false), (true, true)] {
            let path = dir.path().join(format!("target-{existing}-{committed}"));
            if existing {
                fs::write(&path, "old").unwrap();
            }
            let name = c_string(&path);
            let place = Place::new(&name);
            let (file, temporary) = temporary_file(place, 0o640).unwrap();
            io::Write::write_all(&mut &file, b"new").unwrap();
            let destination = Destination {
                place,
                file,
                naming: Naming::Temporary(temporary),
                replaces: existing,
                left_bytes: 0,
                old_mode: None,
            };
            if committed {
                destination.commit(Existing::Overwrite).unwrap();
            } else {
                drop(destination);
            }
            let expected = if committed { Some("new") } else { existing.then_some("old") };
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), expected);
        }
        assert_eq!(temporary_files(dir.path()), 0);
    }

    #[test]
    fn a_name_that_is_taken_during_the_copy_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        let name = c_string(&path);
        let destination = Destination::unnamed(Place::new(&name), 0o600, false).unwrap();
        io::Write::write_all(&mut &destination.file, b"new").unwrap();
        fs::write(&path, "somebody else's").unwrap();
        destination.commit(Existing::Overwrite).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(temporary_files(dir.path()), 0);
    }

    #[test]
    fn what_a_killed_copy_has_left_goes_with_the_next_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let name = c_string(&dir.path().join("target"));
        let place = Place::new(&name);
        let (left, left_name) = temporary_file(place, 0o600).unwrap();
        let (_written, written_name) = temporary_file(place, 0o600).unwrap();
        assert_ne!(left_name, written_name, "the first is locked");
        // Its process is gone, and the lock with it.
        drop(left);
        Destination::unnamed(place, 0o600, false).unwrap().commit(Existing::Overwrite).unwrap();
        assert!(place.named(&left_name).status(Link::Itself).is_err());
        assert!(place.named(&written_name).status(Link::Itself).is_ok());
        assert!(place.status(Link::Itself).is_ok());
    }
}
