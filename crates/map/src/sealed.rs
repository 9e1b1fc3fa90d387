//! Sealed memory: a memory file that nobody can change any more, and so a plain `&[u8]`.
#![expect(unsafe_code, reason = "slices of a file that the kernel keeps from changing")]

use std::fmt;
use std::io;
use std::ops::Deref;

use crate::descriptor::{self, AsDescriptor, BorrowedDescriptor, OwnedDescriptor};
use crate::error::Error;
use crate::fault::Access;
use crate::mapping::Mapping;
use crate::options::{MapMode, MapOptions, Protection};
use crate::sys::{self, Region, Request, Sharing};

/// A memory file (memfd) that the kernel keeps from changing and from shrinking, mapped: it is a slice.
///
/// This is how to give bytes to other processes without a copy and without trust: who gets the descriptor reads it with
/// [`open`](Self::open), which looks for the seals. A file on a disk has no such guarantee, hence
/// [`View`](crate::View).
///
/// ```ignore-windows
/// use mapio_map::{MapOptions, SealedMap};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let draft = MapOptions::read_write().len(5).memfd("greeting")?;
/// draft.view().write_all_at(0, b"hello")?;
/// let sealed = draft.seal()?;
/// let again = SealedMap::open(&sealed)?; // What another process does with the descriptor.
/// assert_eq!(&again[..], b"hello");
/// # Ok(())
/// # }
/// ```
///
/// # Platforms
/// Linux. On Windows nothing keeps a file from being changed: whatever would make a `SealedMap` answers `Unsupported`.
#[doc(alias("F_SEAL_WRITE", "F_SEAL_SHRINK", "F_ADD_SEALS"))]
pub struct SealedMap {
    /// Invariant: maps `len` bytes of a memory file that carries the seals against writing and shrinking, for loads,
    /// every page of which the file had when it was mapped; [`Region::EMPTY`] if there are none.
    region: Region,
    /// At most `isize::MAX`.
    len: usize,
    file: OwnedDescriptor,
}

impl SealedMap {
    /// Copies bytes into a new memory file and seals it. `name` shows in `/proc/PID/maps` and means nothing else.
    ///
    /// # Errors
    /// As [`MapOptions::memfd`] and [`Mapping::seal`]; [`Error::Os`] when memory runs out.
    pub fn copy_of(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let draft = MapOptions::read_write().len(bytes.len()).memfd(name)?;
        let written = draft.view().write_all_at(0, bytes);
        written.map_err(|fault| draft.os_error("filling", &(0..bytes.len()), fault.into()))?;
        draft.seal()
    }

    /// Maps all of a sealed memory file that somebody has made, as it is now.
    ///
    /// # Errors
    /// [`Error::Os`]: the file is not a memory file, or has not the seals `F_SEAL_WRITE` and `F_SEAL_SHRINK`, without
    /// which its bytes might change, or it has holes, whose memory might not be had when they are read
    /// (`InvalidInput`); what mmap(2) says.
    pub fn open(file: impl AsDescriptor) -> Result<Self, Error> {
        let file = descriptor::of(&file);
        let fail = |operation, source| os_error(operation, file, source);
        Self::from_owned(file.try_clone_to_owned().map_err(|source| fail("duplicating", source))?)
    }

    fn from_owned(file: OwnedDescriptor) -> Result<Self, Error> {
        let fail = |operation, source| os_error(operation, descriptor::of(&file), source);
        let refuse = |reason| Err(fail("mapping", io::Error::new(io::ErrorKind::InvalidInput, reason)));
        if !sys::is_sealed(descriptor::of(&file)).map_err(|source| fail("asking for the seals of", source))? {
            return refuse("it is not a memory file sealed against writing and shrinking");
        }
        // A hole takes memory when it is read, and where there is none, a plain load would be a bus error.
        if sys::has_holes(descriptor::of(&file)).map_err(|source| fail("measuring", source))? {
            return refuse("it has holes, which take memory when they are read");
        }
        // The seals are for ever, so what is true now stays true.
        let facts = sys::facts(descriptor::of(&file)).map_err(|source| fail("measuring", source))?;
        let len =
            isize::try_from(facts.len).map_err(|_| fail("mapping", io::ErrorKind::FileTooLarge.into()))?.unsigned_abs();
        let request = Request {
            file: Some(descriptor::of(&file)),
            offset: 0,
            len,
            reserve: 0,
            page_bytes: facts.page_bytes,
            protection: Protection::ReadOnly,
            sharing: Sharing::Shared,
            huge_pages: None,
            no_reserve: false,
            stack: false,
            populate: false,
        };
        let region = match len {
            0 => Ok(Region::EMPTY),
            // Before Linux 6.7 a descriptor that was opened for writing could not be mapped shared once it was sealed.
            _ => Region::map(&request).or_else(|_| Region::map(&Request { sharing: Sharing::Private, ..request })),
        };
        let region = region.map_err(|source| fail("mapping", source))?;
        if facts.page_bytes > sys::page_bytes() {
            // A hole needs a huge page even to be read, and the pool may be empty: then now, not under a reference.
            region.populate(0..len, Access::Read).map_err(|source| fail("bringing in", source))?;
        }
        Ok(Self { region, len, file })
    }
}

impl Mapping {
    /// Unmaps a memory file ([`MapOptions::memfd`]), seals it against any change for ever, and maps it as a slice.
    ///
    /// # Errors
    /// [`Error::Os`]: somebody still has it mapped for writing (`EBUSY`), it is not a memory file (`EINVAL`), or it was
    /// made by somebody who did not allow seals (`EPERM`); no memory for all of its pages (`ENOSPC`, `ENOMEM`); the
    /// mapping is copy-on-write, so that its bytes are not the file's. The mapping is gone then; who may want to try
    /// again keeps another descriptor of the file.
    pub fn seal(self) -> Result<SealedMap, Error> {
        let mode = self.mode();
        let file = OwnedDescriptor::from(self);
        let fail = |source| os_error("sealing", descriptor::of(&file), source);
        if mode == MapMode::CopyOnWrite {
            let reason = "its mapping is copy-on-write, and what was stored is not in the file";
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        sys::fill_holes(descriptor::of(&file)).map_err(fail)?;
        sys::seal(descriptor::of(&file)).map_err(fail)?;
        SealedMap::from_owned(file)
    }
}

impl Deref for SealedMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped for as long as `self` lives; its bytes are initialised (a file's); by the seals,
        // which nobody can take off again (fcntl(2), F_ADD_SEALS), no write(2) and no writable mapping by anybody can
        // change them and no ftruncate(2) can take them away. It has all its pages, which come from memory alone, as
        // those of the heap do.
        unsafe { std::slice::from_raw_parts(self.region.base(), self.len) }
    }
}

impl AsRef<[u8]> for SealedMap {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

crate::lend_descriptor!(
    /// The descriptor, to be passed to other processes.
    SealedMap,
    |map| descriptor::of(&map.file)
);

impl From<SealedMap> for OwnedDescriptor {
    /// Unmaps, and hands the descriptor over.
    fn from(map: SealedMap) -> Self {
        map.file
    }
}

impl fmt::Debug for SealedMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedMap")
            .field("file", &sys::path_of(descriptor::of(self)))
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

fn os_error(operation: &'static str, file: BorrowedDescriptor<'_>, source: io::Error) -> Error {
    Error::Os { operation, object: sys::path_of(file), offset: 0, len: 0, source }
}
