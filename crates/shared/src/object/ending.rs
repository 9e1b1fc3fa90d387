//! How an object loses its name: it is removed, or found to be used by the dead alone.
//!
//! The name goes first, then the object is marked as removed: a removal that the system refuses changes nothing, and one that
//! is interrupted in between has taken the name, which is what counts. See docs/design/object.md.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::MapMode;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::Place;
use super::named::{map, open_file};
use crate::error::Error;
use crate::header::{Header, Lifetime, REMOVED, STATE};
use crate::memory::{Memory, Ordering};
use crate::participant::{GATE_PATIENCE, Gate, has_others};
use crate::sys::{self, Hold};

/// Takes an object's name, and marks it as removed: O2. Can be repeated by anybody, should the process die in between.
pub(crate) fn take_name(memory: &Memory, place: &Place, _: &Gate<'_>) -> Result<(), Error> {
    match place {
        Place::Path(path) => unlink_if_same(memory, path)?,
        Place::Segment { id, companion } => {
            match sys::remove_segment(*id) {
                // Somebody else was faster, and no other segment has the identifier while this one is attached.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM)) => {}
                removed => removed.map_err(Error::os("removing", memory.object()))?,
            }
            // It guards a segment that nobody can find any more. If it stays, it is found by whoever cleans up.
            let _ = std::fs::remove_file(companion);
        }
        Place::Nowhere => {}
    }
    memory.u32(STATE)?.store(REMOVED, Ordering::Relaxed)
}

/// Whether an object that has a header is one that nobody may join: removed, or used by the dead alone.
pub(super) fn is_dead(memory: &Memory, header: &Header) -> Result<bool, Error> {
    Ok(memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED
        || header.lifetime() == Lifetime::LastHandle && !has_others(memory)?)
}

/// Takes the name from an object that was found dead, unless somebody has joined it meanwhile.
pub(super) fn finish(memory: &Memory, header: &Header, place: &Place) -> Result<(), Error> {
    let gate = Gate::pass(memory, Hold::Exclusive)?;
    if is_dead(memory, header)? { take_name(memory, place, &gate) } else { Ok(()) }
}

/// Takes the name from what has it at a path.
pub(super) fn remove_file(object: &str, path: &Path) -> Result<(), Error> {
    let file = match open_file(object, path, MapMode::ReadWrite) {
        // Removing is a matter of the folder's permissions, not of the file's.
        Err(Error::Os { source, .. })
            if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
        {
            return remove_unwritable(object, path);
        }
        file => file?,
    };
    let memory = map(&file, MapMode::ReadWrite, &object.into())?;
    let gate = Gate::pass(&memory, Hold::Exclusive)?;
    match Header::read(&memory) {
        Ok(_) => take_name(&memory, &Place::Path(path.to_owned()), &gate),
        // A raw object, or a damaged one.
        Err(_) => unlink_if_same(&memory, path),
    }
}

/// The same for a file that the process may not write to. It can't hold the gate exclusively, but keep those out who do,
/// and the others of its kind by a lock of another kind: flock(2).
fn remove_unwritable(object: &str, path: &Path) -> Result<(), Error> {
    let file = open_file(object, path, MapMode::ReadOnly)?;
    let memory = map(&file, MapMode::ReadOnly, &object.into())?;
    let _gate = Gate::pass(&memory, Hold::Shared)?;
    let begin = Instant::now();
    while !lock_whole(&file).map_err(Error::os("locking", object))? {
        if begin.elapsed() > GATE_PATIENCE {
            return Err(Error::Timeout { object: object.to_owned(), waited: begin.elapsed() });
        }
        thread::sleep(Duration::from_millis(1));
    }
    unlink_if_same(&memory, path)
}

fn lock_whole(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a name that something has may be free now: what has it was dead, and has lost it, or is gone.
pub(super) fn free_dead_name(object: &Arc<str>, path: &Path) -> bool {
    let file = match open_file(object, path, MapMode::ReadWrite) {
        Err(Error::NotFound { .. }) => return true,
        // What can't be looked at keeps its name.
        Err(_) => return false,
        Ok(file) => file,
    };
    let freed = || -> Result<bool, Error> {
        let memory = map(&file, MapMode::ReadWrite, object)?;
        let header = Header::read(&memory)?;
        if !is_dead(&memory, &header)? {
            return Ok(false);
        }
        finish(&memory, &header, &Place::Path(path.to_owned()))?;
        Ok(true)
    };
    freed().unwrap_or(false)
}

/// Removes a path if it is that of the object, whose gate the caller holds.
pub(crate) fn unlink_if_same(memory: &Memory, path: &Path) -> Result<(), Error> {
    let os = |operation| Error::os(operation, memory.object());
    let mine = rustix::fs::fstat(memory.mapping().as_fd()).map_err(io::Error::from).map_err(os("asking about"))?;
    match rustix::fs::lstat(path) {
        Ok(found) if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino) => {}
        // Somebody else was faster, and maybe a new object has the name already.
        Ok(_) | Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(os("asking about")(error.into())),
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(os("removing")(error.into())),
    }
}
