//! Objects that are files: POSIX shared memory, and any other file.
//!
//! ```text
//! create   open(dir, O_TMPFILE) -> fallocate -> header, participant 1 -> linkat(dir, "name")
//! remove   open -> gate, exclusively -> state := removed -> unlink, if the name is still this file's
//! ```
//! Where there are no unnamed files, a file with a temporary name is linked to the object's name, and loses its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapio_map::{MapMode, MapOptions};
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use zerocopy::IntoBytes;

use super::{ObjectKind, SharedObject, SharedOptions, enter};
use crate::error::Error;
use crate::header::{HEADER_LEN, Header, Lifetime, REMOVED, STATE, text};
use crate::memory::{Memory, Ordering};
use crate::name::ObjectName;
use crate::participant::{Gate, Participant, has_others};
use crate::sys::Hold;

/// How the names of files begin that have not got their object's name yet.
const TEMPORARY_PREFIX: &str = ".mapio-new-";
/// How often a name is linked to, while others remove what has it.
const LINK_TRIES: u32 = 100;
/// Bytes that are written at a time where there is no fallocate(2).
const ZEROS: [u8; 65_536] = [0; 65_536];

/// Makes an object; `init` gets its contents, all zeros, before it has its name.
pub(super) fn create(
    options: &SharedOptions,
    name: &ObjectName,
    path: &Path,
    init: impl FnOnce(&Memory) -> Result<(), Error>,
) -> Result<SharedObject, Error> {
    let object: Arc<str> = name.to_string().into();
    let len = options.len.filter(|len| *len > 0).ok_or_else(|| Error::invalid(&*object, "it needs a length"))?;
    if options.map_mode != MapMode::ReadWrite {
        return Err(Error::invalid(&*object, "what is created is mapped read-write"));
    }
    if options.raw && options.lifetime == Lifetime::LastHandle {
        return Err(Error::invalid(&*object, "nobody knows which handle of a raw object is the last"));
    }
    let head = if options.raw { 0 } else { u64::try_from(HEADER_LEN).unwrap_or(u64::MAX) };
    let total = len.checked_add(head).ok_or_else(|| Error::invalid(&*object, "no file is that long"))?;
    let os = |operation| Error::os(operation, &object);
    let unnamed = Unnamed::new(path).map_err(os("creating"))?;
    let file = &unnamed.file;
    allocate(file, total).map_err(os("setting memory aside for"))?;
    let memory = map(file, MapMode::ReadWrite, &object)?;
    let (header, participant) = if options.raw {
        (None, None)
    } else {
        let header = Header::new(len, options.layout, options.contents, options.lifetime);
        memory.write(0, header.as_bytes())?;
        (Some(header), Some(Participant::join(&memory, &options.role)?))
    };
    init(&memory.part(usize::try_from(head).unwrap_or(usize::MAX), usize::try_from(len).unwrap_or(usize::MAX))?)?;
    // The owner first: chown(2) clears bits of the mode.
    let (user, group) = (options.owner.0.map(Uid::from_raw), options.owner.1.map(Gid::from_raw));
    if user.is_some() || group.is_some() {
        rustix::fs::fchown(file, user, group).map_err(io::Error::from).map_err(os("giving away"))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(options.permissions & 0o777))
        .map_err(io::Error::from)
        .map_err(os("setting the permissions of"))?;
    link(&unnamed, name, path)?;
    SharedObject::new(object, kind_of(name), Some(path.to_owned()), memory, header, participant)
}

pub(super) fn open(options: &SharedOptions, name: &ObjectName, path: &Path) -> Result<SharedObject, Error> {
    let object: Arc<str> = name.to_string().into();
    let file = open_file(name, path, options.map_mode)?;
    let memory = map(&file, options.map_mode, &object)?;
    let made = |memory, header, participant| {
        SharedObject::new(object.clone(), kind_of(name), Some(path.to_owned()), memory, header, participant)
    };
    if options.raw {
        check_len(options, &memory)?;
        return made(memory, None, None);
    }
    let header = Header::read(&memory)?;
    match enter(&memory, &header, options)? {
        // It may have lost its name to a plain unlink(2) before we took part.
        Some(participant) if is_linked(&file) => {
            check(options, &memory, &header)?;
            made(memory, Some(header), Some(participant))
        }
        Some(_) => Err(Error::NotFound { object: object.to_string() }),
        None => {
            finish(&memory, path, options.map_mode)?;
            Err(Error::NotFound { object: object.to_string() })
        }
    }
}

/// Takes the name from what has it.
pub(super) fn remove(object: &str, path: &Path) -> Result<(), Error> {
    let name = ObjectName::file(path);
    let file = open_file(&name, path, MapMode::ReadWrite).or_else(|error| match error {
        // Removing is a matter of the folder's permissions, not of the file's.
        Error::Os { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            open_file(&name, path, MapMode::ReadOnly)
        }
        error => Err(error),
    });
    let file = file.map_err(|error| named(error, object))?;
    let memory = map(&file, MapMode::ReadOnly, &object.into())?;
    if Header::read(&memory).is_err() {
        // A raw object, or a damaged one.
        return unlink_if_same(&memory, path);
    }
    match map(&file, MapMode::ReadWrite, &object.into()) {
        Ok(memory) => take_name(&memory, path, &Gate::pass(&memory, Hold::Exclusive)?),
        Err(_) => unlink_if_same(&memory, path),
    }
}

