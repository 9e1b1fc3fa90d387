//! Address ranges: mmap(2) and its family.
#![expect(unsafe_code, reason = "mmap, mremap, munmap, mprotect, madvise, mlock, msync, mincore, shmat, shmdt")]

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{self, MapFlags, MprotectFlags, MremapFlags, MsyncFlags, ProtFlags};

use super::guard::Repair;
use super::{page_bytes, start_write_back};
use crate::arch::FaultWord;
use crate::fault::{Access, FaultKind};
use crate::options::{HugePages, Protection};
use crate::page::PageRange;
use crate::paging::Advice;
use crate::sys::{Moving, Request, Sharing};

/// An address range that the kernel gave us; whole pages, unless empty.
///
/// Ranges of bytes that its verbs take lie inside `0..len`, by their callers; they are widened to whole pages.
#[derive(Debug)]
pub(crate) struct Region {
    /// The first address; dangling when `reserved` is zero.
    base: NonNull<u8>,
    /// Bytes that may be accessed.
    len: usize,
    /// Bytes of address space: at least `len`, whole pages of `page_bytes`. What is behind `len` cannot be accessed.
    reserved: usize,
    /// Bytes inside which nothing moves; 0 if none were asked for.
    steady: usize,
    page_bytes: usize,
    /// What the bytes may be used for that `resize` adds.
    protection: Protection,
    origin: Origin,
    /// What atomics of views need. It is paused while the range moves, and before it is given back.
    repair: Repair,
}

/// Which call has made a range, and so, which gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// mmap(2).
    Mapped,
    /// shmat(2).
    Attached,
}

// SAFETY: the range belongs to the process, not to a thread, and `Region` itself never touches its bytes.
unsafe impl Send for Region {}
// SAFETY: as above; what takes `&self` only passes addresses to the kernel.
unsafe impl Sync for Region {}

impl Region {
    /// A range of no bytes, which mmap(2) does not make.
    #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a range of its own")]
    pub(crate) const EMPTY: Self = Self {
        base: NonNull::dangling(),
        len: 0,
        reserved: 0,
        steady: 0,
        page_bytes: 1,
        protection: Protection::None,
        origin: Origin::Mapped,
        repair: Repair::new(),
    };

    /// Whether a fault that an atomic access of a view meets poisons its mapping.
    pub(crate) const ATOMICS_POISON: bool = Repair::POISONS;

    /// Maps at least a byte. Blocks only as mmap(2) does: for the process's other address-space changes.
    pub(crate) fn map(request: &Request<'_>) -> io::Result<Self> {
        let huge_pages = request.huge_pages.map(huge_pages_bits).transpose()?;
        let reserved = round_up(request.len.max(request.reserve), request.page_bytes)?;
        let growable = reserved > round_up(request.len, request.page_bytes)?;
        let mut flags = match request.sharing {
            Sharing::Shared => MapFlags::SHARED,
            Sharing::Private => MapFlags::PRIVATE,
        };
        flags.set(MapFlags::NORESERVE, request.no_reserve);
        flags.set(MapFlags::STACK, request.stack);
        flags.set(MapFlags::POPULATE, request.populate);
        if let Some(huge_pages) = huge_pages {
            flags |= MapFlags::HUGETLB | MapFlags::from_bits_retain(huge_pages);
        }
        let protection = if growable { ProtFlags::empty() } else { prot(request.protection) };
        // SAFETY, for both: no address is asked for, so the kernel picks a range that nothing else uses, and no
        // existing Rust object changes (mmap(2)).
        let base = match request.file {
            // SAFETY: as above.
            Some(file) => unsafe { mm::mmap(ptr::null_mut(), reserved, protection, flags, file, request.offset) },
            // SAFETY: as above.
            None => unsafe { mm::mmap_anonymous(ptr::null_mut(), reserved, protection, flags) },
        }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap answered address 0"))?;
        let (page_bytes, protection) = (request.page_bytes, request.protection);
        let steady = if request.reserve > 0 { reserved } else { 0 };
        let (origin, repair) = (Origin::Mapped, Repair::new());
        let region = Self { base, len: request.len, reserved, steady, page_bytes, protection, origin, repair };
        if growable {
            region.protect(0..request.len, protection)?;
        }
        Ok(region)
    }

