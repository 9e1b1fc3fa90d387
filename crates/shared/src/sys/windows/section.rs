//! Sections of the page file, and the names that kernel objects have.
#![expect(unsafe_code, reason = "CreateFileMapping, OpenFileMapping, NtQueryDirectoryObject")]

use std::collections::BTreeSet;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::ptr;

use mapio_map::nt::status_error;
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{NtOpenDirectoryObject, NtQueryDirectoryObject};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, GetLastError, INVALID_HANDLE_VALUE, NTSTATUS, STATUS_BUFFER_TOO_SMALL,
    STATUS_MORE_ENTRIES, STATUS_NO_MORE_ENTRIES, STATUS_NOT_IMPLEMENTED, UNICODE_STRING,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, OpenFileMappingW, PAGE_READWRITE, SECTION_MAP_READ, SECTION_MAP_WRITE, SECTION_QUERY,
};

use super::process::session;
use super::security::{PRIVATE, Security};
use super::{OWN, is, wide};
use crate::sys::Owner;

/// `DIRECTORY_QUERY` of the kernel's folders of names.
const DIRECTORY_QUERY: u32 = 1;
/// How often the names are listed at most that are told one by one.
const PASSES: u32 = 5;
/// Words of an entry of such a folder, `OBJECT_DIRECTORY_INFORMATION`: two `UNICODE_STRING`.
const ENTRY_WORDS: usize = 2 * size_of::<UNICODE_STRING>() / 8;
/// Room for the entries and texts of a folder at first, in words: for one entry with its two texts, of 65,534 bytes at
/// most each, and some more.
const FIRST_WORDS: usize = (256 << 10) / 8;
/// And at most: a folder with more is refused.
const MOST_WORDS: usize = (256 << 20) / 8;

/// Makes a section of zeros, with memory set aside for all of it.
///
/// # Errors
/// `Unsupported` for another owner; what CreateFileMapping says, such as `ERROR_ACCESS_DENIED` for a name of all
/// sessions without the privilege, and `ERROR_COMMITMENT_LIMIT`.
pub(crate) fn create_section(name: &str, len: u64, owner: Owner, permissions: u32) -> io::Result<Option<OwnedHandle>> {
    if owner != (None, None) {
        let reason = "users and groups have no numbers on Windows";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    match make(name, len, permissions) {
        Ok((section, is_new)) => Ok(is_new.then_some(section)),
        // Who opens by creating asks for more than others may be allowed.
        Err(error) if is(&error, ERROR_ACCESS_DENIED) && is_taken(name) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something has a name that could not be made.
fn is_taken(name: &str) -> bool {
    open_section(name, false).is_ok()
}

/// Makes a small section for the user alone, or opens what has the name.
pub(super) fn open_or_create(name: &str, len: u64) -> io::Result<OwnedHandle> {
    make(name, len, PRIVATE).map(|(section, _)| section)
}

fn make(name: &str, len: u64, permissions: u32) -> io::Result<(OwnedHandle, bool)> {
    let security = Security::new(permissions)?;
    let (attributes, name) = (security.attributes()?, wide(name));
    let (high, low) = (u32::try_from(len >> 32), u32::try_from(len & u64::from(u32::MAX)));
    let (high, low) = (high.map_err(io::Error::other)?, low.map_err(io::Error::other)?);
    let (attributes, name) = (&raw const attributes, name.as_ptr());
    // SAFETY: the name and the attributes are locals, and what those lead to lives until the call is over
    // ("CreateFileMappingW function").
    let made = unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, attributes, PAGE_READWRITE, high, low, name) };
    // SAFETY: takes no arguments. It is asked before anything else is called.
    let is_new = unsafe { GetLastError() } != ERROR_ALREADY_EXISTS;
    Ok((owned(made)?, is_new))
}

/// Opens a section to map it, and to be told its length.
pub(crate) fn open_section(name: &str, writable: bool) -> io::Result<OwnedHandle> {
    let access = SECTION_QUERY | SECTION_MAP_READ | if writable { SECTION_MAP_WRITE } else { 0 };
    let name = wide(name);
    // SAFETY: the name is a local that lives until the call is over.
    owned(unsafe { OpenFileMappingW(access, 0, name.as_ptr()) })
}

fn owned(handle: RawHandle) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// The names of all sections of the session and of the machine, and whether they are the machine's.
pub(crate) fn sections() -> io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    // In the first session both are one folder.
    let folders: &[bool] = if session()? == 0 { &[true] } else { &[false, true] };
    for is_global in folders {
        let names = names_of_kind(*is_global, "Section")?;
        found.extend(names.into_iter().filter(|name| !name.contains(OWN)).map(|name| (name, *is_global)));
    }
    Ok(found)
}

