//! How a mapping is asked for.

use std::io;
use std::path::Path;

use crate::descriptor::{self, AsDescriptor, OwnedDescriptor};
use crate::error::Error;
use crate::fault::Access;
use crate::mapping::Mapping;
use crate::page::PageSpan;
use crate::sys::{self, Region, Request, errno};

/// Whether stores through a mapping are allowed, and who sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("MAP_SHARED", "MAP_PRIVATE", "PROT_READ", "PROT_WRITE"))]
pub enum MapMode {
    /// Loads only: `PROT_READ`, `MAP_SHARED`. The file must be open for reading.
    ReadOnly,
    /// Stores go to the file and everybody sees them: `MAP_SHARED`. The file must be open for reading and writing.
    ReadWrite,
    /// Stores stay in this mapping; the first one to a page copies it: `MAP_PRIVATE`. The file must be open for
    /// reading.
    CopyOnWrite,
}

/// What the pages of a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(alias("PROT_READ", "PROT_WRITE", "PROT_EXEC", "PROT_NONE"))]
pub enum Protection {
    /// Nothing: every access faults.
    None,
    /// Loads.
    ReadOnly,
    /// Loads and stores.
    ReadWrite,
    /// Loads, and instructions, for who runs code from a file.
    ReadExecute,
}

/// The size of huge pages that memory is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("MAP_HUGETLB", "MFD_HUGETLB", "hugetlbfs"))]
pub enum HugePages {
    /// The system's default size, mostly 2 MiB.
    Default,
    /// This many bytes; a power of two that the processor has, such as `1 << 30`.
    Bytes(usize),
}

/// Options of a mapping: the mode, and which part of the file.
///
/// Any byte offset and any length may be asked for; the rounding to pages happens inside. A range may reach past the
/// file's end: accesses there answer [`Truncated`](crate::FaultKind::Truncated) until the file has grown, but for the
/// rest of the file's last page, which reads as zeros (on Windows until [`Mapping::resize`] maps it again); see
/// [`View::check_backed`](crate::View::check_backed). On hugetlbfs alone, a read-write mapping behind the end makes the
/// file longer (mmap(2)).
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
#[must_use = "options map nothing until `map`, `open` or `memfd` is called"]
pub struct MapOptions {
    mode: MapMode,
    offset: u64,
    len: Option<usize>,
    reserve: usize,
    populate: bool,
    lock: bool,
    no_reserve: bool,
    huge_pages: Option<HugePages>,
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
        Self {
            mode,
            offset: 0,
            len: None,
            reserve: 0,
            populate: false,
            lock: false,
            no_reserve: false,
            huge_pages: None,
        }
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

    /// Keeps address space for this many bytes, so that [`Mapping::resize`] up to them moves nothing. Costs no memory,
    /// but on hugetlbfs, where it takes as many pages from the pool. On Windows, where a mapping of a file does not
    /// grow in place, it has no effect.
    pub const fn reserve(mut self, bytes: usize) -> Self {
        self.reserve = bytes;
        self
    }

    /// Brings all pages in at once, and makes a copy-on-write mapping's copies, as far as they can be had;
    /// [`View::populate`](crate::View::populate) also tells whether they could.
    #[doc(alias = "MAP_POPULATE")]
    pub const fn populate(mut self) -> Self {
        self.populate = true;
        self
    }

    /// Brings all pages in and keeps them in memory; [`View::unlock`](crate::View::unlock) releases them.
    #[doc(alias("MAP_LOCKED", "mlock"))]
    pub const fn lock(mut self) -> Self {
        self.lock = true;
        self
    }

    /// Sets no swap space aside for a copy-on-write mapping's copies: a large mapping of which few pages are written to
    /// can then be made on any machine, and a write may find no memory, which kills a process as running out of memory
    /// does.
    #[doc(alias = "MAP_NORESERVE")]
    pub const fn no_reserve(mut self) -> Self {
        self.no_reserve = true;
        self
    }

