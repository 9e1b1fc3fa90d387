//! What a file handle can tell, and what changes files.
#![expect(unsafe_code, reason = "calls of kernel32.dll and ntdll.dll on file handles")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Wdk::Storage::FileSystem::{FILE_ACCESS_INFORMATION, FileAccessInformation, NtQueryInformationFile};
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_USER_MAPPED_FILE, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_APPEND_DATA, FILE_ATTRIBUTE_TEMPORARY, FILE_END_OF_FILE_INFO, FILE_FLAG_DELETE_ON_CLOSE, FILE_READ_DATA,
    FILE_STANDARD_INFO, FILE_TYPE_DISK, FILE_WRITE_DATA, FileEndOfFileInfo, FileStandardInfo, FlushFileBuffers,
    GetFileInformationByHandleEx, GetFileSizeEx, GetFileType, ReadFile, SetFileInformationByHandle, WriteFile,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::unsupported::unsupported;
use super::{page_bytes, section};
use crate::nt::{self, check};
use crate::options::{HugePages, MapMode};
use crate::sys::{FileFacts, Opened};

/// Whether a mapping has the bytes that its file gets later: a section has the length that the file had.
pub(crate) const GROWS_IN_PLACE: bool = false;

/// The offset that stands for the end of the file, wherever that is ("WriteFile function", Microsoft's documentation).
const AT_THE_END: u64 = u64::MAX;

/// How often another name is tried for a memory file, before what stands in the way is an error.
const NAMES: usize = 64;

/// Opens a file with the access that a mode needs.
pub(crate) fn open(path: &Path, mode: MapMode) -> io::Result<File> {
    File::options().read(true).write(mode == MapMode::ReadWrite).open(path)
}

/// What is to be known of a file before it is mapped.
pub(crate) fn facts(file: BorrowedHandle<'_>) -> io::Result<FileFacts> {
    match section::len(file) {
        Ok(len) => return Ok(FileFacts { len, page_bytes: page_bytes(), can_be_mapped: true }),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let reason = "the section's handle does not allow its length to be asked for (SECTION_QUERY)";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        // It is none: `ERROR_INVALID_HANDLE`.
        Err(_) => {}
    }
    // SAFETY: the handle is open.
    if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
        return Ok(FileFacts { len: 0, page_bytes: page_bytes(), can_be_mapped: false });
    }
    let mut about = FILE_STANDARD_INFO::default();
    let bytes = u32::try_from(size_of_val(&about)).map_err(io::Error::other)?;
    let (file, place) = (file.as_raw_handle(), (&raw mut about).cast());
    // One question for both, and none about the volume, as GetFileInformationByHandle has it.
    // SAFETY: the handle is open, and the result is a local of so many bytes, as `FileStandardInfo` has them.
    check(unsafe { GetFileInformationByHandleEx(file, FileStandardInfo, place, bytes) })?;
    let len = u64::try_from(about.EndOfFile).map_err(io::Error::other)?;
    Ok(FileFacts { len, page_bytes: page_bytes(), can_be_mapped: !about.Directory })
}

/// Length of a file or a section, in bytes: GetFileSizeEx.
pub(crate) fn file_len(file: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut len = 0;
    // SAFETY: the handle is open, and the result is a local.
    match check(unsafe { GetFileSizeEx(file.as_raw_handle(), &raw mut len) }) {
        Ok(()) => u64::try_from(len).map_err(io::Error::other),
        Err(error) => section::len(file).map_err(|_| error),
    }
}

/// Whether the byte at `offset` can be read: the error of the medium, if not. A handle that cannot be opened once more
/// is not asked: reading by it would move its position.
pub(crate) fn readable(file: BorrowedHandle<'_>, offset: u64) -> io::Result<()> {
    let Ok(own) = nt::reopen(file, GENERIC_READ, 0) else { return Ok(()) };
    read_at(own.as_handle(), &mut [0], offset).map(drop)
}

/// Whether the file system has room for a byte: a fault that tells otherwise brings its reason along.
pub(crate) fn allocatable(_: BorrowedHandle<'_>, _: u64) -> io::Result<()> {
    Ok(())
}

