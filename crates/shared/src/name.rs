//! What objects are called: one line of text for each kind.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::Error;
use crate::sys;

/// Where named POSIX objects are: shm_overview(7).
#[cfg(target_os = "linux")]
pub(crate) const SHM_DIR: &str = "/dev/shm";
/// How the names of files begin that are no objects: lock files, and what has no name yet.
const OWN_PREFIX: &str = ".mapio-";
/// What the full names of sections begin with: the session's, and the machine's ("Kernel object namespaces").
const LOCAL: &str = r"Local\";
const GLOBAL: &str = r"Global\";

/// The name of an object, and with it, of what kind it is.
///
/// | text | kind |
/// |---|---|
/// | `NAME`, `/NAME`, `posix:NAME` | POSIX shared memory, as by shm_open(3): `/dev/shm/NAME`; on Windows a section of the page file, as by CreateFileMapping, `Local\NAME` |
/// | `Local\NAME` | on Windows, the same as `NAME` |
/// | `Global\NAME` | on Windows, a section of that name for all sessions |
/// | `file:PATH` | a file |
/// | `sysv:KEY` | System V shared memory by its key, in decimal, or in hexadecimal behind `0x`: shmget(2) |
/// | `sysv-id:ID` | the same by its identifier, as ipcs(1) shows it |
///
/// System V shared memory is Linux's. On Windows only services and administrators may make a section for all sessions
/// (`SeCreateGlobalPrivilege`); everybody may open one that allows it.
///
/// ```
/// use mapio_shared::ObjectName;
/// let name: ObjectName = "/frames".parse()?;
/// assert_eq!(name.to_string(), "frames");
/// assert!("a/b".parse::<ObjectName>().is_err());
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ObjectName {
    /// POSIX shared memory: 1 to 255 bytes without a slash. On Windows a section in the session's namespace, of up to
    /// 180 bytes without a backslash.
    Posix(String),
    /// A section of Windows in the namespace of all sessions.
    Global(String),
    /// A file.
    File(PathBuf),
    /// System V shared memory by its key; 0 is none: that is `IPC_PRIVATE`.
    SysVKey(i32),
    /// System V shared memory by its identifier.
    SysVId(i32),
}

impl ObjectName {
    /// The name of a file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// Where the object is in the file system, if it is there; it stays there when the current folder changes.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Posix(name) => sys::OBJECT_FOLDER.map(|folder| Path::new(folder).join(name)),
            Self::File(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Self::Global(_) | Self::SysVKey(_) | Self::SysVId(_) => None,
        }
    }

    /// What the kernel calls a section.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Posix(name) => format!("{LOCAL}{name}"),
            name => name.to_string(),
        }
    }

    /// The object that has this name in the session's namespace, or in that of the machine.
    pub(crate) fn of_section(name: String, is_global: bool) -> Self {
        if is_global { Self::Global(name) } else { Self::Posix(name) }
    }

    /// The characters of a name that stands by itself.
    fn plain(&self) -> Option<&str> {
        match self {
            Self::Posix(name) | Self::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The name that somebody has given, if it can be one of its kind; also one that he has put together himself.
    pub(crate) fn given<N: TryInto<Self, Error: Into<Error>>>(name: N) -> Result<Self, Error> {
        let name = name.try_into().map_err(Into::into)?;
        let text = name.to_string();
        name.checked(&text)
    }

    /// Refuses what can't be a name of its kind.
    fn checked(self, text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Err(Error::invalid(text, reason));
        if let (Self::SysVKey(_) | Self::SysVId(_), Some(reason)) = (&self, sys::NO_SEGMENTS) {
            return refuse(reason);
        }
        if let (Self::Global(_), Some(reason)) = (&self, sys::NO_SECTIONS) {
            return refuse(reason);
        }
        match self.plain() {
            Some(name) if name.starts_with(OWN_PREFIX) => return refuse("names that begin so are our own"),
            Some(name) if name.contains(OWN_PREFIX) && sys::NO_SECTIONS.is_none() => {
                return refuse("names with .mapio- in them are those of our own events and sections");
            }
            Some("") => return refuse("the name is empty"),
            Some("." | "..") => return refuse("that is a folder's name"),
            Some(name) if name.contains('/') => {
                return refuse("a name has no slash but the first (file:PATH is a file)");
            }
            Some(name) if name.contains('\\') && sys::NO_SECTIONS.is_none() => {
                return refuse(r"a name has no backslash but that of Local\ or Global\");
            }
            Some(name) if name.len() > sys::MOST_NAME_BYTES => {
                return refuse(&format!("a name has at most {} bytes", sys::MOST_NAME_BYTES));
            }
            Some(name) if name.contains('\0') => return refuse("a name has no zero byte"),
            _ => {}
        }
        match &self {
            Self::File(path) if path.as_os_str().is_empty() => refuse("the path is empty"),
            Self::SysVKey(0) => refuse("key 0 is that of private objects, which have no name (IPC_PRIVATE)"),
            Self::SysVId(id) if *id < 0 => refuse("an identifier is not negative"),
            _ => Ok(self),
        }
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |digits: &str, what: &str| {
            let parsed = match digits.strip_prefix("0x") {
                // A key is 32 bits, whose highest makes it negative.
                Some(digits) => u32::from_str_radix(digits, 16).map(u32::cast_signed),
                None => digits.parse(),
            };
            parsed.map_err(|_| Error::invalid(text, format!("{what} is a number of 32 bits")))
        };
        let name = if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(OsString::from(path)))
        } else if let Some(key) = text.strip_prefix("sysv:") {
            Self::SysVKey(number(key, "a key")?)
        } else if let Some(id) = text.strip_prefix("sysv-id:") {
            Self::SysVId(number(id, "an identifier")?)
        } else {
            let sections = sys::NO_SECTIONS.is_none();
            if let Some(name) = text.strip_prefix(GLOBAL).filter(|_| sections) {
                return Self::Global(name.to_owned()).checked(text);
            }
            let name = text.strip_prefix(LOCAL).filter(|_| sections).unwrap_or(text);
            let name = name.strip_prefix("posix:").unwrap_or(name);
            Self::Posix(name.strip_prefix('/').unwrap_or(name).to_owned())
        };
        name.checked(text)
    }
}