    /// Attaches all of a System V segment, which has at least a byte: shmat(2).
    pub(crate) fn attach(id: i32, protection: Protection) -> io::Result<Self> {
        let flags = if protection == Protection::ReadOnly { libc::SHM_RDONLY } else { 0 };
        // SAFETY: no address is asked for, so the kernel picks a range that nothing else uses (shmat(2)).
        let base = unsafe { libc::shmat(id, ptr::null(), flags) };
        if base.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("shmat answered address 0"))?;
        // A segment of huge pages is a whole number of them long; its verbs are refused smaller parts by the kernel.
        let (page_bytes, origin, repair) = (page_bytes(), Origin::Attached, Repair::new());
        // From here on it is detached when it is dropped.
        let mut region = Self { base, len: 0, reserved: 0, steady: 0, page_bytes, protection, origin, repair };
        // Asked now: as long as it is attached, no other segment can have the identifier, and another length.
        let len = segment_len(id)?;
        region.reserved = round_up(len, page_bytes)?;
        region.len = len;
        Ok(region)
    }

    /// The first address.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes that may be accessed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether it is a System V segment.
    pub(crate) fn is_segment(&self) -> bool {
        self.origin == Origin::Attached
    }

    /// Whether it is a range of no addresses.
    pub(crate) fn is_unmapped(&self) -> bool {
        self.reserved == 0
    }

    /// Bytes, from the first one on, that something can be behind: all, as a file that grows is seen here.
    pub(crate) fn backed_bytes(&self) -> usize {
        usize::MAX
    }

    /// Bytes of a page of it.
    pub(crate) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Changes how many bytes may be accessed, to at least one. Inside the reserved range nothing moves; beyond it the
    /// range moves as a whole, if that is allowed.
    ///
    /// # Errors
    /// What mremap(2) or mprotect(2) says; nothing has changed then.
    pub(crate) fn resize(&mut self, len: usize, moving: Moving) -> io::Result<()> {
        self.repair.pause();
        let resized = self.resize_paused(len, moving);
        let range = self.page_range();
        // SAFETY: as in `repair_atomics`, for the range as it is now.
        unsafe { self.repair.go_on(range) };
        resized
    }

    fn resize_paused(&mut self, len: usize, moving: Moving) -> io::Result<()> {
        if self.origin == Origin::Attached {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a System V segment is attached as a whole"));
        }
        let (old, new) = (round_up(self.len, self.page_bytes)?, round_up(len, self.page_bytes)?);
        if old == new {
            // The same pages.
        } else if new <= self.steady {
            self.resize_in_reserve(old, new)?;
        } else {
            let flags = match moving {
                Moving::Allowed => MremapFlags::MAYMOVE,
                Moving::Forbidden => MremapFlags::empty(),
            };
            if self.reserved > old {
                self.protect(old..self.reserved, self.protection)?;
            }
            // SAFETY: the old range is ours and whole; `&mut self` says that nobody uses its addresses; the kernel
            // picks the new one, or extends the old one over addresses that nothing uses (mremap(2)).
            let moved = unsafe { mm::mremap(self.base().cast(), self.reserved, new, flags) };
            let base = moved.map_err(|errno| match errno {
                Errno::FAULT => io::Error::other("its parts differ in protection or advice, and do not move together"),
                errno => errno.into(),
            })?;
            self.base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mremap answered address 0"))?;
            self.reserved = new;
        }
        self.len = len;
        Ok(())
    }

    /// Moves the border between what may be accessed and what is only reserved; `old` and `new` are whole pages.
    fn resize_in_reserve(&self, old: usize, new: usize) -> io::Result<()> {
        if new > old {
            return self.protect(old..new, self.protection);
        }
        self.protect(new..old, Protection::None)?;
        // Locked pages could not be given back. That this fails shows in the next call.
        let _ = self.unlock(new..old);
        // The memory is given back; of a file, only the page table's entries are.
        self.advise(new..old, Advice::DontNeed).inspect_err(|_| {
            // As it was: what was allowed a moment ago, on whole ranges, is allowed again.
            let _ = self.protect(new..old, self.protection);
        })
    }

    /// Writes the dirty pages of a range back to the file and waits for it: msync(2) with `MS_SYNC`.
    pub(crate) fn flush(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region; msync changes no memory.
        Ok(unsafe { mm::msync(first.cast(), len, MsyncFlags::SYNC) }?)
    }

    /// Says that the dirty pages of a range may be written back: msync(2) with `MS_ASYNC`, which Linux does nothing
    /// for.
    pub(crate) fn flush_async(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region; msync changes no memory.
        Ok(unsafe { mm::msync(first.cast(), len, MsyncFlags::ASYNC) }?)
    }

    /// Starts to write the dirty pages of a range to the disk, without waiting: of the file, whose bytes from `offset`
    /// on they are.
    pub(crate) fn start_write_back(&self, range: Range<usize>, file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
        start_write_back(file, offset, u64::try_from(range.len()).map_err(io::Error::other)?)
    }

    /// Which pages of a range are in memory: mincore(2). Always pages of the system's size.
    pub(crate) fn residency(&self, range: Range<usize>) -> io::Result<Vec<bool>> {
        let (first, len) = self.pages(range);
        let mut pages = vec![0u8; len.div_ceil(page_bytes())];
        loop {
            // SAFETY: the range lies inside the region; the kernel writes a byte for each page.
            if unsafe { libc::mincore(first.cast(), len, pages.as_mut_ptr()) } == 0 {
                // Only the lowest bit is defined.
                return Ok(pages.into_iter().map(|page| page & 1 == 1).collect());
            }
            match io::Error::last_os_error() {
                // Out of kernel resources for a moment (mincore(2)).
                error if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                error => return Err(error),
            }
        }
    }

    /// Tells the kernel how a range is used: madvise(2).
    pub(crate) fn advise(&self, range: Range<usize>, advice: Advice) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region. Some advice changes or drops what the pages hold, which foreign
        // memory may do at any time; who has made references into the region does not let such advice through.
        Ok(unsafe { mm::madvise(first.cast(), len, madvise(advice)) }?)
    }

    /// Passes advice on by its number: madvise(2). The range starts at its page and is not widened to huge ones, of
    /// which the kernel leaves alone what is not asked for.
    pub(crate) fn madvise(&self, range: Range<usize>, number: i32) -> io::Result<()> {
        let start = range.start - range.start % page_bytes();
        let first = self.base().wrapping_add(start);
        // SAFETY: the range lies inside the region. Some advice changes or drops what the pages hold; who has made
        // references into the region lets such advice through only on an unsafe caller's word.
        match unsafe { libc::madvise(first.cast(), range.end - start, number) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Brings all pages of a range in: `MADV_POPULATE_READ` or `_WRITE`, since Linux 5.14.
    pub(crate) fn populate(&self, range: Range<usize>, access: Access) -> io::Result<()> {
        let advice = match access {
            Access::Read => mm::Advice::LinuxPopulateRead,
            Access::Write => mm::Advice::LinuxPopulateWrite,
        };
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region; what a page holds does not change.
        Ok(rustix::io::retry_on_intr(|| unsafe { mm::madvise(first.cast(), len, advice) })?)
    }

    /// Keeps the pages of a range in memory, and brings them in: mlock(2).
    pub(crate) fn lock(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region; no memory changes.
        Ok(unsafe { mm::mlock(first.cast(), len) }?)
    }

    /// Undoes `lock`: munlock(2).
    pub(crate) fn unlock(&self, range: Range<usize>) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region; no memory changes.
        Ok(unsafe { mm::munlock(first.cast(), len) }?)
    }

    /// Sets what the pages of a range may be used for: mprotect(2).
    pub(crate) fn protect(&self, range: Range<usize>, protection: Protection) -> io::Result<()> {
        let (first, len) = self.pages(range);
        // SAFETY: the range lies inside the region, whose bytes are reached by accesses that survive a refusal; who has
        // made references into the region allows what they need.
        Ok(unsafe { mm::mprotect(first.cast(), len, mprotect(protection)) }?)
    }

    /// Has faults that atomic accesses of views meet repaired from now on, where these are not guarded.
    ///
    /// # Errors
    /// The errno with which sigaction(2) failed.
    #[inline(always)]
    pub(crate) fn repair_atomics(&self) -> Result<(), i32> {
        // SAFETY: 1: the range's pages, of its size. 2: `resize` and `drop` pause. 3: the bytes are reached by accesses
        // that survive a page of zeros; who has made references into the region knows that they have no fault, or does
        // not ask for this.
        unsafe { self.repair.start(|| self.page_range()) }
    }

    /// Has atomic accesses of views refused from now on, where these are not guarded; answers whether one has met a
    /// fault.
    pub(crate) fn refuse_atomics(&mut self) -> bool {
        self.repair.refuse()
    }

    /// Why an access has faulted: if one that is not guarded has met a fault before, what `first` has once found out
    /// about that; else what `now` does.
    pub(crate) fn fault_kind(
        &self,
        first: impl FnOnce(FaultWord) -> FaultKind,
        now: impl FnOnce() -> FaultKind,
    ) -> FaultKind {
        self.repair.kind(first, now)
    }

    /// The pages that may be accessed.
    fn page_range(&self) -> PageRange {
        PageRange::around(self.base().addr(), self.len, self.page_bytes)
    }

    /// The address and the length of the whole pages that hold a range.
    fn pages(&self, range: Range<usize>) -> (*mut u8, usize) {
        debug_assert!(range.end <= self.reserved, "{range:?} of a region of {} bytes", self.reserved);
        let start = range.start - range.start % self.page_bytes;
        let end = range.end.next_multiple_of(self.page_bytes);
        (self.base().wrapping_add(start), end - start)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.repair.pause();
        if self.origin == Origin::Attached {
            // SAFETY: the range came from shmat, is detached here only, and whoever uses its addresses borrows its
            // owner.
            let detached = unsafe { libc::shmdt(self.base().cast()) };
            // shmdt(2) fails only for addresses that shmat does not make.
            let _ = detached;
        } else if self.reserved > 0 {
            // SAFETY: the range came from mmap, is unmapped here only, and whoever uses its addresses borrows its
            // owner.
            let unmapped = unsafe { mm::munmap(self.base().cast(), self.reserved) };
            // munmap(2) fails only for ranges that mmap does not make, and then the range just stays.
            let _ = unmapped;
        }
    }
}