/// Whether the file system is nearly full: a fault for that reason brings it along.
pub(crate) fn is_full(_: BorrowedHandle<'_>, _: u64) -> bool {
    false
}

/// The path of an open file, for messages: GetFinalPathNameByHandle.
pub(crate) fn path_of(file: BorrowedHandle<'_>) -> String {
    match nt::final_path(file) {
        // What has no name, such as a pipe; the message is still right.
        Err(_) => format!("handle {:#x}", file.as_raw_handle().addr()),
        Ok(path) => {
            let path = OsString::from_wide(&path).to_string_lossy().into_owned();
            path.strip_prefix(r"\\?\").map_or_else(|| path.clone(), str::to_owned)
        }
    }
}

/// WriteFile, at the handle's own position; `InvalidInput` for a handle whose calls do not wait.
///
/// # Safety
/// `bytes..bytes + len` lies in an address range reserved for a mapping of ours.
pub(crate) unsafe fn write(file: BorrowedHandle<'_>, bytes: *const u8, len: usize) -> io::Result<usize> {
    nt::ensure_synchronous(file)?;
    let mut written = 0;
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    // SAFETY: the kernel reads at most the caller's range, and answers ERROR_NOACCESS where there is no page. The
    // handle is synchronous, so the call is over when it comes back.
    check(unsafe { WriteFile(file.as_raw_handle(), bytes, len, &raw mut written, ptr::null_mut()) })?;
    usize::try_from(written).map_err(io::Error::other)
}

/// ReadFile, at the handle's own position; `InvalidInput` for a handle whose calls do not wait.
///
/// # Safety
/// `bytes..bytes + len` lies in an address range reserved for a mapping of ours.
pub(crate) unsafe fn read(file: BorrowedHandle<'_>, bytes: *mut u8, len: usize) -> io::Result<usize> {
    nt::ensure_synchronous(file)?;
    let mut read = 0;
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    // SAFETY: the kernel writes at most the caller's range, and answers ERROR_NOACCESS where there is no page. The
    // handle is synchronous, so the call is over when it comes back.
    let done = unsafe { ReadFile(file.as_raw_handle(), bytes, len, &raw mut read, ptr::null_mut()) };
    ended(check(done))?;
    usize::try_from(read).map_err(io::Error::other)
}

/// Reads at an offset. Answers 0 at the end. It moves the handle's position.
pub(crate) fn read_at(file: BorrowedHandle<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    as_file(file).seek_read(bytes, offset)
}

/// Writes at an offset. It moves the handle's position.
pub(crate) fn write_at(file: BorrowedHandle<'_>, bytes: &[u8], offset: u64) -> io::Result<usize> {
    as_file(file).seek_write(bytes, offset)
}

/// Writes at the file's end, wherever that is, in one step.
pub(crate) fn append(file: BorrowedHandle<'_>, bytes: &[u8]) -> io::Result<usize> {
    write_at(file, bytes, AT_THE_END)
}

/// The handle as the standard library's file, whose calls also wait where a handle was opened not to.
fn as_file(file: BorrowedHandle<'_>) -> ManuallyDrop<File> {
    // SAFETY: the handle is open for as long as `file` is borrowed, which the callers' calls do not outlive, and it is
    // not closed here.
    ManuallyDrop::new(unsafe { File::from_raw_handle(file.as_raw_handle()) })
}

/// The length that the process may give to a file: there is no such limit.
pub(crate) fn most_file_bytes() -> u64 {
    u64::MAX
}

/// Whether the file is in memory alone: Windows has no file system of that kind.
pub(crate) fn is_in_memory(_: BorrowedHandle<'_>) -> bool {
    false
}

/// Sets the file's length: SetFileInformationByHandle.
///
/// # Errors
/// `ResourceBusy` for a length below that of a section which is mapped, by whatever process (`ERROR_USER_MAPPED_FILE`).
pub(crate) fn set_len(file: BorrowedHandle<'_>, len: u64) -> io::Result<()> {
    let end = FILE_END_OF_FILE_INFO { EndOfFile: i64::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)? };
    let bytes = u32::try_from(size_of::<FILE_END_OF_FILE_INFO>()).map_err(io::Error::other)?;
    let place = (&raw const end).cast();
    // SAFETY: the handle is open, and the new length is a structure of the size given.
    let set = unsafe { SetFileInformationByHandle(file.as_raw_handle(), FileEndOfFileInfo, place, bytes) };
    check(set).map_err(|error| match error.raw_os_error() {
        Some(code) if code == ERROR_USER_MAPPED_FILE.cast_signed() => {
            let reason = format!("Windows makes no file shorter that is mapped: {error}");
            io::Error::new(io::ErrorKind::ResourceBusy, reason)
        }
        _ => error,
    })
}

