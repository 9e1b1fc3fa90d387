//! Files that are objects.
//!
//! Every handle is opened for sharing with all others, also with those who remove or rename the file. A file that is
//! removed while others have it open keeps its name on some versions and file systems until they are done, so it is
//! renamed first: the name is free at once.
#![expect(unsafe_code, reason = "calls of kernel32.dll on file handles and paths")]

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::{self, Path};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use mapio_map::nt::{self, SHARE_ALL, check, identity};
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_TAG_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_NAME_INFO,
    FILE_READ_ATTRIBUTES, FILE_RENAME_INFO, FILE_STANDARD_INFO, FILE_TYPE_DISK, FileAttributeTagInfo, FileNameInfo,
    FileRenameInfo, FileStandardInfo, GetFileInformationByHandleEx, GetFileType, MoveFileExW,
    SetFileInformationByHandle, WRITE_DAC,
};

use super::locks::try_lock;
use super::security::{PRIVATE, Security};
use crate::sys::{ByteRange, Hold, Owner};

/// How the names of files begin that have lost theirs and are not gone yet. They are temporary ones, which cleaning
/// finds.
const GONE_PREFIX: &str = ".mapio-new-gone-";
/// What is locked by `lock_whole`: the byte before the gate.
const WHOLE: ByteRange = (1 << 62) - 2..(1 << 62) - 1;
/// Words that a path takes, of 32,767 units at most, with its length before it.
const PATH_WORDS: usize = (size_of::<FILE_NAME_INFO>() + 2 * 32_767) / 8 + 1;

/// A folder is opened, too: what it is, the caller asks.
pub(crate) fn open_object(path: &Path, writable: bool) -> io::Result<File> {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)
}

/// ReOpenFile; or by the path, if the file is still there: Wine forgets what a file was renamed to.
pub(crate) fn reopen(file: BorrowedHandle<'_>, at: Option<&Path>, writable: bool) -> io::Result<OwnedHandle> {
    let access = if writable { GENERIC_READ | GENERIC_WRITE } else { GENERIC_READ };
    match (nt::reopen(file, access, 0), at) {
        (Err(error), Some(path)) if error.kind() == io::ErrorKind::NotFound => {
            let found = open_object(path, writable)?;
            if identity(found.as_handle())? == identity(file)? { Ok(found.into()) } else { Err(error) }
        }
        (again, _) => again,
    }
}

pub(crate) fn is_regular(file: BorrowedHandle<'_>) -> io::Result<bool> {
    // SAFETY: the handle is open.
    if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
        return Ok(false);
    }
    Ok(attributes(file)?.FileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT) == 0)
}

/// What kind of thing a handle is open on: GetFileInformationByHandleEx, which asks nothing about the volume.
pub(super) fn attributes(file: BorrowedHandle<'_>) -> io::Result<FILE_ATTRIBUTE_TAG_INFO> {
    let mut about = FILE_ATTRIBUTE_TAG_INFO::default();
    let bytes = u32::try_from(size_of_val(&about)).map_err(io::Error::other)?;
    let (file, place) = (file.as_raw_handle(), (&raw mut about).cast());
    // SAFETY: the handle is open, and the result is a local of so many bytes, as `FileAttributeTagInfo` has them.
    check(unsafe { GetFileInformationByHandleEx(file, FileAttributeTagInfo, place, bytes) })?;
    Ok(about)
}

/// How long a file is, and how many names it has: the same call.
fn standard(file: BorrowedHandle<'_>) -> io::Result<FILE_STANDARD_INFO> {
    let mut about = FILE_STANDARD_INFO::default();
    let bytes = u32::try_from(size_of_val(&about)).map_err(io::Error::other)?;
    let (file, place) = (file.as_raw_handle(), (&raw mut about).cast());
    // SAFETY: the handle is open, and the result is a local of so many bytes, as `FileStandardInfo` has them.
    check(unsafe { GetFileInformationByHandleEx(file, FileStandardInfo, place, bytes) })?;
    Ok(about)
}

