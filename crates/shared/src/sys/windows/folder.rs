//! Folders by their handles, and what is done with the files in them.
//!
//! Files are opened by NtCreateFile, relative to the folder's handle: what the folder is called, and what its path
//! leads to by now, does not matter, and a link in a file's place is opened as what it is. Everything is shared with
//! everybody, for deletion too, as on other systems.
//!
//! Windows removes no file that is mapped, and NTFS alone removes one at once that others have open. But a file can be
//! renamed while it is used. So what can't be removed gets another name, which this module keeps to itself:
//!
//! ```text
//! 00000000000000000000.segment  ->  00000000000000000000.segment.0.gone  ->  removed by a later sweep
//! ```
#![expect(unsafe_code, reason = "calls of ntdll.dll and kernel32.dll on handles of files")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::thread;
use std::time::Duration;

use mapio_map::Mapping;
use mapio_map::nt::{SHARE_ALL, check, identity, status_error as error};
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_DISPOSITION_DELETE, FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_INFORMATION_EX, FILE_DISPOSITION_POSIX_SEMANTICS, FILE_INFORMATION_CLASS, FILE_NON_DIRECTORY_FILE,
    FILE_OPEN, FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT, FILE_RENAME_INFORMATION, FILE_RENAME_POSIX_SEMANTICS,
    FILE_RENAME_REPLACE_IF_EXISTS, FILE_SYNCHRONOUS_IO_NONALERT, FileDispositionInformation,
    FileDispositionInformationEx, FileRenameInformation, FileRenameInformationEx, NTCREATEFILE_CREATE_DISPOSITION,
    NTCREATEFILE_CREATE_OPTIONS, NtCreateFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_FUNCTION, ERROR_NO_MORE_FILES, ERROR_NOT_SUPPORTED, HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE,
    STATUS_ACCESS_DENIED, STATUS_CANNOT_DELETE, STATUS_DELETE_PENDING, STATUS_FILE_IS_A_DIRECTORY,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER, STATUS_NOT_IMPLEMENTED,
    STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SHARING_VIOLATION,
    UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FULL_DIR_INFO, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_INFO_BY_HANDLE_CLASS, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_TRAVERSE,
    FileFullDirectoryInfo, FlushFileBuffers, GetFileInformationByHandleEx, SYNCHRONIZE,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::is;
use super::locks::{lock_once, unlock};
use super::object_file::attributes;
use crate::sys::{ByteRange, Hold, NewFile, Opening, Unusable};

/// What the tags of links have in common ("Reparse Point Tags", Microsoft's documentation).
const NAME_SURROGATE: u32 = 0x2000_0000;
/// Behind the names of files that are removed and still used.
const GONE_SUFFIX: &str = ".gone";
/// How many files of one name may be gone and used at a time.
const NAMES: u32 = 1000;
/// UTF-16 units of a file's name in a folder.
const NAME_UNITS: usize = 64;
/// Bytes of a folder's listing in one go: some names, and at least the longest one.
const LISTING_BYTES: usize = 4096;
/// How often a file is opened that somebody has opened without sharing it, as programs do that look for viruses or make
/// backups, and how long is waited in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// The byte that is locked. A lock keeps others from reading, too, and so is far behind the end of every file.
const CLAIM: ByteRange = 1 << 62..(1 << 62) + 1;
/// How often a claim is tried again that has met nobody but who asks for it.
const CLAIM_TRIES: u32 = 1000;

/// A folder, held open.
#[derive(Debug)]
pub(crate) struct Folder(File);

/// What NtSetInformationFile takes to rename a file: FILE_RENAME_INFORMATION with room for the name.
#[repr(C)]
struct Renaming {
    flags: u32,
    /// The folder that the name is in.
    folder: HANDLE,
    /// Bytes of the name.
    name_len: u32,
    name: [u16; NAME_UNITS],
}

