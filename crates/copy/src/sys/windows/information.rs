//! What an open file is, its volume, and what it has beside its bytes.
//!
//! The layouts are those of `FILE_BASIC_INFORMATION` and its like in Microsoft's documentation (wdm.h, ntifs.h).

use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::LazyLock;

use mapio_map::nt::{final_path, identity};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_OPEN, FILE_OPEN_REPARSE_POINT, FILE_OVERWRITE_IF, FILE_SYNCHRONOUS_IO_NONALERT, FileAttributeTagInformation,
    FileBasicInformation, FileFsAttributeInformation, FileFsDeviceInformation, FileFsVolumeInformation,
    FileStandardInformation, FileStreamInformation,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, OBJECT_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_OFFLINE, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS,
    FILE_ATTRIBUTE_RECALL_ON_OPEN, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_SPARSE_FILE, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_TYPE_CHAR, FILE_TYPE_DISK, FILE_TYPE_PIPE, FILE_WRITE_ATTRIBUTES, READ_CONTROL, WRITE_DAC,
    WRITE_OWNER,
};
use zerocopy::IntoBytes;

use super::folder::{kind_of, open_as};
use super::nt::{self, Open};
use super::{Dir, Errno, FileType, Inode, Timespec};
use crate::file_system::FileSystem;
use crate::status::{FileId, Status};

/// Of a volume: it is on another machine (`FILE_REMOTE_DEVICE`).
const REMOTE_DEVICE: u32 = 0x10;
/// Of a file system: files may have several streams (`FILE_NAMED_STREAMS`).
const NAMED_STREAMS: u32 = 0x0004_0000;
/// Bytes of a list of streams, at most.
const STREAMS_BYTES: usize = 1 << 20;

/// The integer at an offset; 0 where the system has answered less.
pub(super) fn le_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn le_i64(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    le_i64(bytes, at).cast_unsigned()
}

pub(crate) fn fstat(file: &impl AsHandle) -> Result<Status, Errno> {
    let file = file.as_handle();
    let kind = match nt::handle_type(file) {
        FILE_TYPE_PIPE => FileType::Fifo,
        FILE_TYPE_CHAR => FileType::CharacterDevice,
        FILE_TYPE_DISK => return disk_status(file),
        _ => FileType::Unknown,
    };
    let id = FileId { device: 0, inode: Inode::MAX };
    let none = Timespec::default();
    Ok(Status {
        id,
        kind,
        mode: 0o666,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        len: 0,
        allocated: 0,
        accessed: none,
        modified: none,
    })
}

fn disk_status(file: BorrowedHandle<'_>) -> Result<Status, Errno> {
    let (mut basic, mut standard) = ([0u64; 5], [0u64; 3]);
    nt::query(file, FileBasicInformation, &mut basic)?;
    nt::query(file, FileStandardInformation, &mut standard)?;
    let (basic, standard) = (basic.as_bytes(), standard.as_bytes());
    let attributes = le_u32(basic, 32);
    let kind = kind_of(attributes, reparse_tag(file));
    let mode = match kind {
        FileType::RegularFile if attributes & FILE_ATTRIBUTE_READONLY != 0 => 0o444,
        FileType::RegularFile => 0o666,
        // There the attribute says something else ("File Attribute Constants").
        _ => 0o777,
    };
    Ok(Status {
        id: file_id(file)?,
        kind,
        mode,
        nlink: u64::from(le_u32(standard, 16)),
        uid: 0,
        gid: 0,
        rdev: 0,
        len: le_u64(standard, 8),
        allocated: if has_holes(attributes) { le_u64(standard, 0) } else { le_u64(standard, 8) },
        accessed: Timespec::from_file_time(le_i64(basic, 8)),
        modified: Timespec::from_file_time(le_i64(basic, 16)),
    })
}

/// What tells the file from others: the volume's number and the file's on it.
fn file_id(file: BorrowedHandle<'_>) -> Result<FileId, Errno> {
    match identity(file) {
        Ok(id) => Ok(FileId { device: id.volume, inode: id.file }),
        // Anything else is a question that has failed, not one that the file system can't answer.
        Err(error) if error.kind() != io::ErrorKind::Unsupported && !is_unknown(&error) => Err(error.into()),
        Err(_) => path_id(file),
    }
}