    /// Asks for huge pages of the pool that the administrator has set up, for [`memfd`](Self::memfd). A file of
    /// hugetlbfs has them by itself. For transparent huge pages see [`Advice::HugePage`](crate::Advice::HugePage).
    pub const fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = Some(huge_pages);
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
        self.map_owned(file.into())
    }

    /// Maps an open file: mmap(2); on Windows CreateFileMapping and MapViewOfFileEx.
    ///
    /// A regular file, a block device (its length is asked for), a memory file (memfd), a file of hugetlbfs, or a
    /// character device that can be mapped, such as `/dev/mem`, `/dev/fb0` or `/dev/uio0`; of these the length must be
    /// given.
    ///
    /// The mapping keeps a duplicate of the descriptor, so the caller may close his; the duplicate is what tells after
    /// a fault why it happened. Two consequences (fcntl(2)): the mapping counts against `RLIMIT_NOFILE`, and dropping
    /// it releases the process's traditional record locks on the file (open-file-description locks are not affected).
    ///
    /// The first mapping of a process installs the fault handler; see [`fault`](crate::fault).
    ///
    /// # Errors
    /// [`Error::Range`] when the offset is beyond the end of the file and no length is given, or the range has no end.
    /// [`Error::Os`] for what mmap(2) refuses: a descriptor opened without the access that the mode needs (`EACCES`),
    /// a file that cannot be mapped, such as a directory or a pipe (`ENODEV`), no address space (`ENOMEM`); and for
    /// pages that cannot be locked.
    #[doc(alias = "mmap")]
    pub fn map(&self, file: impl AsDescriptor) -> Result<Mapping, Error> {
        let file = descriptor::of(&file);
        let kept = file.try_clone_to_owned();
        let kept = kept.map_err(|source| self.os_error("duplicating", sys::path_of(file), 0, source))?;
        self.map_owned(kept)
    }

    /// Makes a file that lives in memory and has no name, as long as [`len`](Self::len) says and full of zeros, and
    /// maps it: memfd_create(2). Who gets its descriptor ([`descriptor::of`]) shares it; the last who
    /// closes it removes it. In huge pages the file, not the mapping, is as long as whole ones.
    ///
    /// `name` shows in `/proc/PID/maps` and means nothing else.
    ///
    /// On Windows it is a file in the folder for temporary files (`FILE_ATTRIBUTE_TEMPORARY`,
    /// `FILE_FLAG_DELETE_ON_CLOSE`), which is removed with its last handle; `name` is a part of its name.
    ///
    /// # Errors
    /// [`Error::Os`] with what memfd_create(2) or mmap(2) says: no huge pages in the pool (`ENOMEM`), a name of more
    /// than 249 bytes (`EINVAL`).
    ///
    /// ```
    /// use mapio_map::MapOptions;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = MapOptions::read_write().len(100).memfd("scratch")?;
    /// memory.view().store(40, 7u32)?;
    /// let again = MapOptions::read_only().map(&memory)?; // The same memory, mapped once more.
    /// # #[cfg(not(miri))]
    /// assert_eq!(again.view().load::<u32>(40)?, 7);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn memfd(&self, name: &str) -> Result<Mapping, Error> {
        let len = self.len.unwrap_or(0);
        let fail = |source| self.os_error("making memory file", name.to_owned(), len, source);
        let end = u64::try_from(len).ok().and_then(|len| self.offset.checked_add(len));
        let end = end.ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
        self.map_owned(sys::memfd(name, end, self.huge_pages).map_err(fail)?)
    }

    /// Attaches a System V segment by its identifier: shmat(2). It is detached when the mapping is dropped.
    ///
    /// [`offset`](Self::offset) and [`len`](Self::len) choose a part of it; all of it is attached, and its length never
    /// changes. Such memory has no descriptor: what stands for one tells its length, and can't be mapped or read.
    /// `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Range`] for a part outside; [`Error::Os`] with what shmat(2) says, such as `EACCES`, or `EINVAL` when
    /// there is no such segment; and for a mode that segments don't have: copy-on-write.
    #[doc(alias("shmat", "shmdt"))]
    pub fn attach_sysv(&self, id: i32, name: &str) -> Result<Mapping, Error> {
        let asked = self.len.unwrap_or(0);
        let fail = |operation, source| self.os_error(operation, name.to_owned(), asked, source);
        if self.mode == MapMode::CopyOnWrite {
            let reason = "System V segments can't be mapped copy-on-write";
            return Err(fail("attaching", io::Error::new(io::ErrorKind::Unsupported, reason)));
        }
        crate::arch::arm().map_err(|source| fail("arming the fault handler for", source))?;
        let region = Region::attach(id, self.mode.protection()).map_err(|source| fail("attaching", source))?;
        let whole = region.len();
        let file_len = u64::try_from(whole).unwrap_or(u64::MAX);
        let outside = || Error::Range { object: name.to_owned(), offset: self.offset, len: self.len, file_len };
        let lead = usize::try_from(self.offset).ok().filter(|lead| *lead <= whole).ok_or_else(outside)?;
        let len = self.len.unwrap_or(whole - lead);
        if len > whole - lead {
            return Err(outside());
        }
        let stand_in = sys::stand_in(name, file_len).map_err(|source| fail("naming", source))?;
        Ok(Mapping::new(region, lead, len, self.offset, self.mode, stand_in))
    }

    /// Maps a descriptor that the mapping keeps.
    fn map_owned(&self, file: OwnedDescriptor) -> Result<Mapping, Error> {
        let fail = |operation, len, source| self.os_error(operation, sys::path_of(descriptor::of(&file)), len, source);
        crate::arch::arm().map_err(|source| fail("arming the fault handler for", 0, source))?;
        let facts = sys::facts(descriptor::of(&file)).map_err(|source| fail("mapping", 0, source))?;
        if !facts.can_be_mapped {
            return Err(fail("mapping", 0, io::Error::from_raw_os_error(errno::WRONG_OBJECT)));
        }
        let range_error = |len| Error::Range {
            object: sys::path_of(descriptor::of(&file)),
            offset: self.offset,
            len,
            file_len: facts.len,
        };
        let rest = || facts.len.checked_sub(self.offset).and_then(|rest| usize::try_from(rest).ok());
        let len = self.len.or_else(rest).ok_or_else(|| range_error(None))?;
        let span = PageSpan::new(self.offset, len, facts.page_bytes).ok_or_else(|| range_error(self.len))?;
        let request = Request {
            file: Some(descriptor::of(&file)),
            offset: span.offset,
            len: span.map_len,
            reserve: if self.reserve > 0 { self.reserve.saturating_add(span.lead) } else { 0 },
            page_bytes: facts.page_bytes,
            protection: self.mode.protection(),
            sharing: self.mode.sharing(),
            huge_pages: None,
            no_reserve: self.no_reserve,
            stack: false,
            populate: false,
        };
        let region = match (len, self.reserve) {
            (0, 0) => Region::EMPTY,
            _ => Region::map(&request).map_err(|source| fail("mapping", len, source))?,
        };
        let mapping = Mapping::new(region, span.lead, len, self.offset, self.mode, file);
        if self.populate {
            let access = if self.mode == MapMode::CopyOnWrite { Access::Write } else { Access::Read };
            // A page that can't be had now may be had when it is accessed, and answers the reason then.
            let _ = mapping.view().populate(access);
        }
        if self.lock {
            mapping.view().lock()?;
        }
        Ok(mapping)
    }

    fn os_error(&self, operation: &'static str, object: String, len: usize, source: io::Error) -> Error {
        Error::Os { operation, object, offset: self.offset, len, source }
    }
}