const _: () = assert!(offset_of!(Renaming, folder) == offset_of!(FILE_RENAME_INFORMATION, RootDirectory));
const _: () = assert!(offset_of!(Renaming, name_len) == offset_of!(FILE_RENAME_INFORMATION, FileNameLength));
const _: () = assert!(offset_of!(Renaming, name) == offset_of!(FILE_RENAME_INFORMATION, FileName));

/// A part of a folder's listing, aligned as its entries are.
#[repr(C, align(8))]
struct Listing([u8; LISTING_BYTES]);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.access_mode(FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE);
        let folder = options.share_mode(SHARE_ALL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
        match attributes(folder.as_handle())?.FileAttributes & FILE_ATTRIBUTE_DIRECTORY {
            0 => Err(io::ErrorKind::NotADirectory.into()),
            _ => Ok(Self(folder)),
        }
    }

    /// Opens a regular file, and nothing else: no link; `None` if there is none.
    pub(crate) fn file(&self, name: &str, opening: Opening) -> Result<Option<File>, Unusable> {
        let (access, disposition) = match opening {
            Opening::Read => (FILE_GENERIC_READ, FILE_OPEN),
            Opening::ReadWrite => (FILE_GENERIC_READ | FILE_GENERIC_WRITE, FILE_OPEN),
            Opening::Create => (FILE_GENERIC_READ | FILE_GENERIC_WRITE, FILE_OPEN_IF),
        };
        let opened = self.open_at(name, access, disposition, FILE_NON_DIRECTORY_FILE | FILE_OPEN_REPARSE_POINT);
        let file = match opened {
            Ok(file) => file,
            // It is being removed, and nobody can open it any more.
            Err(STATUS_DELETE_PENDING) if opening != Opening::Create => return Ok(None),
            Err(STATUS_OBJECT_NAME_NOT_FOUND) => return Ok(None),
            Err(STATUS_FILE_IS_A_DIRECTORY) => return Err(Unusable::NotRegular),
            Err(status) => return Err(Unusable::System(error(status))),
        };
        let about = attributes(file.as_handle())?;
        if about.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            if about.ReparseTag & NAME_SURROGATE != 0 {
                return Err(Unusable::Link);
            }
            // A file that is kept elsewhere, such as one without its duplicates, as its bytes are to be seen.
            let seen = self.open_at(name, access, FILE_OPEN, FILE_NON_DIRECTORY_FILE).map_err(error)?;
            let is_same = identity(seen.as_handle())? == identity(file.as_handle())?;
            // Somebody has put another in its place, to which a link may have led.
            return if is_same { Ok(Some(seen)) } else { Err(Unusable::Link) };
        }
        Ok(Some(file))
    }

    /// Makes a file with a temporary name, since there are none without one that could get one later.
    pub(crate) fn unnamed_file(&self, temporary: &'static str) -> io::Result<NewFile> {
        Ok(NewFile { file: self.temporary_file(temporary)?, temporary: Some(temporary) })
    }

    /// Makes a file with a temporary name, in place of what has that.
    pub(crate) fn temporary_file(&self, temporary: &str) -> io::Result<File> {
        self.remove(temporary)?;
        let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
        self.open_at(temporary, access, FILE_CREATE, FILE_NON_DIRECTORY_FILE).map_err(error)
    }

    /// Gives a new file its name instead of the temporary one; nothing else may have it.
    pub(crate) fn give_name(&self, new: &NewFile, name: &str) -> io::Result<()> {
        let from = new.temporary.ok_or(io::ErrorKind::InvalidInput)?;
        let file = self.open_to_rename(from).map_err(error)?;
        self.move_to(&file, name, 0).map_err(error)
    }

    /// Gives a file another name, in place of what has that: in one step where the file system can do that while
    /// somebody has the other one open; if not, the other one is removed before.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.open_to_rename(from).map_err(error)?;
        match self.move_to(&file, to, FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS) {
            Ok(()) => Ok(()),
            Err(status) if is_refused(status) => {
                self.remove(to)?;
                self.move_to(&file, to, 0).map_err(error)
            }
            Err(status) => Err(error(status)),
        }
    }

    /// Removes a file, if it is there. Who has it open or mapped keeps it, maybe under another name in the folder,
    /// which only [`sweep`](Self::sweep) sees.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let file = match self.open_to_remove(name) {
            Ok(file) => file,
            Err(STATUS_OBJECT_NAME_NOT_FOUND | STATUS_DELETE_PENDING) => return Ok(()),
            Err(status) => return Err(error(status)),
        };
        match dispose(&file) {
            Ok(()) => Ok(()),
            Err(status) if is_refused(status) => self.put_away(&file, name),
            Err(status) => Err(error(status)),
        }
    }

    /// Takes the name of a file that can't be removed now, and has it removed when nobody uses it any more: when the
    /// last handle is closed, or by a sweep.
    fn put_away(&self, file: &File, name: &str) -> io::Result<()> {
        for count in 0..NAMES {
            match self.move_to(file, &format!("{name}.{count}{GONE_SUFFIX}"), 0) {
                Ok(()) => {
                    // It is refused for a file that is mapped.
                    let _ = dispose_when_closed(file);
                    return Ok(());
                }
                Err(STATUS_OBJECT_NAME_COLLISION) => {}
                Err(status) => return Err(error(status)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes files that were put away, as far as nobody uses them any more.
    pub(crate) fn sweep(&self) {
        let mut gone = Vec::new();
        // What can't be listed now, or is still used, is for the next time.
        let _ = self.list(|name| {
            if name.ends_with(GONE_SUFFIX) {
                gone.push(name.to_owned());
            }
        });
        for name in gone {
            if let Ok(file) = self.open_to_remove(&name) {
                let _ = dispose(&file).or_else(|_| dispose_when_closed(&file));
            }
        }
    }

    /// Tells the names of all that is there but for what was put away, in any order; of the folder itself and the one
    /// above as well.
    pub(crate) fn names(&self, mut tell: impl FnMut(&[u8])) -> io::Result<()> {
        self.list(|name| {
            if !name.ends_with(GONE_SUFFIX) {
                tell(name.as_bytes());
            }
        })
    }

    /// Lists the folder, by a handle with a position of its own, since several threads may list.
    fn list(&self, mut tell: impl FnMut(&str)) -> io::Result<()> {
        let folder = match self.open_at("", FILE_LIST_DIRECTORY, FILE_OPEN, FILE_DIRECTORY_FILE) {
            // The folder itself was removed.
            Err(STATUS_OBJECT_NAME_NOT_FOUND | STATUS_DELETE_PENDING) => return Ok(()),
            opened => opened.map_err(error)?,
        };
        let mut listing = Box::new(Listing([0; LISTING_BYTES]));
        loop {
            match ask(&folder, FileFullDirectoryInfo, &mut listing.0) {
                Ok(()) => {}
                Err(error) if is(&error, ERROR_NO_MORE_FILES) => return Ok(()),
                Err(error) => return Err(error),
            }
            let mut at = 0;
            loop {
                let name_len = number_at(&listing.0, at + offset_of!(FILE_FULL_DIR_INFO, FileNameLength));
                let start = at + offset_of!(FILE_FULL_DIR_INFO, FileName);
                tell(&text(listing.0.get(start..start.saturating_add(name_len)).unwrap_or(&[])));
                match number_at(&listing.0, at + offset_of!(FILE_FULL_DIR_INFO, NextEntryOffset)) {
                    0 => break,
                    next => at += next,
                }
            }
        }
    }

    /// Whether an open file is still there by a name.
    pub(crate) fn has(&self, name: &str, file: BorrowedHandle<'_>) -> io::Result<bool> {
        let options = FILE_NON_DIRECTORY_FILE | FILE_OPEN_REPARSE_POINT;
        match self.open_at(name, FILE_READ_ATTRIBUTES, FILE_OPEN, options) {
            Ok(found) => Ok(identity(found.as_handle())? == identity(file.as_handle())?),
            Err(STATUS_OBJECT_NAME_NOT_FOUND | STATUS_DELETE_PENDING | STATUS_FILE_IS_A_DIRECTORY) => Ok(false),
            Err(status) => Err(error(status)),
        }
    }

    /// Brings the names to the disk, as far as the file system does that: FlushFileBuffers on the folder.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let open = |access| self.open_at("", access, FILE_OPEN, FILE_DIRECTORY_FILE);
        let folder = match open(FILE_ADD_FILE) {
            // Who may only make folders in it can flush it, too.
            Err(STATUS_ACCESS_DENIED) => open(FILE_ADD_SUBDIRECTORY),
            opened => opened,
        };
        match sync_file(&folder.map_err(error)?) {
            // A file system that does not flush folders: there is nothing more to be had.
            Err(error) if is(&error, ERROR_INVALID_FUNCTION) || is(&error, ERROR_NOT_SUPPORTED) => Ok(()),
            flushed => flushed,
        }
    }

    /// Opens what has a name to rename it, even a folder.
    fn open_to_rename(&self, name: &str) -> Result<File, NTSTATUS> {
        self.open_at(name, DELETE | FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT)
    }

    /// Opens what has a name to remove it, whatever it is but a folder.
    fn open_to_remove(&self, name: &str) -> Result<File, NTSTATUS> {
        let options = FILE_NON_DIRECTORY_FILE | FILE_OPEN_REPARSE_POINT;
        self.open_at(name, DELETE | FILE_READ_ATTRIBUTES, FILE_OPEN, options)
    }

    /// Opens what has a name in the folder, or the folder itself by the empty name; waits a while for who does not
    /// share it.
    fn open_at(
        &self,
        name: &str,
        access: u32,
        disposition: NTCREATEFILE_CREATE_DISPOSITION,
        options: NTCREATEFILE_CREATE_OPTIONS,
    ) -> Result<File, NTSTATUS> {
        let mut tries = 1;
        loop {
            match self.try_open_at(name, access, disposition, options) {
                Err(STATUS_SHARING_VIOLATION) if tries < TRIES => thread::sleep(PAUSE),
                opened => return opened,
            }
            tries += 1;
        }
    }

    fn try_open_at(
        &self,
        name: &str,
        access: u32,
        disposition: NTCREATEFILE_CREATE_DISPOSITION,
        options: NTCREATEFILE_CREATE_OPTIONS,
    ) -> Result<File, NTSTATUS> {
        let mut name: Vec<u16> = name.encode_utf16().collect();
        let bytes = u16::try_from(2 * name.len()).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let text = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_mut_ptr() };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of_u32::<OBJECT_ATTRIBUTES>(),
            RootDirectory: self.0.as_raw_handle(),
            ObjectName: &raw const text,
            Attributes: OBJ_CASE_INSENSITIVE,
            ..Default::default()
        };
        let (mut handle, mut status) = (ptr::null_mut(), IO_STATUS_BLOCK::default());
        let options = options | FILE_SYNCHRONOUS_IO_NONALERT;
        let attributes = &raw const attributes;
        // SAFETY: the folder's handle is open, the name and what it leads to are locals that outlive the call, and so
        // are both results; there are no extended attributes ("NtCreateFile function", Microsoft's documentation).
        let answer = unsafe {
            NtCreateFile(
                &raw mut handle,
                access | SYNCHRONIZE,
                attributes,
                &raw mut status,
                ptr::null(),
                FILE_ATTRIBUTE_NORMAL,
                SHARE_ALL,
                disposition,
                options,
                ptr::null(),
                0,
            )
        };
        succeeded(answer)?;
        // SAFETY: a handle that was made just now, and is nobody else's.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(handle.into())
    }

    /// Gives an open file another name in the folder, with the flags of FILE_RENAME_INFORMATION.
    fn move_to(&self, file: &File, name: &str, flags: u32) -> Result<(), NTSTATUS> {
        let mut renaming = Renaming { flags, folder: self.0.as_raw_handle(), name_len: 0, name: [0; NAME_UNITS] };
        let mut units = 0;
        for unit in name.encode_utf16() {
            *renaming.name.get_mut(units).ok_or(STATUS_INVALID_PARAMETER)? = unit;
            units += 1;
        }
        renaming.name_len = u32::try_from(2 * units).map_err(|_| STATUS_INVALID_PARAMETER)?;
        match set(file, FileRenameInformationEx, &renaming) {
            Err(status) if is_unknown(status) => {
                // As older systems and other file systems know it: the lowest flag is its first byte, and all that it
                // has.
                renaming.flags &= FILE_RENAME_REPLACE_IF_EXISTS;
                set(file, FileRenameInformation, &renaming)
            }
            answer => answer,
        }
    }
}