pub(crate) fn file_len(file: BorrowedHandle<'_>) -> io::Result<u64> {
    u64::try_from(standard(file)?.EndOfFile).map_err(io::Error::other)
}

/// `ERROR_USER_MAPPED_FILE` while any part of what is cut off is mapped by anybody.
pub(crate) fn cut(file: BorrowedHandle<'_>, len: u64) -> io::Result<()> {
    duplicate(file)?.set_len(len)
}

/// A file that is made longer has its clusters at once, unless it is sparse, and reads as zeros there.
pub(crate) fn allocate(file: BorrowedHandle<'_>, range: ByteRange) -> io::Result<()> {
    duplicate(file)?.set_len(range.end)
}

fn duplicate(file: BorrowedHandle<'_>) -> io::Result<File> {
    Ok(file.try_clone_to_owned()?.into())
}

/// Whether it was not removed: `unlink` has renamed it then, others have left it without a link.
pub(crate) fn has_name(file: BorrowedHandle<'_>, _: &Path) -> io::Result<bool> {
    if standard(file)?.NumberOfLinks == 0 {
        return Ok(false);
    }
    Ok(!file_name(file)?.starts_with(GONE_PREFIX))
}

/// The last part of an open file's path: `FileNameInfo`, which knows of no volume, and so needs none with a letter.
fn file_name(file: BorrowedHandle<'_>) -> io::Result<String> {
    let mut words = vec![0_u64; PATH_WORDS];
    let room = u32::try_from(size_of_val(&*words)).map_err(io::Error::other)?;
    let (file, place) = (file.as_raw_handle(), words.as_mut_ptr().cast());
    // SAFETY: the handle is open, and the buffer has so many bytes, and is aligned for `FILE_NAME_INFO`.
    check(unsafe { GetFileInformationByHandleEx(file, FileNameInfo, place, room) })?;
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
    let (len_at, name_at) = (offset_of!(FILE_NAME_INFO, FileNameLength), offset_of!(FILE_NAME_INFO, FileName));
    let len = bytes.get(len_at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |len| u32::from_ne_bytes(*len));
    let path = bytes.get(name_at..).unwrap_or_default().chunks_exact(2).take(usize::try_from(len / 2).unwrap_or(0));
    let units: Vec<u16> = path.map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect();
    let name = units.rsplit(|unit| *unit == u16::from(b'\\')).next().unwrap_or_default();
    Ok(String::from_utf16_lossy(name))
}