/// The names of all kernel objects of a kind in the session's namespace, or in the machine's, without their beginning
/// `Local\` or `Global\`.
pub(super) fn names_of_kind(is_global: bool, kind: &str) -> io::Result<Vec<String>> {
    let folder = match session()? {
        0 => String::from(r"\BaseNamedObjects"),
        _ if is_global => String::from(r"\BaseNamedObjects"),
        session => format!(r"\Sessions\{session}\BaseNamedObjects"),
    };
    let entries = entries(&open_folder(&folder)?)?;
    Ok(entries.into_iter().filter(|(_, its_kind)| its_kind == kind).map(|(name, _)| name).collect())
}

/// All names of a folder, and of what kind they are, as they were at one moment: in one call, since one that goes on
/// from a count overlooks a name if one before it has gone meanwhile.
fn entries(folder: &OwnedHandle) -> io::Result<Vec<(String, String)>> {
    let mut buffer = vec![0_u64; FIRST_WORDS];
    loop {
        match query(folder, &mut buffer, Want::AllFrom) {
            STATUS_NO_MORE_ENTRIES => return Ok(Vec::new()),
            STATUS_MORE_ENTRIES | STATUS_BUFFER_TOO_SMALL if buffer.len() < MOST_WORDS => {
                let words = 2 * buffer.len();
                buffer.clear();
                buffer.resize(words, 0);
            }
            STATUS_MORE_ENTRIES => return Err(io::ErrorKind::OutOfMemory.into()),
            // Wine tells them one by one only.
            STATUS_NOT_IMPLEMENTED => return entries_by_count(folder),
            answer if answer < 0 => return Err(status_error(answer)),
            _ => return Ok(buffer.chunks_exact(ENTRY_WORDS).map_while(|entry| entry_of(entry, &buffer)).collect()),
        }
    }
}

/// The same, one by one. What comes or goes meanwhile moves others, which are told twice then, or not at all. So they
/// are listed until nobody new is found, some times at most; one who has gone since may be among them.
fn entries_by_count(folder: &OwnedHandle) -> io::Result<Vec<(String, String)>> {
    let (mut found, mut buffer) = (BTreeSet::new(), vec![0_u64; FIRST_WORDS]);
    for pass in 0..PASSES {
        let (before, mut count) = (found.len(), 0);
        loop {
            match query(folder, &mut buffer, Want::One(&mut count)) {
                STATUS_NO_MORE_ENTRIES => break,
                answer if answer < 0 => return Err(status_error(answer)),
                _ => found.extend(entry_of(&buffer[..ENTRY_WORDS], &buffer)),
            }
        }
        if pass > 0 && found.len() == before {
            break;
        }
    }
    Ok(found.into_iter().collect())
}

/// Which entries of a folder are asked for.
enum Want<'a> {
    /// All of them, from the first.
    AllFrom,
    /// The next behind so many, which are counted on.
    One(&'a mut u32),
}