/// Removes an open file at once, whoever else has it open.
fn dispose(file: &File) -> Result<(), NTSTATUS> {
    let flags = FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
    set(file, FileDispositionInformationEx, &FILE_DISPOSITION_INFORMATION_EX { Flags: flags })
}

/// Has a file removed when its last handle is closed.
fn dispose_when_closed(file: &File) -> Result<(), NTSTATUS> {
    // FILE_DISPOSITION_INFORMATION: one byte.
    set(file, FileDispositionInformation, &1_u8)
}

/// Whether a status says that the file is used in a way that forbids what was asked for, or that this is not known
/// here.
fn is_refused(status: NTSTATUS) -> bool {
    is_unknown(status) || matches!(status, STATUS_CANNOT_DELETE | STATUS_ACCESS_DENIED | STATUS_SHARING_VIOLATION)
}

/// Whether a status says that the system, or the file system, does not know what was asked for.
fn is_unknown(status: NTSTATUS) -> bool {
    matches!(
        status,
        STATUS_INVALID_PARAMETER
            | STATUS_INVALID_INFO_CLASS
            | STATUS_INVALID_DEVICE_REQUEST
            | STATUS_NOT_SUPPORTED
            | STATUS_NOT_IMPLEMENTED
    )
}

/// NtSetInformationFile.
fn set<T>(file: &File, class: FILE_INFORMATION_CLASS, value: &T) -> Result<(), NTSTATUS> {
    let mut status = IO_STATUS_BLOCK::default();
    let (place, status) = (ptr::from_ref(value).cast::<c_void>(), &raw mut status);
    // SAFETY: the handle is open, the value has the size given, which its type alone says, and the result is a local.
    succeeded(unsafe { NtSetInformationFile(file.as_raw_handle(), status, place, size_of_u32::<T>(), class) })
}