/// Whether a file system has no such call.
fn is_unknown(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP))
}

/// What tells a file from others whose file system has no numbers: its path, in capitals. Two names of one file are two
/// files then. The number is drawn from the path with a key of this process, so that nobody makes two that are alike.
fn path_id(file: BorrowedHandle<'_>) -> Result<FileId, Errno> {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    let path: Vec<u16> = final_path(file)?.into_iter().map(nt::upcase).collect();
    let [low, high] = KEYS.each_ref().map(|key| Inode::from(key.hash_one(&path)));
    // FILE_FS_VOLUME_INFORMATION: the serial number at 8.
    let mut volume = [0u64; 80];
    let device = nt::query_volume(file, FileFsVolumeInformation, &mut volume);
    Ok(FileId { device: device.map_or(0, |_| u64::from(le_u32(volume.as_bytes(), 8))), inode: low | high << 64 })
}

/// Whether a file with these attributes may have holes that are known: a sparse one, and none whose contents are
/// elsewhere until somebody reads them. A file may have less room than it is long for other reasons: it is
/// compressed, or small.
pub(super) fn has_holes(attributes: u32) -> bool {
    let elsewhere = FILE_ATTRIBUTE_REPARSE_POINT
        | FILE_ATTRIBUTE_OFFLINE
        | FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS
        | FILE_ATTRIBUTE_RECALL_ON_OPEN;
    attributes & FILE_ATTRIBUTE_SPARSE_FILE != 0 && attributes & elsewhere == 0
}

/// The attributes of a file: `FILE_ATTRIBUTE_READONLY` and its like.
pub(super) fn attributes(file: BorrowedHandle<'_>) -> Result<u32, Errno> {
    let mut basic = [0u64; 5];
    nt::query(file, FileBasicInformation, &mut basic)?;
    Ok(le_u32(basic.as_bytes(), 32))
}

/// The tag of a reparse point; 0 for what is none, or can't be asked.
pub(super) fn reparse_tag(file: BorrowedHandle<'_>) -> u32 {
    let mut tag = [0u64];
    nt::query(file, FileAttributeTagInformation, &mut tag).map_or(0, |_| le_u32(tag.as_bytes(), 4))
}

/// Gives a file these attributes, and no others.
pub(super) fn set_attributes(file: BorrowedHandle<'_>, attributes: u32) -> Result<(), Errno> {
    // A zero would leave them as they are.
    let attributes = if attributes == 0 { FILE_ATTRIBUTE_NORMAL } else { attributes };
    nt::set(file, FileBasicInformation, &[0, 0, 0, 0, u64::from(attributes)])
}

/// What of `FILE_BASIC_INFORMATION` is to be taken over from another file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BasicChange {
    /// The time of the last write.
    pub(crate) modified: bool,
    /// The times of making and of the last access.
    pub(crate) other_times: bool,
    /// The attributes among these bits; those of `added` are set in any case.
    pub(crate) attributes: u32,
    pub(crate) added: u32,
}

/// Gives an open file times and attributes of another, which had `status` before it was read: reading changes the time
/// of the last access.
pub(crate) fn set_basic(from: (&impl AsHandle, &Status), to: &impl AsHandle, change: BasicChange) -> Result<(), Errno> {
    let (from, status) = from;
    let mut basic = [0u64; 5];
    nt::query(from.as_handle(), FileBasicInformation, &mut basic)?;
    let (source, own) = (le_u32(basic.as_bytes(), 32), attributes(to.as_handle())?);
    let created = basic[0];
    let [accessed, modified] = [status.accessed, status.modified].map(|time| time.to_file_time().cast_unsigned());
    // A zero leaves a time as it is.
    let taken = |is_taken: bool, time| if is_taken { time } else { 0 };
    let attributes = (own & !change.attributes) | (source & change.attributes) | change.added;
    let times = change.other_times;
    let information =
        [taken(times, created), taken(times, accessed), taken(change.modified, modified), 0, u64::from(attributes)];
    let to = reopened(to, FILE_WRITE_ATTRIBUTES)?;
    nt::set(to.as_handle(), FileBasicInformation, &information)
}

