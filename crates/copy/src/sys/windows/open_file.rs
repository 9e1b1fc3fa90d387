//! What is done with an open file: reading and writing by offset, room, holes, the disk.

use std::fs::{File, Metadata};
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::{Access, nt as map_nt};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_OPEN, FileAllocationInformation, FileFsAttributeInformation, FileFsSectorSizeInformation,
    FileFsSizeInformation,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_NO_BUFFERING, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_TYPE_PIPE,
};
use windows_sys::Win32::System::Ioctl::{
    FSCTL_DUPLICATE_EXTENTS_TO_FILE, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE,
};
use zerocopy::IntoBytes;

use super::folder::open_as;
use super::information::{attributes, has_holes, le_u32};
use super::{Dir, Errno, fstat, nt};

/// What is aligned to this is aligned enough for any disk that does not say what it needs, in bytes.
const ALIGN_BYTES: usize = 4096;
/// How long a pipe is left alone between two looks at it.
const PEEK: Duration = Duration::from_millis(5);
/// Of a file system: blocks may be shared (`FILE_SUPPORTS_BLOCK_REFCOUNTING`).
const BLOCK_REFCOUNTING: u32 = 0x0800_0000;
/// Bytes of a call that shares blocks: below the 4 GiB that a call may have, and of whole clusters.
const SHARED_BYTES: u64 = 1 << 30;

pub(crate) fn fsync(file: &File) -> Result<(), Errno> {
    Ok(file.sync_all()?)
}

pub(crate) fn fdatasync(file: &File) -> Result<(), Errno> {
    Ok(file.sync_data()?)
}

