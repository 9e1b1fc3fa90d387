//! A shared object: bytes with a name, mapped by whoever opens it.
//!
//! [`SharedOptions`] says how; a file below `object/` does it for each kind. What all kinds have in common is here:
//! what is checked, who takes part, how it ends. docs/design/object.md has the argument.
//!
//! Invariants:
//! - O1: an object has its name only from the moment when it is whole, with its creator taking part.
//! - O2: a name is taken from an object only by who holds its gate exclusively, and only while the name is that
//!   object's.

pub(crate) mod ending;
// Memory files, and descriptors sent over sockets.
#[cfg(target_os = "linux")]
mod memfd;
mod named;
mod options;
mod reopen;
pub(crate) mod section;
mod size;
#[cfg(target_os = "linux")]
pub(crate) mod sysv;
#[cfg(not(target_os = "linux"))]
#[path = "object/no_sysv.rs"]
pub(crate) mod sysv;
pub(crate) mod unnamed;
mod words;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapio_map::{MapMode, MapOptions, Mapping, View, descriptor, lend_descriptor};

use crate::error::Error;
use crate::header::{HEADER_LEN, Header, Lifetime, REMOVED, STATE, text};
use crate::memory::{Memory, Ordering};
use crate::name::ObjectName;
use crate::participant::{self, Gate, Participant, User};
use crate::sys::{self, Hold};

use ending::LEAVING;

pub use options::SharedOptions;
pub(crate) use options::open_or_create;

/// What an object is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectKind {
    /// POSIX shared memory: a file of `/dev/shm`.
    Posix,
    /// A file.
    File,
    /// A memory file, without a name: memfd_create(2).
    Memfd,
    /// System V shared memory: shmget(2).
    SysV,
    /// A named section of the page file: CreateFileMapping of Windows.
    Section,
}

/// Where an object's name is, while it has one.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A path in the file system.
    Path(PathBuf),
    /// A System V segment, and the path of its lock file.
    Segment { id: i32, companion: PathBuf },
    /// A section of this name in the kernel.
    Section { full_name: Arc<str> },
    /// It never had one.
    #[allow(dead_code, reason = "only Linux has memory files")]
    Nowhere,
}

/// What an object is put together from.
struct Parts {
    /// All of it, mapped.
    memory: Memory,
    /// Checked; `None` in a raw object.
    header: Option<Header>,
    /// `None` in a raw object.
    participant: Option<Participant>,
}

/// Bytes that processes share; a handle, whose clones are one participant.
///
/// The bytes are reached through [`view`](Self::view), as those of a mapping are: no access is more than an `Err` when
/// somebody cuts the object short. What stands on an object keeps a clone, so the object stays open as long as it does.
///
/// ```
/// use mapio_shared::{SharedObject, SharedOptions};
/// # let name = &format!("mapio-doc-object-{}", std::process::id());
/// let mine = SharedOptions::new().len(4096).create(name)?;
/// mine.view().write_all_at(0, b"to whom it may concern").unwrap();
///
/// let yours = SharedOptions::new().open(name)?; // In another process, usually.
/// assert_eq!(yours.view().load::<[u8; 7]>(0).unwrap(), *b"to whom");
/// SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
///
/// # Crashes
/// A process that is killed at any instruction leaves an object that others can go on using, and remove. Its part in it
/// ends with it; see [`users`](Self::users).
///
/// # Forks
/// A child that was forked shares the handle's part in the object: it counts as alive until both are gone, or the
/// parent closes the handle. Open the object anew in the child. A program that is executed inherits nothing.
#[derive(Clone)]
pub struct SharedObject {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    kind: ObjectKind,
    place: Place,
    /// All of it.
    memory: Memory,
    /// What the user's bytes are: all but the header.
    contents: Memory,
    /// `None` in a raw object.
    header: Option<Header>,
    /// `None` in a raw object, and once it is being closed.
    participant: Option<Participant>,
}

impl SharedObject {
    /// How objects are made and opened.
    pub fn options() -> SharedOptions {
        SharedOptions::new()
    }