/// Marks an object as removed, and takes its name: O2. Can be repeated by anybody, should the process die in between.
pub(super) fn take_name(memory: &Memory, path: &Path, _: &Gate<'_>) -> Result<(), Error> {
    memory.u32(STATE)?.store(REMOVED, Ordering::Relaxed)?;
    unlink_if_same(memory, path)
}

/// Takes the name from an object that was found removed, or used by the dead alone.
fn finish(memory: &Memory, path: &Path, mode: MapMode) -> Result<(), Error> {
    if mode != MapMode::ReadWrite {
        // Who may only read leaves it to others.
        return Ok(());
    }
    let gate = Gate::pass(memory, Hold::Exclusive)?;
    let removed = memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED;
    if removed || !has_others(memory)? { take_name(memory, path, &gate) } else { Ok(()) }
}

fn unlink_if_same(memory: &Memory, path: &Path) -> Result<(), Error> {
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

/// A file that has no name yet, or one that nobody knows.
struct Unnamed {
    file: File,
    /// Its temporary name; lost when dropped.
    temporary: Option<PathBuf>,
}

impl Unnamed {
    fn new(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), temporary: None }),
            // What file systems without unnamed files answer; see open(2).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let named = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
                let (file, path) = named.keep().map_err(|error| error.error)?;
                Ok(Self { file, temporary: Some(path) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file a name that nothing has; `false` if something has it.
    fn link(&self, path: &Path) -> io::Result<bool> {
        let linked = match &self.temporary {
            None => {
                let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)
            }
            Some(temporary) => rustix::fs::link(temporary, path),
        };
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // If it fails, the file stays as what it is: a temporary one in the folder.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Gives an object its name: O1. A name that only the dead have used, or that was being removed, is free.
fn link(unnamed: &Unnamed, name: &ObjectName, path: &Path) -> Result<(), Error> {
    let object = name.to_string();
    for _ in 0..LINK_TRIES {
        if unnamed.link(path).map_err(Error::os("naming", &object))? {
            return Ok(());
        }
        match open(&SharedOptions::new(), name, path) {
            Err(Error::NotFound { .. }) => {}
            _ => break,
        }
    }
    Err(Error::Exists { object })
}

/// Sets memory or blocks aside, so that no store meets a full file system later.
fn allocate(file: &File, len: u64) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len)) {
        Ok(()) => Ok(()),
        // Where the file system can't, zeros are written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let mut written = 0;
            while written < len {
                let chunk = usize::try_from(len - written).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
                std::os::unix::fs::FileExt::write_all_at(file, &ZEROS[..chunk], written)?;
                written += u64::try_from(chunk).map_err(io::Error::other)?;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn open_file(name: &ObjectName, path: &Path, mode: MapMode) -> Result<File, Error> {
    let object = name.to_string();
    // As shm_open(3): a symbolic link is not followed, so the name is the object's own. Opening a pipe or a terminal by
    // accident waits for nobody.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let opened = OpenOptions::new().read(true).write(mode == MapMode::ReadWrite).custom_flags(flags).open(path);
    let file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { object: object.clone() },
        _ => Error::Os { operation: "opening", object: object.clone(), source },
    })?;
    let status = rustix::fs::fstat(&file).map_err(io::Error::from).map_err(Error::os("asking about", &object))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Error::Foreign { object, reason: "it is no regular file" });
    }
    Ok(file)
}

fn map(file: &File, mode: MapMode, object: &Arc<str>) -> Result<Memory, Error> {
    let mapping = MapOptions::new(mode).map(file);
    let mapping = mapping.map_err(|source| Error::Map { object: object.to_string(), source })?;
    Ok(Memory::new(Arc::new(mapping), object.clone()))
}

/// Compares what was asked for with what is there.
fn check(options: &SharedOptions, memory: &Memory, header: &Header) -> Result<(), Error> {
    let wrong = |expected: String, found: String| {
        Err(Error::WrongLayout { object: memory.object().to_owned(), expected, found })
    };
    if options.contents != [0; 16] && options.contents != header.contents {
        let quoted = |contents: &[u8]| format!("`{}`", text(contents));
        return wrong(quoted(&options.contents), quoted(&header.contents));
    }
    if options.layout != 0 && options.layout != header.layout {
        return wrong(format!("layout {:016x}", options.layout), format!("layout {:016x}", header.layout));
    }
    if let Some(len) = options.len
        && len != header.len
    {
        return wrong(format!("{len} bytes"), format!("{} bytes", header.len));
    }
    Ok(())
}

/// The same for a raw object, whose length others may have rounded up.
fn check_len(options: &SharedOptions, memory: &Memory) -> Result<(), Error> {
    let found = u64::try_from(memory.len()).unwrap_or(u64::MAX);
    match options.len {
        Some(len) if len > found => Err(Error::WrongLayout {
            object: memory.object().to_owned(),
            expected: format!("{len} bytes"),
            found: format!("{found} bytes"),
        }),
        _ => Ok(()),
    }
}

fn is_linked(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

fn kind_of(name: &ObjectName) -> ObjectKind {
    if matches!(name, ObjectName::Posix(_)) { ObjectKind::Posix } else { ObjectKind::File }
}

/// An error about a path, about the name that the user knows.
fn named(error: Error, object: &str) -> Error {
    match error {
        Error::NotFound { .. } => Error::NotFound { object: object.to_owned() },
        Error::Os { operation, source, .. } => Error::Os { operation, object: object.to_owned(), source },
        Error::Foreign { reason, .. } => Error::Foreign { object: object.to_owned(), reason },
        error => error,
    }
}
