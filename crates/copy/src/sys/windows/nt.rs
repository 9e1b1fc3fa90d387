//! The calls themselves, each once, on buffers of bytes.
#![expect(unsafe_code, reason = "calls of ntdll.dll and kernel32.dll on file handles")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use mapio_map::nt::{SHARE_ALL, ensure_synchronous, status_error};
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_INFORMATION_CLASS, FS_INFORMATION_CLASS, FileFullDirectoryInformation, NTCREATEFILE_CREATE_DISPOSITION,
    NTCREATEFILE_CREATE_OPTIONS, NtCreateFile, NtFsControlFile, NtQueryDirectoryFile, NtQueryInformationFile,
    NtQuerySecurityObject, NtQueryVolumeInformationFile, NtSetInformationFile, NtSetSecurityObject,
};
use windows_sys::Wdk::System::SystemServices::RtlUpcaseUnicodeChar;
use windows_sys::Win32::Foundation::{
    NTSTATUS, OBJ_CASE_INSENSITIVE, STATUS_BUFFER_OVERFLOW, STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, STATUS_PENDING,
    UNICODE_STRING,
};
use windows_sys::Win32::Security::OBJECT_SECURITY_INFORMATION;
use windows_sys::Win32::Storage::FileSystem::{
    GetFileType, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, OVERLAPPED};
use windows_sys::Win32::System::Pipes::PeekNamedPipe;
use zerocopy::IntoBytes;

use super::Errno;

/// The byte that writers lock: behind the end of any file, so that it keeps nobody from reading.
const LOCKED_BYTE: u64 = 0x7fff_ffff_ffff_fffe;

/// How NtCreateFile is to open a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) access: u32,
    pub(super) disposition: NTCREATEFILE_CREATE_DISPOSITION,
    pub(super) options: NTCREATEFILE_CREATE_OPTIONS,
}

/// Opens a name: below an open folder, or one that says all of the way.
pub(super) fn open(root: Option<BorrowedHandle<'_>>, name: &[u16], how: Open) -> Result<OwnedHandle, Errno> {
    let bytes = u16::try_from(size_of_val(name)).map_err(|_| Errno::INVAL)?;
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).map_err(|_| Errno::INVAL)?,
        RootDirectory: root.map_or(ptr::null_mut(), |root| root.as_raw_handle()),
        ObjectName: &raw const name,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let (mut handle, mut status) = (ptr::null_mut(), IO_STATUS_BLOCK::default());
    let Open { access, disposition, options } = how;
    // SAFETY: the attributes, the name that they point to and both results are locals; the root is open or null; there
    // are no extended attributes.
    let answer = unsafe {
        NtCreateFile(
            &raw mut handle,
            access,
            &raw const attributes,
            &raw mut status,
            ptr::null(),
            0,
            SHARE_ALL,
            disposition,
            options,
            ptr::null(),
            0,
        )
    };
    check(answer)?;
    // SAFETY: the call has succeeded, so it is a handle that was made just now, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Asks for information of a class. Answers how many bytes there are, of those that the buffer has.
pub(super) fn query(
    file: BorrowedHandle<'_>,
    class: FILE_INFORMATION_CLASS,
    buffer: &mut [u64],
) -> Result<usize, Errno> {
    let mut status = IO_STATUS_BLOCK::default();
    let (bytes, place) = room(buffer)?;
    // SAFETY: the handle is open, and the buffer has so many bytes, at an address that fits every class.
    let answer = unsafe { NtQueryInformationFile(file.as_raw_handle(), &raw mut status, place, bytes, class) };
    check(answer)?;
    Ok(status.Information.min(size_of_val(buffer)))
}

/// Changes what a class of information is about.
pub(super) fn set(file: BorrowedHandle<'_>, class: FILE_INFORMATION_CLASS, information: &[u64]) -> Result<(), Errno> {
    let mut status = IO_STATUS_BLOCK::default();
    let bytes = u32::try_from(size_of_val(information)).map_err(|_| Errno::INVAL)?;
    let place = information.as_ptr().cast::<c_void>();
    // SAFETY: the handle is open, and the buffer has so many bytes, at an address that fits every class; what it holds
    // are numbers and names, which the system checks.
    check(unsafe { NtSetInformationFile(file.as_raw_handle(), &raw mut status, place, bytes, class) })
}