/// NtQueryDirectoryObject.
fn query(folder: &OwnedHandle, buffer: &mut [u64], want: Want<'_>) -> NTSTATUS {
    let (mut first, mut returned) = (0, 0);
    let (is_one, count) = match want {
        Want::AllFrom => (false, &mut first),
        Want::One(count) => (true, count),
    };
    let Ok(bytes) = u32::try_from(size_of_val(buffer)) else { return STATUS_BUFFER_TOO_SMALL };
    let (folder, place, restart) = (folder.as_raw_handle(), buffer.as_mut_ptr().cast(), !is_one);
    // SAFETY: the handle is open, the call fills at most so many bytes, and the other results are locals.
    unsafe { NtQueryDirectoryObject(folder, place, bytes, is_one, restart, &raw mut *count, &raw mut returned) }
}

/// The name and the kind of an entry in a buffer; `None` for the one behind the last, which is zeros.
fn entry_of(entry: &[u64], buffer: &[u64]) -> Option<(String, String)> {
    let [name_len, name, kind_len, kind] = *entry else { return None };
    (name != 0).then(|| (text(buffer, name_len, name), text(buffer, kind_len, kind)))
}

/// What a `UNICODE_STRING` of two words points to, its length in the lowest 16 bits and its address, that lies in the
/// buffer, as all that the call above has written does.
fn text(buffer: &[u64], len: u64, addr: u64) -> String {
    let addr = usize::try_from(addr).unwrap_or(0);
    let start = addr.wrapping_sub(buffer.as_ptr().addr());
    let len = usize::try_from(len & 0xffff).unwrap_or(0);
    let words = buffer.iter().skip(start / 8).take(len / 8 + 2);
    let bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).skip(start % 8).take(len).collect();
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect();
    String::from_utf16_lossy(&units)
}

fn open_folder(path: &str) -> io::Result<OwnedHandle> {
    let mut units = wide(path);
    let bytes = u16::try_from((units.len() - 1) * 2).map_err(io::Error::other)?;
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: units.as_mut_ptr() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).map_err(io::Error::other)?,
        RootDirectory: ptr::null_mut(),
        ObjectName: &raw const name,
        Attributes: 0,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut folder = ptr::null_mut();
    // SAFETY: the attributes and what they point to are locals, and so is the result.
    let answer = unsafe { NtOpenDirectoryObject(&raw mut folder, DIRECTORY_QUERY, &raw const attributes) };
    if answer < 0 { Err(status_error(answer)) } else { owned(folder) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_folder_are_told_whatever_room_they_take() {
        let begin = format!("mapio-test-names-{}-{}-", std::process::id(), "x".repeat(100));
        // Of 300 bytes each, and more than there is room for at first.
        let names: Vec<_> = (0..1200).map(|number| format!("{begin}{number:04}")).collect();
        let sections: Vec<_> = names.iter().map(|name| open_or_create(&format!(r"Local\{name}"), 1).unwrap()).collect();
        let mut found = names_of_kind(false, "Section").unwrap();
        found.retain(|name| name.starts_with(&begin));
        found.sort();
        assert_eq!(found, names);
        assert!(!names_of_kind(false, "Event").unwrap().iter().any(|name| name.starts_with(&begin)));
        drop(sections);
        assert!(!names_of_kind(false, "Section").unwrap().iter().any(|name| name.starts_with(&begin)));
    }

    #[test]
    fn entries_are_read_up_to_the_one_of_zeros() {
        let mut buffer = vec![0_u64; 4 * ENTRY_WORDS];
        let addr = |buffer: &[u64], word: usize| u64::try_from(buffer[word..].as_ptr().addr()).unwrap();
        // "ab" and "cd" behind the entries.
        buffer[2 * ENTRY_WORDS + 1] = 0x0064_0063_0062_0061;
        let at = addr(&buffer, 2 * ENTRY_WORDS + 1);
        buffer[..ENTRY_WORDS].copy_from_slice(&[4 | 6 << 16, at, 4 | 6 << 16, at + 4]);
        let read: Vec<_> = buffer.chunks_exact(ENTRY_WORDS).map_while(|entry| entry_of(entry, &buffer)).collect();
        assert_eq!(read, [("ab".to_owned(), "cd".to_owned())]);
    }
}
