//! Other names for files: hard links, symbolic links and junctions; and new ones.

use std::ffi::{CStr, OsString};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::{symlink_dir, symlink_file};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle};
use std::path::{Path, PathBuf};

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_INFORMATION_CLASS, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
    FILE_OPEN_REPARSE_POINT, FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_POSIX_SEMANTICS,
    FILE_RENAME_REPLACE_IF_EXISTS, FileDispositionInformation, FileLinkInformation, FileRenameInformation,
    FileRenameInformationEx,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY, FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES,
    FILE_WRITE_ATTRIBUTES,
};
use windows_sys::Win32::System::Ioctl::{FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT};
use windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_SYMLINK;
use zerocopy::IntoBytes;

use super::folder::open_as;
use super::full::{full_path, nt_name};
use super::information::{attributes, le_u32, set_attributes};
use super::{Dir, Errno, fstat, nt};
use crate::place::Link;
use crate::status::FileId;

/// Words of the longest content of a reparse point (`MAXIMUM_REPARSE_DATA_BUFFER_SIZE`).
const REPARSE_WORDS: usize = (16 << 10) / size_of::<u64>();

/// What a link is made of: its reparse point, as it is.
#[derive(Debug)]
pub(crate) struct LinkContent {
    words: Vec<u64>,
    bytes: usize,
    is_folder: bool,
}

/// Gives a file another name: the link itself, or what it leads to.
pub(crate) fn linkat(from: (Dir<'_>, &CStr), to: (Dir<'_>, &CStr), link: Link) -> Result<(), Errno> {
    let options = if link == Link::Itself { FILE_OPEN_REPARSE_POINT } else { 0 };
    let file = open_as(from.0, from.1, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES, FILE_OPEN, options)?;
    let (root, name) = nt_name(to.0, to.1)?;
    nt::set(file.as_handle(), FileLinkInformation, &naming(0, root, &name)?)
}

pub(crate) fn renameat(dir: Dir<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    // As on other systems: what is open, or read-only, gives way all the same. Windows 10 from 1709 on.
    let flags = FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    match rename_by(FileRenameInformationEx, flags, dir, from, to) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {}
        renamed => return renamed,
    }
    match rename_by(FileRenameInformation, 1, dir, from, to) {
        Err(Errno::ACCESS) => {
            let (id, had) = make_writable(dir, to)?;
            // No handle of it is open now: a plain rename replaces nothing that is.
            rename_by(FileRenameInformation, 1, dir, from, to).inspect_err(|_| {
                // It was not replaced, so it stays what it was, as far as that can be.
                let _ = make_read_only_again(dir, to, id, had);
            })
        }
        renamed => renamed,
    }
}

/// Lets a read-only file be replaced. Answers what tells it from others, and the attributes that it had. `ACCESS` for a
/// file that was not read-only.
fn make_writable(dir: Dir<'_>, name: &CStr) -> Result<(FileId, u32), Errno> {
    let access = FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES;
    let old = open_as(dir, name, access, FILE_OPEN, FILE_OPEN_REPARSE_POINT)?;
    let (status, had) = (fstat(&old)?, attributes(old.as_handle())?);
    if had & FILE_ATTRIBUTE_READONLY == 0 {
        return Err(Errno::ACCESS);
    }
    set_attributes(old.as_handle(), had & !FILE_ATTRIBUTE_READONLY)?;
    Ok((status.id, had))
}

/// Gives a file its attributes back, if the name still means it.
fn make_read_only_again(dir: Dir<'_>, name: &CStr, id: FileId, had: u32) -> Result<(), Errno> {
    let access = FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES;
    let old = open_as(dir, name, access, FILE_OPEN, FILE_OPEN_REPARSE_POINT)?;
    if fstat(&old)?.id != id {
        return Err(Errno::STALE);
    }
    set_attributes(old.as_handle(), had)
}

/// Renames to a name that must be free: `EXIST` otherwise.
pub(crate) fn rename_no_replace(dir: Dir<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    rename_by(FileRenameInformation, 0, dir, from, to)
}

fn rename_by(class: FILE_INFORMATION_CLASS, flags: u32, dir: Dir<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    let file = open_as(dir, from, DELETE | FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT)?;
    let (root, name) = nt_name(dir, to)?;
    nt::set(file.as_handle(), class, &naming(flags, root, &name)?)
}

