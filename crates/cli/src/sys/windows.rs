//! Windows.
#![expect(unsafe_code, reason = "GetFileInformationByHandleEx, NtQueryInformationFile")]

mod refused;

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::{self, Path, PathBuf};

use mapio_copy::Engine;
use mapio_map::nt;
use mapio_shared::{ObjectInfo, ObjectName};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_PIPE_CLOSING_STATE, FILE_PIPE_LOCAL_INFORMATION, FilePipeLocalInformation, NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::STATUS_SUCCESS;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_ATTRIBUTES, FILE_STANDARD_INFO, FileStandardInfo,
    GetFileInformationByHandleEx,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

pub(crate) use refused::Refused;

/// Which file it is, and how many names it has.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) file: FileId,
    pub(crate) names: u64,
}

/// What tells a file from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum FileId {
    Number(nt::FileId),
    /// Of what has no number, or can't be asked: where it is, behind all links if that can be asked.
    Path(PathBuf),
}

/// What can't be asked is another file than all others, with names enough to be met again.
pub(crate) fn identity(path: &Path, _metadata: &Metadata) -> Identity {
    let opened = open_to_ask(path);
    let number = opened.as_ref().ok().and_then(|file| nt::identity(file.as_handle()).ok());
    let place = || path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    let file = number.map_or_else(|| FileId::Path(place()), FileId::Number);
    Identity { file, names: opened.and_then(|file| names(&file)).unwrap_or(u64::MAX) }
}

/// Which volume a file is on; `None` if it can't be asked.
pub(crate) fn device(path: &Path, _metadata: &Metadata) -> Option<u64> {
    nt::identity(open_to_ask(path).ok()?.as_handle()).ok().map(|id| id.volume)
}

