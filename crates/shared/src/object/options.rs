//! How an object is made or opened.

use mapio_map::MapMode;

use super::{SharedObject, named, section, sysv};
use crate::error::Error;
use crate::header::{Lifetime, field};
use crate::layout::Layout;
use crate::name::ObjectName;

/// How often opening and creating are tried in turns, while others remove and create the same name.
const TURNS: u32 = 1000;

/// Everything that can be asked of an object; then [`create`](Self::create), [`open`](Self::open) or
/// [`open_or_create`](Self::open_or_create).
///
/// What is not asked for is not checked: an object is opened with whatever length and layout it has.
#[derive(Debug, Clone)]
#[must_use]
pub struct SharedOptions {
    pub(super) len: Option<u64>,
    pub(super) permissions: u32,
    pub(super) owner: (Option<u32>, Option<u32>),
    /// `None`: not said.
    pub(super) lifetime: Option<Lifetime>,
    /// 0: not said.
    pub(super) layout: u64,
    pub(super) contents: [u8; 16],
    /// What the contents begin with when they are made.
    pub(super) first_bytes: Vec<u8>,
    pub(super) role: String,
    pub(super) map_mode: MapMode,
    pub(super) raw: bool,
    pub(super) fixed_len: bool,
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedOptions {
    /// Read-write, with a header, for the owner alone, until removed.
    pub fn new() -> Self {
        Self {
            len: None,
            permissions: 0o600,
            owner: (None, None),
            lifetime: None,
            layout: 0,
            contents: [0; 16],
            first_bytes: Vec::new(),
            role: String::new(),
            map_mode: MapMode::ReadWrite,
            raw: false,
            fixed_len: false,
        }
    }

    /// Bytes for the user, at least 1. An object that exists must have as many; a raw object at least as many.
    pub fn len(mut self, bytes: u64) -> Self {
        self.len = Some(bytes);
        self
    }

    /// Who may open the object that is created: the nine bits of chmod(2), `0o600` if nothing is said. The process's
    /// umask has no say.
    ///
    /// On Windows the bits for the group must be those for everybody (`0o600`, `0o644`, `0o666`), or creating answers
    /// [`Error::Os`](crate::Error::Os), `Unsupported`: the primary group of a user is one that all users are in.
    #[doc(alias = "mode")]
    pub fn permissions(mut self, mode: u32) -> Self {
        self.permissions = mode;
        self
    }

    /// Whose the object that is created is, as chown(2) has it; `None` for what it would be otherwise.
    pub fn owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        self.owner = (user, group);
        self
    }

    /// How long the object that is created lives; if nothing is said, until it is removed, or on Windows, where its
    /// name is that of a section, until the last handle is closed.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The lifetime of an object that is a file, or goes like one.
    pub(super) fn file_lifetime(&self) -> Lifetime {
        self.lifetime.unwrap_or_default()
    }

    /// What the contents look like. An object that exists must have been made for the same.
    pub fn layout<T: Layout>(self) -> Self {
        self.layout_hash(T::HASH)
    }

    /// The same, by the number; 0 is "not said".
    pub fn layout_hash(mut self, hash: u64) -> Self {
        self.layout = hash;
        self
    }

    /// What stands on the object, in up to 16 bytes of text. An object that exists must have been made for the same.
    pub fn contents(mut self, what: &str) -> Self {
        self.contents = field(what);
        self
    }

    /// What the contents of the object that is created begin with, before it has its name; the rest is zeros.
    pub(crate) fn first_bytes(mut self, bytes: &[u8]) -> Self {
        self.first_bytes = bytes.to_vec();
        self
    }

    /// What this process does with the object, in up to 16 bytes of text, for [`users`](SharedObject::users).
    pub fn role(mut self, role: &str) -> Self {
        role.clone_into(&mut self.role);
        self
    }

    /// How the object is mapped: read-write, read-only, or copy-on-write, where what is stored stays one's own.
    ///
    /// The last two need only the permission to read, can't change the object, and take no part in locks and channels
    /// except by reading.
    pub fn map_mode(mut self, mode: MapMode) -> Self {
        self.map_mode = mode;
        self
    }

    /// An object without a header: all of its bytes are the user's. That is how others make and see objects. Nobody
    /// knows who uses it, so nothing that needs to know can stand on it.
    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// A memory file that can't grow either: `F_SEAL_GROW`. Of other kinds it says nothing.
    #[doc(alias = "F_SEAL_GROW")]
    pub fn fixed_len(mut self) -> Self {
        self.fixed_len = true;
        self
    }

    /// Makes an object, of zeros, that did not exist.
    ///
    /// It is whole when it gets its name: nobody sees a part of it, whatever happens meanwhile, and its memory is set
    /// aside, so that it can't run out later. May take as long as the system needs to find that memory.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Invalid`] without a length; [`Error::Os`] with what open(2), fallocate(2) and
    /// link(2) say: `ENOSPC` when there is not enough memory, `EACCES`; of System V objects, shmget(2) and shmctl(2).
    #[doc(alias("shm_open", "shmget"))]
    pub fn create<N: TryInto<ObjectName, Error: Into<Error>>>(&self, name: N) -> Result<SharedObject, Error> {
        let name = ObjectName::given(name)?;
        match (&name, name.path()) {
            (_, Some(path)) => named::create(self, &name, &path),
            (ObjectName::SysVKey(key), _) => sysv::create(self, *key),
            (ObjectName::Posix(_) | ObjectName::Global(_), _) => {
                section::create(self, &name.to_string(), &name.full_name())
            }
            _ => Err(Error::invalid(name.to_string(), "the system chooses identifiers (see create_sysv_private)")),
        }
    }

    /// Opens an object that exists.
    ///
    /// Waits up to five seconds for others who are just removing it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::WrongLayout`] when it has another length, layout or contents than asked for;
    /// [`Error::Foreign`] when it has no header that this version understands; [`Error::Corrupt`] when the header lies;
    /// [`Error::Os`] with what open(2) says, and with what unlink(2) says of an object of [`Lifetime::LastHandle`] that
    /// nobody alive uses, if it can't be removed; [`Error::Timeout`] when somebody is stopped in the middle of removing
    /// or making it.
    #[doc(alias("shm_open", "shmget"))]
    pub fn open<N: TryInto<ObjectName, Error: Into<Error>>>(&self, name: N) -> Result<SharedObject, Error> {
        let name = ObjectName::given(name)?;
        match (&name, name.path()) {
            (_, Some(path)) => named::open(self, &name, &path),
            (ObjectName::Posix(_) | ObjectName::Global(_), _) => {
                section::open(self, &name.to_string(), &name.full_name())
            }
            _ => sysv::open(self, &name),
        }
    }

    /// Opens an object, or makes it if there is none; among several who do, one makes it.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create<N: TryInto<ObjectName, Error: Into<Error>>>(&self, name: N) -> Result<SharedObject, Error> {
        let name = ObjectName::given(name)?;
        open_or_create(&name, || self.open(&name), || self.create(&name))
    }
}

/// Opens what has a name, or makes it if nothing has.
pub(crate) fn open_or_create<T>(
    name: &ObjectName,
    open: impl Fn() -> Result<T, Error>,
    create: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..TURNS {
        match open() {
            Err(Error::NotFound { .. }) => {}
            opened => return opened,
        }
        match create() {
            Err(Error::Exists { .. }) => {}
            created => return created,
        }
    }
    Err(Error::Exists { object: name.to_string() })
}