/// Gives an open file these times of access and of modification.
pub(crate) fn set_times(file: &impl AsHandle, status: &Status) -> Result<(), Errno> {
    let time = |time: Timespec| time.to_file_time().cast_unsigned();
    let file = reopened(file, FILE_WRITE_ATTRIBUTES)?;
    nt::set(file.as_handle(), FileBasicInformation, &[0, time(status.accessed), time(status.modified), 0, 0])
}

/// Opens an open file once more with this access: by no name below itself.
pub(super) fn reopened(file: &impl AsHandle, access: u32) -> Result<OwnedHandle, Errno> {
    open_as(Dir::Open(file.as_handle()), c".", access, FILE_OPEN, FILE_OPEN_REPARSE_POINT)
}

/// Gives a file these parts of the security descriptor of another, unless it has them already.
pub(crate) fn copy_security(
    from: &impl AsHandle,
    to: &impl AsHandle,
    parts: OBJECT_SECURITY_INFORMATION,
) -> Result<(), Errno> {
    let from = reopened(from, READ_CONTROL)?;
    let mut wanted = nt::security(from.as_handle(), parts)?;
    if nt::security(reopened(to, READ_CONTROL)?.as_handle(), parts)? == wanted {
        return Ok(());
    }
    let owner = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION;
    let access = if parts & owner != 0 { WRITE_OWNER } else { 0 };
    let access = access | if parts & DACL_SECURITY_INFORMATION != 0 { WRITE_DAC } else { 0 };
    nt::set_security(reopened(to, access)?.as_handle(), parts, &mut wanted)
}

/// The streams of a file beside its contents.
pub(crate) struct Streams(Vec<Vec<u16>>);

impl Streams {
    /// Asks for their names. A file system that knows no streams has none.
    pub(crate) fn of(file: &impl AsHandle) -> Result<Self, Errno> {
        let mut buffer = vec![0u64; 128];
        let bytes = loop {
            match nt::query(file.as_handle(), FileStreamInformation, &mut buffer) {
                Ok(bytes) => break bytes,
                Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Self(Vec::new())),
                Err(errno) if size_of_val(&buffer[..]) >= STREAMS_BYTES => return Err(errno),
                // There may be more than there is room for.
                Err(_) => buffer.resize(buffer.len() * 8, 0),
            }
        };
        Ok(Self(names_of_streams(&buffer.as_bytes()[..bytes])))
    }
}

/// The names in `FILE_STREAM_INFORMATION`s: where the next one is at 0, bytes of the name at 4, the name from 24 on.
fn names_of_streams(mut rest: &[u8]) -> Vec<Vec<u16>> {
    let mut names = Vec::new();
    let contents: Vec<u16> = "::$DATA".encode_utf16().collect();
    while rest.len() > 24 {
        let bytes = usize::try_from(le_u32(rest, 4)).unwrap_or(usize::MAX);
        let Some(name) = rest[24..].get(..bytes) else { break };
        let name: Vec<u16> = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        if name != contents {
            names.push(name);
        }
        match usize::try_from(le_u32(rest, 0)) {
            Ok(next) if next > 0 && next < rest.len() => rest = &rest[next..],
            _ => break,
        }
    }
    names
}

/// Copies the streams beside the contents to a file that has none, or others. A file system without streams loses them,
/// as CopyFileEx does. Answers the first refusal.
pub(crate) fn copy_streams(from: &File, to: &File) -> Result<(), Errno> {
    let Streams(names) = Streams::of(from)?;
    if names.is_empty() || !has_streams(to.as_handle()) {
        return Ok(());
    }
    let mut copied = Ok(());
    for name in names {
        copied = copied.and(copy_stream(from, to, &name).map_err(Errno::from));
    }
    copied
}

fn copy_stream(from: &File, to: &File, name: &[u16]) -> io::Result<()> {
    let open = |file: &File, access, disposition| {
        let how = Open { access, disposition, options: FILE_SYNCHRONOUS_IO_NONALERT };
        nt::open(Some(file.as_handle()), name, how).map(File::from)
    };
    let mut from = open(from, FILE_GENERIC_READ, FILE_OPEN)?;
    let mut to = open(to, FILE_GENERIC_WRITE, FILE_OVERWRITE_IF)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read])?,
        }
    }
}

