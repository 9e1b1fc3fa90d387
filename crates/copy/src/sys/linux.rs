//! Linux, by rustix.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, FileType as StdFileType, Metadata};
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{
    Access, Advice, AtFlags, FallocateFlags, FlockOperation, Mode, RawDir, RenameFlags, SeekFrom, Stat,
    StatxAttributes, StatxFlags,
};
use rustix::io::retry_on_intr;
use rustix::process::Resource;

pub(crate) use rustix::fs::{ABS, CWD, FileType, OFlags, Timespec};
pub(crate) use rustix::io::Errno;

use crate::file_system::FileSystem;
use crate::place::{Link, Place};
use crate::status::{FileId, Status};

/// An open folder.
pub(crate) type Dir<'a> = BorrowedFd<'a>;
/// The number of a file on its device.
pub(crate) type Inode = u64;

/// What stands between the names of a path.
pub(crate) const SEPARATOR: u8 = b'/';
/// Whether two names that differ in case may mean one file. Some folders do so; what is met there is met as anywhere.
pub(crate) const FOLDS_CASE: bool = false;
/// Whether [`evict`] takes pages away that nobody else uses.
pub(crate) const EVICTS: bool = true;
/// Whether the system can be told to copy by itself.
pub(crate) const OFFLOADS: bool = true;
/// Whether what [`next_data`] passes over reads as zeros, whoever has stored what.
pub(crate) const KNOWS_HOLES: bool = true;

/// Bytes that are asked of a listing at a time.
const LISTING_BYTES: usize = 32 << 10;
/// Bytes in the unit of `st_blocks`: stat(2).
const BLOCK_BYTES: u64 = 512;
/// What is aligned to this is aligned enough for any file system that does not say what it needs, in bytes.
const ALIGN_BYTES: usize = 4096;

/// The folder that an open file is.
pub(crate) fn dir(file: &impl AsFd) -> Dir<'_> {
    file.as_fd()
}

/// The path that has these bytes.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

pub(crate) fn is_separator(byte: u8) -> bool {
    byte == SEPARATOR
}

/// How many bytes of a path are in front of its last component.
pub(crate) fn folder_bytes(path: &[u8]) -> usize {
    path.iter().rposition(|&byte| is_separator(byte)).map_or(0, |slash| slash + 1)
}

/// What a name has in common with the other names that mean the same file in this folder: nothing but itself.
pub(crate) fn name_key(_folder: Place<'_>, name: &[u8]) -> Vec<u8> {
    name.to_vec()
}

pub(crate) fn openat(dir: Dir<'_>, name: &CStr, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(mode);
    retry_on_intr(|| rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, mode))
}

/// Opens the folder that a folder is in.
pub(crate) fn open_parent(dir: Dir<'_>) -> Result<OwnedFd, Errno> {
    openat(dir, c"..", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)
}

/// Opens a file for reading. A pipe that has taken its place is not waited for.
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

pub(crate) fn statat(dir: Dir<'_>, name: &CStr, link: Link) -> Result<Status, Errno> {
    let flags = match link {
        Link::Itself => AtFlags::SYMLINK_NOFOLLOW,
        Link::Followed => AtFlags::empty(),
    };
    rustix::fs::statat(dir, name, flags).map(|stat| status(&stat))
}

pub(crate) fn fstat(file: &impl AsFd) -> Result<Status, Errno> {
    rustix::fs::fstat(file).map(|stat| status(&stat))
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_fallible_conversions,
    reason = "the fields have other types on other processors"
)]
fn status(stat: &Stat) -> Status {
    let time = |seconds, nanoseconds| Timespec { tv_sec: i64::from(seconds), tv_nsec: nanoseconds };
    Status {
        id: FileId { device: u64::from(stat.st_dev), inode: u64::from(stat.st_ino) },
        kind: FileType::from_raw_mode(stat.st_mode),
        mode: stat.st_mode & 0o7777,
        nlink: u64::from(stat.st_nlink),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: u64::from(stat.st_rdev),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK_BYTES),
        accessed: time(stat.st_atime, stat.st_atime_nsec.try_into().unwrap_or(0)),
        modified: time(stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
    }
}

/// Bytes that a file has on the disk.
pub(crate) fn allocated(_file: &File, metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(BLOCK_BYTES)
}

pub(crate) fn unlinkat(dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

pub(crate) fn mkdirat(dir: Dir<'_>, name: &CStr, mode: u32) -> Result<(), Errno> {
    rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode))
}

pub(crate) fn mknodat(dir: Dir<'_>, name: &CStr, kind: FileType, mode: u32, device: u64) -> Result<(), Errno> {
    rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode), device)
}

/// Gives a file another name: the link itself, or what it leads to.
pub(crate) fn linkat(from: (Dir<'_>, &CStr), to: (Dir<'_>, &CStr), link: Link) -> Result<(), Errno> {
    let flags = match link {
        Link::Itself => AtFlags::empty(),
        Link::Followed => AtFlags::SYMLINK_FOLLOW,
    };
    rustix::fs::linkat(from.0, from.1, to.0, to.1, flags)
}