/// Asks about the volume that a file is on, as [`query`] does.
pub(super) fn query_volume(
    file: BorrowedHandle<'_>,
    class: FS_INFORMATION_CLASS,
    buffer: &mut [u64],
) -> Result<usize, Errno> {
    let mut status = IO_STATUS_BLOCK::default();
    let (bytes, place) = room(buffer)?;
    // SAFETY: as in `query`.
    let answer = unsafe { NtQueryVolumeInformationFile(file.as_raw_handle(), &raw mut status, place, bytes, class) };
    // The name of a file system may be longer than the buffer; what there is room for is there.
    if answer != STATUS_BUFFER_OVERFLOW {
        check(answer)?;
    }
    Ok(status.Information.min(size_of_val(buffer)))
}

/// Lists names of a folder, from its start or from where the last call has ended: `FILE_FULL_DIR_INFORMATION`s. Answers
/// how many bytes these have; 0 at the end. `INVAL` for a handle whose calls do not wait.
pub(super) fn list(folder: BorrowedHandle<'_>, buffer: &mut [u64], from_start: bool) -> Result<usize, Errno> {
    ensure_synchronous(folder)?;
    let mut status = IO_STATUS_BLOCK::default();
    let (bytes, place) = room(buffer)?;
    let class = FileFullDirectoryInformation;
    let (folder, nobody) = (folder.as_raw_handle(), ptr::null_mut());
    // SAFETY: the handle is open; there is no event and no routine to call; the buffer has so many bytes; every name is
    // asked for. The call is over when it comes back, as was made sure of above.
    let answer = unsafe {
        let status = &raw mut status;
        NtQueryDirectoryFile(
            folder,
            nobody,
            None,
            ptr::null(),
            status,
            place,
            bytes,
            class,
            false,
            ptr::null(),
            from_start,
        )
    };
    if matches!(answer, STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE) {
        return Ok(0);
    }
    check(answer)?;
    Ok(status.Information.min(size_of_val(buffer)))
}

/// Sends a control code to the file system. Answers how many bytes of the buffer it has filled; that there would be
/// more is no error. `INVAL` for a handle whose calls do not wait: the system would still use what the call was given.
pub(super) fn control(
    file: BorrowedHandle<'_>,
    code: u32,
    input: &[u64],
    input_bytes: usize,
    output: &mut [u64],
) -> Result<usize, Errno> {
    ensure_synchronous(file)?;
    let mut status = IO_STATUS_BLOCK::default();
    let given = u32::try_from(input_bytes.min(size_of_val(input))).map_err(|_| Errno::INVAL)?;
    let (bytes, place) = room(output)?;
    let (file, input, nobody) = (file.as_raw_handle(), input.as_ptr().cast::<c_void>(), ptr::null_mut());
    // SAFETY: the handle is open; there is no event and no routine to call; both buffers have so many bytes. The call
    // is over when it comes back, as was made sure of above.
    let answer = unsafe {
        let status = &raw mut status;
        NtFsControlFile(file, nobody, None, ptr::null(), status, code, input, given, place, bytes)
    };
    if answer != STATUS_BUFFER_OVERFLOW {
        check(answer)?;
    }
    Ok(status.Information.min(size_of_val(output)))
}

/// The parts of a file's security descriptor, as one block.
pub(super) fn security(file: BorrowedHandle<'_>, parts: OBJECT_SECURITY_INFORMATION) -> Result<Vec<u64>, Errno> {
    let mut descriptor = vec![0u64; 64];
    let mut needed = 0;
    loop {
        let (bytes, place) = room(&mut descriptor)?;
        // SAFETY: the handle is open, the buffer has so many bytes, and the count is a local.
        let answer = unsafe { NtQuerySecurityObject(file.as_raw_handle(), parts, place, bytes, &raw mut needed) };
        let words = usize::try_from(needed).map_err(|_| Errno::INVAL)?.div_ceil(size_of::<u64>());
        if answer >= 0 {
            descriptor.truncate(words);
            return Ok(descriptor);
        }
        if words <= descriptor.len() {
            check(answer)?;
        }
        descriptor = vec![0; words];
    }
}

/// Sets parts of a file's security descriptor.
pub(super) fn set_security(
    file: BorrowedHandle<'_>,
    parts: OBJECT_SECURITY_INFORMATION,
    descriptor: &mut [u64],
) -> Result<(), Errno> {
    // SAFETY: the handle is open, and the descriptor is one that `security` has answered: whole, and relative to
    // itself.
    check(unsafe { NtSetSecurityObject(file.as_raw_handle(), parts, descriptor.as_mut_ptr().cast()) })
}