fn has_streams(file: BorrowedHandle<'_>) -> bool {
    let mut volume = [0u64; 64];
    let known = nt::query_volume(file, FileFsAttributeInformation, &mut volume);
    known.is_ok() && le_u32(volume.as_bytes(), 0) & NAMED_STREAMS != 0
}

/// The file system that an open file is on: by its name, or that it is on another machine.
pub(crate) fn file_system(file: impl AsHandle) -> FileSystem {
    let file = file.as_handle();
    let mut device = [0u64];
    if nt::query_volume(file, FileFsDeviceInformation, &mut device).is_ok()
        && le_u32(device.as_bytes(), 4) & REMOTE_DEVICE != 0
    {
        return FileSystem::Network;
    }
    let mut volume = [0u64; 64];
    let Ok(bytes) = nt::query_volume(file, FileFsAttributeInformation, &mut volume) else { return FileSystem::Other };
    // FILE_FS_ATTRIBUTE_INFORMATION: bytes of the name at 8, the name from 12 on.
    let volume = &volume.as_bytes()[..bytes];
    let name_bytes = usize::try_from(le_u32(volume, 8)).unwrap_or(0);
    let name = volume.get(12..).and_then(|name| name.get(..name_bytes)).unwrap_or_default();
    let units: Vec<u16> = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    match OsString::from_wide(&units).to_str() {
        Some("NTFS") => FileSystem::Ntfs,
        Some("ReFS") => FileSystem::Refs,
        Some("FAT" | "FAT32" | "exFAT") => FileSystem::Fat,
        _ => FileSystem::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_number_is_told_apart_by_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |name: &str| File::options().write(true).create(true).truncate(false).open(dir.path().join(name)).unwrap();
        let (one, again, other) = (open("one"), open("ONE"), open("other"));
        let id = |file: &File| path_id(file.as_handle()).unwrap();
        assert_eq!(id(&one), id(&again));
        assert_ne!(id(&one), id(&other));
        assert_ne!(file_id(one.as_handle()).unwrap(), file_id(other.as_handle()).unwrap());
        assert_eq!(file_id(one.as_handle()).unwrap(), file_id(again.as_handle()).unwrap());
    }

    #[test]
    fn only_a_sparse_file_that_is_here_has_holes() {
        assert!(
            has_holes(FILE_ATTRIBUTE_SPARSE_FILE) && has_holes(FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_READONLY)
        );
        assert!(!has_holes(0) && !has_holes(FILE_ATTRIBUTE_NORMAL));
        for elsewhere in [
            FILE_ATTRIBUTE_REPARSE_POINT,
            FILE_ATTRIBUTE_OFFLINE,
            FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS,
            FILE_ATTRIBUTE_RECALL_ON_OPEN,
        ] {
            assert!(!has_holes(FILE_ATTRIBUTE_SPARSE_FILE | elsewhere));
        }
    }

    #[test]
    fn the_last_attribute_of_a_file_can_be_taken_away() {
        let named = tempfile::NamedTempFile::new().unwrap();
        set_attributes(named.as_file().as_handle(), FILE_ATTRIBUTE_READONLY).unwrap();
        assert_ne!(attributes(named.as_file().as_handle()).unwrap() & FILE_ATTRIBUTE_READONLY, 0);
        set_attributes(named.as_file().as_handle(), 0).unwrap();
        assert_eq!(attributes(named.as_file().as_handle()).unwrap() & FILE_ATTRIBUTE_READONLY, 0);
    }

    #[test]
    fn streams_beside_the_contents_are_found_in_what_the_system_lists() {
        let one = |name: &str, next: u32| {
            let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut bytes = next.to_le_bytes().to_vec();
            bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            bytes.extend([0; 16]);
            bytes.extend(name);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        };
        let first = one("::$DATA", 40);
        assert_eq!(first.len(), 40);
        let list = [first, one(":tag:$DATA", 0)].concat();
        let names = names_of_streams(&list);
        assert_eq!(names, [":tag:$DATA".encode_utf16().collect::<Vec<_>>()]);
        assert!(names_of_streams(&list[..30]).is_empty(), "cut short");
        assert!(names_of_streams(&[]).is_empty());
    }
}
