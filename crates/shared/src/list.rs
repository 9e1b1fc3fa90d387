//! What objects there are, and who uses them, without taking part in any.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mapio_map::MapMode;

use crate::error::Error;
use crate::header::{Header, Lifetime};
use crate::memory::Memory;
use crate::name::ObjectName;
use crate::object::section;
use crate::object::sysv::{self, COMPANION_PREFIX, attach_with_companion};
use crate::object::unnamed::is_temporary;
use crate::object::{ObjectKind, open_to_look};
use crate::participant::{self, User};
use crate::sys::{self, Maps, SegmentStatus};

/// How it is known who uses an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// Nobody is asked: the process may not look into the object.
    None,
    /// The locks of its participants, which tell of all of them and of nobody else.
    Locks,
    /// `/proc/PID/maps` of the processes that this one may look at: those who have mapped it now. There may be others.
    Maps,
}

/// What can be told of an object from outside.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// What it can be opened as. System V objects without a key are named by their identifier.
    pub name: ObjectName,
    /// What it is made of.
    pub kind: ObjectKind,
    /// Bytes that it has for its users; of a raw object, all.
    pub len: u64,
    /// The nine bits of chmod(2); 0 where the system does not tell, as of sections.
    pub permissions: u32,
    /// The number of the user whose it is; 0 where users have none.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
    /// When it was made, as far as that is known: by the header, else by the file system or the kernel.
    pub created: Option<SystemTime>,
    /// Whether it has no header, or none that can be read: `problem` tells why, if it should.
    pub raw: bool,
    /// What was said to stand on it; empty if nothing was.
    pub contents: String,
    /// `Layout::HASH` of what it holds; 0 if nothing was said.
    pub layout: u64,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Who uses it, and whose card is there that has died.
    pub users: Vec<User>,
    /// How the users are known.
    pub evidence: Evidence,
    /// Why not more is told: a header that lies, permissions.
    pub problem: Option<String>,
}

/// Everything in `/dev/shm`, and all System V segments of the IPC namespace, by name; on Windows, all named sections of
/// the session and of the machine, whoever has made them.
///
/// Reads `/proc` when there are raw objects: some milliseconds for a hundred processes. Does not block.
///
/// # Errors
/// [`Error::Os`] when `/dev/shm` or `/proc/sysvipc/shm` can't be read. What can't be looked at has a
/// [`problem`](ObjectInfo::problem).
pub fn list_all() -> Result<Vec<ObjectInfo>, Error> {
    let mut maps = Maps::default();
    let mut found = Vec::new();
    for name in all_names()? {
        match look_at(&name, &mut maps) {
            // It was removed meanwhile.
            Err(Error::NotFound { .. }) => {}
            info => found.push(info?),
        }
    }
    Ok(found)
}

/// What can be told of one object.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Os`] when not even its permissions can be told.
pub fn inspect<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<ObjectInfo, Error> {
    look_at(&ObjectName::given(name)?, &mut Maps::default())
}

/// The names of all objects, in order.
pub(crate) fn all_names() -> Result<Vec<ObjectName>, Error> {
    let mut names = names_of_files()?;
    let sections = sys::sections().map_err(Error::os("reading", "the names of sections"))?;
    names.extend(sections.into_iter().map(|(name, is_global)| ObjectName::of_section(name, is_global)));
    // Without System V there are no such objects.
    let segments = sys::segments().unwrap_or_default();
    names.extend(segments.iter().filter(|segment| !segment.is_removed).map(name_of));
    names.sort();
    Ok(names)
}

/// The names of POSIX shared memory.
fn names_of_files() -> Result<Vec<ObjectName>, Error> {
    let mut names = Vec::new();
    let Some(folder) = sys::OBJECT_FOLDER else { return Ok(names) };
    for entry in fs::read_dir(folder).map_err(Error::os("reading", folder))? {
        let entry = entry.map_err(Error::os("reading", folder))?;
        let file_name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = file_name.to_string_lossy();
        if !is_file || name.starts_with(COMPANION_PREFIX) || is_temporary(&name) {
            continue;
        }
        names.push(match file_name.into_string() {
            Ok(name) => ObjectName::Posix(name),
            Err(_) => ObjectName::File(entry.path()),
        });
    }
    Ok(names)
}

fn name_of(segment: &SegmentStatus) -> ObjectName {
    if segment.key == 0 { ObjectName::SysVId(segment.id) } else { ObjectName::SysVKey(segment.key) }
}

fn look_at(name: &ObjectName, maps: &mut Maps) -> Result<ObjectInfo, Error> {
    match (name, name.path()) {
        (_, Some(path)) => look_at_file(name, &path, maps),
        (ObjectName::Posix(_) | ObjectName::Global(_), _) => look_at_section(name),
        _ => look_at_segment(name, maps),
    }
}