/// Opens a file to ask about it; a folder, too.
fn open_to_ask(path: &Path) -> io::Result<File> {
    File::options().access_mode(FILE_READ_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

/// How many names a file has.
fn names(file: &File) -> io::Result<u64> {
    let mut about = FILE_STANDARD_INFO::default();
    let bytes = u32::try_from(size_of_val(&about)).map_err(io::Error::other)?;
    let (file, place) = (file.as_raw_handle(), (&raw mut about).cast());
    // SAFETY: the handle is open, and the result is a local of so many bytes, as `FileStandardInfo` has them.
    nt::check(unsafe { GetFileInformationByHandleEx(file, FileStandardInfo, place, bytes) })?;
    Ok(u64::from(about.NumberOfLinks))
}

/// Whether it is a folder.
pub(crate) fn open_folder(path: &Path) -> io::Result<()> {
    if path.metadata()?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Opens a file for reading and writing.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

/// Makes a symbolic link to a folder.
#[cfg(test)]
pub(crate) fn symlink_folder(content: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(content, link)
}

/// Drops a file from the page cache: Windows has no call for it.
pub(crate) fn drop_from_cache(_file: &File) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows drops no file from its cache on demand"))
}

/// Fills a buffer with the bytes from an offset on.
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = file.seek_read(bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += u64::try_from(count).map_err(io::Error::other)?;
        bytes = &mut bytes[count..];
    }
    Ok(())
}

/// The kind of file system that a folder is on: nobody has asked Windows yet.
pub(crate) fn file_system(_folder: &Path) -> Option<String> {
    None
}

/// What Windows calls the processor: a variable that all processes have.
pub(crate) fn processor_name() -> Option<String> {
    std::env::var("PROCESSOR_IDENTIFIER").ok()
}

/// Of the machine: not asked for.
pub(crate) fn memory_bytes() -> Option<u64> {
    None
}

/// Which system it is.
pub(crate) fn version() -> Option<String> {
    std::env::var("OS").ok()
}

/// Standard input as a file, whose position it shares.
fn input() -> io::Result<File> {
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Reads from standard input.
pub(crate) fn read_input(bytes: &mut [u8]) -> io::Result<usize> {
    input()?.read(bytes)
}

/// Gives the last bytes that were read from standard input back to whoever reads next. Only a file takes them.
pub(crate) fn give_back(count: i64) -> io::Result<()> {
    let mut input = input()?;
    if !input.metadata()?.is_file() {
        return Err(io::ErrorKind::NotSeekable.into());
    }
    input.seek(SeekFrom::Current(-count)).map(drop)
}

/// Whether the other end of standard output, if that is a pipe, is closed.
pub(crate) fn nobody_reads() -> bool {
    let stdout = io::stdout();
    let (mut about, mut status) = (FILE_PIPE_LOCAL_INFORMATION::default(), IO_STATUS_BLOCK::default());
    let Ok(bytes) = u32::try_from(size_of_val(&about)) else { return false };
    let place = (&raw mut about).cast();
    // SAFETY: standard output is open as long as the program runs, or no handle, which is refused; both results are
    // locals, and `about` has so many bytes.
    let answer = unsafe {
        NtQueryInformationFile(stdout.as_raw_handle(), &raw mut status, place, bytes, FilePipeLocalInformation)
    };
    // What can't be asked, such as a file, shows at the next write.
    answer == STATUS_SUCCESS && about.NamedPipeState == FILE_PIPE_CLOSING_STATE
}

/// Columns and rows of the terminal that standard output is.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    terminal_size::terminal_size_of(io::stdout()).map(|(columns, rows)| (columns.0, rows.0))
}

/// Allows as many handles as there may be: they all are allowed.
pub(crate) fn allow_all_descriptors() {}

/// Bytes that this process may lock: its working set grows as it needs.
pub(crate) fn locking_limit() -> Option<u64> {
    None
}

/// Whether an error of locking may come from that limit.
pub(crate) fn is_locking_limit(_error: &io::Error) -> bool {
    false
}

/// Whether the system tells which pages of a file are in memory: it tells nobody.
pub(crate) fn tells_pages_of(_path: &Path, _metadata: &Metadata) -> bool {
    false
}

/// Whether an error says that the system does not tell of a file's pages.
pub(crate) fn is_refusal_of_pages(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Why an engine that was asked for is not to be had.
pub(crate) fn absent_engine(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Uring => Some("io_uring is Linux's"),
        Engine::Splice => Some("splice is Linux's"),
        Engine::CopyFileRange => Some("CopyFileEx copies by paths, mapio copies by handles"),
        _ => None,
    }
}

/// Who may use an object, in numbers: Windows has other names for users, and lists of them for permissions.
pub(crate) fn access(_info: &ObjectInfo) -> Option<(u32, u32, u32)> {
    None
}

/// Whether an object of this name always ends with its last handle: a section does.
pub(crate) fn ends_with_its_handles(name: &ObjectName) -> bool {
    matches!(name, ObjectName::Posix(_) | ObjectName::Global(_))
}

/// Why an option is not to be had.
pub(crate) fn absent_option(option: &str) -> Option<&'static str> {
    match option {
        "--owner" => Some("Windows has no numbers for users"),
        "--evict" => Some("Windows drops nothing from its cache on demand"),
        "--sync=tree" => {
            Some("Windows flushes a file system for administrators alone; --sync=file does it file by file")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_number_is_another_file_than_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let about = folder.path().metadata().unwrap();
        let paths = ["one", "two", "none", "nowhere"].map(|name| folder.path().join(name));
        for path in &paths[..2] {
            File::create_new(path).unwrap();
        }
        let ids = paths.each_ref().map(|path| identity(path, &about).file);
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(ids.iter().position(|other| other == id), Some(index), "{ids:?}");
        }
        assert!(matches!((&ids[0], &ids[2]), (FileId::Number(_), FileId::Path(_))), "{ids:?}");
        assert_eq!(ids, paths.each_ref().map(|path| identity(path, &about).file));
        assert_eq!((device(&paths[0], &about), device(&paths[2], &about).is_none()), (device(&paths[1], &about), true));
    }
}