    /// What it was opened as.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What it is made of.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        self.inner.kind
    }

    /// Bytes that it has for its user.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.contents.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is without a header: made by others.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.inner.header.is_none()
    }

    /// How long it lives.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        match &self.inner.header {
            Some(header) => header.lifetime(),
            None if self.kind() == ObjectKind::Section => Lifetime::LastHandle,
            None => Lifetime::UntilRemoved,
        }
    }

    /// What was said to stand on it when it was made; empty if nothing was.
    #[must_use]
    pub fn contents(&self) -> String {
        self.inner.header.as_ref().map(Header::contents).unwrap_or_default()
    }

    /// A window on all its bytes, as the object was opened: [`SharedOptions::map_mode`].
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.inner.contents.view()
    }

    /// Maps a part of it once more, by itself: bytes from the start of the contents.
    ///
    /// A read-only mapping of an object that was opened for writing can't change it; a copy-on-write mapping keeps what
    /// it stores to itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a range outside; [`Error::Map`] with what mmap(2) says, such as `EACCES` for a writable
    /// mapping of an object that was opened for reading, or a copy-on-write mapping of a System V object.
    pub fn map(&self, range: Range<usize>, mode: MapMode) -> Result<Mapping, Error> {
        let inner = &self.inner;
        let len = range.end.checked_sub(range.start);
        let part =
            len.ok_or_else(|| Error::invalid(self.name(), format!("the range {range:?} ends before it starts")))?;
        inner.contents.part(range.start, part)?;
        let head = if self.is_raw() { 0 } else { HEADER_LEN };
        let offset = u64::try_from(head + range.start).unwrap_or(u64::MAX);
        let options = MapOptions::new(mode).offset(offset).len(part);
        let mapping = match &inner.place {
            Place::Segment { id, .. } => options.attach_sysv(*id, self.name()),
            _ => options.map(inner.memory.mapping()),
        };
        mapping.map_err(|source| Error::Map { object: self.name().to_owned(), source })
    }

    /// Who else has it open, and who died while he had; of a raw object nobody is known.
    ///
    /// At most 4096 are told apart. Does not block.
    ///
    /// # Errors
    /// [`Error::Os`] with what fcntl(2) says; [`Error::Fault`] when the object was cut short.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        if self.is_raw() {
            Ok(Vec::new())
        } else {
            participant::others(&self.inner.memory, self.inner.participant.as_ref())
        }
    }

    /// Whether somebody has removed it: no other process can open it any more.
    ///
    /// A raw object in a file that has several names counts as removed when it has lost the last.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short.
    pub fn is_removed(&self) -> Result<bool, Error> {
        if !self.is_raw() && self.inner.memory.u32(STATE)?.load(Ordering::Relaxed)? == REMOVED {
            return Ok(true);
        }
        // Who removes it may have died before he could say so, or have known nothing of headers.
        match &self.inner.place {
            Place::Path(path) => {
                let named = sys::has_name(descriptor::of(self), path);
                Ok(!named.map_err(Error::os("asking about", self.name()))?)
            }
            Place::Segment { id, .. } => Ok(sysv::is_gone(*id)),
            Place::Section { .. } | Place::Nowhere => Ok(false),
        }
    }

    /// Takes the name from an object: nobody can open it any more, and those who have it open go on using it. The bytes
    /// are given back when the last of them closes it.
    ///
    /// Waits up to five seconds for others who are just opening or removing it.
    ///
    /// A file that has several names is one object: it loses this name, and can't be opened by the others.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Os`] with what open(2), unlink(2) and shmctl(2) say; [`Error::Timeout`]. The
    /// object is then as it was.
    #[doc(alias("shm_unlink", "IPC_RMID"))]
    pub fn remove<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<(), Error> {
        let name = ObjectName::given(name)?;
        match (&name, name.path()) {
            (_, Some(path)) => ending::remove_file(&name.to_string(), &path),
            (ObjectName::Posix(_) | ObjectName::Global(_), _) => section::remove(&name.to_string(), &name.full_name()),
            _ => sysv::remove(&name),
        }
    }

    /// The contents, for what stands on them.
    #[expect(clippy::misnamed_getters, reason = "the header is nobody else's business")]
    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.contents
    }

    /// The handle's own part in the object.
    ///
    /// # Errors
    /// [`Error::Foreign`] in a raw object, where nobody knows who is alive; [`Error::Invalid`] for one that is open for
    /// reading only.
    pub(crate) fn participant(&self) -> Result<&Participant, Error> {
        let object = || self.name().to_owned();
        let raw = || Error::Foreign { object: object(), reason: "a raw object does not tell who is alive" };
        let participant = self.inner.participant.as_ref().ok_or_else(raw)?;
        if participant.is_reader() {
            return Err(Error::invalid(object(), "it is open for reading only"));
        }
        Ok(participant)
    }

    /// Whether this is a copy of the handle in a child of the process that has opened it: fork(2).
    #[cfg(not(loom))]
    pub(crate) fn is_forked(&self) -> bool {
        self.inner.participant.as_ref().is_some_and(Participant::is_forked)
    }

    /// An object whose bytes are mapped, and whose header was checked, with the handle taking part.
    fn new(kind: ObjectKind, place: Place, parts: Parts) -> Result<Self, Error> {
        let Parts { memory, header, participant } = parts;
        let (start, len) = match &header {
            Some(header) => (HEADER_LEN, usize::try_from(header.len).unwrap_or(usize::MAX)),
            None => (0, memory.len()),
        };
        let contents = memory.part(start, len)?;
        let name = memory.object().into();
        Ok(Self { inner: Arc::new(Inner { name, kind, place, memory, contents, header, participant }) })
    }
}

