//! Where the kernel tells of devices: /sys and /dev, or folders that look like them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The folder in which `sys`, `dev`, `proc` and `usr` are: the root, or for tests and for copies of another machine's a
/// folder below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// That of another folder.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path in it, given as if it was the root: `/dev/uio0`.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Default for System {
    fn default() -> Self {
        Self::at("/")
    }
}

/// Whether a file is a character device of this major number, so that ioctl(2) means what that kind's does.
pub(crate) fn is_device(file: &File, major: u32) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let is_device = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice;
    Ok(is_device && rustix::fs::major(stat.st_rdev) == major)
}

/// What a file of one line holds, without the line break.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    let text = fs::read(path).map_err(|source| Error::os("reading", path.display().to_string(), source))?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// The same for a file that need not be there.
pub(crate) fn text_if_any(path: &Path) -> Result<Option<String>, Error> {
    match text(path) {
        Err(Error::Os { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// A number of the kernel: hexadecimal behind `0x`, else decimal.
pub(crate) fn number<T: TryFrom<u64>>(path: &Path) -> Result<T, Error> {
    let text = text(path)?;
    parse(&text)
        .ok_or_else(|| unexpected(path, format!("it holds {text:?}, which is not the number that belongs there")))
}

/// Reads a number as [`number`] does.
pub(crate) fn parse<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.ok().and_then(|number| T::try_from(number).ok())
}

/// Writes to a file that is there.
pub(crate) fn store(path: &Path, text: &str) -> Result<(), Error> {
    let stored = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    stored.map_err(|source| Error::os("writing to", path.display().to_string(), source))
}

/// Leaves out what has gone while the folders were read.
pub(crate) fn still_there<T>(folder: &Path, found: Result<T, Error>) -> Option<Result<T, Error>> {
    match found {
        Err(Error::NotFound { .. }) => None,
        Err(_) if !folder.is_dir() => None,
        found => Some(found),
    }
}

/// What is in a folder, sorted; nothing if the folder is not there.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |source| Error::os("listing", folder.display().to_string(), source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(fail)?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>().map_err(fail)?;
    names.sort();
    Ok(names)
}

/// The entries of a folder whose names are `prefix` and a number, by that number.
pub(crate) fn numbered(folder: &Path, prefix: &str) -> Result<Vec<(usize, PathBuf)>, Error> {
    let number = |name: &String| name.strip_prefix(prefix).and_then(digits);
    let names = names(folder)?;
    let mut found: Vec<_> = names.iter().filter_map(|name| Some((number(name)?, folder.join(name)))).collect();
    found.sort();
    Ok(found)
}

/// A number as the kernel puts it into names: digits, the first of which is no zero, unless it is alone.
pub(crate) fn digits(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The last part of what a link leads to; `None` if there is no link.
pub(crate) fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// That the kernel tells what it should not.
pub(crate) fn unexpected(path: &Path, reason: impl Into<String>) -> Error {
    Error::Unexpected { object: path.display().to_string(), reason: reason.into() }
}