fn succeeded(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if status < 0 { Err(status) } else { Ok(()) }
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// GetFileInformationByHandleEx, into a buffer that is aligned to 8 bytes.
fn ask(file: &impl AsRawHandle, class: FILE_INFO_BY_HANDLE_CLASS, buffer: &mut [u8]) -> io::Result<()> {
    let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    // SAFETY: the handle is open, and the call writes at most as many bytes as the buffer has.
    check(unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), class, buffer.as_mut_ptr().cast(), len) })
}

/// The number of 4 bytes at a place of what the system has written; 0 behind its end.
fn number_at(bytes: &[u8], at: usize) -> usize {
    let number =
        bytes.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Text of UTF-16 units, as bytes.
fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// Gives a new file its length, for which the file system sets clusters aside, unless the file is compressed or sparse.
/// They read as zeros until they are written.
pub(crate) fn set_aside(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// Has a range of a mapped file that was set aside ready to be stored to: it is.
pub(crate) fn prepare(_: BorrowedHandle<'_>, _: Range<u64>) -> io::Result<()> {
    Ok(())
}

/// Writes all of `bytes` to a place of a file. It moves the handle's position.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => (bytes, at) = (&bytes[written..], at + u64::try_from(written).unwrap_or(0)),
        }
    }
    Ok(())
}

