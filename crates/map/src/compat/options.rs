//! How a mapping is asked for, in memmap2's names.
#![expect(unsafe_code, reason = "constructors of slices whose bytes others can change")]

use std::io;

use super::descriptor::MmapAsRawDesc;
use super::handles::{Mmap, MmapMut, MmapRaw};
use super::range::{MappedRange, checked_len};
use super::refusal::MapIfSafeError;
use crate::descriptor::{self, BorrowedDescriptor};
use crate::fault::Access;
use crate::options::{HugePages, Protection};
use crate::sys::{self, FileFacts, Request, Sharing, errno};

/// Collects the options of a mapping; a `map` verb then makes it.
///
/// [`MapOptions`](crate::MapOptions) and [`AnonOptions`](crate::AnonOptions) do the same without `unsafe`.
///
/// ```
/// use mapio_map::compat::MmapOptions;
/// # fn main() -> std::io::Result<()> {
/// let mut memory = MmapOptions::new().len(100).populate().map_anon()?;
/// memory[99] = 7;
/// let memory = memory.make_read_only()?;
/// assert_eq!((memory[0], memory[99], memory.len()), (0, 7, 100));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MmapOptions {
    offset: u64,
    len: Option<usize>,
    huge: Option<u8>,
    stack: bool,
    populate: bool,
    no_reserve_swap: bool,
    no_probe_handle: bool,
}

impl MmapOptions {
    /// Starts with the whole file and nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the mapping at this byte of the file; 0 unless set. Any value. Anonymous memory has no offset.
    pub fn offset(&mut self, offset: u64) -> &mut Self {
        self.offset = offset;
        self
    }

    /// Maps this many bytes: of a file, the rest of it unless set; of anonymous memory, none unless set.
    ///
    /// A length that is set is not compared with the file's: bytes behind its end kill who touches them.
    pub fn len(&mut self, len: usize) -> &mut Self {
        self.len = Some(len);
        self
    }

    /// Marks anonymous memory as meant for a stack: `MAP_STACK`, which Linux does nothing for. Ignored for files.
    pub fn stack(&mut self) -> &mut Self {
        self.stack = true;
        self
    }

    /// Asks for anonymous memory in huge pages of the administrator's pool: `MAP_HUGETLB`. Ignored for files.
    ///
    /// `page_bits` is the logarithm of their size, such as 21 for 2 MiB; the system's default size if there is none.
    pub fn huge(&mut self, page_bits: Option<u8>) -> &mut Self {
        self.huge = Some(page_bits.unwrap_or(0));
        self
    }

    /// Brings the pages in at once, as far as they can be had: `MAP_POPULATE`.
    pub fn populate(&mut self) -> &mut Self {
        self.populate = true;
        self
    }

    /// Sets no swap space aside: `MAP_NORESERVE`. A store may then find no memory, and kill the process.
    pub fn no_reserve_swap(&mut self) -> &mut Self {
        self.no_reserve_swap = true;
        self
    }

    /// Does nothing: it is for a system that asks what a file was opened for.
    pub fn no_probe_handle(&mut self) -> &mut Self {
        self.no_probe_handle = true;
        self
    }