impl TryFrom<&str> for ObjectName {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<&String> for ObjectName {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<&ObjectName> for ObjectName {
    type Error = Error;

    fn try_from(name: &ObjectName) -> Result<Self, Error> {
        Self::given(name.clone())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Where the name alone would be taken for something else.
            Self::Posix(name) if name.contains(':') => write!(f, "posix:{name}"),
            Self::Posix(name) => f.write_str(name),
            Self::Global(name) => write!(f, "{GLOBAL}{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::SysVKey(key) => write!(f, "sysv:{key:#x}"),
            Self::SysVId(id) => write!(f, "sysv-id:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_text() {
        let mut cases = vec![
            ("frames", ObjectName::Posix("frames".into())),
            ("/frames", ObjectName::Posix("frames".into())),
            ("posix:file:x", ObjectName::Posix("file:x".into())),
            ("file:/tmp/a b", ObjectName::file("/tmp/a b")),
        ];
        if sys::NO_SEGMENTS.is_none() {
            cases.push(("sysv:0x80000001", ObjectName::SysVKey(i32::MIN + 1)));
            cases.push(("sysv:17", ObjectName::SysVKey(17)));
            cases.push(("sysv-id:3", ObjectName::SysVId(3)));
        }
        if sys::NO_SECTIONS.is_none() {
            cases.push((r"Local\frames", ObjectName::Posix("frames".into())));
            cases.push((r"Global\frames", ObjectName::Global("frames".into())));
        }
        for (text, name) in cases {
            assert_eq!(text.parse::<ObjectName>().unwrap(), name, "{text}");
            assert_eq!(name.to_string().parse::<ObjectName>().unwrap(), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_in_one_line() {
        let long = "x".repeat(256);
        let texts =
            ["", "/", "//x", "a/b", ".", "..", "a\0b", &long, "file:", "sysv:", "sysv:x", "sysv:0", "sysv-id:-1"];
        let elsewhere =
            if sys::NO_SECTIONS.is_none() { [r"a\b", r"Local\Global\x", "sysv:17"] } else { ["a/", "//", "./x"] };
        let events: &[_] = match sys::NO_SECTIONS {
            None => &["frames.mapio-lock-0", r"Global\frames.mapio-sleep-table", "posix:x.mapio-"],
            Some(_) => &[],
        };
        for text in
            texts.into_iter().chain([".mapio-new-x", "/.mapio-sysv-1-2"]).chain(elsewhere).chain(events.iter().copied())
        {
            let error = text.parse::<ObjectName>().unwrap_err().to_string();
            assert!(!error.contains('\n') && error.starts_with(text), "{error}");
        }
    }

    #[test]
    fn a_name_that_was_put_together_is_checked_like_one_that_was_read() {
        for name in [ObjectName::Posix("../x".into()), ObjectName::Posix("..".into()), ObjectName::SysVKey(0)] {
            assert!(matches!(ObjectName::given(&name), Err(Error::Invalid { .. })), "{name}");
            assert!(matches!(ObjectName::given(name.clone()), Err(Error::Invalid { .. })), "{name}");
        }
        assert_eq!(ObjectName::given(ObjectName::SysVId(3)).is_ok(), sys::NO_SEGMENTS.is_none());
        assert_eq!(ObjectName::given(ObjectName::Global("x".into())).is_ok(), sys::NO_SECTIONS.is_none());
    }
}