/// `FILE_RENAME_INFORMATION` and `FILE_LINK_INFORMATION`: flags at 0, the folder at 8, bytes of the name at 16, the
/// name from 20 on.
fn naming(flags: u32, root: Option<BorrowedHandle<'_>>, name: &[u16]) -> Result<Vec<u64>, Errno> {
    let bytes = u32::try_from(size_of_val(name)).map_err(|_| Errno::INVAL)?;
    let mut words = vec![0u64; (20 + size_of_val(name)).div_ceil(size_of::<u64>()).max(3)];
    let place = words.as_mut_bytes();
    place[..4].copy_from_slice(&flags.to_le_bytes());
    let root = root.map_or(0, |root| root.as_raw_handle().expose_provenance());
    place[8..16].copy_from_slice(&u64::try_from(root).map_err(|_| Errno::INVAL)?.to_le_bytes());
    place[16..20].copy_from_slice(&bytes.to_le_bytes());
    for (unit, place) in name.iter().zip(place[20..].chunks_exact_mut(2)) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
    Ok(words)
}

/// Makes a symbolic link: to a folder, if there is one with that name, as Windows tells links to folders from others.
pub(crate) fn symlinkat(content: &Path, dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    let link = full_path(dir, name)?;
    let leads_to = link.parent().map_or_else(|| content.to_owned(), |folder| folder.join(content));
    make_symbolic(content, &link, leads_to.is_dir())
}

/// Makes it, and looks whether it is there: who may not make links is told so by some systems and not by others.
fn make_symbolic(content: &Path, link: &Path, is_folder: bool) -> Result<(), Errno> {
    if is_folder { symlink_dir(content, link) } else { symlink_file(content, link) }?;
    match link.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::OPNOTSUPP),
    }
}

pub(crate) fn readlinkat(dir: Dir<'_>, name: &CStr) -> Result<LinkContent, Errno> {
    let link = open_as(dir, name, FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT)?;
    let is_folder = attributes(link.as_handle())? & FILE_ATTRIBUTE_DIRECTORY != 0;
    let mut words = vec![0u64; REPARSE_WORDS];
    let bytes = nt::control(link.as_handle(), FSCTL_GET_REPARSE_POINT, &[], 0, &mut words)?;
    Ok(LinkContent { words, bytes, is_folder })
}

/// Makes a link like one that was read: of the same kind, a junction too. The right to make symbolic links is an
/// administrator's, or everybody's in developer mode, and then only CreateSymbolicLink makes them.
pub(crate) fn copy_linkat(content: &LinkContent, dir: Dir<'_>, name: &CStr) -> Result<(), Errno> {
    let kind = if content.is_folder { FILE_DIRECTORY_FILE } else { FILE_NON_DIRECTORY_FILE };
    let access = FILE_GENERIC_WRITE | DELETE;
    let link = open_as(dir, name, access, FILE_CREATE, kind | FILE_OPEN_REPARSE_POINT)?;
    match nt::control(link.as_handle(), FSCTL_SET_REPARSE_POINT, &content.words, content.bytes, &mut []) {
        Ok(_) => Ok(()),
        Err(errno) => {
            // An empty file or folder, made just now.
            nt::set(link.as_handle(), FileDispositionInformation, &[1])?;
            drop(link);
            match content.printed() {
                Some(target) if errno == Errno::PERM => {
                    make_symbolic(&target, &full_path(dir, name)?, content.is_folder)
                }
                _ => Err(errno),
            }
        }
    }
}

impl LinkContent {
    /// Where a symbolic link leads, as people write it. `SYMBOLIC_LINK_REPARSE_DATA_BUFFER`: the tag at 0; where that
    /// name begins at 12, behind byte 20, and its bytes at 14.
    fn printed(&self) -> Option<PathBuf> {
        let bytes = self.words.as_bytes().get(..self.bytes)?;
        let half = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
        if le_u32(bytes, 0) != IO_REPARSE_TAG_SYMLINK {
            return None;
        }
        let name = bytes.get(20 + half(12)?..)?.get(..half(14)?)?;
        let units: Vec<u16> = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        Some(PathBuf::from(OsString::from_wide(&units)))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_made_read_only_again_and_no_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let is_read_only = || path.metadata().unwrap().permissions().readonly();
        fs::write(&path, "bytes").unwrap();
        assert_eq!(make_writable(Dir::Current, &name), Err(Errno::ACCESS), "it is writable");
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let (id, had) = make_writable(Dir::Current, &name).unwrap();
        assert!(!is_read_only());
        make_read_only_again(Dir::Current, &name, id, had).unwrap();
        assert!(is_read_only());
        let (id, had) = make_writable(Dir::Current, &name).unwrap();
        // Both are there at once, so they have two numbers.
        fs::write(dir.path().join("other"), "bytes").unwrap();
        fs::rename(&path, dir.path().join("old")).unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        assert_eq!(make_read_only_again(Dir::Current, &name, id, had), Err(Errno::STALE));
        assert!(!is_read_only());
    }
}
