//! How a mapping is asked for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::error::Error;
use crate::mapping::Mapping;
use crate::page::PageSpan;
use crate::sys::{self, Region};

/// Whether stores through a mapping are allowed, and who sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("MAP_SHARED", "MAP_PRIVATE", "PROT_READ", "PROT_WRITE"))]
pub enum MapMode {
    /// Loads only: `PROT_READ`, `MAP_SHARED`. The file must be open for reading.
    ReadOnly,
    /// Stores go to the file and everybody sees them: `MAP_SHARED`. The file must be open for reading and writing.
    ReadWrite,
    /// Stores stay in this mapping; the first one to a page copies it: `MAP_PRIVATE`. The file must be open for reading.
    CopyOnWrite,
}

/// Options of a mapping: the mode, and which part of the file.
///
/// Any byte offset and any length may be asked for; the rounding to pages happens inside. A range may reach past the
/// file's end: accesses there answer [`Truncated`](crate::FaultKind::Truncated) until the file has grown, but for the rest
/// of the file's last page, which reads as zeros; see [`View::check_backed`](crate::View::check_backed).
///
/// ```
/// use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, b"0123456789")?;
/// let middle = MapOptions::read_only().offset(3).len(4).open(&path)?;
/// assert_eq!(middle.view().load::<[u8; 4]>(0)?, *b"3456");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "options map nothing until `map` or `open` is called"]
pub struct MapOptions {
    mode: MapMode,
    offset: u64,
    len: Option<usize>,
}

impl MapOptions {
    /// Maps for loads only.
    pub const fn read_only() -> Self {
        Self::new(MapMode::ReadOnly)
    }

    /// Maps for loads and for stores that reach the file.
    pub const fn read_write() -> Self {
        Self::new(MapMode::ReadWrite)
    }

    /// Maps for loads and for stores that nobody else sees.
    #[doc(alias = "MAP_PRIVATE")]
    pub const fn copy_on_write() -> Self {
        Self::new(MapMode::CopyOnWrite)
    }

    /// Maps in a mode known only at run time.
    pub const fn new(mode: MapMode) -> Self {
        Self { mode, offset: 0, len: None }
    }

    /// Starts at this byte of the file; 0 unless set. Any value, not only multiples of the page size.
    pub const fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Maps this many bytes; the rest of the file, as long as it is when it is mapped, unless set. Zero is allowed.
    pub const fn len(mut self, len: usize) -> Self {
        self.len = Some(len);
        self
    }

    /// Opens a file with the access that the mode needs, and maps it. It must exist.
    ///
    /// # Errors
    /// [`Error::Os`] when the file cannot be opened; otherwise as [`map`](Self::map).
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Mapping, Error> {
        let path = path.as_ref();
        let file = sys::open(path, self.mode);
        let file = file.map_err(|source| self.os_error("opening", path.display().to_string(), 0, source))?;
        self.map(file)
    }

    /// Maps an open file: mmap(2).
    ///
    /// The mapping keeps a duplicate of the descriptor, so the caller may close his; the duplicate is what tells after a
    /// fault why it happened. Two consequences (fcntl(2)): the mapping counts against `RLIMIT_NOFILE`, and dropping it
    /// releases the process's traditional record locks on the file (open-file-description locks are not affected).
    ///
    /// The first mapping of a process installs the fault handler; see [`fault`](crate::fault).
    ///
    /// # Errors
    /// [`Error::Range`] when the offset is beyond the end of the file and no length is given, or the range has no end.
    /// [`Error::Os`] for what mmap(2) refuses: a descriptor opened without the access that the mode needs (`EACCES`),
    /// a file that cannot be mapped, such as a directory or a pipe (`ENODEV`), no address space (`ENOMEM`).
    #[doc(alias = "mmap")]
    pub fn map(&self, file: impl AsFd) -> Result<Mapping, Error> {
        let file = file.as_fd();
        let fail = |operation, len, source| self.os_error(operation, sys::path_of(file), len, source);
        crate::arch::arm().map_err(|source| fail("arming the fault handler for", 0, source))?;
        let len = match self.len {
            Some(len) => len,
            None => self.rest_of(file)?,
        };
        let span = PageSpan::new(self.offset, len, sys::page_bytes()).ok_or_else(|| Error::Range {
            object: sys::path_of(file),
            offset: self.offset,
            len: Some(len),
            file_len: sys::file_len(file).unwrap_or(0),
        })?;
        let kept = file.try_clone_to_owned().map_err(|source| fail("duplicating", len, source))?;
        let region = match len {
            0 => Region::EMPTY,
            _ => Region::map(file, span, self.mode).map_err(|source| fail("mapping", len, source))?,
        };
        Ok(Mapping::new(region, span.lead, len, self.offset, self.mode, kept))
    }

    /// Bytes from the offset to the file's end.
    fn rest_of(&self, file: BorrowedFd<'_>) -> Result<usize, Error> {
        let file_len =
            sys::file_len(file).map_err(|source| self.os_error("measuring", sys::path_of(file), 0, source))?;
        let range_error = || Error::Range { object: sys::path_of(file), offset: self.offset, len: None, file_len };
        let rest = file_len.checked_sub(self.offset).ok_or_else(range_error)?;
        usize::try_from(rest).map_err(|_| range_error())
    }

    fn os_error(&self, operation: &'static str, object: String, len: usize, source: io::Error) -> Error {
        Error::Os { operation, object, offset: self.offset, len, source }
    }
}