    /// Maps a file for reading. [`MapOptions::read_only`](crate::MapOptions::read_only) needs no promise.
    ///
    /// # Errors
    /// As mmap(2): `EACCES` if the file was not opened for reading, `ENODEV` for what cannot be mapped. `InvalidData`
    /// for an offset behind the file's end with no length set, and a length above `isize::MAX`.
    ///
    /// # Safety
    /// As long as the mapping lives:
    /// 1. Nobody changes the mapped bytes while a slice of them is in use: no other process, no write to the file, no
    ///    store through another mapping of it.
    /// 2. The file has the mapped bytes: nobody cuts it short, and a length that was set does not reach past its end.
    pub unsafe fn map<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        self.map_file(&file, Protection::ReadOnly, Sharing::Shared).map(Mmap::new)
    }

    /// Maps a file for reading and for running the code in it. [`Protection::ReadExecute`] on a
    /// [`Mapping`](crate::Mapping) is the same without a slice.
    ///
    /// # Errors
    /// As [`map`](Self::map); `EPERM` where the file system allows no code.
    ///
    /// # Safety
    /// The duties 1 and 2 of [`map`](Self::map).
    pub unsafe fn map_exec<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        self.map_file(&file, Protection::ReadExecute, Sharing::Shared).map(Mmap::new)
    }

    /// Maps a file for reading and writing; stores reach the file.
    /// [`MapOptions::read_write`](crate::MapOptions::read_write) needs no promise.
    ///
    /// # Errors
    /// As [`map`](Self::map); `EACCES` unless the file was opened for both.
    ///
    /// # Safety
    /// The duties 1 and 2 of [`map`](Self::map), and as long as a `&mut [u8]` of it is in use:
    ///
    /// 3. Nobody reads its bytes by another mapping of this process.
    pub unsafe fn map_mut<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapMut> {
        self.map_file(&file, Protection::ReadWrite, Sharing::Shared).map(MmapMut::new)
    }

    /// Maps a file for reading and writing; stores stay in the mapping.
    /// [`MapOptions::copy_on_write`](crate::MapOptions::copy_on_write) needs no promise.
    ///
    /// # Errors
    /// As [`map`](Self::map); the file need not be open for writing.
    ///
    /// # Safety
    /// The duties 1 and 2 of [`map`](Self::map): pages that have not been written to show what becomes of the file.
    pub unsafe fn map_copy<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapMut> {
        self.map_file(&file, Protection::ReadWrite, Sharing::Private).map(MmapMut::new)
    }

    /// Maps a file for reading, such that [`make_mut`](Mmap::make_mut) makes it a copy-on-write mapping.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    ///
    /// # Safety
    /// The duties 1 and 2 of [`map`](Self::map), as for [`map_copy`](Self::map_copy).
    pub unsafe fn map_copy_read_only<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        self.map_file(&file, Protection::ReadOnly, Sharing::Private).map(Mmap::new)
    }

    /// Maps a file for reading if the kernel keeps its bytes from changing, and then asks for no promise:
    /// a memory file with the seals `F_SEAL_SHRINK` and `F_SEAL_WRITE`, or a file with fs-verity, if it has all the
    /// bytes asked for.
    ///
    /// [`SealedMap`](crate::SealedMap) does it for memory files. A file with fs-verity whose medium fails still kills
    /// the process.
    ///
    /// # Errors
    /// [`MapIfSafeError`] with the reason.
    pub fn map_if_safe<T: MmapAsRawDesc>(&self, file: T) -> Result<Mmap, MapIfSafeError> {
        let desc = file.as_raw_desc();
        // What is checked is what is mapped, whatever becomes of the number meanwhile.
        let kept = desc.borrow().and_then(|file| file.try_clone_to_owned()).map_err(MapIfSafeError::new_map_failed)?;
        let file = descriptor::of(&kept);
        let measured = sys::facts(file).map_err(MapIfSafeError::new_unanswered)?;
        let len = self.len_in(&measured).map_err(MapIfSafeError::new_map_failed)?;
        sys::immutable(file).map_err(MapIfSafeError::new_not_safe)?;
        // Only now can the file not be cut any more.
        let facts = sys::facts(file).map_err(MapIfSafeError::new_map_failed)?;
        let bytes = u64::try_from(len).unwrap_or(u64::MAX);
        let end = self.offset.checked_add(bytes).ok_or_else(|| {
            let reason = format!("no file has {len} bytes from byte {} on", self.offset);
            MapIfSafeError::new_map_failed(io::Error::new(io::ErrorKind::InvalidInput, reason))
        })?;
        if end > facts.len {
            let reason = format!("the range ends at byte {end}, the file at byte {}", facts.len);
            return Err(MapIfSafeError::new_not_safe(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        let range = self.map_bytes(file, &facts, len, (Protection::ReadOnly, Sharing::Shared));
        let range = range.map_err(MapIfSafeError::new_map_failed)?;
        if range.page_bytes() > sys::page_bytes() {
            // A hole needs a huge page even to be read, and the pool may be empty: then now, not under a slice.
            range.region().populate(range.whole(), Access::Read).map_err(MapIfSafeError::new_map_failed)?;
        }
        Ok(Mmap::new(range))
    }

    /// Makes memory of this process alone, full of zeros. [`AnonOptions::map`](crate::AnonOptions::map) does the same.
    ///
    /// # Errors
    /// As mmap(2): `ENOMEM` for no memory or no huge pages, `EINVAL` for a size of huge pages that there is not.
    /// `InvalidData` for a length above `isize::MAX`.
    pub fn map_anon(&self) -> io::Result<MmapMut> {
        let len = checked_len(u64::try_from(self.len.unwrap_or(0)).unwrap_or(u64::MAX))?;
        // As many bits as mmap(2) takes.
        let huge_pages = match self.huge.map(|bits| u32::from(bits) & 0x3f) {
            None => None,
            Some(0) => Some(HugePages::Default),
            Some(bits) => {
                let bytes = 1usize.checked_shl(bits);
                Some(HugePages::Bytes(bytes.ok_or_else(|| io::Error::from_raw_os_error(errno::INVALID))?))
            }
        };
        let page_bytes = match huge_pages {
            None => sys::page_bytes(),
            Some(HugePages::Bytes(bytes)) => bytes,
            // A system that does not say has no huge pages, and mmap(2) will.
            Some(HugePages::Default) => sys::huge_page_bytes().unwrap_or_else(|_| sys::page_bytes()),
        };
        let request = Request {
            huge_pages,
            stack: self.stack,
            ..self.request(None, page_bytes, (Protection::ReadWrite, Sharing::Private))
        };
        MappedRange::map(request, 0..len).map(MmapMut::new)
    }

    /// Maps a file for reading and writing by pointer: no slice, no promise. A [`View`](crate::View) on
    /// [`MapOptions::read_write`](crate::MapOptions::read_write) does the same, and its accesses are safe as well.
    ///
    /// # Errors
    /// As [`map_mut`](Self::map_mut).
    pub fn map_raw<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapRaw> {
        self.map_file(&file, Protection::ReadWrite, Sharing::Shared).map(MmapRaw::new)
    }

    /// Maps a file for reading by pointer: no slice, no promise.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_raw_read_only<T: MmapAsRawDesc>(&self, file: T) -> io::Result<MmapRaw> {
        self.map_file(&file, Protection::ReadOnly, Sharing::Shared).map(MmapRaw::new)
    }

    fn map_file<T: MmapAsRawDesc>(
        &self,
        file: &T,
        protection: Protection,
        sharing: Sharing,
    ) -> io::Result<MappedRange> {
        let desc = file.as_raw_desc();
        let file = desc.borrow()?;
        let facts = sys::facts(file)?;
        let len = self.len_in(&facts)?;
        self.map_bytes(file, &facts, len, (protection, sharing))
    }

    /// How many bytes to map of a file: what was set, or the rest of it. A device without a length has no rest.
    fn len_in(&self, facts: &FileFacts) -> io::Result<usize> {
        let file_len = if facts.len == u64::MAX { 0 } else { facts.len };
        let len = match self.len {
            Some(len) => u64::try_from(len).unwrap_or(u64::MAX),
            None => file_len.checked_sub(self.offset).ok_or_else(|| {
                let reason = format!("the file ends at byte {file_len}, before byte {}", self.offset);
                io::Error::new(io::ErrorKind::InvalidData, reason)
            })?,
        };
        checked_len(len)
    }

    fn map_bytes(
        &self,
        file: BorrowedDescriptor<'_>,
        facts: &FileFacts,
        len: usize,
        access: (Protection, Sharing),
    ) -> io::Result<MappedRange> {
        let lead = self.offset % u64::try_from(facts.page_bytes).map_err(io::Error::other)?;
        // Whether a file can have such bytes at all, the kernel says: not `PageSpan`, whose refusals are others.
        let request = Request { offset: self.offset - lead, ..self.request(Some(file), facts.page_bytes, access) };
        let lead = usize::try_from(lead).map_err(io::Error::other)?;
        let end = lead.checked_add(len).ok_or_else(|| io::Error::from_raw_os_error(errno::NO_MEMORY))?;
        MappedRange::map(request, lead..end)
    }

    /// What all mappings are asked for with.
    fn request<'fd>(
        &self,
        file: Option<BorrowedDescriptor<'fd>>,
        page_bytes: usize,
        (protection, sharing): (Protection, Sharing),
    ) -> Request<'fd> {
        Request {
            file,
            offset: 0,
            len: 0,
            reserve: 0,
            page_bytes,
            protection,
            sharing,
            huge_pages: None,
            no_reserve: self.no_reserve_swap,
            stack: false,
            populate: self.populate,
        }
    }
}