/// Bytes of a System V segment: shmctl(2). Needs the permission to read it.
fn segment_len(id: i32) -> io::Result<usize> {
    let mut status = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: the kernel writes a shmid_ds, for which there is room.
    if unsafe { libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed, and then written by the kernel: integers, for which all bits are valid.
    Ok(unsafe { status.assume_init() }.shm_segsz)
}

/// Whether the kernel knows advice of this number: madvise(2) on no bytes.
pub(crate) fn has_advice(number: i32) -> bool {
    // SAFETY: an empty range changes nothing, whatever the advice.
    unsafe { libc::madvise(ptr::null_mut(), 0, number) == 0 }
}

fn round_up(len: usize, page_bytes: usize) -> io::Result<usize> {
    len.checked_next_multiple_of(page_bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// The size of a huge page, as mmap(2) and memfd_create(2) take it in their flags: its logarithm, from bit 26 on.
pub(super) fn huge_pages_bits(huge_pages: HugePages) -> io::Result<u32> {
    match huge_pages {
        HugePages::Default => Ok(0),
        HugePages::Bytes(bytes) if bytes.is_power_of_two() && bytes > page_bytes() => Ok(bytes.trailing_zeros() << 26),
        HugePages::Bytes(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

fn prot(protection: Protection) -> ProtFlags {
    match protection {
        Protection::None => ProtFlags::empty(),
        Protection::ReadOnly => ProtFlags::READ,
        Protection::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        Protection::ReadExecute => ProtFlags::READ | ProtFlags::EXEC,
    }
}

fn mprotect(protection: Protection) -> MprotectFlags {
    MprotectFlags::from_bits_retain(prot(protection).bits())
}

fn madvise(advice: Advice) -> mm::Advice {
    match advice {
        Advice::Normal => mm::Advice::Normal,
        Advice::Random => mm::Advice::Random,
        Advice::Sequential => mm::Advice::Sequential,
        Advice::WillNeed => mm::Advice::WillNeed,
        Advice::DontNeed => mm::Advice::LinuxDontNeed,
        Advice::Cold => mm::Advice::LinuxCold,
        Advice::PageOut => mm::Advice::LinuxPageOut,
        Advice::Free => mm::Advice::LinuxFree,
        Advice::Remove => mm::Advice::LinuxRemove,
        Advice::HugePage => mm::Advice::LinuxHugepage,
        Advice::NoHugePage => mm::Advice::LinuxNoHugepage,
        Advice::DontFork => mm::Advice::LinuxDontFork,
        Advice::DoFork => mm::Advice::LinuxDoFork,
        Advice::DontDump => mm::Advice::LinuxDontDump,
        Advice::DoDump => mm::Advice::LinuxDoDump,
        Advice::Mergeable => mm::Advice::LinuxMergeable,
        Advice::Unmergeable => mm::Advice::LinuxUnmergeable,
        Advice::HwPoison => mm::Advice::LinuxHwPoison,
    }
}
