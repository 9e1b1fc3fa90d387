//! What a file descriptor can tell, and its pages in the page cache.
#![expect(unsafe_code, reason = "ioctl, sync_file_range, cachestat")]

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{
    Advice, AtFlags, FallocateFlags, FileType, MemfdFlags, OFlags, SealFlags, Stat, StatxAttributes, StatxFlags,
};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::process::Resource;

use super::guard;
use super::page_bytes;
use super::region::huge_pages_bits;
use crate::options::{HugePages, MapMode};
use crate::paging::CacheCounts;
use crate::sys::{ENDLESS, FileFacts, Opened};

/// `HUGETLBFS_MAGIC` of linux/magic.h, as statfs(2) answers it.
const HUGETLBFS_MAGIC: u32 = 0x958458f6;

/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS_MAGIC: u32 = 0x01021994;

/// Pieces that one writev(2) takes: `UIO_MAXIOV` of linux/uio.h.
const MOST_PIECES: usize = 1024;

/// Number of cachestat(2), the same on every processor that we know tests of; since Linux 6.5.
const SYS_CACHESTAT: libc::c_long = 451;

/// Seals without which nobody may hold a `&[u8]` into a memory file.
const SEALED: SealFlags = SealFlags::SHRINK.union(SealFlags::WRITE);

/// Bytes that are read to see whether a byte can be: a block that suits descriptors opened with `O_DIRECT`, too.
const PROBE_BYTES: usize = 4096;

/// Opens a file with the access that a mode needs. A pipe without a writer is not waited for: it can't be mapped
/// anyway.
pub(crate) fn open(path: &Path, mode: MapMode) -> io::Result<File> {
    let write = mode == MapMode::ReadWrite;
    let file = File::options().read(true).write(write).custom_flags(libc::O_NONBLOCK).open(path)?;
    // Who is given the descriptor of a device expects it to block.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

/// What is to be known of a file before it is mapped: fstat(2), and one question more for what is not a plain file.
pub(crate) fn facts(file: BorrowedFd<'_>) -> io::Result<FileFacts> {
    let stat = rustix::fs::fstat(file)?;
    let len = len_of(file, &stat)?;
    // Only hugetlbfs has larger pages, and its files' preferred block is one; others prefer large blocks, too.
    let page_bytes = match usize::try_from(stat.st_blksize) {
        Ok(block) if block > page_bytes() && is_on(file, HUGETLBFS_MAGIC)? => block,
        _ => page_bytes(),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let can_be_mapped = !matches!(kind, FileType::Directory | FileType::Fifo | FileType::Socket);
    Ok(FileFacts { len, page_bytes, can_be_mapped })
}

/// Length of a file, in bytes: fstat(2); `u64::MAX` for a device without one.
pub(crate) fn file_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    len_of(file, &rustix::fs::fstat(file)?)
}

fn len_of(file: BorrowedFd<'_>, stat: &Stat) -> io::Result<u64> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => block_device_bytes(file)?,
        FileType::CharacterDevice => ENDLESS,
        _ => u64::try_from(stat.st_size).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?,
    })
}

/// Whether a file is on the file system of that number.
fn is_on(file: BorrowedFd<'_>, magic: u32) -> io::Result<bool> {
    let found = rustix::fs::fstatfs(file)?.f_type;
    // The type of the field differs between processors; the number has 32 bits.
    Ok(found.to_le_bytes()[..4] == magic.to_le_bytes())
}

/// Length of a block device: the ioctl `BLKGETSIZE64` of linux/fs.h.
fn block_device_bytes(file: BorrowedFd<'_>) -> io::Result<u64> {
    const BLKGETSIZE64: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<usize>(0x12, 114);
    // SAFETY: the kernel writes a u64 for this code, whatever size the code itself names.
    let getter = unsafe { rustix::ioctl::Getter::<BLKGETSIZE64, u64>::new() };
    // SAFETY: the code only reads the device's length.
    Ok(unsafe { rustix::ioctl::ioctl(file, getter) }?)
}

/// Whether the byte at `offset` can be read by pread(2): the error of the medium, if not.
///
/// A device without a length is not read: that could take a byte from a line or a register.
pub(crate) fn readable(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    #[repr(align(4096))]
    struct Block([u8; PROBE_BYTES]);
    if file_len(file)? == u64::MAX {
        return Err(io::Error::from_raw_os_error(libc::EIO));
    }
    let mut block = Block([0; PROBE_BYTES]);
    let start = offset - offset % 4096;
    rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut block.0, start))?;
    Ok(())
}