pub(crate) fn is_at(file: BorrowedHandle<'_>, path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_READ_ATTRIBUTES).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS);
    match options.open(path) {
        Ok(found) => Ok(identity(found.as_handle())? == identity(file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    /// Files removed so far, so that each has a name of its own.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let gone = path.with_file_name(format!("{GONE_PREFIX}{}-{count}", std::process::id()));
    match move_file(path, &gone) {
        Ok(()) => {
            // It has lost its name. If others keep it from going now, it goes with them, or is found by who cleans up.
            let _ = std::fs::remove_file(&gone);
            Ok(())
        }
        // The folder does not allow it, or somebody has the file open without sharing.
        Err(_) => std::fs::remove_file(path),
    }
}

/// Files have names here from the first moment on.
pub(crate) fn new_unnamed(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub(crate) fn name_unnamed(_: BorrowedHandle<'_>, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A file that can be renamed, and given to others, by its own handle. Until then nobody but the user may open it,
/// whatever the folder says of files in it.
pub(crate) fn create_temporary(path: &Path) -> io::Result<File> {
    let (path, security) = (wide_path(path)?, Security::new(PRIVATE)?);
    let (attributes, nothing) = (security.attributes()?, ptr::null_mut());
    let access = GENERIC_READ | GENERIC_WRITE | DELETE | WRITE_DAC;
    let (path, attributes, like) = (path.as_ptr(), &raw const attributes, FILE_ATTRIBUTE_NORMAL);
    // SAFETY: the path ends with a zero, it and the attributes are locals, and what those lead to lives until the call
    // is over; there is no file that this one is to be made like ("CreateFileW function").
    let made = unsafe { CreateFileW(path, access, SHARE_ALL, attributes, CREATE_NEW, like, nothing) };
    if made == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(made) }.into())
}

/// SetFileInformationByHandle, `FileRenameInfo`: the temporary name is gone then.
pub(crate) fn name_temporary(file: BorrowedHandle<'_>, _: &Path, path: &Path) -> io::Result<()> {
    let name: Vec<u8> = wide_path(path)?.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
    let len = u32::try_from(name.len() - size_of::<u16>()).map_err(io::Error::other)?;
    let (len_at, name_at) = (offset_of!(FILE_RENAME_INFO, FileNameLength), offset_of!(FILE_RENAME_INFO, FileName));
    // What is not set is zero: nothing is replaced, and the path is absolute.
    let mut bytes = vec![0; name_at + name.len()];
    bytes[len_at..len_at + size_of::<u32>()].copy_from_slice(&len.to_ne_bytes());
    bytes[name_at..].copy_from_slice(&name);
    // Aligned as the structure must be.
    bytes.resize(bytes.len().next_multiple_of(size_of::<u64>()), 0);
    let words: Vec<[u8; 8]> = bytes.chunks_exact(8).map(|word| word.try_into().unwrap_or_default()).collect();
    let words: Vec<u64> = words.into_iter().map(u64::from_ne_bytes).collect();
    let room = u32::try_from(size_of_val(&*words)).map_err(io::Error::other)?;
    let (handle, place) = (file.as_raw_handle(), words.as_ptr().cast());
    // SAFETY: the handle is open, and the structure with its name is in the buffer, of the size given.
    let named = check(unsafe { SetFileInformationByHandle(handle, FileRenameInfo, place, room) });
    match (named, standard(file)) {
        // A file that is being removed gets no name, which is called a lack of permission.
        (Err(_), Ok(about)) if about.DeletePending || about.NumberOfLinks == 0 => Err(io::ErrorKind::NotFound.into()),
        (named, _) => named,
    }
}

/// Renames a file; `AlreadyExists` if something has the new name.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide_path(from)?, wide_path(to)?);
    // SAFETY: both are texts that end with a zero.
    check(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) })
}

