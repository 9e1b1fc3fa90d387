//! Objects that are files: POSIX shared memory, and any other file.
//!
//! ```text
//! create   open(dir, O_TMPFILE) -> fallocate -> header, participant 1 -> linkat(dir, "name")
//! open     open -> map -> check the header -> gate, shared: not removed? -> number, lock -> still linked?
//! remove   open -> gate, exclusively -> unlink, if the name is still this file's -> state := removed
//! ```

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use mapio_map::descriptor::{self, BorrowedDescriptor};
use mapio_map::{MapMode, MapOptions};
use zerocopy::IntoBytes;

use super::ending::{finish, free_dead_name, is_dead};
use super::unnamed::{Linked, Unnamed};
use super::{ObjectKind, Parts, Place, SharedObject, SharedOptions, check, check_len, enter};
use crate::error::Error;
use crate::header::{HEADER_LEN, Header, Lifetime};
use crate::memory::Memory;
use crate::name::ObjectName;
use crate::participant::{GATE_PATIENCE, Participant};
use crate::sys;

/// How often a name is linked to, or a file mapped, while others change what is there.
const TRIES: u32 = 100;

pub(super) fn create(options: &SharedOptions, name: &ObjectName, path: &Path) -> Result<SharedObject, Error> {
    let object: Arc<str> = name.to_string().into();
    total_len(options, &object)?;
    for _ in 0..TRIES {
        // Before memory is set aside, of which there may not be enough for a second one.
        if is_taken(&object, path) {
            return Err(Error::Exists { object: object.to_string() });
        }
        let unnamed = Unnamed::new(path).map_err(Error::os("creating", &object))?;
        let made = fill(options, &unnamed.file, &object)?;
        unnamed.give_away(options, &object)?;
        if link(&unnamed, &object, path)? == Linked::Done {
            return SharedObject::new(kind_of(name), Place::Path(path.to_owned()), made);
        }
    }
    Err(Error::Exists { object: object.to_string() })
}

/// Whether something has a name that can't be taken from it. Whoever links finds out for certain.
fn is_taken(object: &Arc<str>, path: &Path) -> bool {
    path.symlink_metadata().is_ok() && !free_dead_name(object, path, GATE_PATIENCE)
}

/// Makes a new file an object: its length, its memory, its header, and its creator's part.
pub(super) fn fill(options: &SharedOptions, file: &File, object: &Arc<str>) -> Result<Parts, Error> {
    let total = total_len(options, object)?;
    sys::allocate(descriptor::of(file), 0..total).map_err(Error::os("setting memory aside for", object))?;
    let memory = map(file, MapMode::ReadWrite, object)?;
    let (header, participant) = begin(options, &memory)?;
    Ok(Parts { memory, header, participant })
}

/// Bytes of the object that is asked for, with its header, if creating it makes sense.
pub(super) fn total_len(options: &SharedOptions, object: &str) -> Result<u64, Error> {
    let total = checked_len(options, object)?;
    if options.raw && options.lifetime == Some(Lifetime::LastHandle) {
        return Err(Error::invalid(object, "nobody knows which handle of a raw object is the last"));
    }
    Ok(total)
}

/// The same where the system itself knows of the last handle.
pub(super) fn checked_len(options: &SharedOptions, object: &str) -> Result<u64, Error> {
    let len = options.len.filter(|len| *len > 0).ok_or_else(|| Error::invalid(object, "it needs a length"))?;
    if options.map_mode != MapMode::ReadWrite {
        return Err(Error::invalid(object, "what is created is mapped read-write"));
    }
    let head = if options.raw { 0 } else { u64::try_from(HEADER_LEN).unwrap_or(u64::MAX) };
    len.checked_add(head)
        .filter(|total| i64::try_from(*total).is_ok())
        .ok_or_else(|| Error::invalid(object, "no file is that long"))
}

/// Writes the header of a new object, of zeros, and takes part in it.
pub(super) fn begin(options: &SharedOptions, memory: &Memory) -> Result<(Option<Header>, Option<Participant>), Error> {
    if options.raw {
        return Ok((None, None));
    }
    let header = Header::new(options.len.unwrap_or(0), options.layout, options.contents, options.file_lifetime());
    memory.write(0, header.as_bytes())?;
    memory.write(HEADER_LEN, &options.first_bytes)?;
    Ok((Some(header), Some(Participant::join(memory, &options.role)?)))
}

