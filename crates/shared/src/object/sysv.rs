//! System V shared memory: sysvipc(7).
//!
//! A segment has its key from the moment when it is made, so it can't come into being whole. Instead it has permissions
//! meanwhile that nobody else gives: [`BEING_MADE`]. It has no descriptor either, and so no bytes to lock. These are
//! those of a *companion*, a file in `/dev/shm` that is named after the IPC namespace and the segment's identifier,
//! with the segment's owner and permissions, and holds the name that the segment was made under, for whoever cleans up.
//! It is removed with the segment.
//!
//! ```text
//! create   shmget(key, IPC_EXCL, BEING_MADE) -> shmat -> unnamed companion -> header, participant 1 -> companion's name
//!          -> IPC_SET: owner, permissions
//! open     shmget -> not being made? -> companion -> shmat, header -> gate, shared: not removed? -> number, lock
//! remove   gate, exclusively -> IPC_RMID -> companion's name -> state := removed
//! ```
//! An identifier is not given again while a segment is attached, and else only after all others of the same place in
//! the kernel's table: some ten thousand segments later.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::{Access, MapMode, MapOptions};

use super::ending::{finish, free_dead, take_name};
use super::named::{begin, open_file, total_len};
use super::unnamed::{Linked, Unnamed};
use super::{ObjectKind, Parts, Place, SharedObject, SharedOptions, check, check_len, enter};
use crate::error::Error;
use crate::header::{Header, NO_HEADER};
use crate::memory::Memory;
use crate::name::{ObjectName, SHM_DIR};
use crate::participant::{GATE_PATIENCE, Gate};
use crate::sys::{self, Hold, Locks};

/// Permissions that a segment has until it is whole: execution by the group and others, which no segment needs.
const BEING_MADE: u32 = 0o611;
/// The permissions that mean something for a segment: shmget(2).
const PERMISSIONS: u32 = 0o666;
/// How the names of companions begin.
pub(crate) const COMPANION_PREFIX: &str = ".mapio-sysv-";
/// How often a key is taken, or a lock file named, while others are in the way.
const TRIES: u32 = 100;

impl SharedOptions {
    /// Makes a System V object without a key: `IPC_PRIVATE` of shmget(2). Others find it by its identifier, which is in
    /// its [`name`](SharedObject::name).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    #[doc(alias = "IPC_PRIVATE")]
    pub fn create_sysv_private(&self) -> Result<SharedObject, Error> {
        create(self, 0)
    }
}

/// Makes a segment; key 0 is none.
pub(super) fn create(options: &SharedOptions, key: i32) -> Result<SharedObject, Error> {
    let object = ObjectName::SysVKey(key).to_string();
    let total = total_len(options, &object)?;
    let total = usize::try_from(total).map_err(|_| Error::invalid(&*object, "no memory is that large"))?;
    let mut tries = 0;
    let id = loop {
        match sys::create_segment(key, total, BEING_MADE) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                tries += 1;
                if tries > TRIES || !free_dead_key(key) {
                    return Err(Error::Exists { object });
                }
            }
            id => break id.map_err(Error::os("setting memory aside for", &object))?,
        }
    };
    let mut making = Making { id, is_done: false };
    let name: Arc<str> = if key == 0 { ObjectName::SysVId(id).to_string().into() } else { object.into() };
    let made = fill(options, id, &name)?;
    sys::set_segment(id, options.owner, options.permissions & PERMISSIONS)
        .map_err(Error::os("setting the permissions of", &name))?;
    making.is_done = true;
    SharedObject::new(ObjectKind::SysV, place_of(id), made)
}

