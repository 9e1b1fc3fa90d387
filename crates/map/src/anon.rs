//! Anonymous memory: a mapping of nothing, which belongs to this process alone and so is a plain `&mut [u8]`.
#![expect(unsafe_code, reason = "slices of a range that only this process can reach")]

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut, Range};

use crate::error::Error;
use crate::fault::Access;
use crate::options::HugePages;
use crate::options::Protection;
use crate::paging::Advice;
use crate::residency::Residency;
use crate::sys::{self, Moving, Region, Request, Sharing, errno};

/// Options of anonymous memory.
///
/// ```
/// use mapio_map::AnonOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut memory = AnonOptions::new().reserve(1 << 30).map(10_000)?; // Address space for a gibibyte, and 10 kB of it.
/// memory[..5].copy_from_slice(b"hello");
/// let address = memory.as_ptr();
/// memory.resize(1_000_000)?; // Grows in place.
/// # #[cfg(not(miri))]
/// assert_eq!(memory.as_ptr(), address);
/// assert_eq!((&memory[..5], memory[999_999]), (&b"hello"[..], 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "options map nothing until `map` is called"]
#[doc(alias("MAP_ANONYMOUS", "MAP_ANON"))]
pub struct AnonOptions {
    reserve: usize,
    populate: bool,
    lock: bool,
    no_reserve: bool,
    huge_pages: Option<HugePages>,
}

impl AnonOptions {
    /// Memory with nothing special.
    pub const fn new() -> Self {
        Self { reserve: 0, populate: false, lock: false, no_reserve: false, huge_pages: None }
    }

    /// Keeps address space for this many bytes, so that [`AnonMap::resize`] up to them moves nothing. Costs no memory,
    /// but in huge pages, of which it takes as many from the pool.
    pub const fn reserve(mut self, bytes: usize) -> Self {
        self.reserve = bytes;
        self
    }

    /// Brings all pages in at once.
    #[doc(alias = "MAP_POPULATE")]
    pub const fn populate(mut self) -> Self {
        self.populate = true;
        self
    }

    /// Brings all pages in and keeps them in memory: they never go to swap space. What [`AnonMap::resize`] adds is not
    /// locked.
    #[doc(alias("MAP_LOCKED", "mlock"))]
    pub const fn lock(mut self) -> Self {
        self.lock = true;
        self
    }

    /// Sets no swap space aside; see [`MapOptions::no_reserve`](crate::MapOptions::no_reserve).
    #[doc(alias = "MAP_NORESERVE")]
    pub const fn no_reserve(mut self) -> Self {
        self.no_reserve = true;
        self
    }

    /// Asks for huge pages of the pool that the administrator has set up. For transparent ones see
    /// [`Advice::HugePage`].
    #[doc(alias = "MAP_HUGETLB")]
    pub const fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = Some(huge_pages);
        self
    }

    /// Maps `len` bytes of zeros: mmap(2) with `MAP_PRIVATE | MAP_ANONYMOUS`.
    ///
    /// # Errors
    /// [`Error::Os`] with what mmap(2) says: no memory, address space or huge pages (`ENOMEM`), a size of huge pages
    /// that there is not (`EINVAL`); and when the memory cannot be locked.
    pub fn map(&self, len: usize) -> Result<AnonMap, Error> {
        let page_bytes = match self.huge_pages {
            None => sys::page_bytes(),
            Some(HugePages::Bytes(bytes)) => bytes,
            Some(HugePages::Default) => {
                sys::huge_page_bytes().map_err(|e| os_error("asking for huge pages for", len, e))?
            }
        };
        let request = Request {
            file: None,
            offset: 0,
            len: len.max(1),
            reserve: self.reserve,
            page_bytes,
            protection: Protection::ReadWrite,
            sharing: Sharing::Private,
            huge_pages: self.huge_pages,
            no_reserve: self.no_reserve,
            stack: false,
            populate: false,
        };
        let region = if isize::try_from(len).is_ok() {
            Region::map(&request)
        } else {
            Err(io::Error::from_raw_os_error(errno::NO_MEMORY))
        };
        let map = AnonMap { region: region.map_err(|source| os_error("mapping", len, source))?, len };
        if self.populate {
            map.populate(Access::Write)?;
        }
        if self.lock {
            map.lock()?;
        }
        Ok(map)
    }
}

