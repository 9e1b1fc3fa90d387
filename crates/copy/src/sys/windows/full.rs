//! Names: bytes to UTF-16, paths to those that NT takes, and what two names have in common.

use std::ffi::{CStr, CString, OsString};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::path::PathBuf;
use std::str;

use mapio_map::nt::final_path;
use windows_sys::Wdk::Storage::FileSystem::FileCaseSensitiveInformation;
use zerocopy::IntoBytes;

use super::{CWD, Dir, Errno, OFlags, fstat, nt, openat, statat};
use crate::place::{Link, Place};

/// What stands between the names of a path that is put together here.
pub(crate) const SEPARATOR: u8 = b'\\';

/// What a path begins with that is taken as it is ("Naming Files, Paths, and Namespaces", Microsoft's documentation).
const VERBATIM: &str = r"\\?\";

pub(crate) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\\' | b'/')
}

/// How many bytes of a path are in front of its last component: `c:name` has two.
pub(crate) fn folder_bytes(path: &[u8]) -> usize {
    let drive = if has_drive(path) { 2 } else { 0 };
    path.iter().rposition(|&byte| is_separator(byte)).map_or(drive, |separator| separator + 1)
}

fn has_drive(path: &[u8]) -> bool {
    matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// The path that has these bytes: those of `OsStr::as_encoded_bytes`, or parts of them.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    match str::from_utf8(bytes) {
        Ok(text) => PathBuf::from(text),
        Err(_) => PathBuf::from(OsString::from_wide(&half_pairs(bytes))),
    }
}

/// UTF-16 of bytes in which halves of surrogate pairs stand alone, each encoded in three bytes as if it were a
/// character.
fn half_pairs(bytes: &[u8]) -> Vec<u16> {
    let mut units = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] = *rest {
            units.push(0xd000 | (u16::from(second & 0x3f) << 6) | u16::from(third & 0x3f));
            rest = &rest[3..];
            continue;
        }
        let until = rest.windows(2).skip(1).position(|pair| matches!(pair, [0xed, 0xa0..=0xbf]));
        let (text, after) = rest.split_at(until.map_or(rest.len(), |at| at + 1));
        units.extend(String::from_utf8_lossy(text).encode_utf16());
        rest = after;
    }
    units
}

/// The units of a name.
pub(super) fn wide(name: &CStr) -> Vec<u16> {
    path(name.to_bytes()).as_os_str().encode_wide().collect()
}

/// A name as NT takes it: below an open folder, or with all of the way.
pub(super) fn nt_name<'a>(dir: Dir<'a>, name: &CStr) -> Result<(Option<BorrowedHandle<'a>>, Vec<u16>), Errno> {
    match dir {
        Dir::None => Err(Errno::BADF),
        // The folder itself has no name in it.
        Dir::Open(folder) if name == c"." => Ok((Some(folder), Vec::new())),
        Dir::Open(folder) => Ok((Some(folder), wide(name))),
        Dir::Current => Ok((None, nt_path(name)?)),
    }
}