/// Whether the file system has room for the byte at `offset`, which somebody wanted to write: fallocate(2). The byte's
/// block is reserved if so; the file's length does not change.
pub(crate) fn allocatable(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, offset, 1))?;
    Ok(())
}

/// Whether the file system has fewer than `needed_bytes` free: fstatvfs(2). One that cannot be asked is not full.
pub(crate) fn is_full(file: BorrowedFd<'_>, needed_bytes: u64) -> bool {
    rustix::fs::fstatvfs(file)
        .is_ok_and(|fs| fs.f_blocks > 0 && fs.f_bavail.saturating_mul(fs.f_frsize) < needed_bytes)
}

/// The path of an open file as the kernel knows it, for messages.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> String {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Without /proc there is no path to be had, and the message is still right.
    fs::read_link(link).map_or_else(|_| format!("file descriptor {}", file.as_raw_fd()), |p| p.display().to_string())
}

/// A descriptor that stands for memory which has none: it tells a name and a length, and every use of its bytes answers
/// `EBADF`: open(2), `O_PATH`.
pub(crate) fn stand_in(name: &str, len: u64) -> io::Result<OwnedFd> {
    let file = memfd(name, len, None)?;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::open(link, OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty())?)
}

/// write(2).
///
/// # Safety
/// `bytes..bytes + len` lies in an address range reserved for a mapping of ours.
pub(crate) unsafe fn write(file: BorrowedFd<'_>, bytes: *const u8, len: usize) -> io::Result<usize> {
    guard::checked(bytes.addr(), || {
        // SAFETY: the kernel reads at most the caller's range, and answers EFAULT where there is no page.
        let written = unsafe { libc::write(file.as_raw_fd(), bytes.cast(), len) };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    })
}

/// read(2).
///
/// # Safety
/// `bytes..bytes + len` lies in an address range reserved for a mapping of ours.
pub(crate) unsafe fn read(file: BorrowedFd<'_>, bytes: *mut u8, len: usize) -> io::Result<usize> {
    guard::checked(bytes.addr(), || {
        // SAFETY: the kernel writes at most the caller's range, and answers EFAULT where there is no page.
        let read = unsafe { libc::read(file.as_raw_fd(), bytes.cast(), len) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    })
}

/// Whether a mapping has the bytes that its file gets later.
pub(crate) const GROWS_IN_PLACE: bool = true;

/// pread(2).
pub(crate) fn read_at(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pread(file, bytes, offset)?)
}

/// pwrite(2).
pub(crate) fn write_at(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwrite(file, bytes, offset)?)
}

/// Makes the file longer, from `start`, which is at or behind its end, to `end`, by zeros that have their disk blocks.
/// Answers where it ends now: before `end` if the disk is nearly full, behind it if somebody else has made it longer
/// meanwhile, whose bytes are spared.
///
/// The zeros are written, since a file's pages that come from write(2) lie in large folios: a page fault there costs a
/// tenth of one on a page that comes from fallocate(2), which more than pays for writing them (bench/, `files
/// sequential`). tmpfs has no such folios, and there fallocate(2) and populating is faster.
pub(crate) fn grow(file: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<u64> {
    if is_in_memory(file) {
        reserve(file, start, end)?;
        return Ok(end);
    }
    let mut left = end - start;
    if start > file_len(file)? {
        // The first zero behind a hole.
        reserve(file, start, start + 1)?;
        left -= 1;
    }
    while left > 0 {
        match append_zeros(file, left) {
            Ok(0) => break,
            Ok(written) => left = left.saturating_sub(written),
            // Zeros that are not aligned are nothing for a descriptor with `O_DIRECT`; kernels before 4.16 and
            // emulators lack the call.
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                reserve(file, end - left, end)?;
                break;
            }
            Err(error) if left == end - start => return Err(error.into()),
            Err(_) => break,
        }
    }
    file_len(file)
}

/// Writes up to so many zeros at the file's end, wherever that is: pwritev2(2), `RWF_APPEND`.
fn append_zeros(file: BorrowedFd<'_>, count: u64) -> rustix::io::Result<u64> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let whole = usize::try_from(count).unwrap_or(usize::MAX).min(MOST_PIECES * ZEROS.len());
    let pieces: Vec<IoSlice<'_>> =
        (0..whole).step_by(ZEROS.len()).map(|at| IoSlice::new(&ZEROS[..ZEROS.len().min(whole - at)])).collect();
    let written = rustix::io::retry_on_intr(|| rustix::io::pwritev2(file, &pieces, 0, ReadWriteFlags::APPEND))?;
    Ok(u64::try_from(written).unwrap_or(count))
}