pub(crate) fn symlinkat(content: &Path, dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    rustix::fs::symlinkat(content, dir, name)
}

/// What a link is made of.
pub(crate) type LinkContent = CString;

pub(crate) fn readlinkat(dir: Dir<'_>, name: &CStr) -> Result<LinkContent, Errno> {
    rustix::fs::readlinkat(dir, name, Vec::new())
}

/// Makes a link like one that was read.
pub(crate) fn copy_linkat(content: &LinkContent, dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    rustix::fs::symlinkat(content, dir, name)
}

pub(crate) fn renameat(dir: Dir<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    rustix::fs::renameat(dir, from, dir, to)
}

/// Renames to a name that must be free: `EEXIST` otherwise, where the file system can tell.
pub(crate) fn rename_no_replace(dir: Dir<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        // Not every file system can tell (rename(2)). The name was free when it was looked at.
        Err(Errno::INVAL | Errno::NOSYS) => renameat(dir, from, to),
        renamed => renamed,
    }
}

/// Whether the permissions of a file let this process write to it.
pub(crate) fn may_write(dir: Dir<'_>, name: &CStr) -> bool {
    rustix::fs::accessat(dir, name, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// Whether something is mounted on a name, as far as the kernel tells: from Linux 5.8 on.
pub(crate) fn is_mount_root(dir: Dir<'_>, name: &CStr) -> bool {
    let statx = rustix::fs::statx(dir, name, AtFlags::empty(), StatxFlags::empty());
    statx.is_ok_and(|statx| statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The path of the file that a name leads to. The kernel knows it, through however many links.
pub(crate) fn path_behind(dir: Dir<'_>, name: &CStr) -> Option<CString> {
    let file = openat(dir, name, OFlags::PATH, 0).ok()?;
    let path = rustix::fs::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    let there = statat(CWD, &path, Link::Itself).ok()?;
    let meant = fstat(&file).ok()?;
    (there.id == meant.id).then_some(path)
}

pub(crate) fn fsync(file: &File) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(file))
}

pub(crate) fn fsync_folder(folder: &impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(folder))
}

pub(crate) fn fdatasync(file: &File) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fdatasync(file))
}

pub(crate) fn syncfs(file: &File) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::syncfs(file))
}

/// Opens an open file once more, however it is open.
pub(crate) fn duplicate(file: &File) -> Result<File, Errno> {
    Ok(rustix::io::fcntl_dupfd_cloexec(file, 0)?.into())
}

/// Locks a file for its writer, or answers `EWOULDBLOCK`. The lock ends with the process.
pub(crate) fn lock(file: &File) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

pub(crate) fn unlock(file: &File) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::Unlock)
}

/// Whether files without a name can be given one. Without /proc they never could.
pub(crate) fn has_unnamed() -> bool {
    rustix::fs::access("/proc/self/fd", Access::EXISTS).is_ok()
}

/// Gives a file without a name this one, if it is free.
pub(crate) fn name_unnamed(file: &File, dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, dir, name, AtFlags::SYMLINK_FOLLOW)
}

pub(crate) fn set_mode(file: &File, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Sets the mode of a file that is open in whatever way.
pub(crate) fn set_mode_unopened(file: &File, mode: u32) -> Result<(), Errno> {
    rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), Mode::from_raw_mode(mode))
}

/// The number of the user whose files this process makes.
pub(crate) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Gives a range of a file space, so that the file reaches to its end at least. `EOPNOTSUPP` where the file system
/// can't.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> Result<(), Errno> {
    let len = range.end - range.start;
    retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), range.start, len))
}

/// Makes a file one that may have holes: all may.
pub(crate) fn make_sparse(_file: &File) {}

/// Takes pages of a file out of the page cache. It is advice: pages that others use stay.
pub(crate) fn evict(file: &File, offset: u64, len: Option<NonZero<u64>>) {
    let _ = rustix::fs::fadvise(file, offset, len, Advice::DontNeed);
}

/// The first byte from `offset` on that may be data: lseek(2). `ENXIO` if there is none.
pub(crate) fn next_data(file: &File, offset: u64) -> Result<u64, Errno> {
    rustix::fs::seek(file, SeekFrom::Data(offset))
}

/// The first byte of a hole from `offset` on: lseek(2).
pub(crate) fn next_hole(file: &File, offset: u64, _len: u64) -> Result<u64, Errno> {
    rustix::fs::seek(file, SeekFrom::Hole(offset))
}

/// Reads at an offset; 0 is the end. The file's position does not matter.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    FileExt::read_at(file, buffer, offset)
}

/// Writes at an offset. The file's position does not matter.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    FileExt::write_at(file, bytes, offset)
}

/// Waits until a stream has something, has ended or has failed, or can't be waited for; `false` if the time was over.
pub(crate) fn wait_readable(file: &File, at_most: Duration) -> bool {
    let at_most = Timespec::try_from(at_most).unwrap_or_default();
    !matches!(poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&at_most)), Ok(0) | Err(Errno::INTR))
}