/// A path as the system takes it at whatever length: absolute, behind `\\?\`, with a zero at the end ("Maximum path
/// length limitation", Microsoft's documentation).
fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    const SEPARATOR: u16 = 0x5c;
    let path: Vec<u16> = path::absolute(path)?.as_os_str().encode_wide().collect();
    let (begin, rest) = match path.as_slice() {
        // As it is to be already, or a device.
        [SEPARATOR, SEPARATOR, kind, SEPARATOR, ..] if [u16::from(b'?'), u16::from(b'.')].contains(kind) => {
            ("", &path[..])
        }
        [SEPARATOR, SEPARATOR, share @ ..] => (r"\\?\UNC\", share),
        _ => (r"\\?\", &path[..]),
    };
    Ok(begin.encode_utf16().chain(rest.iter().copied()).chain([0]).collect())
}

/// The access list says what the nine bits do, and nothing is inherited. It is set by the handle: something else may
/// have the temporary name by now.
pub(crate) fn give_away(file: BorrowedHandle<'_>, owner: Owner, permissions: u32) -> io::Result<()> {
    if owner != (None, None) {
        let reason = "users and groups have no numbers on Windows";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    Security::new(permissions)?.apply(file)
}

pub(crate) fn lock_whole(file: &File) -> io::Result<bool> {
    try_lock(file.as_handle(), WHOLE, Hold::Exclusive)
}

/// Whether it may be written to, and no more: who may, its access list tells.
pub(crate) fn permissions(metadata: &Metadata) -> (u32, u32, u32) {
    (if metadata.permissions().readonly() { 0o444 } else { 0o666 }, 0, 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mapio_testkit::skip;

    use super::super::security::list_of;
    use super::*;

    #[test]
    fn paths_are_taken_at_whatever_length() {
        for (given, taken) in [
            (r"C:\a\b", r"\\?\C:\a\b"),
            (r"C:\a\..\b/c", r"\\?\C:\b\c"),
            (r"\\server\share\a", r"\\?\UNC\server\share\a"),
            (r"\\?\C:\a", r"\\?\C:\a"),
            (r"\\.\pipe\a", r"\\.\pipe\a"),
        ] {
            let units = wide_path(Path::new(given)).unwrap();
            assert_eq!(String::from_utf16(&units).unwrap(), format!("{taken}\0"), "{given}");
        }
        let folder = tempfile::tempdir().unwrap();
        let far = ["x"; 3].iter().fold(folder.path().to_owned(), |path, part| path.join(part.repeat(120)));
        fs::create_dir_all(&far).unwrap();
        let (temporary, named) = (far.join("temporary"), far.join("named"));
        let file = create_temporary(&temporary).unwrap();
        name_temporary(file.as_handle(), &temporary, &named).unwrap();
        assert!(is_at(file.as_handle(), &named).unwrap() && !is_at(file.as_handle(), &temporary).unwrap());
        unlink(&named).unwrap();
        assert!(!is_at(file.as_handle(), &named).unwrap());
    }

    #[test]
    fn a_new_file_is_the_users_alone_until_it_is_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("temporary");
        let file = create_temporary(&temporary).unwrap();
        let is_everybodys = || list_of(file.as_handle()).unwrap().contains(";;;WD)");
        assert!(!is_everybodys(), "{:?}", list_of(file.as_handle()));
        assert!(create_temporary(&temporary).is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
        // What has the name by now keeps its permissions.
        fs::rename(&temporary, folder.path().join("other")).unwrap();
        let same_name = create_temporary(&temporary).unwrap();
        give_away(file.as_handle(), (None, None), 0o644).unwrap();
        assert!(is_everybodys(), "{:?}", list_of(file.as_handle()));
        assert!(!list_of(same_name.as_handle()).unwrap().contains(";;;WD)"));
        let refused = give_away(file.as_handle(), (None, None), 0o640).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_file_has_a_name_until_it_is_removed_and_what_is_no_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join(format!("{GONE_PREFIX}0"));
        assert!(!has_name(File::create_new(&gone).unwrap().as_handle(), &gone).unwrap());
        let path = folder.path().join("file");
        let file = File::create_new(&path).unwrap();
        assert!(has_name(file.as_handle(), &path).unwrap());
        assert_eq!(file_name(file.as_handle()).unwrap(), "file");
        let signal = crate::sys::Signal::new().unwrap();
        assert!(has_name(signal.descriptor(), &path).is_err());
        unlink(&path).unwrap();
        match file_name(file.as_handle()).unwrap().as_str() {
            "file" => skip("sys::windows::object_file", "Wine tells the name that a file was opened by, not its own"),
            _ => assert!(!has_name(file.as_handle(), &path).unwrap()),
        }
    }

    #[test]
    fn a_temporary_file_that_was_removed_is_given_permissions_and_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let (temporary, path) = (folder.path().join("temporary"), folder.path().join("name"));
        let file = create_temporary(&temporary).unwrap();
        unlink(&temporary).unwrap();
        give_away(file.as_handle(), (None, None), 0o644).unwrap();
        let named = name_temporary(file.as_handle(), &temporary, &path).unwrap_err();
        assert_eq!(named.kind(), io::ErrorKind::NotFound, "{named}");
        assert!(!path.exists());
    }

    #[test]
    fn a_temporary_file_gets_its_permissions_and_a_name_that_nothing_has() {
        let folder = tempfile::tempdir().unwrap();
        let (temporary, path) = (folder.path().join("temporary"), folder.path().join("name"));
        fs::write(&path, b"first").unwrap();
        let file = create_temporary(&temporary).unwrap();
        give_away(file.as_handle(), (None, None), 0o444).unwrap();
        let taken = name_temporary(file.as_handle(), &temporary, &path).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists, "{taken}");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        fs::remove_file(&path).unwrap();
        name_temporary(file.as_handle(), &temporary, &path).unwrap();
        assert!(!temporary.exists() && is_at(file.as_handle(), &path).unwrap());
        drop(file);
        drop(open_object(&path, false).unwrap());
    }
}