/// Memory of this process alone, in whole pages, zero at first; given back when dropped.
///
/// It is a slice: nobody else can reach it, so nothing can change it or take it away, and a plain `&mut [u8]` is sound
/// where a mapped file has none. A child process gets a copy. For memory to share see
/// [`MapOptions::memfd`](crate::MapOptions::memfd).
pub struct AnonMap {
    /// Invariant: private anonymous memory of at least `len` bytes that may be read and written, and of at least one.
    region: Region,
    /// At most `isize::MAX`.
    len: usize,
}

impl AnonMap {
    /// Maps `len` bytes of zeros.
    ///
    /// # Errors
    /// As [`AnonOptions::map`].
    pub fn new(len: usize) -> Result<Self, Error> {
        AnonOptions::new().map(len)
    }

    /// Changes the length. What is added is zero. Up to what [`AnonOptions::reserve`] has asked for, nothing moves;
    /// beyond it the memory may move as a whole, without a byte being copied, unless its parts differ in advice or
    /// locks. Memory in huge pages grows only inside its reservation. On Windows what moves is copied.
    ///
    /// # Errors
    /// [`Error::Os`] with what mremap(2) or mprotect(2) says, such as no memory (`ENOMEM`); nothing has changed then.
    #[doc(alias = "mremap")]
    pub fn resize(&mut self, len: usize) -> Result<(), Error> {
        if isize::try_from(len).is_err() {
            return Err(os_error("resizing", len, io::Error::from_raw_os_error(errno::NO_MEMORY)));
        }
        let resized = self.region.resize(len.max(1), Moving::Allowed);
        resized.map_err(|source| os_error("resizing", len, source))?;
        if len < self.len {
            // The rest of the last page is still there, and has to be zero when it comes back.
            self.len = len.max(1).next_multiple_of(self.region.page_bytes()).min(self.len);
            self[len..].fill(0);
        }
        self.len = len;
        Ok(())
    }

    /// Makes the whole pages inside a range read as zeros, and gives their memory back. On Windows they are filled with
    /// zeros and leave the working set.
    ///
    /// # Errors
    /// [`Error::Os`] for a range that ends after the memory, and when its pages are locked (`EINVAL`).
    #[doc(alias = "MADV_DONTNEED")]
    pub fn discard(&mut self, range: Range<usize>) -> Result<(), Error> {
        if range.start > range.end || range.end > self.len {
            let reason = format!("bytes {} to {} of {}", range.start, range.end, self.len);
            return Err(os_error("discarding", 0, io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        let page = self.region.page_bytes();
        let (start, end) = (range.start.next_multiple_of(page), range.end - range.end % page);
        if start >= end {
            return Ok(());
        }
        let discarded = self.region.advise(start..end, Advice::DontNeed);
        discarded.map_err(|source| os_error("discarding", end - start, source))
    }

    /// Tells the kernel how the memory is going to be used: madvise(2).
    ///
    /// # Errors
    /// [`Error::Os`]: `EINVAL` for advice that the kernel does not have; `InvalidInput` for advice that changes or
    /// drops what the memory holds, for which there is [`discard`](Self::discard).
    #[doc(alias = "madvise")]
    pub fn advise(&self, advice: Advice) -> Result<(), Error> {
        let refused = matches!(advice, Advice::DontNeed | Advice::Free | Advice::Remove | Advice::HwPoison);
        let advised = match refused {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{advice:?} would change it; see AnonMap::discard"),
            )),
            false => self.region.advise(0..self.len, advice),
        };
        advised.map_err(|source| os_error("advising on", self.len, source))
    }

    /// Brings all pages in, for reading or for writing.
    ///
    /// # Errors
    /// [`Error::Os`]: no memory; `EINVAL` before Linux 5.14.
    #[doc(alias("MADV_POPULATE_READ", "MADV_POPULATE_WRITE"))]
    pub fn populate(&self, access: Access) -> Result<(), Error> {
        let populated = self.region.populate(0..self.len, access);
        populated.map_err(|source| os_error("populating", self.len, source))
    }

    /// Which pages are in memory: mincore(2).
    ///
    /// # Errors
    /// [`Error::Os`] with what mincore(2) says.
    #[doc(alias = "mincore")]
    pub fn residency(&self) -> Result<Residency, Error> {
        let pages = self.region.residency(0..self.len).map_err(|source| os_error("asking for", self.len, source))?;
        Ok(Residency::new(sys::page_bytes(), pages))
    }

    /// Brings all pages in and keeps them in memory: mlock(2).
    ///
    /// # Errors
    /// [`Error::Os`]: `ENOMEM` beyond `RLIMIT_MEMLOCK`, `EPERM` without the right to lock any.
    #[doc(alias = "mlock")]
    pub fn lock(&self) -> Result<(), Error> {
        self.region.lock(0..self.len).map_err(|source| os_error("locking", self.len, source))
    }

    /// Undoes [`lock`](Self::lock).
    ///
    /// # Errors
    /// [`Error::Os`] with what munlock(2) says.
    #[doc(alias = "munlock")]
    pub fn unlock(&self) -> Result<(), Error> {
        self.region.unlock(0..self.len).map_err(|source| os_error("unlocking", self.len, source))
    }
}

impl Deref for AnonMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the region is private anonymous memory, so it holds initialised bytes (zeros at first, mmap(2)),
        // nobody outside the process can change or take it, and inside it is reached through this value only: `&self`
        // keeps it from being written to, unmapped or moved. It has at least `len` bytes, at most `isize::MAX`.
        unsafe { std::slice::from_raw_parts(self.region.base(), self.len) }
    }
}