/// Makes a new segment an object: its memory, its companion, its header, its creator's part.
fn fill(options: &SharedOptions, id: i32, name: &Arc<str>) -> Result<Parts, Error> {
    let memory = attach(id, MapMode::ReadWrite, name)?;
    // A segment's memory comes with the first store to each page, if there is any left.
    memory.view().populate(Access::Write).map_err(|fault| memory.fault(fault))?;
    if options.raw {
        return Ok(Parts { memory, header: None, participant: None });
    }
    let path = companion_path(id);
    let companion = Unnamed::new(&path).map_err(Error::os("creating the lock file of", name))?;
    let key = name.as_bytes();
    std::os::unix::fs::FileExt::write_all_at(&companion.file, key, 0)
        .map_err(Error::os("writing the lock file of", name))?;
    let locks = companion.file.try_clone().map_err(Error::os("duplicating the lock file of", name))?;
    let memory = memory.with_locks(Locks::of_companion(OwnedFd::from(locks)));
    let (header, participant) = begin(options, &memory)?;
    companion.give_away(options, name)?;
    let os = |operation| Error::os(operation, name);
    for _ in 0..TRIES {
        match companion.link(&path).map_err(os("naming the lock file of"))? {
            Linked::Done => return Ok(Parts { memory, header, participant }),
            // The identifier is ours, so that is what is left of a segment that was removed by others.
            Linked::Taken => std::fs::remove_file(&path).map_err(os("removing an old lock file of"))?,
            Linked::Lost => return Err(os("naming the lock file of")(io::ErrorKind::NotFound.into())),
        }
    }
    Err(os("naming the lock file of")(io::ErrorKind::AlreadyExists.into()))
}

/// A segment that is not whole yet: removed when dropped.
struct Making {
    id: i32,
    is_done: bool,
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.is_done {
            // What stays is found by the next who wants the key, or cleans up.
            let _ = sys::remove_segment(self.id);
            let _ = std::fs::remove_file(companion_path(self.id));
        }
    }
}

pub(super) fn open(options: &SharedOptions, name: &ObjectName) -> Result<SharedObject, Error> {
    let object: Arc<str> = name.to_string().into();
    let id = find_whole(name)?;
    if options.raw {
        let memory = attach(id, options.map_mode, &object)?;
        check_len(options, &memory)?;
        let parts = Parts { memory, header: None, participant: None };
        return SharedObject::new(ObjectKind::SysV, place_of(id), parts);
    }
    let not_found = || Error::NotFound { object: object.to_string() };
    let Some(memory) = attach_with_companion(id, options.map_mode, &object)? else {
        return Err(not_found());
    };
    let header = Header::read(&memory)?;
    if !super::ending::is_dead(&memory, &header)? {
        check(options, &memory, &header)?;
    }
    let place = place_of(id);
    match enter(&memory, &header, options)? {
        Some(participant) if !is_gone(id) => {
            let parts = Parts { memory, header: Some(header), participant: Some(participant) };
            SharedObject::new(ObjectKind::SysV, place, parts)
        }
        Some(_) => Err(not_found()),
        None => {
            if options.map_mode == MapMode::ReadWrite {
                finish(&memory, &header, &place, GATE_PATIENCE)?;
            }
            Err(not_found())
        }
    }
}

/// A segment, and the file whose locks tell who uses it; `None` if it was removed in this moment.
pub(crate) fn attach_with_companion(id: i32, mode: MapMode, object: &Arc<str>) -> Result<Option<Memory>, Error> {
    match open_companion(id, mode, object) {
        Ok(companion) => match attach(id, mode, object) {
            Ok(memory) => Ok(Some(memory.with_locks(Locks::of_companion(companion.into())))),
            Err(_) if is_gone(id) => Ok(None),
            Err(error) => Err(error),
        },
        Err(Error::NotFound { .. }) if is_gone(id) => Ok(None),
        Err(Error::NotFound { .. }) => Err(Error::Foreign { object: object.to_string(), reason: NO_HEADER }),
        Err(error) => Err(error),
    }
}

fn open_companion(id: i32, mode: MapMode, object: &str) -> Result<File, Error> {
    open_file(object, &companion_path(id), mode)
}

fn attach(id: i32, mode: MapMode, object: &Arc<str>) -> Result<Memory, Error> {
    let mapping = MapOptions::new(mode).attach_sysv(id, object);
    let mapping = mapping.map_err(|source| Error::Map { object: object.to_string(), source })?;
    Ok(Memory::new(Arc::new(mapping), object.clone()))
}

/// The identifier that a name stands for, which need not be in use.
pub(crate) fn find(name: &ObjectName) -> Result<i32, Error> {
    match name {
        ObjectName::SysVId(id) => Ok(*id),
        ObjectName::SysVKey(key) => sys::find_segment(*key).map_err(|source| match source.raw_os_error() {
            Some(libc::ENOENT | libc::EIDRM) => Error::NotFound { object: name.to_string() },
            _ => Error::os("opening", &name.to_string())(source),
        }),
        _ => Err(Error::invalid(name.to_string(), "it is no name of a System V object")),
    }
}

