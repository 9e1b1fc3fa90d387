//! Named sections of the page file: CreateFileMapping and OpenFileMapping of Windows.
//!
//! A section has its name from the moment when it is made, and keeps it until its last handle is closed: the system
//! takes it, and nobody else can. So who makes one holds its gate before, and who opens one looks at it behind the
//! gate; and what is removed is marked, for all to see who would join.
//!
//! ```text
//! create   gate, by the name alone -> CreateFileMapping, new -> header, participant 1 -> gate open
//! open     OpenFileMapping -> gate: the header is whole -> gate: not removed? -> number, lock
//! remove   gate -> state := removed; the name goes with the last handle
//! ```
//! There are no files: the locks are kernel objects of the same namespace, which end with their handles as well.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::descriptor::OwnedDescriptor;
use mapio_map::{MapMode, MapOptions};

use super::named::{begin, checked_len};
use super::{ObjectKind, Parts, Place, SharedObject, SharedOptions, check, check_len, enter};
use crate::error::Error;
use crate::header::{Header, Lifetime, REMOVED, STATE};
use crate::memory::{Memory, Ordering};
use crate::participant::{GATE, GATE_PATIENCE, Gate};
use crate::sys::{self, Hold, Locks};

/// How often a section is opened anew that has no header and nothing but zeros: its maker has died, and others who
/// looked at it are just closing it.
const TRIES: u32 = 5;

/// Refuses a lifetime that sections do not have.
fn check_lifetime(options: &SharedOptions, object: &str) -> Result<(), Error> {
    if options.lifetime == Some(Lifetime::UntilRemoved) {
        let reason = "a named section ends with its last handle (`Lifetime::LastHandle`); a file outlives its users";
        return Err(Error::invalid(object, reason));
    }
    Ok(())
}

pub(super) fn create(options: &SharedOptions, object: &str, full_name: &str) -> Result<SharedObject, Error> {
    let total = checked_len(options, object)?;
    check_lifetime(options, object)?;
    let object: Arc<str> = object.into();
    let locks = Locks::of_section(full_name);
    if !options.raw {
        close_gate(&locks, &object)?;
    }
    let made = sys::create_section(full_name, total, options.owner, options.permissions);
    let section = made.map_err(Error::os("setting memory aside for", &object))?;
    let Some(section) = section else { return Err(Error::Exists { object: object.to_string() }) };
    let memory = map(&section, MapMode::ReadWrite, &object, Some(total))?.with_locks(locks).with_names(full_name);
    let place = Place::Section { full_name: full_name.into() };
    if options.raw {
        return SharedObject::new(ObjectKind::Section, place, Parts { memory, header: None, participant: None });
    }
    let gate = Gate::adopt(&memory);
    let lasting = SharedOptions { lifetime: Some(Lifetime::LastHandle), ..options.clone() };
    let (header, participant) = begin(&lasting, &memory)?;
    drop(gate);
    SharedObject::new(ObjectKind::Section, place, Parts { memory, header, participant })
}

/// Waits for the gate of a section that does not exist yet.
fn close_gate(locks: &Locks, object: &str) -> Result<(), Error> {
    let begin = Instant::now();
    while !locks.try_lock_alone(GATE).map_err(Error::os("locking", object))? {
        if begin.elapsed() > GATE_PATIENCE {
            return Err(Error::Timeout { object: object.to_owned(), waited: begin.elapsed() });
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

pub(super) fn open(options: &SharedOptions, object: &str, full_name: &str) -> Result<SharedObject, Error> {
    let object: Arc<str> = object.into();
    let not_found = || Error::NotFound { object: object.to_string() };
    let place = Place::Section { full_name: full_name.into() };
    if options.raw {
        let memory = look(options.map_mode, &object, full_name)?;
        check_len(options, &memory)?;
        let parts = Parts { memory, header: None, participant: None };
        return SharedObject::new(ObjectKind::Section, place, parts);
    }
    let (memory, header) = open_whole(options.map_mode, &object, full_name)?;
    if !is_removed(&memory)? {
        check(options, &memory, &header)?;
    }
    let participant = enter(&memory, &header, options)?.ok_or_else(not_found)?;
    let parts = Parts { memory, header: Some(header), participant: Some(participant) };
    SharedObject::new(ObjectKind::Section, place, parts)
}

/// A section and its header, which its maker has finished.
fn open_whole(mode: MapMode, object: &Arc<str>, full_name: &str) -> Result<(Memory, Header), Error> {
    let mut tries = 0;
    loop {
        let memory = look(mode, object, full_name)?;
        let gate = Gate::pass(&memory, Hold::Shared)?;
        let header = Header::read(&memory);
        drop(gate);
        match header {
            Err(error) if Header::is_missing(&error) && tries < TRIES && Header::is_blank(&memory)? => {
                tries += 1;
                drop(memory);
                thread::sleep(Duration::from_millis(1));
            }
            header => return Ok((memory, header?)),
        }
    }
}

/// The memory of a section that may be an object, without taking part in it.
pub(crate) fn look(mode: MapMode, object: &Arc<str>, full_name: &str) -> Result<Memory, Error> {
    let opened = sys::open_section(full_name, mode == MapMode::ReadWrite);
    let section = opened.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { object: object.to_string() },
        _ => Error::Os { operation: "opening", object: object.to_string(), source },
    })?;
    let locks = Locks::of_section(full_name);
    Ok(map(&section, mode, object, None)?.with_locks(locks).with_names(full_name))
}

/// Whether a section that has a header was removed.
pub(crate) fn is_removed(memory: &Memory) -> Result<bool, Error> {
    Ok(memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED)
}

/// Maps a section: so many bytes, or all that it has, which are whole pages.
fn map(section: &OwnedDescriptor, mode: MapMode, object: &Arc<str>, len: Option<u64>) -> Result<Memory, Error> {
    let options = MapOptions::new(mode);
    let options = match len.map(usize::try_from) {
        Some(Ok(len)) => options.len(len),
        Some(Err(_)) => return Err(Error::invalid(&**object, "no memory is that large")),
        None => options,
    };
    let mapping = options.map(section).map_err(|source| Error::Map { object: object.to_string(), source })?;
    Ok(Memory::new(Arc::new(mapping), object.clone()))
}

/// Marks a section as removed.
pub(super) fn remove(object: &str, full_name: &str) -> Result<(), Error> {
    let memory = look(MapMode::ReadWrite, &object.into(), full_name)?;
    let _gate = Gate::pass(&memory, Hold::Exclusive)?;
    if let Err(error) = Header::read(&memory) {
        return Err(match Header::is_missing(&error) {
            true => Error::invalid(object, "a raw section can't be marked as removed: it ends with its last handle"),
            false => error,
        });
    }
    let state = memory.u32(STATE)?;
    if state.load(Ordering::Relaxed)? == REMOVED {
        return Err(Error::NotFound { object: object.to_owned() });
    }
    state.store(REMOVED, Ordering::Relaxed)
}