/// Whether so many bytes are written by [`write_parts_at`] instead of being stored to a mapping: never, since WriteFile
/// and mappings are not promised to agree ("MapViewOfFile function", Microsoft's documentation).
#[inline]
pub(crate) fn is_written(_: usize) -> bool {
    false
}

/// Would write to a file that is mapped, which is not asked for: see [`is_written`].
pub(crate) fn write_parts_at(_: BorrowedHandle<'_>, _: [&[u8]; 2], _: u64) -> io::Result<usize> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "what Windows writes to a mapped file need not be in its mappings"))
}

/// Reads from a place of a file, as much as there is or the system gives; 0 at the end. It moves the handle's position.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(buffer, at)
}

/// Brings a file to the disk, with all that is known of it: FlushFileBuffers, which also has the disk empty its cache.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { FlushFileBuffers(file.as_raw_handle()) })
}

/// Brings the bytes of a mapped file to the disk: what was stored through this mapping, by FlushViewOfFile, and what
/// the file's cache has, by FlushFileBuffers.
pub(crate) fn sync_mapping(mapping: &Mapping) -> io::Result<()> {
    mapping.view().flush().map_err(|error| match error {
        mapio_map::Error::Os { source, .. } => source,
        other => other.into(),
    })
}

/// The next range from `at` on that may hold anything but zeros: all of it. Windows tells which clusters are set aside
/// and how far the file was written, but not which pages were stored to and are still in memory.
pub(crate) fn next_data(_: BorrowedHandle<'_>, at: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(at..u64::MAX))
}