impl DerefMut for AnonMap {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only way in.
        unsafe { std::slice::from_raw_parts_mut(self.region.base(), self.len) }
    }
}

impl AsRef<[u8]> for AnonMap {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AnonMap {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for AnonMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnonMap").field("len", &self.len).finish_non_exhaustive()
    }
}

fn os_error(operation: &'static str, len: usize, source: io::Error) -> Error {
    Error::Os { operation, object: "anonymous memory".to_owned(), offset: 0, len, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of more pages than one; few for Miri, which looks at each.
    const LARGE: usize = if cfg!(miri) { 9_000 } else { 100_000 };

    #[test]
    fn memory_is_zero_and_stays_what_it_was_when_it_grows_and_shrinks() {
        for reserve in [0, 1 << 20] {
            let mut memory = AnonOptions::new().reserve(reserve).map(5000).unwrap();
            assert!(memory.iter().all(|&byte| byte == 0));
            memory.fill(7);
            memory.resize(LARGE).unwrap();
            assert!(memory[..5000].iter().all(|&byte| byte == 7) && memory[5000..].iter().all(|&byte| byte == 0));
            memory.fill(8);
            memory.resize(3).unwrap();
            memory.resize(LARGE).unwrap();
            assert_eq!(memory[..3], [8; 3]);
            assert!(memory[3..].iter().all(|&byte| byte == 0), "reserve {reserve}");
            memory.resize(0).unwrap();
            assert!(memory.is_empty());
            memory.resize(1).unwrap();
            assert_eq!(memory[..], [0]);
        }
    }

    #[test]
    fn an_impossible_length_is_an_error_and_changes_nothing() {
        assert!(AnonMap::new(usize::MAX).is_err());
        assert!(AnonMap::new(isize::MAX.unsigned_abs() + 1).is_err());
        let mut memory = AnonMap::new(10).unwrap();
        memory[9] = 1;
        assert!(memory.resize(usize::MAX).is_err());
        assert_eq!((memory.len(), memory[9]), (10, 1));
    }

    #[test]
    #[cfg(not(miri))]
    fn discarded_pages_read_as_zeros_and_the_others_do_not() {
        let page = crate::page_bytes();
        let mut memory = AnonMap::new(4 * page).unwrap();
        memory.fill(1);
        memory.discard(page - 1..3 * page + 1).unwrap();
        assert!(memory[..page].iter().chain(&memory[3 * page..]).all(|&byte| byte == 1));
        assert!(memory[page..3 * page].iter().all(|&byte| byte == 0));
        assert!(memory.discard(0..4 * page + 1).is_err());
        assert!(memory.advise(Advice::Free).is_err() && memory.advise(Advice::DontNeed).is_err());
        // Which other advice is taken is the system's matter; none may lose a byte.
        let _ = memory.advise(Advice::DontDump);
        assert!(memory[..page].iter().all(|&byte| byte == 1));
    }
}