/// Whether a handle is one of a disk's file, a pipe or a terminal: GetFileType.
pub(super) fn handle_type(file: BorrowedHandle<'_>) -> u32 {
    // SAFETY: the handle is open.
    unsafe { GetFileType(file.as_raw_handle()) }
}

/// Bytes that wait in a pipe; an error if it is none, or has ended.
pub(super) fn waiting_bytes(pipe: BorrowedHandle<'_>) -> io::Result<u32> {
    let mut bytes = 0;
    let (nothing, count) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the handle is open; no bytes are asked for, and the result is a local.
    let peeked = unsafe { PeekNamedPipe(pipe.as_raw_handle(), nothing, 0, count, &raw mut bytes, ptr::null_mut()) };
    if peeked == 0 { Err(io::Error::last_os_error()) } else { Ok(bytes) }
}

/// Locks the byte that writers lock, without waiting. `INVAL` for a handle whose calls do not wait.
pub(super) fn lock(file: &File) -> Result<(), Errno> {
    ensure_synchronous(file.as_handle())?;
    let mut place = locked_place();
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the handle is open; the place is a local, and the call is over when it comes back, as was made sure of
    // above.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) };
    if locked == 0 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
}

/// Unlocks that byte.
pub(super) fn unlock(file: &File) -> Result<(), Errno> {
    let mut place = locked_place();
    // SAFETY: as in `lock`.
    let unlocked = unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) };
    if unlocked == 0 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
}

fn locked_place() -> OVERLAPPED {
    // SAFETY: numbers and a handle, for which zeros are values: no event.
    let mut place: OVERLAPPED = unsafe { zeroed() };
    let halves = [LOCKED_BYTE & 0xffff_ffff, LOCKED_BYTE >> 32].map(|half| u32::try_from(half).unwrap_or(0));
    [place.Anonymous.Anonymous.Offset, place.Anonymous.Anonymous.OffsetHigh] = halves;
    place
}

/// The capital of a character, as NT compares names.
pub(super) fn upcase(unit: u16) -> u16 {
    // SAFETY: looks a number up in a table.
    unsafe { RtlUpcaseUnicodeChar(unit) }
}

fn room(buffer: &mut [u64]) -> Result<(u32, *mut c_void), Errno> {
    let bytes = u32::try_from(size_of_val(buffer)).map_err(|_| Errno::INVAL)?;
    Ok((bytes, buffer.as_mut_bytes().as_mut_ptr().cast()))
}

/// What a status says of a call that is over. One that is still under way is none that was asked for.
fn check(status: NTSTATUS) -> Result<(), Errno> {
    if status >= 0 && status != STATUS_PENDING { Ok(()) } else { Err(Errno::of_status(status, &status_error(status))) }
}

#[cfg(test)]
mod tests {
    use std::os::windows::fs::OpenOptionsExt;

    use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OVERLAPPED};
    use windows_sys::Win32::System::Ioctl::{FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE};

    use super::*;

    #[test]
    fn handles_whose_calls_do_not_wait_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let named = tempfile::NamedTempFile::new_in(&dir).unwrap();
        let overlapped = |path| {
            let flags = FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS;
            File::options().read(true).custom_flags(flags).open(path).unwrap()
        };
        let file = overlapped(named.path());
        let mut words = [0; 2];
        let asked = control(file.as_handle(), FSCTL_QUERY_ALLOCATED_RANGES, &[0, 1], 16, &mut words);
        assert_eq!(asked, Err(Errno::INVAL));
        assert_eq!(control(file.as_handle(), FSCTL_SET_SPARSE, &[], 0, &mut []), Err(Errno::INVAL));
        assert_eq!(lock(&file), Err(Errno::INVAL));
        lock(named.as_file()).unwrap();
        unlock(named.as_file()).unwrap();
        let folder = overlapped(dir.path());
        assert_eq!(list(folder.as_handle(), &mut [0; 512], true), Err(Errno::INVAL));
    }

    #[test]
    fn a_call_that_is_under_way_has_not_succeeded() {
        assert!(check(STATUS_PENDING).is_err());
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(STATUS_NO_SUCH_FILE), Err(Errno::NOENT));
    }
}
