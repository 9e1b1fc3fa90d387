//! How an object loses its name: it is removed, or found to be used by the dead alone.
//!
//! The name goes first, then the object is marked as removed: a removal that the system refuses changes nothing, and
//! one that is interrupted in between has taken the name, which is what counts. See docs/design/object.md.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::{MapMode, descriptor};

use super::named::{map, open_file};
use super::{Place, sysv};
use crate::error::Error;
use crate::header::{Header, Lifetime, REMOVED, STATE};
use crate::memory::{Memory, Ordering};
use crate::participant::{GATE_PATIENCE, Gate, has_others};
use crate::sys::{self, Hold};

/// How long the gate is waited for by one who closes the last handle. Longer than a process that is not stopped holds
/// it; short, since nobody expects to wait then.
pub(super) const LEAVING: Duration = Duration::from_millis(500);

/// Takes an object's name, and marks it as removed: O2. Can be repeated by anybody, should the process die in between.
pub(crate) fn take_name(memory: &Memory, place: &Place, _: &Gate<'_>) -> Result<(), Error> {
    match place {
        Place::Path(path) => unlink_if_same(memory, path)?,
        Place::Segment { id, companion } => {
            sysv::take_key(*id, memory.object())?;
            // It guards a segment that nobody can find any more. If it stays, it is found by whoever cleans up.
            let _ = std::fs::remove_file(companion);
        }
        // The name of a section goes with its last handle.
        Place::Section { .. } | Place::Nowhere => {}
    }
    memory.u32(STATE)?.store(REMOVED, Ordering::Relaxed)
}

/// Whether an object that has a header is one that nobody may join: removed, or used by the dead alone.
pub(super) fn is_dead(memory: &Memory, header: &Header) -> Result<bool, Error> {
    Ok(memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED
        || header.lifetime() == Lifetime::LastHandle && !memory.ends_by_itself() && !has_others(memory)?)
}

/// Takes the name from an object that was found dead, unless somebody has joined it meanwhile.
pub(super) fn finish(memory: &Memory, header: &Header, place: &Place, patience: Duration) -> Result<(), Error> {
    let gate = Gate::pass_within(memory, Hold::Exclusive, patience)?;
    if is_dead(memory, header)? { take_name(memory, place, &gate) } else { Ok(()) }
}

/// Does what the last user of an object of [`Lifetime::LastHandle`] has to do: takes its name, unless somebody else
/// uses it.
///
/// The caller has given up its own lock before. Of several who leave at once, the last to have done so sees nobody, so
/// one of them at least comes as far as the gate. There it waits: who holds the gate may be another who leaves, or one
/// who has looked at the object and not joined.
pub(super) fn leave(memory: &Memory, place: &Place) -> Result<(), Error> {
    if has_others(memory)? {
        return Ok(());
    }
    let gate = Gate::pass_within(memory, Hold::Exclusive, LEAVING)?;
    if has_others(memory)? { Ok(()) } else { take_name(memory, place, &gate) }
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

/// The same for a file that the process may not write to. It can't hold the gate exclusively, but keep those out who
/// do, and the others of its kind by a lock of another kind: `lock_whole` of `sys`.
fn remove_unwritable(object: &str, path: &Path) -> Result<(), Error> {
    let file = open_file(object, path, MapMode::ReadOnly)?;
    let memory = map(&file, MapMode::ReadOnly, &object.into())?;
    let _gate = Gate::pass(&memory, Hold::Shared)?;
    let begin = Instant::now();
    while !sys::lock_whole(&file).map_err(Error::os("locking", object))? {
        if begin.elapsed() > GATE_PATIENCE {
            return Err(Error::Timeout { object: object.to_owned(), waited: begin.elapsed() });
        }
        thread::sleep(Duration::from_millis(1));
    }
    unlink_if_same(&memory, path)
}

/// Takes the name from an object if it is dead; answers whether it was.
pub(super) fn free_dead(memory: &Memory, place: &Place, patience: Duration) -> Result<bool, Error> {
    let header = Header::read(memory)?;
    let dead = is_dead(memory, &header)?;
    if dead {
        finish(memory, &header, place, patience)?;
    }
    Ok(dead)
}

/// Whether a name that something has may be free now: what has it was dead, and has lost it, or is gone.
pub(super) fn free_dead_name(object: &Arc<str>, path: &Path, patience: Duration) -> bool {
    let file = match open_file(object, path, MapMode::ReadWrite) {
        Err(Error::NotFound { .. }) => return true,
        // What can't be looked at keeps its name.
        Err(_) => return false,
        Ok(file) => file,
    };
    let memory = map(&file, MapMode::ReadWrite, object);
    memory.and_then(|memory| free_dead(&memory, &Place::Path(path.to_owned()), patience)).unwrap_or(false)
}

/// Removes a path if it is that of the object, whose gate the caller holds.
pub(crate) fn unlink_if_same(memory: &Memory, path: &Path) -> Result<(), Error> {
    let os = |operation| Error::os(operation, memory.object());
    if !sys::is_at(descriptor::of(memory.mapping()), path).map_err(os("asking about"))? {
        // Somebody else was faster, and maybe a new object has the name already.
        return Ok(());
    }
    match sys::unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(os("removing")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Barrier;

    use super::*;
    use crate::name::ObjectName;
    use crate::object::{SharedObject, SharedOptions, open_to_look};

    /// An object that lives as long as its users, in a folder that is removed with the first of these.
    fn made() -> (tempfile::TempDir, PathBuf, SharedObject) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        let options = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle);
        let object = options.create(ObjectName::file(&path)).unwrap();
        (folder, path, object)
    }

    #[test]
    fn the_last_to_leave_waits_for_the_gate_and_takes_the_name() {
        for mode in [MapMode::ReadWrite, MapMode::ReadOnly] {
            let (_folder, path, object) = made();
            let last = SharedOptions::new().map_mode(mode).open(ObjectName::file(&path)).unwrap();
            drop(object);
            let looker = open_to_look(&"object".into(), &path, MapMode::ReadWrite).unwrap();
            let gate = Gate::pass(&looker, Hold::Shared).unwrap();
            thread::scope(|scope| {
                let closing = scope.spawn(|| drop(last));
                while has_others(&looker).unwrap() {
                    thread::yield_now();
                }
                // Long enough for one who tries only once to have tried.
                let begin = Instant::now();
                while begin.elapsed() < LEAVING / 10 {
                    assert!(!has_others(&looker).unwrap());
                }
                drop(gate);
                closing.join().unwrap();
            });
            assert!(!path.exists(), "{mode:?}");
        }
    }

    #[test]
    fn of_two_who_leave_at_once_one_takes_the_name() {
        for round in 0..mapio_testkit::rounds(300) {
            let (_folder, path, first) = made();
            let second = SharedOptions::new().open(ObjectName::file(&path)).unwrap();
            let together = Barrier::new(2);
            thread::scope(|scope| {
                for object in [first, second] {
                    let together = &together;
                    scope.spawn(move || {
                        together.wait();
                        drop(object);
                    });
                }
            });
            assert!(!path.exists(), "round {round}");
        }
    }

    #[test]
    fn who_can_not_have_the_gate_leaves_all_the_same() {
        let (_folder, path, object) = made();
        let looker = open_to_look(&"object".into(), &path, MapMode::ReadWrite).unwrap();
        let gate = Gate::pass(&looker, Hold::Shared).unwrap();
        drop(object);
        assert!(path.exists() && !has_others(&looker).unwrap());
        drop(gate);
        let gone = SharedOptions::new().open(ObjectName::file(&path));
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
        assert!(!path.exists());
    }
}