/// The path, from the root of all names, of a path that a user has given. Names that stand for devices, such as `nul`,
/// mean these; behind `\\?\` none does.
fn nt_path(name: &CStr) -> Result<Vec<u16>, Errno> {
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
    let full = std::path::absolute(path(name.to_bytes()))?;
    let mut units: Vec<u16> = full.as_os_str().encode_wide().collect();
    // Verbatim paths keep a dot, which is no name to NT.
    let dot: Vec<u16> = r"\.".encode_utf16().collect();
    if units.ends_with(&dot) {
        units.truncate(units.len() - 1);
    }
    let begins = |prefix: &str| units.starts_with(&prefix.encode_utf16().collect::<Vec<u16>>());
    let (skipped, root) = match () {
        () if begins(VERBATIM) || begins(r"\\.\") => (VERBATIM.len(), r"\??\"),
        () if begins(r"\\") => (2, r"\??\UNC\"),
        () => (0, r"\??\"),
    };
    Ok(root.encode_utf16().chain(units.drain(skipped..)).collect())
}

/// The path of a name, for calls that take nothing else.
pub(super) fn full_path(dir: Dir<'_>, name: &CStr) -> Result<PathBuf, Errno> {
    match dir {
        Dir::None => Err(Errno::BADF),
        Dir::Current => Ok(path(name.to_bytes())),
        Dir::Open(folder) => Ok(PathBuf::from(OsString::from_wide(&final_path(folder)?)).join(path(name.to_bytes()))),
    }
}

/// The path of the file that a name leads to, through however many links.
pub(crate) fn path_behind(dir: Dir<'_>, name: &CStr) -> Option<CString> {
    let file = openat(dir, name, OFlags::PATH, 0).ok()?;
    let path = OsString::from_wide(&final_path(file.as_handle()).ok()?);
    let path = CString::new(path.as_encoded_bytes()).ok()?;
    let there = statat(CWD, &path, Link::Itself).ok()?;
    (there.id == fstat(&file).ok()?.id).then_some(path)
}

/// What a name has in common with the other names that mean the same file in this folder: its capitals, unless the
/// folder tells them from small letters. One that can't be asked does not.
pub(crate) fn name_key(folder: Place<'_>, name: &[u8]) -> Vec<u8> {
    let is_sensitive = || {
        let folder = folder.open(OFlags::PATH | OFlags::DIRECTORY, 0)?;
        let mut flags = [0u64];
        nt::query(folder.as_handle(), FileCaseSensitiveInformation, &mut flags)?;
        // FILE_CS_FLAG_CASE_SENSITIVE_DIR.
        Ok::<_, Errno>(flags.as_bytes()[0] & 1 != 0)
    };
    if is_sensitive().unwrap_or(false) {
        return name.to_vec();
    }
    let units: Vec<u16> = path(name).as_os_str().encode_wide().map(nt::upcase).collect();
    OsString::from_wide(&units).as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_path_ends_at_a_separator_of_either_kind_or_a_drive() {
        for (path, bytes) in
            [(r"a\b/c", 4), ("a/b\\c", 4), ("c:name", 2), (r"c:\name", 3), ("name", 0), ("", 0), ("ab:c", 0)]
        {
            assert_eq!(folder_bytes(path.as_bytes()), bytes, "{path}");
        }
    }

    #[test]
    fn every_name_is_itself_again_after_it_was_bytes() {
        for units in [
            &[0x61, 0x62][..],
            &[0xe4, 0x20ac],
            &[0xd83d, 0xde00],
            &[0xd83d],
            &[0xde00, 0x61],
            &[0x61, 0xdfff, 0xd800, 0x62],
            &[0xd83d, 0xde00, 0xd83d, 0x65e5, 0xdc00],
        ] {
            let name = OsString::from_wide(units);
            assert_eq!(path(name.as_encoded_bytes()).into_os_string(), name, "{units:x?}");
        }
    }

    #[test]
    fn paths_of_all_kinds_begin_at_the_root_of_all_names() {
        let nt = |path: &CStr| String::from_utf16(&nt_path(path).unwrap()).unwrap();
        assert_eq!(nt(c"C:\\a\\..\\b"), r"\??\C:\b");
        assert_eq!(nt(c"C:/a/./b"), r"\??\C:\a\b");
        assert_eq!(nt(c"\\\\?\\C:\\a"), r"\??\C:\a");
        assert_eq!(nt(c"\\\\?\\C:\\a\\."), r"\??\C:\a\");
        assert_eq!(nt(c"\\\\server\\share\\a"), r"\??\UNC\server\share\a");
        assert!(nt(c"nul").to_lowercase().ends_with("nul"));
        assert_eq!(nt_path(c""), Err(Errno::NOENT));
    }
}
