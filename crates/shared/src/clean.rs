//! Removing what the dead have left, and nothing else.
//!
//! Whoever is alive holds a lock, which the kernel keeps for him and for nobody else. So what has no lock is used by
//! nobody; and while it is judged and removed, the gate keeps out who would join.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mapio_map::MapMode;

use crate::error::Error;
use crate::header::{Header, LEFT, Lifetime, REMOVED, STATE};
use crate::list::all_names;
use crate::memory::{Memory, Ordering};
use crate::name::ObjectName;
use crate::object::ending::{take_name, unlink_if_same};
use crate::object::sysv::{self, attach_with_companion, is_abandoned, place_of, segment_of_companion};
use crate::object::unnamed::is_temporary;
use crate::object::{ObjectKind, Place, open_to_look};
use crate::participant::{Gate, has_others};
use crate::sys::{self, Hold};

/// How long somebody is waited for who is just opening or removing what is to be cleaned.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is done about leftovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cleaning {
    /// They are removed.
    Remove,
    /// They are told of.
    DryRun,
}

/// Why something is a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It was to live as long as its users, of whom nobody is alive.
    LastHandle,
    /// All who ever had it open have died; nobody has closed it in order.
    AllDied,
    /// It was removed by somebody who died before it had lost its name.
    HalfRemoved,
    /// Its maker died before it was whole.
    HalfMade,
    /// The lock file of a System V segment that does not exist any more.
    LockFile,
}

/// What has become of a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is gone.
    Removed,
    /// It is there, and would be removed: [`Cleaning::DryRun`].
    Found,
    /// It is there, for this reason.
    Skipped(String),
}

/// Something that the dead have left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// An object's name, or the path of a file that never became one.
    pub name: String,
    /// Why it is one.
    pub cause: Cause,
    /// What was done.
    pub outcome: Outcome,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LastHandle => "it was to live as long as its users, and nobody is alive",
            Self::AllDied => "all who had it open have died",
            Self::HalfRemoved => "who removed it died half-way",
            Self::HalfMade => "its maker died before it was whole",
            Self::LockFile => "the System V segment that it belongs to is gone",
        })
    }
}

/// Cleans up all of `/dev/shm`, and the System V segments of the IPC namespace.
///
/// Removed are: objects of [`Lifetime::LastHandle`] that nobody alive has open; objects that all users have left by
/// dying, none in order, since there is nobody to whom they could be worth something; objects and files that were half
/// made or half removed. Raw objects are never removed, nor is what somebody alive has open. Who joins meanwhile either
/// is seen, or finds the object gone. Waits up to 50 ms for each object that somebody is just opening.
///
/// On Windows named sections end with their last handle, so there is nothing to clean up but files, by [`clean`].
///
/// # Errors
/// [`Error::Os`] when `/dev/shm` can't be read. What can't be removed has an [`Outcome::Skipped`].
pub fn clean_all(cleaning: Cleaning) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    for name in all_names()? {
        found.extend(judge_name(&name, cleaning));
    }
    found.extend(lock_files(cleaning, |_, _| true)?);
    if let Some(folder) = sys::OBJECT_FOLDER {
        found.extend(temporaries(Path::new(folder), cleaning));
    }
    Ok(found)
}

/// The same for these objects alone, for files that were half made in the folders of those that are files, and for lock
/// files of those that are of System V.
///
/// An object in a file that is to live until it is removed is kept even if all its users have died: files are for what
/// outlives its users.
///
/// # Errors
/// As [`clean_all`]; [`Error::Invalid`] for what is no name. What does not exist is no leftover.
pub fn clean(names: &[ObjectName], cleaning: Cleaning) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for name in names {
        let name = &ObjectName::given(name)?;
        found.extend(judge_name(name, cleaning));
        if let (ObjectName::File(_), Some(path)) = (name, name.path())
            && let Some(folder) = path.parent().map(Path::to_owned)
            && !folders.contains(&folder)
        {
            folders.push(folder);
        }
    }
    for folder in folders {
        found.extend(temporaries(&folder, cleaning));
    }
    if names.iter().any(|name| matches!(name, ObjectName::SysVKey(_) | ObjectName::SysVId(_))) {
        found.extend(lock_files(cleaning, |id, made_as| {
            names.iter().any(|name| *name == ObjectName::SysVId(id) || name.to_string() == made_as)
        })?);
    }
    Ok(found)
}