pub(super) fn open(options: &SharedOptions, name: &ObjectName, path: &Path) -> Result<SharedObject, Error> {
    let object: Arc<str> = name.to_string().into();
    let file = open_file(&object, path, options.map_mode)?;
    let place = Place::Path(path.to_owned());
    let not_found = || Error::NotFound { object: object.to_string() };
    let parts = join(options, &file, &object, &place)?.ok_or_else(not_found)?;
    // It may have lost its name to a plain unlink(2) before we took part.
    if parts.header.is_some() {
        let has_name = sys::has_name(descriptor::of(&file), path).map_err(Error::os("asking about", &object))?;
        if !has_name {
            return Err(not_found());
        }
    }
    SharedObject::new(kind_of(name), place, parts)
}

/// Takes part in the object that a file is; `None` if it is removed or dead.
pub(super) fn join(
    options: &SharedOptions,
    file: &File,
    object: &Arc<str>,
    place: &Place,
) -> Result<Option<Parts>, Error> {
    if options.raw {
        let memory = map(file, options.map_mode, object)?;
        check_len(options, &memory)?;
        return Ok(Some(Parts { memory, header: None, participant: None }));
    }
    let (memory, header) = read_header(file, options.map_mode, object)?;
    // One that is dead does not exist, whatever it holds.
    if !is_dead(&memory, &header)? {
        check(options, &memory, &header)?;
    }
    match enter(&memory, &header, options)? {
        Some(participant) => Ok(Some(Parts { memory, header: Some(header), participant: Some(participant) })),
        None => {
            // Who may only read leaves it to others.
            if options.map_mode == MapMode::ReadWrite {
                finish(&memory, &header, place, GATE_PATIENCE)?;
            }
            Ok(None)
        }
    }
}

/// Maps a file and reads its header, which tells of more bytes than were mapped if somebody makes it longer meanwhile.
fn read_header(file: &File, mode: MapMode, object: &Arc<str>) -> Result<(Memory, Header), Error> {
    let mut tries = 0;
    loop {
        let memory = map(file, mode, object)?;
        let mapped = u64::try_from(memory.len()).unwrap_or(u64::MAX);
        match Header::read(&memory) {
            Err(Error::Corrupt { .. })
                if tries < TRIES && file.metadata().is_ok_and(|metadata| metadata.len() > mapped) =>
            {
                tries += 1;
            }
            header => return Ok((memory, header?)),
        }
    }
}

/// Gives an object its name: O1. A name that only the dead have used, or that was being removed, is free.
fn link(unnamed: &Unnamed, object: &Arc<str>, path: &Path) -> Result<Linked, Error> {
    for _ in 0..TRIES {
        match unnamed.link(path).map_err(Error::os("naming", object))? {
            Linked::Taken if free_dead_name(object, path, GATE_PATIENCE) => {}
            Linked::Taken => break,
            linked => return Ok(linked),
        }
    }
    Err(Error::Exists { object: object.to_string() })
}

/// Opens the file of an object, which errors call `object`.
pub(super) fn open_file(object: &str, path: &Path, mode: MapMode) -> Result<File, Error> {
    let file = sys::open_object(path, mode == MapMode::ReadWrite).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { object: object.to_owned() },
        _ => Error::Os { operation: "opening", object: object.to_owned(), source },
    })?;
    check_regular(descriptor::of(&file), object)?;
    Ok(file)
}

/// Refuses what can't be an object.
pub(super) fn check_regular(file: BorrowedDescriptor<'_>, object: &str) -> Result<(), Error> {
    if !sys::is_regular(file).map_err(Error::os("asking about", object))? {
        return Err(Error::Foreign { object: object.to_owned(), reason: "it is no regular file" });
    }
    Ok(())
}

pub(super) fn map(file: &File, mode: MapMode, object: &Arc<str>) -> Result<Memory, Error> {
    let mapping = MapOptions::new(mode).map(file);
    let mapping = mapping.map_err(|source| Error::Map { object: object.to_string(), source })?;
    Ok(Memory::new(Arc::new(mapping), object.clone()))
}

fn kind_of(name: &ObjectName) -> ObjectKind {
    if matches!(name, ObjectName::Posix(_)) { ObjectKind::Posix } else { ObjectKind::File }
}