fn look_at_file(name: &ObjectName, path: &Path, maps: &mut Maps) -> Result<ObjectInfo, Error> {
    let object: Arc<str> = name.to_string().into();
    let metadata = fs::symlink_metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { object: object.to_string() },
        _ => Error::os("asking about", &object)(source),
    })?;
    let kind = if matches!(name, ObjectName::Posix(_)) { ObjectKind::Posix } else { ObjectKind::File };
    let (permissions, user, group) = sys::permissions(&metadata);
    let mut info = ObjectInfo {
        name: name.clone(),
        kind,
        len: metadata.len(),
        permissions,
        user,
        group,
        created: metadata.created().or_else(|_| metadata.modified()).ok(),
        raw: true,
        contents: String::new(),
        layout: 0,
        lifetime: Lifetime::UntilRemoved,
        users: Vec::new(),
        evidence: Evidence::None,
        problem: None,
    };
    let seen = open_to_look(&object, path, MapMode::ReadOnly).and_then(|memory| info.read_header(&memory));
    if let Err(error) = seen {
        info.explain(error)?;
    }
    if info.raw {
        info.users_by_maps(maps.of_file(&metadata));
    }
    Ok(info)
}

fn look_at_segment(name: &ObjectName, maps: &mut Maps) -> Result<ObjectInfo, Error> {
    let object: Arc<str> = name.to_string().into();
    let not_found = || Error::NotFound { object: object.to_string() };
    let segments = sys::segments().map_err(Error::os("asking about", &object))?;
    // By the table rather than by shmget(2), which needs permission.
    let wanted = |segment: &SegmentStatus| match name {
        ObjectName::SysVKey(key) => segment.key == *key && !segment.is_removed,
        ObjectName::SysVId(id) => segment.id == *id,
        _ => false,
    };
    let status = segments.into_iter().find(wanted).ok_or_else(not_found)?;
    let mut info = ObjectInfo {
        name: name.clone(),
        kind: ObjectKind::SysV,
        len: status.len,
        permissions: status.mode,
        user: status.user,
        group: status.group,
        created: UNIX_EPOCH.checked_add(Duration::from_secs(status.changed_s)),
        raw: true,
        contents: String::new(),
        layout: 0,
        lifetime: Lifetime::UntilRemoved,
        users: Vec::new(),
        evidence: Evidence::None,
        problem: sysv::is_abandoned(&status).then(|| "its maker died before it was whole".to_owned()),
    };
    let seen = match attach_with_companion(status.id, MapMode::ReadOnly, &object) {
        Ok(Some(memory)) => info.read_header(&memory),
        Ok(None) => return Err(not_found()),
        Err(error) => Err(error),
    };
    if let Err(error) = seen {
        info.explain(error)?;
    }
    if info.raw {
        info.users_by_maps(maps.of_segment(status.id));
    }
    Ok(info)
}

/// A section tells of itself what its header does; whose it is and who may open it, others may not ask.
fn look_at_section(name: &ObjectName) -> Result<ObjectInfo, Error> {
    let object: Arc<str> = name.to_string().into();
    let memory = section::look(MapMode::ReadOnly, &object, &name.full_name());
    let mut info = ObjectInfo {
        name: name.clone(),
        kind: ObjectKind::Section,
        len: memory.as_ref().map_or(0, |memory| u64::try_from(memory.len()).unwrap_or(u64::MAX)),
        permissions: 0,
        user: 0,
        group: 0,
        created: None,
        raw: true,
        contents: String::new(),
        layout: 0,
        lifetime: Lifetime::LastHandle,
        users: Vec::new(),
        evidence: Evidence::None,
        problem: None,
    };
    let seen = memory.and_then(|memory| {
        info.read_header(&memory)?;
        // It goes with its last handle, and its name is nobody's until then.
        if section::is_removed(&memory)? { Err(Error::NotFound { object: object.to_string() }) } else { Ok(()) }
    });
    if let Err(error) = seen {
        info.explain(error)?;
    }
    Ok(info)
}

impl ObjectInfo {
    /// Fills in what the object tells of itself.
    fn read_header(&mut self, memory: &Memory) -> Result<(), Error> {
        let header = Header::read(memory)?;
        self.users = participant::others(memory, None)?;
        self.evidence = Evidence::Locks;
        self.raw = false;
        self.len = header.len;
        self.contents = header.contents();
        self.layout = header.layout;
        self.lifetime = header.lifetime();
        self.created = UNIX_EPOCH.checked_add(Duration::from_nanos(header.created_ns)).or(self.created);
        Ok(())
    }

    /// Keeps the reason why an object tells nothing of itself, unless it is that others have made it.
    fn explain(&mut self, error: Error) -> Result<(), Error> {
        self.problem = Some(match error {
            Error::NotFound { .. } => return Err(error),
            error if Header::is_missing(&error) => return Ok(()),
            Error::Foreign { reason, .. } => reason.to_owned(),
            Error::Os { source, .. } => source.to_string(),
            error => error.to_string(),
        });
        Ok(())
    }

    fn users_by_maps(&mut self, pids: Option<&[u32]>) {
        let user =
            |pid: &u32| User { pid: Some(*pid), name: sys::name_of(*pid).unwrap_or_default(), ..User::unknown(0) };
        let Some(pids) = pids else { return };
        self.users = pids.iter().map(user).collect();
        self.evidence = Evidence::Maps;
    }
}