/// Judges an object, and removes it if it is a leftover. What can't be looked at is none that is known.
fn judge_name(name: &ObjectName, cleaning: Cleaning) -> Option<Leftover> {
    let object: Arc<str> = name.to_string().into();
    match (name, name.path()) {
        (_, Some(path)) => judge_file(name, &object, &path, cleaning),
        // It ends with its last handle: what is there, somebody alive has open.
        (ObjectName::Posix(_) | ObjectName::Global(_), _) => None,
        _ => judge_segment(name, &object, cleaning),
    }
}

fn judge_file(name: &ObjectName, object: &Arc<str>, path: &Path, cleaning: Cleaning) -> Option<Leftover> {
    let kind = if matches!(name, ObjectName::Posix(_)) { ObjectKind::Posix } else { ObjectKind::File };
    let place = Place::Path(path.to_owned());
    match open_to_look(object, path, MapMode::ReadWrite) {
        Ok(memory) => judge(&memory, kind, &place, cleaning),
        Err(refusal) => {
            let memory = open_to_look(object, path, MapMode::ReadOnly).ok()?;
            let cause = cause(&memory, kind).ok().flatten()?;
            Some(Leftover { name: object.to_string(), cause, outcome: skipped(&refusal) })
        }
    }
}

fn judge_segment(name: &ObjectName, object: &Arc<str>, cleaning: Cleaning) -> Option<Leftover> {
    let id = sysv::find(name).ok()?;
    let status = sys::segment(id).ok().flatten()?;
    if is_abandoned(&status) {
        let outcome = act(cleaning, || {
            sys::remove_segment(id).map_err(Error::os("removing", object))?;
            remove_companion(id);
            Ok(())
        });
        return Some(Leftover { name: object.to_string(), cause: Cause::HalfMade, outcome });
    }
    let memory = attach_with_companion(id, MapMode::ReadWrite, object).ok().flatten()?;
    judge(&memory, ObjectKind::SysV, &place_of(id), cleaning)
}

fn remove_companion(id: i32) {
    if let Place::Segment { companion, .. } = place_of(id) {
        // Its maker may have died before there was one; what stays is found the next time.
        let _ = fs::remove_file(companion);
    }
}

/// Judges an object that can be changed.
fn judge(memory: &Memory, kind: ObjectKind, place: &Place, cleaning: Cleaning) -> Option<Leftover> {
    // A raw or damaged object is not ours to judge.
    let found = cause(memory, kind).ok().flatten()?;
    let mut is_needless = false;
    let outcome = act(cleaning, || {
        let gate = Gate::pass_within(memory, Hold::Exclusive, PATIENCE)?;
        // Somebody may have joined before the gate was closed, and somebody else may have removed it.
        is_needless = cause(memory, kind)?.is_none();
        if is_needless { Ok(()) } else { take_name(memory, place, &gate) }
    });
    (!is_needless).then(|| Leftover { name: memory.object().to_owned(), cause: found, outcome })
}

/// Why an object that has a header is a leftover; `None` if it is not.
fn cause(memory: &Memory, kind: ObjectKind) -> Result<Option<Cause>, Error> {
    let header = Header::read(memory)?;
    if memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED {
        return Ok(Some(Cause::HalfRemoved));
    }
    if has_others(memory)? {
        return Ok(None);
    }
    if header.lifetime() == Lifetime::LastHandle {
        return Ok(Some(Cause::LastHandle));
    }
    let has_left = memory.u32(LEFT)?.load(Ordering::Relaxed)? > 0;
    Ok((!has_left && kind != ObjectKind::File).then_some(Cause::AllDied))
}