/// The same of a segment that is whole. One that is just being made is waited for; one whose maker has died is removed.
fn find_whole(name: &ObjectName) -> Result<i32, Error> {
    let object = name.to_string();
    let begin = Instant::now();
    loop {
        let id = find(name)?;
        let status = sys::segment(id).map_err(Error::os("asking about", &object))?;
        let Some(status) = status.filter(|status| !status.is_removed) else {
            return Err(Error::NotFound { object });
        };
        if status.mode != BEING_MADE {
            return Ok(id);
        }
        if is_abandoned(&status) {
            sys::remove_segment(id).map_err(Error::os("removing what was left of", &object))?;
            // Its maker may have come to give it a companion.
            let _ = std::fs::remove_file(companion_path(id));
            return Err(Error::NotFound { object });
        }
        if begin.elapsed() > GATE_PATIENCE {
            return Err(Error::Timeout { object, waited: begin.elapsed() });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a segment has been left unfinished by a maker who died. One in another PID namespace counts as alive.
pub(crate) fn is_abandoned(status: &sys::SegmentStatus) -> bool {
    status.mode == BEING_MADE && status.attached == 0 && status.creator != 0 && sys::is_ended(status.creator)
}

/// Whether a key that something has may be free now.
fn free_dead_key(key: i32) -> bool {
    let name = ObjectName::SysVKey(key);
    match find_whole(&name) {
        Ok(id) => free_dead_segment(&name.to_string().into(), id, GATE_PATIENCE),
        Err(error) => matches!(error, Error::NotFound { .. }),
    }
}

/// Whether a segment was dead, and has lost its key, or is gone.
pub(super) fn free_dead_segment(object: &Arc<str>, id: i32, patience: Duration) -> bool {
    match attach_with_companion(id, MapMode::ReadWrite, object) {
        Ok(Some(memory)) => free_dead(&memory, &place_of(id), patience).unwrap_or(false),
        Ok(None) => true,
        // What can't be looked at keeps its key.
        Err(_) => false,
    }
}

/// Takes key and identifier from a segment.
pub(super) fn remove(name: &ObjectName) -> Result<(), Error> {
    let object: Arc<str> = name.to_string().into();
    let id = match find_whole(name) {
        // Its maker is stopped, or has died in another PID namespace, which nobody here can see.
        Err(Error::Timeout { .. }) => find(name)?,
        id => id?,
    };
    if let Ok(Some(memory)) = attach_with_companion(id, MapMode::ReadWrite, &object) {
        let gate = Gate::pass(&memory, Hold::Exclusive)?;
        if Header::read(&memory).is_ok() {
            return take_name(&memory, &place_of(id), &gate);
        }
    }
    // A raw object, or one that is not ours to write to; its identifier is nobody else's.
    match sys::remove_segment(id) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM)) => {
            return Err(Error::NotFound { object: object.to_string() });
        }
        removed => removed.map_err(Error::os("removing", &object))?,
    }
    // A raw one has none. What stays is found by whoever cleans up.
    let _ = std::fs::remove_file(companion_path(id));
    Ok(())
}

/// Takes key and identifier from a segment that the caller has attached.
pub(super) fn take_key(id: i32, object: &str) -> Result<(), Error> {
    match sys::remove_segment(id) {
        // Somebody else was faster, and no other segment has the identifier while this one is attached.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM)) => Ok(()),
        removed => removed.map_err(Error::os("removing", object)),
    }
}

/// Whether no other process can find the segment any more.
pub(super) fn is_gone(id: i32) -> bool {
    // Without /proc nothing is known, and the mark in the object decides.
    sys::segment(id).is_ok_and(|status| status.is_none_or(|status| status.is_removed))
}

pub(crate) fn place_of(id: i32) -> Place {
    Place::Segment { id, companion: companion_path(id) }
}

fn companion_path(id: i32) -> PathBuf {
    let namespace = sys::ipc_namespace().unwrap_or(0);
    Path::new(SHM_DIR).join(format!("{COMPANION_PREFIX}{namespace}-{id}"))
}

/// The segment of this IPC namespace to which the companion of this name belongs.
pub(crate) fn segment_of_companion(name: &str) -> Option<i32> {
    let (namespace, id) = name.strip_prefix(COMPANION_PREFIX)?.split_once('-')?;
    let id = id.parse().ok()?;
    (namespace.parse() == Ok(sys::ipc_namespace().ok()?)).then_some(id)
}