/// Waits until a folder is on the disk, with the names in it. Who may not write to it can't ask for that; NTFS writes
/// names in order, and with the contents that were flushed.
pub(crate) fn fsync_folder(folder: &impl AsHandle) -> Result<(), Errno> {
    let opened = open_as(Dir::Open(folder.as_handle()), c".", FILE_GENERIC_WRITE, FILE_OPEN, 0);
    match opened.and_then(|folder| Ok(File::from(folder).sync_all()?)) {
        Err(Errno::ACCESS | Errno::NOSYS | Errno::INVAL | Errno::BADF) | Ok(()) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Flushes a whole file system: only administrators may, so nobody does.
pub(crate) fn syncfs(_: &File) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

pub(crate) fn duplicate(file: &File) -> Result<File, Errno> {
    Ok(file.try_clone()?)
}

/// Locks a file for its writer, or answers `WOULDBLOCK`. The lock ends with the process.
pub(crate) fn lock(file: &File) -> Result<(), Errno> {
    nt::lock(file)
}

pub(crate) fn unlock(file: &File) -> Result<(), Errno> {
    nt::unlock(file)
}

/// Whether files without a name can be given one: there are none.
pub(crate) fn has_unnamed() -> bool {
    false
}

pub(crate) fn name_unnamed(_: &File, _: Dir<'_>, _: &std::ffi::CStr) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Sets permission bits: there are none. Who may do what is in a security descriptor, which new files inherit.
pub(crate) fn set_mode(_: &File, _: u32) -> Result<(), Errno> {
    Ok(())
}

/// As [`set_mode`].
pub(crate) fn set_mode_unopened(_: &File, _: u32) -> Result<(), Errno> {
    Ok(())
}

/// Bytes that a file has on the disk; as many as it is long if it does not tell.
pub(crate) fn allocated(file: &File, metadata: &Metadata) -> u64 {
    fstat(file).map_or(metadata.len(), |status| status.allocated)
}

/// Gives a file space up to the end of a range, and that length at least.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> Result<(), Errno> {
    if fstat(file)?.len >= range.end {
        return Ok(());
    }
    // A number that is too large is an error of the length's.
    if let Err(errno) = nt::set(file.as_handle(), FileAllocationInformation, &[range.end])
        && errno != Errno::NOSYS
        && errno != Errno::INVAL
    {
        return Err(errno);
    }
    Ok(file.set_len(range.end)?)
}

/// Makes a file one that may have holes. Where there are none, zeros are written instead.
pub(crate) fn make_sparse(file: &File) {
    let _ = nt::control(file.as_handle(), FSCTL_SET_SPARSE, &[], 0, &mut []);
}

/// Takes pages of a file out of the cache: Windows has no call for it.
pub(crate) fn evict(_: &File, _: u64, _: Option<NonZero<u64>>) {}

/// The first byte from `offset` on that has room on the disk. `NXIO` if there is none.
pub(crate) fn next_data(file: &File, offset: u64) -> Result<u64, Errno> {
    let len = fstat(file)?.len;
    first_range(file, offset..len)?.map(|range| range.start.max(offset)).ok_or(Errno::NXIO)
}

/// The first byte of a hole from `offset` on, where there is data; `len` at most.
pub(crate) fn next_hole(file: &File, offset: u64, len: u64) -> Result<u64, Errno> {
    let mut end = offset;
    // Ranges that touch each other are one.
    while let Some(range) = first_range(file, end..len)? {
        if range.start > end || range.end <= end {
            break;
        }
        end = range.end;
    }
    Ok(end.min(len))
}

/// The first range of data in a part of a file: `FSCTL_QUERY_ALLOCATED_RANGES`. `INVAL` where holes are not known: in a
/// file that may have none, or whose contents are kept elsewhere.
fn first_range(file: &File, part: Range<u64>) -> Result<Option<Range<u64>>, Errno> {
    if part.is_empty() {
        return Ok(None);
    }
    if !has_holes(attributes(file.as_handle())?) {
        return Err(Errno::INVAL);
    }
    let asked = [part.start, part.end - part.start];
    let mut found = [0u64; 2];
    let code = FSCTL_QUERY_ALLOCATED_RANGES;
    let bytes =
        nt::control(file.as_handle(), code, &asked, size_of_val(&asked), &mut found).map_err(|_| Errno::INVAL)?;
    let [start, len] = found;
    Ok((bytes == size_of_val(&found)).then(|| start..start.saturating_add(len)))
}

/// Reads at an offset; 0 is the end. It moves the file's position.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Writes at an offset. It moves the file's position.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

/// Waits until a pipe has something or has ended; `false` if the time was over. What is no pipe is read without waiting
/// here.
pub(crate) fn wait_readable(file: &File, at_most: Duration) -> bool {
    if nt::handle_type(file.as_handle()) != FILE_TYPE_PIPE {
        return true;
    }
    let begun = Instant::now();
    loop {
        match nt::waiting_bytes(file.as_handle()) {
            Ok(0) if begun.elapsed() >= at_most => return false,
            Ok(0) => thread::sleep(PEEK),
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Opens an open file once more, past the cache (`FILE_FLAG_NO_BUFFERING`).
pub(crate) fn open_direct(file: &File, access: Access) -> io::Result<File> {
    let access = if access == Access::Write { FILE_GENERIC_WRITE } else { FILE_GENERIC_READ };
    map_nt::reopen(file.as_handle(), access, FILE_FLAG_NO_BUFFERING).map(File::from)
}

/// What direct accesses to a file must be aligned to, in bytes: a sector, by `FILE_FS_SECTOR_SIZE_INFORMATION`, or a
/// guess.
pub(crate) fn direct_align(file: &File) -> usize {
    let mut sizes = [0u64; 4];
    if nt::query_volume(file.as_handle(), FileFsSectorSizeInformation, &mut sizes).is_err() {
        return ALIGN_BYTES;
    }
    // The logical sector at 0, the one that is written in one step at 4, that for speed at 8.
    let largest = [0, 4, 8].map(|at| le_u32(sizes.as_bytes(), at)).into_iter().max().unwrap_or(0);
    usize::try_from(largest).map_or(ALIGN_BYTES, |bytes| bytes.max(ALIGN_BYTES).next_power_of_two())
}

/// Makes a file, which must be empty, share the first `len` bytes' blocks of another on the same volume. `OPNOTSUPP`
/// where the file system shares none.
pub(crate) fn share_blocks(from: &File, to: &File, len: u64) -> Result<(), Errno> {
    let mut volume = [0u64; 64];
    nt::query_volume(to.as_handle(), FileFsAttributeInformation, &mut volume)?;
    if le_u32(volume.as_bytes(), 0) & BLOCK_REFCOUNTING == 0 {
        return Err(Errno::OPNOTSUPP);
    }
    // Sectors of a cluster at 16, bytes of a sector at 20.
    let mut size = [0u64; 3];
    nt::query_volume(to.as_handle(), FileFsSizeInformation, &mut size)?;
    let cluster = u64::from(le_u32(size.as_bytes(), 16)) * u64::from(le_u32(size.as_bytes(), 20));
    to.set_len(len)?;
    let handle = u64::try_from(from.as_raw_handle().expose_provenance()).map_err(|_| Errno::INVAL)?;
    let mut offset = 0;
    while offset < len {
        // The last cluster is shared as a whole.
        let bytes = (len - offset).min(SHARED_BYTES).next_multiple_of(cluster.max(1));
        // DUPLICATE_EXTENTS_DATA.
        let asked = [handle, offset, offset, bytes];
        let code = FSCTL_DUPLICATE_EXTENTS_TO_FILE;
        nt::control(to.as_handle(), code, &asked, size_of_val(&asked), &mut [])?;
        offset = offset.saturating_add(bytes);
    }
    Ok(())
}
