//! Linux, by rustix.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mapio_copy::Engine;
use mapio_shared::{ObjectInfo, ObjectName};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Access, Advice, AtFlags, CWD, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CapabilitySet;

/// Which file it is, and how many names it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) file: FileId,
    pub(crate) names: u64,
}

/// What tells a file from others: file system and inode.
pub(crate) type FileId = (u64, u64);

pub(crate) fn identity(_path: &Path, metadata: &Metadata) -> Identity {
    Identity { file: (metadata.dev(), metadata.ino()), names: metadata.nlink() }
}

/// Which file system a file is on.
pub(crate) fn device(_path: &Path, metadata: &Metadata) -> Option<u64> {
    Some(metadata.dev())
}

/// Whether it is a folder that can be opened.
pub(crate) fn open_folder(path: &Path) -> io::Result<()> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(())
}

/// Opens a file for reading and writing. Should it have become a pipe meanwhile, this does not wait.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).write(true).custom_flags(flags).open(path)
}

/// Makes a symbolic link to a folder.
#[cfg(test)]
pub(crate) fn symlink_folder(content: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(content, link)
}

/// Drops a file from the page cache, as far as nobody uses its pages.
pub(crate) fn drop_from_cache(file: &File) -> io::Result<()> {
    // Only clean pages can be dropped.
    file.sync_all()?;
    Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Fills a buffer with the bytes from an offset on.
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// The kind of file system that a folder is on: that of the mount whose folder is the longest beginning of its path.
pub(crate) fn file_system(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        // proc_pid_mounts(5): octal escapes stand for blanks.
        let path = PathBuf::from(words.next()?.replace("\\040", " "));
        let kind = words.next()?.to_owned();
        folder.starts_with(&path).then(|| (path.components().count(), kind))
    };
    // Of several at the same place the last one is on top.
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// What the kernel calls the processor.
pub(crate) fn processor_name() -> Option<String> {
    proc_field("/proc/cpuinfo", "model name")
}

/// Of the machine, as far as the kernel has it.
pub(crate) fn memory_bytes() -> Option<u64> {
    let text = proc_field("/proc/meminfo", "MemTotal")?;
    Some(text.split(' ').next()?.parse::<u64>().ok()? << 10)
}

/// Which kernel it is.
pub(crate) fn version() -> Option<String> {
    Some(format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease").ok()?.trim()))
}

/// The value behind the first line that begins with a name.
fn proc_field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// Reads from standard input, as often as a signal interrupts that.
pub(crate) fn read_input(bytes: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut *bytes))?)
}

/// Gives the last bytes that were read from standard input back to whoever reads next. A pipe and a terminal take
/// nothing back.
pub(crate) fn give_back(count: i64) -> io::Result<()> {
    rustix::fs::seek(rustix::stdio::stdin(), SeekFrom::Current(-count))?;
    Ok(())
}

/// Whether the other end of standard output is closed.
pub(crate) fn nobody_reads() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // What can't be asked shows at the next write.
    rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Columns and rows of the terminal that standard output is; what it does not know is 0.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| (size.ws_col, size.ws_row))
}

/// Allows as many descriptors as the administrator does. If that is refused, fewer have to do.
pub(crate) fn allow_all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Bytes that this process may lock, if there is a limit.
pub(crate) fn locking_limit() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// Whether an error of locking may come from that limit.
pub(crate) fn is_locking_limit(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOMEM | Errno::PERM | Errno::AGAIN))
}

/// Whether the kernel tells us which pages of a file are in memory: to the owner, to who may act as any owner, and to
/// who may write to the file (`can_do_mincore` in the kernel's mm/mincore.c). To others mincore(2) says that all of
/// them are.
pub(crate) fn tells_pages_of(path: &Path, metadata: &Metadata) -> bool {
    let is_any_owner =
        || rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::FOWNER));
    let may_write = || rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    metadata.uid() == rustix::process::geteuid().as_raw() || is_any_owner() || may_write()
}

/// Whether an error says that the kernel does not tell us of a file's pages.
pub(crate) fn is_refusal_of_pages(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::PERM.raw_os_error())
}

/// Why an engine that was asked for is not to be had: any may be tried here.
pub(crate) fn absent_engine(_engine: Engine) -> Option<&'static str> {
    None
}

/// Who may use an object: its permissions, as chmod(2) has them, its user and its group.
pub(crate) fn access(info: &ObjectInfo) -> Option<(u32, u32, u32)> {
    Some((info.permissions, info.user, info.group))
}

/// Whether an object of this name always ends with its last handle: none does.
pub(crate) fn ends_with_its_handles(_name: &ObjectName) -> bool {
    false
}

/// Why an option is not to be had: all are.
pub(crate) fn absent_option(_option: &str) -> Option<&'static str> {
    None
}