/// Writes at the file's end, wherever that is: pwritev2(2), `RWF_APPEND`.
pub(crate) fn append(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
        // A kernel before 4.16, or an emulator. A descriptor that was opened for appending does the same by itself.
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => Ok(rustix::io::pwrite(file, bytes, file_len(file)?)?),
        written => Ok(written?),
    }
}

/// Makes the file reach to `end`, with disk blocks from `start` on, and changes no byte: fallocate(2); without blocks
/// where the file system cannot do that.
fn reserve(file: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), start, end - start)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => set_len(file, end),
        answer => Ok(answer?),
    }
}

/// The length that the process may give to a file: getrlimit(2), `RLIMIT_FSIZE`. Who goes beyond it gets a `SIGXFSZ`.
pub(crate) fn most_file_bytes() -> u64 {
    rustix::process::getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// Whether the file is on tmpfs, where its pages are all there is of it.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>) -> bool {
    is_on(file, TMPFS_MAGIC).unwrap_or(false)
}

/// Sets the file's length: ftruncate(2).
pub(crate) fn set_len(file: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::ftruncate(file, len))?)
}

/// Writes the file and all about it to the disk, and waits: fsync(2).
pub(crate) fn sync_all(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(file))?)
}

/// Writes the file's bytes to the disk, and waits: fdatasync(2).
pub(crate) fn sync_data(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fdatasync(file))?)
}

/// How a file was opened: fcntl(2), `F_GETFL`.
pub(crate) fn opened(file: BorrowedFd<'_>) -> io::Result<Opened> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    let access = flags & OFlags::RWMODE;
    let reads = access != OFlags::WRONLY;
    Ok(Opened {
        reads,
        maps: reads,
        writes: access != OFlags::RDONLY,
        appends: flags.contains(OFlags::APPEND),
    })
}

/// Opens an open file once more, for reading and writing, if its permissions allow that.
pub(crate) fn reopen(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))?.into())
}

/// Starts to write the dirty pages of a range of the file to the disk, without waiting: sync_file_range(2).
pub(crate) fn start_write_back(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (off64(offset)?, off64(len)?);
    // SAFETY: takes numbers only.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Writes the file's dirty pages back and asks the kernel to forget the clean pages of a range: fdatasync(2) and
/// posix_fadvise(2). Pages that somebody has mapped stay.
pub(crate) fn drop_cache(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    sync_data(file)?;
    // Pages that are only partly inside would stay (posix_fadvise(2)).
    let page = u64::try_from(page_bytes()).map_err(io::Error::other)?;
    let (start, end) = (offset - offset % page, offset.saturating_add(len).checked_next_multiple_of(page));
    let len = end.map_or(u64::MAX, |end| end - start).min(i64::MAX.unsigned_abs() - start);
    rustix::fs::fadvise(file, start, std::num::NonZeroU64::new(len), Advice::DontNeed)?;
    Ok(())
}

/// What the page cache holds of a range of the file: cachestat(2).
pub(crate) fn cache_counts(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<CacheCounts> {
    #[repr(C)]
    struct Range {
        offset: u64,
        len: u64,
    }
    let range = Range { offset, len };
    let mut counts = [0u64; 5];
    let flags: libc::c_uint = 0;
    // SAFETY: the kernel reads a `struct cachestat_range` of two u64 and writes a `struct cachestat` of five
    // (linux/mman.h); a kernel without the call answers ENOSYS.
    let answer = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, counts.as_mut_ptr(), flags) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let [cached, dirty, writeback, evicted, recently_evicted] = counts;
    Ok(CacheCounts { cached, dirty, writeback, evicted, recently_evicted })
}

/// Makes a file that lives in memory and has no name in any folder: memfd_create(2). `name` is for people to see.
pub(crate) fn memfd(name: &str, len: u64, huge_pages: Option<HugePages>) -> io::Result<OwnedFd> {
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if let Some(huge_pages) = huge_pages {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::from_bits_retain(huge_pages_bits(huge_pages)?);
    }
    let file = rustix::fs::memfd_create(name, flags)?;
    let len = match huge_pages {
        None => len,
        // They come as wholes.
        Some(_) => {
            let page_bytes = u64::try_from(facts(file.as_fd())?.page_bytes).map_err(io::Error::other)?;
            len.checked_next_multiple_of(page_bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?
        }
    };
    rustix::fs::ftruncate(&file, len)?;
    Ok(file)
}

/// Makes a memory file unchangeable for ever and for everybody: fcntl(2), `F_ADD_SEALS`.
pub(crate) fn seal(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, SEALED | SealFlags::GROW | SealFlags::SEAL)?)
}