/// Writes the file and all about it to the disk, and waits: FlushFileBuffers, for which the file must be open for
/// writing.
pub(crate) fn sync_all(file: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { FlushFileBuffers(file.as_raw_handle()) })
}

/// As [`sync_all`]: Windows makes no difference.
pub(crate) fn sync_data(file: BorrowedHandle<'_>) -> io::Result<()> {
    sync_all(file)
}

/// Starts to write a file to the disk: Windows does so by itself, within seconds, and has no call for it.
pub(crate) fn start_write_back(_: BorrowedHandle<'_>, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// How a file was opened: NtQueryInformationFile, `FileAccessInformation`.
pub(crate) fn opened(file: BorrowedHandle<'_>) -> io::Result<Opened> {
    let mut access = FILE_ACCESS_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    let bytes = u32::try_from(size_of::<FILE_ACCESS_INFORMATION>()).map_err(io::Error::other)?;
    let (status, place) = (&raw mut status, (&raw mut access).cast());
    // SAFETY: the handle is open, and both results are locals, of the size given.
    let answer = unsafe { NtQueryInformationFile(file.as_raw_handle(), status, place, bytes, FileAccessInformation) };
    if answer < 0 {
        return Err(nt::status_error(answer));
    }
    let may = |right| access.AccessFlags & right != 0;
    // Who may append and not write writes to the end, wherever he says.
    let appends = may(FILE_APPEND_DATA) && !may(FILE_WRITE_DATA);
    let reads = may(FILE_READ_DATA);
    // A section that can be written to takes more than the right to append.
    Ok(Opened { reads, writes: may(FILE_WRITE_DATA) || appends, appends, maps: reads && !appends })
}

/// Opens an open file once more, for reading and writing, if its permissions allow that: ReOpenFile.
pub(crate) fn reopen(file: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    nt::reopen(file, GENERIC_READ | GENERIC_WRITE, 0)
}

/// Makes a file in the temporary folder that is removed when its last handle is closed, and that Windows keeps in
/// memory as far as there is some: what comes closest to a memory file. A section of the page file would have a handle
/// too, but none that is a file's, with a length that can be asked for and changed.
pub(crate) fn memfd(name: &str, len: u64, huge_pages: Option<HugePages>) -> io::Result<OwnedHandle> {
    /// Files made so far, so that each has a name of its own.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if huge_pages.is_some() {
        return Err(unsupported("Windows has no files in huge pages"));
    }
    // Of the name that people may see, what a file's name may have.
    let kept: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric()).take(32).collect();
    let (folder, process) = (std::env::temp_dir(), std::process::id());
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    options.attributes(FILE_ATTRIBUTE_TEMPORARY).custom_flags(FILE_FLAG_DELETE_ON_CLOSE).share_mode(nt::SHARE_ALL);
    let mut tries = 0;
    let file = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        match options.open(folder.join(format!("mapio-{kept}-{process}-{count}.tmp"))) {
            // Somebody's who had our number and has died before Windows could remove it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < NAMES => tries += 1,
            file => break file?,
        }
    };
    file.set_len(len)?;
    Ok(file.into())
}

/// At the end a read answers no bytes, whichever error Windows has for it.
fn ended(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if is_one_of(&error, &[ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF]) => Ok(()),
        answer => answer,
    }
}

fn is_one_of(error: &io::Error, codes: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}