/// The file system that an open file is on.
pub(crate) fn file_system(file: impl AsFd) -> FileSystem {
    // The numbers are from statfs(2) and the kernel's include/uapi/linux/magic.h; ZFS has its own.
    #[allow(clippy::useless_conversion, reason = "the field has another type on other processors")]
    match rustix::fs::fstatfs(file).map(|stat| i64::from(stat.f_type) & 0xffff_ffff) {
        Ok(0xef53) => FileSystem::Ext,
        Ok(0x5846_5342) => FileSystem::Xfs,
        Ok(0x9123_683e) => FileSystem::Btrfs,
        Ok(0x2fc1_2fc1) => FileSystem::Zfs,
        Ok(0x0102_1994 | 0x8584_58f6) => FileSystem::Memory,
        // NFS, SMB, CIFS, SMB2 and Ceph.
        Ok(0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x00c3_6400) => FileSystem::Network,
        // FUSE and 9P.
        Ok(0x6573_5546 | 0x0102_1997) => FileSystem::Fuse,
        // proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs and configfs.
        Ok(
            0x9fa0 | 0x6265_6572 | 0x0027_e0eb | 0x6367_7270 | 0x6462_6720 | 0x7472_6163 | 0x7363_6673 | 0x6265_6570,
        ) => FileSystem::Kernel,
        Ok(_) | Err(_) => FileSystem::Other,
    }
}

/// Lists some more names of a folder, from `cookie` on, which it moves. `false`: there are none.
pub(crate) fn list(dir: Dir<'_>, cookie: &mut u64, mut met: impl FnMut(FileType, &CStr)) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); LISTING_BYTES];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut has_met = false;
    // One call fills the buffer; another one would be made when it is empty.
    while !has_met || !entries.is_buffer_empty() {
        let Some(entry) = entries.next() else { return Ok(has_met) };
        let entry = entry?;
        has_met = true;
        *cookie = entry.next_entry_cookie();
        let name = entry.file_name();
        if name != c"." && name != c".." {
            met(entry.file_type(), name);
        }
    }
    Ok(true)
}

/// Lets the listing of a folder that was opened again go on where it was.
pub(crate) fn seek_listing(dir: Dir<'_>, cookie: u64) -> Result<(), Errno> {
    rustix::fs::seek(dir, SeekFrom::Start(cookie)).map(drop)
}

/// Opens an open file once more, past the page cache.
pub(crate) fn open_direct(file: &File, access: mapio_map::Access) -> io::Result<File> {
    // A flag of the file that we have been given would be one of its owner's, too.
    let flags = OFlags::DIRECT.bits().cast_signed();
    let mut options = File::options();
    let writes = access == mapio_map::Access::Write;
    options.read(!writes).write(writes).custom_flags(flags);
    options.open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// What direct accesses to a file must be aligned to, in bytes: statx(2), `STATX_DIOALIGN`, or a guess.
pub(crate) fn direct_align(file: &File) -> usize {
    let Ok(stat) = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) else { return ALIGN_BYTES };
    let align = stat.stx_dio_mem_align.max(stat.stx_dio_offset_align);
    // Zeros: the kernel does not know, or the file can't, which opening it tells.
    usize::try_from(align).map_or(ALIGN_BYTES, |align| align.max(ALIGN_BYTES).next_power_of_two())
}

/// Whether a mapping is impossible for ever, by the error of mmap(2): the file can't be mapped at all, not with these
/// rights, or address space or memory is lacking.
pub(crate) fn is_refusal_of_map(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NODEV | Errno::ACCESS | Errno::PERM | Errno::NOMEM))
}

/// Whether a rename was refused because the file there can't be replaced, only written to: something is mounted on it.
pub(crate) fn is_irreplaceable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::BUSY.raw_os_error())
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    // Not available_parallelism, which reads half a dozen files of /proc and /sys first.
    let set = rustix::thread::sched_getaffinity(None);
    set.map_or(1, |set| usize::try_from(set.count()).unwrap_or(1))
}

/// Descriptors that this process may have.
pub(crate) fn most_descriptors() -> u64 {
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// What a file is that is not a regular one.
pub(crate) fn irregular_kind(file_type: StdFileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("a directory")
    } else if file_type.is_fifo() {
        Some("a pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else if file_type.is_block_device() {
        Some("a block device")
    } else if file_type.is_char_device() {
        Some("a character device")
    } else {
        Some("something unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_systems_of_every_linux_are_told_apart() {
        let of = |path| File::open(path).map(file_system);
        assert_eq!(of("/proc/version").unwrap(), FileSystem::Kernel);
        for (path, expected) in [("/sys/kernel", FileSystem::Kernel), ("/dev/shm", FileSystem::Memory)] {
            if let Ok(found) = of(path) {
                assert_eq!(found, expected, "{path}");
            }
        }
    }
}