lend_descriptor!(
    /// The file or the section that the object is, to be looked at. Locks on a file's bytes from 2^62 - 1 on are the
    /// object's own, so do not pass a duplicate of it on: `send` does. A System V object has none, and what stands for
    /// it tells nothing but its length.
    SharedObject,
    |object| descriptor::of(object.inner.memory.mapping())
);

impl fmt::Debug for SharedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedObject")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// Leaves in order; the last to leave an object of [`Lifetime::LastHandle`] removes it, for which it waits half a
    /// second at most, should somebody be stopped who is just opening or closing it.
    fn drop(&mut self) {
        // A failure leaves the object to the next who opens it, or cleans up; there is nobody to tell.
        let Some(participant) = self.participant.take().filter(|participant| !participant.is_forked()) else { return };
        let reader = participant.is_reader();
        drop(participant);
        let lifetime = self.header.as_ref().map_or(Lifetime::UntilRemoved, Header::lifetime);
        if lifetime != Lifetime::LastHandle {
            return;
        }
        match &self.place {
            // The system does it.
            Place::Section { .. } => {}
            _ if !reader => {
                let _ = ending::leave(&self.memory, &self.place);
            }
            // Who only reads can't hold the gate as it must be held, unless he might have opened the object otherwise.
            Place::Path(path) => {
                ending::free_dead_name(&self.name, path, LEAVING);
            }
            Place::Segment { id, .. } => {
                sysv::free_dead_segment(&self.name, *id, LEAVING);
            }
            Place::Nowhere => {}
        }
    }
}

/// Takes part in an object that has a header, unless it was removed or only the dead have used it: then `None`.
fn enter(memory: &Memory, header: &Header, options: &SharedOptions) -> Result<Option<Participant>, Error> {
    let _gate = Gate::pass(memory, Hold::Shared)?;
    if ending::is_dead(memory, header)? {
        return Ok(None);
    }
    match options.map_mode {
        MapMode::ReadWrite => Participant::join(memory, &options.role).map(Some),
        MapMode::ReadOnly | MapMode::CopyOnWrite => Participant::join_reading(memory).map(Some),
    }
}

/// The memory of a file that may be an object, without taking part in it.
pub(crate) fn open_to_look(object: &Arc<str>, path: &Path, mode: MapMode) -> Result<Memory, Error> {
    named::map(&named::open_file(object, path, mode)?, mode, object)
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
