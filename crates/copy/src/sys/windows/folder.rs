//! Names in folders: opening, looking, making, removing, listing.

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::Path;

use mapio_map::nt::{final_path, identity};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_DISPOSITION_DELETE, FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_POSIX_SEMANTICS, FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT,
    FILE_SYNCHRONOUS_IO_NONALERT, FileDispositionInformation, FileDispositionInformationEx,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, SYNCHRONIZE,
};
use zerocopy::IntoBytes;

use super::full::nt_name;
use super::information::{attributes, le_u32, reopened, reparse_tag, set_attributes};
use super::nt::{self, Open};
use super::{Dir, Errno, FileType, OFlags, fstat};
use crate::place::Link;
use crate::status::Status;

/// Bytes that are asked of a listing at a time.
const LISTING_BYTES: usize = 64 << 10;
/// In a tag: the reparse point stands for another name ("Reparse Point Tags", Microsoft's documentation).
const NAME_SURROGATE: u32 = 1 << 29;

/// What a file is by its attributes and its reparse tag. Reparse points that stand for no other name, such as files
/// that are kept elsewhere until they are read, are what they seem.
pub(super) fn kind_of(attributes: u32, tag: u32) -> FileType {
    let is_reparse = attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0;
    match attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        _ if is_reparse && tag & NAME_SURROGATE != 0 => FileType::Symlink,
        true => FileType::Directory,
        false => FileType::RegularFile,
    }
}

pub(crate) fn openat(dir: Dir<'_>, name: &CStr, flags: OFlags, _mode: u32) -> Result<OwnedHandle, Errno> {
    if flags.contains(OFlags::TMPFILE) {
        return Err(Errno::OPNOTSUPP);
    }
    let access = match () {
        () if flags.contains(OFlags::PATH) => FILE_READ_ATTRIBUTES | SYNCHRONIZE,
        () if flags.contains(OFlags::RDWR) => FILE_GENERIC_READ | FILE_GENERIC_WRITE,
        () if flags.writes() => FILE_GENERIC_WRITE | FILE_READ_ATTRIBUTES,
        () => FILE_GENERIC_READ,
    };
    let makes = flags.contains(OFlags::CREATE);
    let disposition = match (makes, flags.contains(OFlags::EXCL)) {
        (true, true) => FILE_CREATE,
        (true, false) => FILE_OPEN_IF,
        (false, _) => FILE_OPEN,
    };
    let kind = match () {
        () if flags.contains(OFlags::DIRECTORY) => FILE_DIRECTORY_FILE,
        () if makes || flags.writes() => FILE_NON_DIRECTORY_FILE,
        () => 0,
    };
    let itself = flags.contains(OFlags::NOFOLLOW) || disposition == FILE_CREATE;
    let open =
        |itself: bool| open_as(dir, name, access, disposition, kind | if itself { FILE_OPEN_REPARSE_POINT } else { 0 });
    let file = open(itself)?;
    if !itself || disposition == FILE_CREATE {
        return Ok(file);
    }
    // Devices have none, and are no links.
    let Ok(attributes) = attributes(file.as_handle()) else { return Ok(file) };
    match kind_of(attributes, reparse_tag(file.as_handle())) {
        // What is to be asked may be the link.
        FileType::Symlink if flags.contains(OFlags::PATH) => Ok(file),
        FileType::Symlink if flags.contains(OFlags::DIRECTORY) => Err(Errno::NOTDIR),
        FileType::Symlink => Err(Errno::LOOP),
        // What it holds is behind the reparse point. By then the name may be a link, which must not be followed: while
        // the first handle is open, no other file has its number.
        _ if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 => {
            let behind = open(false)?;
            let is_it = identity(behind.as_handle())? == identity(file.as_handle())?;
            if is_it { Ok(behind) } else { Err(Errno::LOOP) }
        }
        _ => Ok(file),
    }
}

/// Opens a name with this access, for calls that wait.
pub(super) fn open_as(
    dir: Dir<'_>,
    name: &CStr,
    access: u32,
    disposition: u32,
    options: u32,
) -> Result<OwnedHandle, Errno> {
    let (root, name) = nt_name(dir, name)?;
    let options = options | FILE_SYNCHRONOUS_IO_NONALERT;
    nt::open(root, &name, Open { access: access | SYNCHRONIZE, disposition, options })
}