/// Takes the one claim to a file; `false` if somebody else has it. It ends with the handle, or with the process:
/// Windows releases the locks of a process that ends, as soon as it comes to it.
pub(crate) fn claim(file: &File) -> io::Result<bool> {
    for _ in 0..CLAIM_TRIES {
        if lock_once(file.as_handle(), &CLAIM, Hold::Exclusive)? {
            return Ok(true);
        }
        // Who only asks for it has a lock, too, but one that can be shared.
        if !lock_once(file.as_handle(), &CLAIM, Hold::Shared)? {
            return Ok(false);
        }
        give_up(file)?;
        thread::yield_now();
    }
    Ok(false)
}

/// Whether another open file has the claim. The file's lock is shared for a moment, which no claim takes for another.
pub(crate) fn is_claimed(file: &File) -> io::Result<bool> {
    if lock_once(file.as_handle(), &CLAIM, Hold::Shared)? { give_up(file).map(|()| false) } else { Ok(true) }
}

/// Gives the claim up.
pub(crate) fn give_up(file: &File) -> io::Result<()> {
    unlock(file.as_handle(), CLAIM)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mapio_map::descriptor;
    use mapio_map::{MapMode, MapOptions};
    use mapio_testkit::skip;
    use windows_sys::Win32::Foundation::ERROR_INVALID_HANDLE;

    use super::*;

    fn listed(folder: &Folder) -> Vec<String> {
        let mut names = Vec::new();
        folder.names(|name| names.push(String::from_utf8(name.to_vec()).unwrap())).unwrap();
        names.retain(|name| name != "." && name != "..");
        names.sort();
        names
    }

    fn put_away(dir: &Path) -> usize {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(GONE_SUFFIX)).count()
    }

    #[test]
    fn a_file_gets_its_name_once_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        fs::write(dir.path().join("taken"), b"theirs").unwrap();
        let new = folder.unnamed_file("new").unwrap();
        write_all_at(&new.file, b"ours", 0).unwrap();
        let refused = folder.give_name(&new, "taken").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        folder.give_name(&new, "named").unwrap();
        assert_eq!(listed(&folder), ["named", "taken"]);
        assert_eq!(fs::read(dir.path().join("named")).unwrap(), b"ours");
        folder.rename("named", "taken").unwrap();
        assert_eq!(listed(&folder), ["taken"]);
        folder.sync().unwrap();
        assert_eq!(fs::read(dir.path().join("taken")).unwrap(), b"ours");
    }

    #[test]
    fn a_folder_lists_more_names_than_the_system_tells_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let names: Vec<_> = (0..300).map(|number| format!("{number:020}.segment")).collect();
        names.iter().for_each(|name| drop(fs::write(dir.path().join(name), b"")));
        assert_eq!(listed(&folder), names);
    }

    #[test]
    fn a_file_is_found_whatever_the_folder_is_called_by_now() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::create_dir(&old).unwrap();
        let folder = Folder::open(&old).unwrap();
        fs::write(old.join("file"), b"bytes").unwrap();
        assert!(folder.file("none", Opening::Read).unwrap().is_none());
        fs::create_dir(old.join("folder")).unwrap();
        assert!(matches!(folder.file("folder", Opening::Create), Err(Unusable::NotRegular)));
        fs::rename(&old, &new).unwrap();
        match folder.file("file", Opening::ReadWrite) {
            // Wine does not find a folder again that was renamed.
            Err(Unusable::System(error)) if is(&error, ERROR_INVALID_HANDLE) => {
                return skip("sys::windows::folder", "the handle of a renamed folder is of no use under Wine");
            }
            found => assert!(found.unwrap().is_some()),
        }
        assert!(folder.file("none", Opening::Read).unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_removed_stays_for_those_who_have_it_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        for round in 0..3 {
            fs::write(dir.path().join("file"), [round; 5000]).unwrap();
            let file = folder.file("file", Opening::Read).unwrap().unwrap();
            let mapping = MapOptions::new(MapMode::ReadOnly).map(&file).unwrap();
            assert!(folder.has("file", descriptor::of(&mapping)).unwrap());
            folder.remove("file").unwrap();
            assert_eq!(listed(&folder), Vec::<String>::new());
            assert!(!folder.has("file", descriptor::of(&mapping)).unwrap());
            fs::write(dir.path().join("file"), b"another").unwrap();
            assert!(!folder.has("file", descriptor::of(&mapping)).unwrap());
            assert_eq!(crate::sys::file_len(descriptor::of(&mapping)).unwrap(), 5000);
            assert_eq!(mapping.view().load::<u8>(4999), Ok(round));
        }
        folder.sweep();
        assert_eq!((listed(&folder), put_away(dir.path())), (vec!["file".to_owned()], 0));
    }

    #[test]
    fn a_file_that_was_put_away_is_as_good_as_removed_until_a_sweep_can_remove_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut used = Vec::new();
        for count in 0..3 {
            fs::write(dir.path().join("file"), b"bytes").unwrap();
            used.push(folder.file("file", Opening::Read).unwrap().unwrap());
            let file = folder.open_to_remove("file").unwrap();
            folder.move_to(&file, &format!("file.{count}{GONE_SUFFIX}"), 0).unwrap();
        }
        assert_eq!((listed(&folder), put_away(dir.path())), (Vec::new(), 3));
        assert!(used.iter().all(|file| !folder.has("file", descriptor::of(file)).unwrap()));
        fs::write(dir.path().join("file"), b"bytes").unwrap();
        let file = folder.open_to_remove("file").unwrap();
        folder.put_away(&file, "file").unwrap();
        drop((file, used));
        folder.sweep();
        assert_eq!((listed(&folder), put_away(dir.path())), (Vec::new(), 0));
    }

    #[test]
    fn a_claim_is_one_handles_alone_and_asking_for_it_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let open = |opening| folder.file("lock", opening).unwrap().unwrap();
        let (mine, other, reader) = (open(Opening::Create), open(Opening::Create), open(Opening::Read));
        assert!(!is_claimed(&reader).unwrap());
        assert!(claim(&mine).unwrap());
        assert!(!claim(&other).unwrap() && is_claimed(&reader).unwrap());
        drop(mine);
        assert!(!is_claimed(&reader).unwrap());
        // One who asks at the same time.
        assert!(lock_once(reader.as_handle(), &CLAIM, Hold::Shared).unwrap());
        let asked = thread::spawn(move || {
            thread::yield_now();
            give_up(&reader).unwrap();
        });
        asked.join().unwrap();
        assert!(claim(&other).unwrap());
        give_up(&other).unwrap();
    }
}