/// Lock files of segments that do not exist any more, of those that are wanted by the segment's identifier and the name
/// that it was made under.
fn lock_files(cleaning: Cleaning, is_wanted: impl Fn(i32, &str) -> bool) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    let Some(folder) = sys::OBJECT_FOLDER else { return Ok(found) };
    for (name, path) in names_in(Path::new(folder)).map_err(Error::os("reading", folder))? {
        let Some(id) = segment_of_companion(&name) else { continue };
        // What can't be read was made by somebody else.
        let made_as = fs::read(&path).unwrap_or_default();
        if is_wanted(id, &String::from_utf8_lossy(&made_as)) && matches!(sys::segment(id), Ok(None)) {
            let outcome = act(cleaning, || fs::remove_file(&path).map_err(Error::os("removing", &name)));
            found.push(Leftover { name: path.display().to_string(), cause: Cause::LockFile, outcome });
        }
    }
    Ok(found)
}

/// Files that have not got their names yet, and whose makers are dead: nobody holds their gate.
fn temporaries(folder: &Path, cleaning: Cleaning) -> Vec<Leftover> {
    let mut found = Vec::new();
    // A folder that can't be read has nothing that could be removed.
    for (name, path) in names_in(folder).unwrap_or_default() {
        if !is_temporary(&name) {
            continue;
        }
        let object: Arc<str> = path.display().to_string().into();
        let Ok(memory) = open_to_look(&object, &path, MapMode::ReadWrite) else { continue };
        let Ok(Some(_gate)) = Gate::try_pass(&memory, Hold::Exclusive) else { continue };
        let outcome = act(cleaning, || unlink_if_same(&memory, &path));
        found.push(Leftover { name: object.to_string(), cause: Cause::HalfMade, outcome });
    }
    found
}

fn names_in(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect())
}

fn act(cleaning: Cleaning, remove: impl FnOnce() -> Result<(), Error>) -> Outcome {
    match cleaning {
        Cleaning::DryRun => Outcome::Found,
        Cleaning::Remove => match remove() {
            Ok(()) => Outcome::Removed,
            Err(error) => skipped(&error),
        },
    }
}

fn skipped(error: &Error) -> Outcome {
    Outcome::Skipped(match error {
        Error::Timeout { .. } => "somebody is just opening or removing it, or was stopped while he did".to_owned(),
        Error::Os { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::SharedOptions;

    #[test]
    fn what_is_just_being_opened_is_skipped_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let (made, dead) = (folder.path().join("made"), folder.path().join("dead"));
        let options = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle);
        let object = options.create(ObjectName::file(&made)).unwrap();
        // Nobody has locked a byte of the copy.
        fs::copy(&made, &dead).unwrap();
        drop(object);
        let names = [ObjectName::file(&dead)];
        let memory = open_to_look(&"dead".into(), &dead, MapMode::ReadWrite).unwrap();
        let gate = Gate::pass(&memory, Hold::Shared).unwrap();
        let found = clean(&names, Cleaning::Remove).unwrap();
        assert_eq!((found.len(), found[0].cause), (1, Cause::LastHandle));
        assert!(matches!(&found[0].outcome, Outcome::Skipped(reason) if reason.contains("stopped")), "{found:?}");
        assert!(dead.exists());
        drop(gate);
        assert_eq!(clean(&names, Cleaning::Remove).unwrap()[0].outcome, Outcome::Removed);
        assert!(!dead.exists());
    }

    #[test]
    fn a_temporary_file_whose_maker_holds_its_gate_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".mapio-new-x");
        fs::write(&path, [0; 8192]).unwrap();
        let memory = open_to_look(&"new".into(), &path, MapMode::ReadWrite).unwrap();
        let gate = Gate::pass(&memory, Hold::Exclusive).unwrap();
        assert_eq!(temporaries(folder.path(), Cleaning::Remove), []);
        drop(gate);
        assert_eq!(temporaries(folder.path(), Cleaning::Remove).len(), 1);
        assert!(!path.exists());
    }
}
