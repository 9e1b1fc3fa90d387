//! What every crate here asks of a file's handle on Windows, each in one place. It is no part of the interface that
//! users are promised.
#![expect(unsafe_code, reason = "calls of kernel32.dll and ntdll.dll on file handles")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_MODE_INFORMATION, FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT, FileModeInformation,
    NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ID_INFO, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FileIdInfo,
    GetFileInformationByHandle, GetFileInformationByHandleEx, GetFinalPathNameByHandleW, ReOpenFile,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

/// Who else may have a file open that is opened here: everybody, for everything, as on other systems.
pub const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// What tells a file from all others, as long as one of its handles is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The volume's serial number.
    pub volume: u64,
    /// The file's number on it: 128 bits on ReFS, 64 elsewhere.
    pub file: u128,
}

/// What tells a file from all others: `FileIdInfo`, or, on file systems that do not have that,
/// GetFileInformationByHandle.
///
/// # Errors
/// `Unsupported` for a file system that gives no numbers to its files ("\[MS-FSCC\] FileInternalInformation": 0); else
/// what the system says.
pub fn identity(file: BorrowedHandle<'_>) -> io::Result<FileId> {
    let mut id = FILE_ID_INFO::default();
    let (class, bytes) = (FileIdInfo, size_of_u32::<FILE_ID_INFO>());
    // SAFETY: the handle is open, and the result is a local of so many bytes, as the class has them.
    let asked = unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), class, (&raw mut id).cast(), bytes) };
    let found = if asked == 0 {
        older_identity(file)?
    } else {
        FileId { volume: id.VolumeSerialNumber, file: u128::from_le_bytes(id.FileId.Identifier) }
    };
    if matches!(found.file, 0 | u128::MAX) {
        let reason = "the file system has no numbers by which it could tell its files apart";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    Ok(found)
}

fn older_identity(file: BorrowedHandle<'_>) -> io::Result<FileId> {
    let mut about = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the result is a local.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut about) })?;
    let number = u64::from(about.nFileIndexHigh) << 32 | u64::from(about.nFileIndexLow);
    // All ones stand for a number that does not fit.
    let file = if number == u64::MAX { u128::MAX } else { u128::from(number) };
    Ok(FileId { volume: u64::from(about.dwVolumeSerialNumber), file })
}

/// The path of an open file, with the volume's letter, behind `\\?\`: GetFinalPathNameByHandle.
///
/// # Errors
/// What the system says, such as `ERROR_PATH_NOT_FOUND` for a volume without a letter.
pub fn final_path(file: BorrowedHandle<'_>) -> io::Result<Vec<u16>> {
    let mut path = vec![0u16; 512];
    loop {
        let room = u32::try_from(path.len()).unwrap_or(u32::MAX);
        // SAFETY: the handle is open, and the buffer has so many units.
        let units = unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), room, 0) };
        match usize::try_from(units) {
            Ok(0) | Err(_) => return Err(io::Error::last_os_error()),
            // With the zero at the end, which it counts only where there is no room.
            Ok(needed) if needed > path.len() => path.resize(needed, 0),
            Ok(units) => {
                path.truncate(units);
                return Ok(path);
            }
        }
    }
}

/// Opens an open file once more, for `access` and with `flags` as CreateFile has them: ReOpenFile.
///
/// # Errors
/// What the system says.
pub fn reopen(file: BorrowedHandle<'_>, access: u32, flags: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the handle is open.
    let again = unsafe { ReOpenFile(file.as_raw_handle(), access, SHARE_ALL, flags) };
    if again == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(again) })
}

/// Makes sure that calls on a handle are over when they come back, so that the system uses buffers, and what it tells
/// the outcome in, no longer than that: NtQueryInformationFile, `FileModeInformation`.
///
/// # Errors
/// `InvalidInput` for a handle that was opened for overlapped input and output; else what the system says.
pub fn ensure_synchronous(file: BorrowedHandle<'_>) -> io::Result<()> {
    let (mut mode, mut status) = (FILE_MODE_INFORMATION::default(), IO_STATUS_BLOCK::default());
    let (status, place, class) = (&raw mut status, (&raw mut mode).cast(), FileModeInformation);
    let bytes = size_of_u32::<FILE_MODE_INFORMATION>();
    // SAFETY: the handle is open, and both results are locals, of the size given.
    let answer = unsafe { NtQueryInformationFile(file.as_raw_handle(), status, place, bytes, class) };
    if answer < 0 {
        return Err(status_error(answer));
    }
    if mode.Mode & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) == 0 {
        let reason = "the handle was opened for overlapped input and output (FILE_FLAG_OVERLAPPED)";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(())
}

/// What a call means that answers 0 where it has failed.
///
/// # Errors
/// What the calling thread's last call has left.
pub fn check(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The error that a status of ntdll.dll stands for.
#[must_use]
pub fn status_error(status: NTSTATUS) -> io::Error {
    // SAFETY: looks a number up in a table.
    io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(status) }.cast_signed())
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::windows::fs::OpenOptionsExt;
    use std::os::windows::io::AsHandle;

    use windows_sys::Win32::Foundation::GENERIC_READ;
    use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_every_handle_and_another_than_its_neighbour() {
        let (one, other) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let id = identity(one.as_file().as_handle()).unwrap();
        let again = reopen(one.as_file().as_handle(), GENERIC_READ, 0).unwrap();
        assert_eq!(identity(again.as_handle()).unwrap(), id);
        assert_ne!(identity(other.as_file().as_handle()).unwrap(), id);
        let path = String::from_utf16(&final_path(again.as_handle()).unwrap()).unwrap();
        let name = one.path().file_name().unwrap().to_str().unwrap();
        assert!(path.starts_with(r"\\?\") && path.ends_with(name), "{path}");
    }

    #[test]
    fn a_handle_whose_calls_do_not_wait_is_refused() {
        let named = tempfile::NamedTempFile::new().unwrap();
        ensure_synchronous(named.as_file().as_handle()).unwrap();
        let overlapped = File::options().read(true).custom_flags(FILE_FLAG_OVERLAPPED).open(named.path()).unwrap();
        let refused = ensure_synchronous(overlapped.as_handle()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
    }
}