/// Whether nobody can change or shorten a memory file any more.
pub(crate) fn is_sealed(file: BorrowedFd<'_>) -> io::Result<bool> {
    match rustix::fs::fcntl_get_seals(file) {
        // What files that cannot have seals answer.
        Err(Errno::INVAL) => Ok(false),
        seals => Ok(seals?.contains(SEALED)),
    }
}

/// Whether pages of a memory file are missing.
pub(crate) fn has_holes(file: BorrowedFd<'_>) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    // Counted in units of 512 bytes, also the pages that are in swap space (stat(2)).
    let (bytes, len) = (i128::from(stat.st_blocks) * 512, i128::from(stat.st_size));
    Ok(bytes < len)
}

/// Gives a memory file all its pages.
pub(crate) fn fill_holes(file: BorrowedFd<'_>) -> io::Result<()> {
    match file_len(file)? {
        0 => Ok(()),
        len => Ok(rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len))?),
    }
}

/// Whether the kernel keeps a file's bytes from changing and from going away, for ever: a memory file with seals, or a
/// file with fs-verity.
///
/// # Errors
/// `InvalidInput` that says what is missing.
pub(crate) fn immutable(file: BorrowedFd<'_>) -> io::Result<()> {
    let reason = match rustix::fs::fcntl_get_seals(file) {
        Ok(seals) if seals.contains(SEALED) => return Ok(()),
        Ok(_) => "it is a memory file that is not sealed against writing and shrinking",
        // Files that cannot have seals answer EINVAL (fcntl(2)); one that cannot be asked is not trusted either.
        Err(_) if has_verity(file) => return Ok(()),
        Err(_) => "it is neither a sealed memory file nor one with fs-verity",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Whether the file system checks the file against a hash and refuses to change it: fs-verity.
///
/// Both the attribute of statx(2) and the ioctl must say so: the latter alone may be answered by a file system in user
/// space.
fn has_verity(file: BorrowedFd<'_>) -> bool {
    /// `struct fsverity_digest` of linux/fsverity.h, with room for no digest.
    #[repr(C)]
    struct Digest {
        algorithm: u16,
        size: u16,
    }
    const FS_IOC_MEASURE_VERITY: rustix::ioctl::Opcode = rustix::ioctl::opcode::read_write::<Digest>(b'f', 134);
    let marked = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|statx| statx.stx_attributes_mask.intersection(statx.stx_attributes).contains(StatxAttributes::VERITY));
    let mut digest = Digest { algorithm: 0, size: 0 };
    // SAFETY: for this code the kernel reads and writes the four bytes of `Digest`, and a digest of at most `size`
    // bytes.
    let updater = unsafe { rustix::ioctl::Updater::<FS_IOC_MEASURE_VERITY, Digest>::new(&mut digest) };
    // SAFETY: the code only asks for the file's digest.
    let measured = unsafe { rustix::ioctl::ioctl(file, updater) };
    // The kernel has a digest, and we have no room for it.
    marked && measured == Err(Errno::OVERFLOW)
}

fn off64(value: u64) -> io::Result<libc::off64_t> {
    libc::off64_t::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_for_direct_input_and_output_answers_for_every_byte() {
        let test = "a_descriptor_for_direct_input_and_output_answers_for_every_byte";
        let file = tempfile::NamedTempFile::new().unwrap();
        // Data, since a hole is read without a look at the alignment.
        fs::write(file.path(), mapio_testkit::pattern(10_000)).unwrap();
        let direct = match File::options().read(true).custom_flags(libc::O_DIRECT).open(file.path()) {
            Ok(direct) => direct,
            Err(error) => return mapio_testkit::skip(test, &format!("no O_DIRECT in the temporary folder: {error}")),
        };
        for offset in [0, 1, 511, 4095, 4096, 4097, 9_999] {
            readable(direct.as_fd(), offset).unwrap_or_else(|error| panic!("byte {offset}: {error}"));
        }
    }
}