/// Opens the folder that a folder is in.
pub(crate) fn open_parent(dir: Dir<'_>) -> Result<OwnedHandle, Errno> {
    let Dir::Open(folder) = dir else { return Err(Errno::BADF) };
    let path = OsString::from_wide(&final_path(folder)?);
    let parent = Path::new(&path).parent().ok_or(Errno::NOENT)?;
    let parent = CString::new(parent.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    openat(Dir::Current, &parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)
}

/// Opens a file for reading.
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(crate) fn statat(dir: Dir<'_>, name: &CStr, link: Link) -> Result<Status, Errno> {
    let flags = match link {
        Link::Itself => OFlags::PATH | OFlags::NOFOLLOW,
        Link::Followed => OFlags::PATH,
    };
    fstat(&openat(dir, name, flags, 0)?)
}

pub(crate) fn mkdirat(dir: Dir<'_>, name: &CStr, _mode: u32) -> Result<(), Errno> {
    open_as(dir, name, FILE_READ_ATTRIBUTES, FILE_CREATE, FILE_DIRECTORY_FILE).map(drop)
}

/// Makes a pipe or a device: Windows has none with names in folders.
pub(crate) fn mknodat(_: Dir<'_>, _: &CStr, _: FileType, _: u32, _: u64) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Removes a name that is not a folder's.
pub(crate) fn unlinkat(dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    let access = DELETE | FILE_READ_ATTRIBUTES;
    let file = open_as(dir, name, access, FILE_OPEN, FILE_OPEN_REPARSE_POINT)?;
    let had = attributes(file.as_handle())?;
    if kind_of(had, reparse_tag(file.as_handle())) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    // The name goes at once, although others may have the file open: Windows 10 from 1709 on.
    let flags = FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
    match nt::set(file.as_handle(), FileDispositionInformationEx, &[u64::from(flags)]) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {}
        removed => return removed,
    }
    remove_plainly(&file, had)
}

/// Removes an open file, with these attributes, once its handles are closed. A read-only one may be written to first;
/// if it can't be removed then, it is read-only again.
fn remove_plainly(file: &OwnedHandle, had: u32) -> Result<(), Errno> {
    let remove = || nt::set(file.as_handle(), FileDispositionInformation, &[1]);
    if had & FILE_ATTRIBUTE_READONLY == 0 {
        return remove();
    }
    let writable = reopened(file, FILE_WRITE_ATTRIBUTES)?;
    set_attributes(writable.as_handle(), had & !FILE_ATTRIBUTE_READONLY)?;
    remove().inspect_err(|_| {
        // As far as that can be.
        let _ = set_attributes(writable.as_handle(), had);
    })
}

/// Whether the attributes of a file let somebody write to it.
pub(crate) fn may_write(dir: Dir<'_>, name: &CStr) -> bool {
    statat(dir, name, Link::Followed).is_ok_and(|status| status.mode & 0o200 != 0)
}

/// Whether something is mounted on a name: that is a link here.
pub(crate) fn is_mount_root(_: Dir<'_>, _: &CStr) -> bool {
    false
}

/// Lists all names of a folder the first time, and none afterwards: a listing that goes on in a folder that was opened
/// again is nothing that Windows has.
pub(crate) fn list(dir: Dir<'_>, cookie: &mut u64, mut met: impl FnMut(FileType, &CStr)) -> Result<bool, Errno> {
    let Dir::Open(folder) = dir else { return Err(Errno::BADF) };
    if *cookie != 0 {
        return Ok(false);
    }
    *cookie = 1;
    let mut buffer = vec![0u64; LISTING_BYTES / size_of::<u64>()];
    let mut from_start = true;
    loop {
        let bytes = nt::list(folder, &mut buffer, from_start)?;
        if bytes == 0 {
            return Ok(true);
        }
        from_start = false;
        let mut rest = &buffer.as_bytes()[..bytes];
        loop {
            // FILE_FULL_DIR_INFORMATION: where the next one is at 0, attributes at 56, bytes of the name at 60, the tag
            // of a reparse point at 64, the name from 68 on.
            let (next, name_bytes) = (le_u32(rest, 0), to_usize(le_u32(rest, 60)));
            let name = rest.get(68..).and_then(|name| name.get(..name_bytes)).ok_or(Errno::INVAL)?;
            let units: Vec<u16> = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            let name = OsString::from_wide(&units);
            if name != "." && name != ".." {
                let name = CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
                met(kind_of(le_u32(rest, 56), le_u32(rest, 64)), &name);
            }
            if next == 0 {
                break;
            }
            rest = rest.get(to_usize(next)..).ok_or(Errno::INVAL)?;
        }
    }
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Lets the listing of a folder that was opened again go on: all of it is known.
pub(crate) fn seek_listing(_: Dir<'_>, _: u64) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_read_only_file_is_removed_or_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let folder = File::from(openat(Dir::Current, &c_path(dir.path()), OFlags::DIRECTORY, 0).unwrap());
        fs::write(&path, "bytes").unwrap();
        let open = |access| {
            let dir = Dir::Open(folder.as_handle());
            open_as(dir, c"file", access | FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT).unwrap()
        };
        set_attributes(open(FILE_WRITE_ATTRIBUTES).as_handle(), FILE_ATTRIBUTE_READONLY).unwrap();
        // A handle that may not remove it.
        let file = open(0);
        let had = attributes(file.as_handle()).unwrap();
        assert_ne!(had & FILE_ATTRIBUTE_READONLY, 0);
        assert_eq!(remove_plainly(&file, had), Err(Errno::ACCESS));
        assert_eq!(attributes(file.as_handle()).unwrap(), had);
        drop(file);
        remove_plainly(&open(DELETE), had).unwrap();
        assert!(!path.exists());
    }

    fn c_path(path: &Path) -> CString {
        CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
    }
}
