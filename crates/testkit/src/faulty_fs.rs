//! A file system with one file, whose reads and writes fail when they are told to.
//!
//! It is served by another process. One that faulted on a file system of its own could not be killed: the kernel waits
//! for an answer that nobody is left to give. The process here ends with this one, however that ends.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use crate::{Peer, pattern};

/// The file's name and inode.
const NAME: &str = "file";
const FILE: INodeNo = INodeNo(2);
/// How long the kernel may rely on what it was told.
const CACHED: Duration = Duration::ZERO;

/// A FUSE file system that holds one file; unmounted when dropped. Needs /dev/fuse, and root or fusermount.
#[derive(Debug)]
pub struct FaultyFs {
    /// `None` once it was stopped.
    server: Option<Peer>,
    dir: TempDir,
}

impl FaultyFs {
    /// Mounts one whose file has `len` bytes, those of [`pattern`].
    ///
    /// The server is a [`Peer`]: `test` is the test's full name, and this must be the first thing that it does.
    ///
    /// # Errors
    /// What is missing: the device or the right.
    pub fn new(test: &str, len: usize) -> io::Result<Self> {
        let server = Peer::start(test, serve());
        let mut fs = Self { server: Some(server), dir: tempfile::tempdir()? };
        let answer = fs.ask(&format!("mount {len} {}", fs.dir.path().display()));
        if answer == "done" { Ok(fs) } else { Err(io::Error::other(answer)) }
    }

    /// The path of the file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    /// Makes each read that touches these bytes fail from now on with `errno`; the range before is whole again.
    pub fn fail_reads(&mut self, range: Range<usize>, errno: i32) {
        self.order(&format!("fail-reads {} {} {errno}", range.start, range.end));
    }

    /// Makes each write fail from now on with `errno`, or none if that is `None`. What is written comes from the page
    /// cache, when that is written back.
    pub fn fail_writes(&mut self, errno: Option<i32>) {
        self.order(&format!("fail-writes {}", errno.unwrap_or(0)));
    }

    /// Makes the file one that can't be mapped, for whoever opens it from now on: ENODEV.
    pub fn forbid_mapping(&mut self) {
        self.order("forbid-mapping");
    }

    /// The byte that has reached the medium, whatever the page cache holds.
    ///
    /// # Panics
    /// The file has no such byte, or the server was stopped.
    pub fn byte_on_medium(&mut self, offset: usize) -> u8 {
        self.ask(&format!("byte {offset}")).parse().expect("a byte of the file")
    }

    /// Kills the server: the file system stays where it is and answers nothing but errors.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    fn order(&mut self, request: &str) {
        let answer = self.ask(request);
        assert_eq!(answer, "done", "{request}");
    }

    fn ask(&mut self, request: &str) -> String {
        self.server.as_mut().expect("it was not stopped").ask(request)
    }
}

impl Drop for FaultyFs {
    fn drop(&mut self) {
        // The server unmounts when it ends, unless a file is still open. A file system whose server is gone fails at
        // once, so nobody waits for it.
        self.server = None;
        // Detached. It fails if nothing is mounted any more.
        let _ = unmount(self.dir.path(), UnmountFlags::DETACH);
    }
}

/// Answers requests in the server's process.
fn serve() -> impl FnMut(&str) -> String {
    let mut mounted: Option<(Arc<Mutex<Disk>>, BackgroundSession)> = None;
    move |request| {
        let words: Vec<_> = request.splitn(4, ' ').collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let errno = |word: &str| Some(word.parse().expect("a number")).filter(|&errno| errno != 0);
        match (words.as_slice(), &mounted) {
            (["mount", len, path @ ..], None) => match mount(number(len), Path::new(&path.join(" "))) {
                Ok(new) => mounted = Some(new),
                Err(error) => return error.to_string(),
            },
            (["fail-reads", start, end, errno_of], Some((disk, _))) => {
                lock(disk).bad = number(start)..number(end);
                lock(disk).read_errno = errno(errno_of);
            }
            (["fail-writes", errno_of], Some((disk, _))) => lock(disk).write_errno = errno(errno_of),
            (["forbid-mapping"], Some((disk, _))) => lock(disk).is_mappable = false,
            (["byte", offset], Some((disk, _))) => return lock(disk).bytes[number(offset)].to_string(),
            _ => return format!("what is `{request}`?"),
        }
        "done".to_owned()
    }
}

fn mount(len: usize, path: &Path) -> io::Result<(Arc<Mutex<Disk>>, BackgroundSession)> {
    let disk = Disk { bytes: pattern(len), bad: 0..0, read_errno: None, write_errno: None, is_mappable: true };
    let disk = Arc::new(Mutex::new(disk));
    let session = fuser::spawn_mount(OneFile(Arc::clone(&disk)), path, &Config::default())?;
    Ok((disk, session))
}

/// Locks the disk. What a thread that has panicked left is as good as any.
fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file's bytes, and how they fail.
#[derive(Debug)]
struct Disk {
    bytes: Vec<u8>,
    /// Bytes that can't be read.
    bad: Range<usize>,
    /// What reading them answers.
    read_errno: Option<i32>,
    /// What every write answers.
    write_errno: Option<i32>,
    /// Whether the kernel may keep its pages, without which nothing is mapped.
    is_mappable: bool,
}

impl Disk {
    /// The bytes of a read, as far as the file has them.
    fn read(&self, offset: u64, len: u32) -> Result<&[u8], Errno> {
        let range = self.clamp(offset, usize::try_from(len).unwrap_or(usize::MAX));
        match self.read_errno {
            Some(errno) if range.start < self.bad.end && self.bad.start < range.end => Err(Errno::from_i32(errno)),
            _ => Ok(&self.bytes[range]),
        }
    }

    /// Writes, as far as the file has room: it never grows.
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        if let Some(errno) = self.write_errno {
            return Err(Errno::from_i32(errno));
        }
        let range = self.clamp(offset, data.len());
        let written = range.len();
        self.bytes[range].copy_from_slice(&data[..written]);
        u32::try_from(written).map_err(|_| Errno::EINVAL)
    }

    fn clamp(&self, offset: u64, len: usize) -> Range<usize> {
        let start = usize::try_from(offset).map_or(self.bytes.len(), |start| start.min(self.bytes.len()));
        start..start.saturating_add(len).min(self.bytes.len())
    }

    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let (kind, perm, len) = match inode {
            FILE => (FileType::RegularFile, 0o666, self.bytes.len()),
            _ => (FileType::Directory, 0o777, 0),
        };
        let size = u64::try_from(len).unwrap_or(u64::MAX);
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

/// What the kernel asks.
struct OneFile(Arc<Mutex<Disk>>);

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some(NAME) => reply.entry(&CACHED, &lock(&self.0).attributes(FILE), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&CACHED, &lock(&self.0).attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let uncached = if lock(&self.0).is_mappable { FopenFlags::empty() } else { FopenFlags::FOPEN_DIRECT_IO };
        reply.opened(FileHandle(0), uncached);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.0).read(offset, len) {
            Ok(bytes) => reply.data(bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match lock(&self.0).write(offset, data) {
            Ok(written) => reply.written(written),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
