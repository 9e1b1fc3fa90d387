//! A file whose every read and write goes through its mapping, behind the names that files have in `std`.
//!
//! # How it grows
//! ```text
//!  0                    len            allocated                         capacity
//!  |  the file's bytes  |  zeros, with  |  addresses behind the file's    |
//!  |                    |  disk blocks  |  end, which answer `Truncated`  |
//! ```
//! All addresses up to `capacity` are mapped at once, so growing moves nothing: it makes the file longer beneath its
//! mapping. That takes system calls, so it is done in steps, ahead of the bytes written; the file is cut to `len` again
//! when it is flushed, synchronised, closed or dropped.
//!
//! Where a mapping does not grow with its file, on Windows, nothing is mapped behind the end and no zeros are added:
//! what the file gets is read and written by calls, until a `&mut` reference says that no view is in use, and it is
//! mapped anew (`catch_up`). There F2 and F3 hold with `len == allocated`.
//!
//! Invariants: F1: every byte below `len` has been written or belonged to the file. F2: bytes from `len` to `allocated`
//! are zeros that this object has added. F3: `len <= allocated` and `allocated` is the file's length as this object
//! last knew it; if the file's differs, somebody else has changed it, and is believed.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cursor::seek;
use crate::descriptor::{self, OwnedDescriptor};
use crate::error::Error;
use crate::fault::{Access, Fault, FaultKind};
use crate::mapping::Mapping;
use crate::options::{MapMode, MapOptions};
use crate::read_buffer::ReadBuffer;
use crate::sys::{self, errno};
use crate::view::View;

/// Address space that a file can grow into, unless more is asked for: a small part of what there is, for who opens
/// thousands.
const ROOM_BYTES: u64 = if usize::BITS >= 64 { 1 << 32 } else { 1 << 26 };

/// How often a file is made longer that somebody else cuts short again at the same moment.
const TRIES: usize = 300;

/// The least and the most that a file is made longer by, ahead of what is written; powers of two. Larger steps are
/// slower, since they make larger folios than the kernel handles well (measured on Linux 6.18, ext4).
const STEP_BYTES: (u64, u64) = (64 << 10, 1 << 20);

/// How often a write is tried again that somebody else has cut away from under.
const ATTEMPTS: usize = 100;

/// What a byte is found to be that somebody has cut away; by how much does not matter.
const CUT: FaultKind = FaultKind::Truncated { file_len: 0 };

/// A file that is read and written through its mapping: [`Read`], [`Write`], [`Seek`], [`BufRead`],
/// [`read_at`](Self::read_at), [`write_at`](Self::write_at), as [`File`] has them, and no system call for bytes that
/// are in memory.
///
/// Made from a file however it was opened, for reading, writing, appending. What is written is in the page cache at
/// once: others see it, and it survives the death of this process. When the file grows, its length runs ahead of the
/// bytes written, by 1 MiB at most, in zeros with disk blocks behind them, so that a full disk is an error at the write
/// that needs the space; `flush`, `sync_all`, `sync_data`, `close` and dropping cut it to its length again. If the
/// process is killed before, the zeros stay. Several processes may read and write a file in this way, but only one at a
/// time should make it grow. A child process that has inherited a mapped file by fork(2) leaves the zeros to its
/// parent.
///
/// On Windows a mapping does not grow with its file, and a file is not cut while it is mapped. Bytes behind what was
/// mapped are written by a system call each, without zeros ahead, and are mapped when that doubles, or by `flush`.
///
/// A length that somebody else sets is seen: reads end there, and `len` answers it. [`BufRead`] lends out copies, and
/// may lend 4 KiB from before somebody else's change, or one through [`view`](Self::view); seeking forgets them.
///
/// ```
/// use std::io::{Seek, Write, BufRead};
/// use mapio_map::MappedFile;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("journal");
/// let mut file = MappedFile::create(&path)?;
/// for i in 0..1000 {
///     writeln!(file, "entry {i}")?;
/// }
/// file.write_at(6, b"A")?;
/// file.rewind()?;
/// assert_eq!((&mut file).lines().next().transpose()?, Some("entry A".to_owned()));
/// file.sync_all()?; // On the disk.
/// assert_eq!(std::fs::metadata(&path)?.len(), file.len()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MappedFile {
    /// From the file's start to behind its end; see the drawing.
    mapping: Mapping,
    /// See F1. Written under `growing`, read by all. Publishes nothing: the bytes are foreign
    /// memory, which is never ordered.
    len: AtomicU64,
    /// See F3. Written under `growing`.
    allocated: AtomicU64,
    /// Held by who changes the file's length, believes somebody else's, or writes behind `len`.
    growing: Mutex<()>,
    /// Whether every `write` goes to the end.
    appends: bool,
    /// Whether the file can grow and shrink: a device cannot.
    resizable: bool,
    /// The process that made this object.
    owner: u32,
    position: u64,
    buffer: ReadBuffer,
    /// Whether this object has changed bytes that the buffer may hold. Written and read by threads that the caller
    /// orders.
    buffer_is_stale: AtomicBool,
}

/// That nobody else changes the file's length through this object now.
enum Alone<'a> {
    /// By the lock.
    Locked(#[allow(dead_code, reason = "held, not looked at")] MutexGuard<'a, ()>),
    /// By an exclusive reference, which saves a lock a write.
    Borrowed,
}

/// What is worth mapping a file anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CatchUp {
    /// As much again as is mapped.
    Much,
    /// A byte.
    Any,
}

impl MappedFile {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// [`Error::Os`]: the file cannot be opened or mapped.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = sys::open(path, MapMode::ReadOnly).map_err(|source| os_error("opening", path, source))?;
        Self::new(file)
    }

    /// Creates a file for reading and writing, or empties it if there is one, as [`File::create`] does.
    ///
    /// # Errors
    /// [`Error::Os`]: the file cannot be created or mapped.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        Self::new(file.map_err(|source| os_error("creating", path, source))?)
    }

    /// Takes a file that is open, for what it was opened for. The position is the start.
    ///
    /// A file that was opened for writing only, or for appending only, is opened once more, since a mapping cannot be
    /// written to without being read. `O_APPEND` makes every [`write`](Write::write) go to the end, and to a place of
    /// its own, whoever else appends: that is one write(2) each, and no zeros ahead. [`write_at`](Self::write_at)
    /// writes where it is told to.
    ///
    /// # Errors
    /// [`Error::Os`]: the file cannot be mapped, such as a pipe, or may not be read (`EACCES`).
    pub fn new(file: File) -> Result<Self, Error> {
        Self::with_room(file, ROOM_BYTES)
    }

    /// As [`new`](Self::new), with address space for the file to grow by `room_bytes`; 4 GiB otherwise (64 MiB on
    /// 32-bit processors), or less where the process has less. Takes addresses, of which there are 128 TiB on most
    /// 64-bit processors, and no memory. Through a mutable reference, a file also grows beyond them; its mapping then
    /// moves. On hugetlbfs a mapping behind the end would make the file longer (mmap(2)), so there is no room.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_room(file: File, room_bytes: u64) -> Result<Self, Error> {
        let fail = |operation, source| Error::Os {
            operation,
            object: sys::path_of(descriptor::of(&file)),
            offset: 0,
            len: 0,
            source,
        };
        let opened = sys::opened(descriptor::of(&file)).map_err(|source| fail("asking about", source))?;
        let kept = match opened.maps {
            true => descriptor::of(&file).try_clone_to_owned(),
            false => sys::reopen(descriptor::of(&file)),
        };
        let kept = kept.map_err(|source| fail("opening for reading and writing", source))?;
        let facts = sys::facts(descriptor::of(&kept)).map_err(|source| fail("measuring", source))?;
        let len = facts.len;
        if len == u64::MAX {
            return Err(Error::Range {
                object: sys::path_of(descriptor::of(&kept)),
                offset: 0,
                len: None,
                file_len: len,
            });
        }
        let can_grow = facts.page_bytes == sys::page_bytes() && sys::GROWS_IN_PLACE;
        let room_bytes = if can_grow { room_bytes } else { 0 };
        let resizable = file.metadata().map_err(|source| fail("asking about", source))?.is_file();
        let mode = if opened.writes { MapMode::ReadWrite } else { MapMode::ReadOnly };
        Ok(Self {
            mapping: map_with_room(kept, mode, len, if resizable { room_bytes } else { 0 })?,
            len: AtomicU64::new(len),
            allocated: AtomicU64::new(len),
            growing: Mutex::new(()),
            appends: opened.appends,
            resizable,
            owner: std::process::id(),
            position: 0,
            buffer: ReadBuffer::default(),
            buffer_is_stale: AtomicBool::new(false),
        })
    }

    /// Bytes in the file now, whoever has changed its length.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn len(&self) -> io::Result<u64> {
        self.believe(&self.lock_growing())
    }

    /// Whether the file has no bytes now.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// A window on the file's bytes as they are now, for everything that a [`View`] can do. It does not grow with the
    /// file. On Windows it has only those that the file had when it was opened or last [flushed](Write::flush).
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn view(&self) -> io::Result<View<'_>> {
        let len = usize::try_from(self.len()?).unwrap_or(usize::MAX).min(self.mapping.len());
        Ok(self.mapping.view().slice(..len)?)
    }

    /// Reads from `offset` into `buf`, as pread(2) does; does not touch the position. Answers the number of bytes read,
    /// 0 at the end.
    ///
    /// # Errors
    /// The [`Fault`] of the first byte, as an `io::Error`: a bad sector, no space for a hole. A file cut short is no
    /// error but its end.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut len = self.len.load(Ordering::Relaxed);
        if offset.saturating_add(widen(buf.len())) > len {
            len = self.len()?;
        }
        let Ok(start) = usize::try_from(offset) else { return Ok(0) };
        let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        if rest == 0 {
            return Ok(0);
        }
        if start >= self.mapping.len() {
            return if sys::GROWS_IN_PLACE {
                Err(self.no_room(offset))
            } else {
                self.read_unmapped(start, &mut buf[..rest])
            };
        }
        let read = match self.mapping.view().read_at(start, &mut buf[..rest]) {
            Ok(read) if read < rest && !sys::GROWS_IN_PLACE => {
                return Ok(read + self.read_unmapped(start + read, &mut buf[read..rest])?);
            }
            Ok(read) => read,
            Err(Fault { kind: FaultKind::Truncated { .. }, .. }) => 0,
            Err(fault) => return Err(fault.into()),
        };
        if read > 0 && self.reaches(offset + widen(read))? {
            return Ok(read);
        }
        Ok(usize::try_from(self.len()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(read))
    }

    /// Reads bytes that the file has got since it was mapped, where a mapping does not grow with it.
    fn read_unmapped(&self, start: usize, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match sys::read_at(descriptor::of(self), &mut buf[done..], widen(start + done)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Reads exactly `buf.len()` bytes from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; otherwise as [`read_at`](Self::read_at).
    pub fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(offset.saturating_add(widen(done)), &mut buf[done..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }

    /// Writes `buf` at `offset`, as pwrite(2) does, and makes the file longer if it ends before; does not touch the
    /// position. Answers the number of bytes written, which is less than `buf.len()` only where the disk is full after
    /// at least one.
    ///
    /// # Errors
    /// `StorageFull` when the disk is full, `PermissionDenied` when the file was not opened for writing, `FileTooLarge`
    /// behind the address space that [`with_room`](Self::with_room) sets; the [`Fault`] of the first byte otherwise.
    pub fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.write_attempts(offset, buf, || self.lock_growing())
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at); a part may have been written then.
    pub fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            done += self.write_at(offset.saturating_add(widen(done)), &buf[done..])?;
        }
        Ok(())
    }

    /// Makes the file longer, by zeros for which no disk space is set aside, or shorter: ftruncate(2).
    ///
    /// # Errors
    /// What ftruncate(2) says; `FileTooLarge` behind the address space that [`with_room`](Self::with_room) sets.
    /// `ResourceBusy` on Windows for a length below what is mapped: nobody cuts a mapped file there. Unmap it first, by
    /// [`into_file`](Self::into_file).
    #[doc(alias("ftruncate", "truncate"))]
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        if self.mapping.mode() == MapMode::ReadOnly {
            return Err(not_for_writing());
        }
        if len > self.capacity() || !self.resizable {
            return Err(self.no_room(len));
        }
        self.outdate_buffer();
        let _growing = self.lock_growing();
        sys::set_len(descriptor::of(self), len)?;
        self.allocated.store(len, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the file's bytes and all about it to the disk, and waits: fsync(2).
    ///
    /// # Errors
    /// What fsync(2) says: the medium failed.
    #[doc(alias = "fsync")]
    pub fn sync_all(&self) -> io::Result<()> {
        self.trim()?;
        sys::sync_all(descriptor::of(self))
    }

    /// Writes the file's bytes to the disk, and of the rest what is needed to read them back, and waits: fdatasync(2).
    ///
    /// # Errors
    /// What fdatasync(2) says: the medium failed.
    #[doc(alias = "fdatasync")]
    pub fn sync_data(&self) -> io::Result<()> {
        self.trim()?;
        sys::sync_data(descriptor::of(self))
    }

    /// Cuts the file to its length, starts to write it back, and unmaps it. Does not wait for the disk: that is
    /// [`sync_all`](Self::sync_all).
    ///
    /// Dropping does the same, but for starting to write back, which the kernel does in its own time; it has nobody to
    /// tell of errors.
    ///
    /// # Errors
    /// What ftruncate(2) or sync_file_range(2) says.
    pub fn close(self) -> io::Result<()> {
        self.trim()?;
        match self.mapping.mode() {
            MapMode::ReadWrite if self.resizable => sys::start_write_back(descriptor::of(&self), 0, 0),
            _ => Ok(()),
        }
    }

    /// Cuts the file to its length, unmaps it, and hands it over.
    ///
    /// # Errors
    /// What ftruncate(2) says, or that there is no descriptor left.
    pub fn into_file(self) -> io::Result<File> {
        self.trim()?;
        descriptor::of(&self).try_clone_to_owned().map(File::from)
    }

    /// The most bytes that the file can have in its address space; on Windows, where it does not grow there, the most
    /// that any file can have.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        match sys::GROWS_IN_PLACE || !self.resizable {
            true => widen(self.mapping.len()),
            false => i64::MAX.unsigned_abs(),
        }
    }

    /// The position of the next `read` or `write`, in bytes from the file's start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    fn lock_growing(&self) -> Alone<'_> {
        // What it guards are two numbers that are whole at any moment.
        Alone::Locked(self.growing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for the file's length, and believes it if it is not the one that this object has set (F3). Answers `len`.
    fn believe(&self, _: &Alone<'_>) -> io::Result<u64> {
        let (len, allocated) = (self.len.load(Ordering::Relaxed), self.allocated.load(Ordering::Relaxed));
        let found = sys::file_len(descriptor::of(self))?;
        if found == allocated {
            return Ok(len);
        }
        self.allocated.store(found, Ordering::Relaxed);
        // Somebody has made it longer, or cut more than our zeros.
        let len = if found > allocated { found } else { len.min(found) };
        self.len.store(len, Ordering::Relaxed);
        Ok(len)
    }

    /// Whether the file still has all bytes below `end`, which were accessed just now and found there.
    ///
    /// Who cuts a file takes its last page away, or cuts on that page. So a look at one byte of the last page, which
    /// stays in the processor's cache, tells of every cut but on that page itself, where the file has to be asked.
    fn reaches(&self, end: u64) -> io::Result<bool> {
        if !sys::GROWS_IN_PLACE && end <= widen(self.mapping.len()) {
            // Where a mapping does not grow with its file, the file is not cut under it either.
            return Ok(true);
        }
        let known_end = self.allocated.load(Ordering::Relaxed).min(self.capacity());
        let last_page = known_end.saturating_sub(1) & !(widen(sys::page_bytes()) - 1);
        let last_page_at = usize::try_from(last_page).unwrap_or(0);
        let is_there = self.capacity() > 0 && self.mapping.view().touch(last_page_at, Access::Read).is_ok();
        if is_there && end <= last_page {
            return Ok(true);
        }
        if !is_there && let Ok(growing) = self.growing.try_lock() {
            // So that the next access need not meet the fault again. Who holds the lock will ask himself.
            self.believe(&Alone::Locked(growing))?;
        }
        Ok(sys::file_len(descriptor::of(self))? >= end)
    }

    /// Writes as [`write_at`](Self::write_at) does; `alone` is asked for where the file grows.
    fn write_attempts<'a>(&'a self, offset: u64, buf: &[u8], alone: impl Fn() -> Alone<'a>) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.outdate_buffer();
        let (mut done, mut error) = (0, None);
        for _ in 0..ATTEMPTS {
            match self.write_once(offset.saturating_add(widen(done)), &buf[done..], &alone) {
                Ok((written, None)) => done += written,
                // Somebody has cut the file, and we write behind its end: it grows again, as with pwrite(2).
                Ok((written, Some(fault @ Fault { kind: FaultKind::Truncated { .. }, .. }))) => {
                    done += written;
                    error = Some(fault.into());
                    self.believe(&alone())?;
                    continue;
                }
                Ok((written, Some(fault))) => {
                    done += written;
                    error = Some(fault.into());
                    break;
                }
                Err(refused) => {
                    error = Some(refused);
                    break;
                }
            }
            if done == buf.len() {
                break;
            }
        }
        match error {
            Some(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    /// Stores bytes at `offset`, in the file or behind its end; answers how many, and what stopped it. Fewer without a
    /// fault if the disk has no room for more.
    fn write_once<'a>(
        &'a self,
        offset: u64,
        bytes: &[u8],
        alone: impl Fn() -> Alone<'a>,
    ) -> io::Result<(usize, Option<Fault>)> {
        let end = offset.checked_add(widen(bytes.len())).ok_or_else(|| self.no_room(offset))?;
        let mapped_end = if sys::GROWS_IN_PLACE { u64::MAX } else { widen(self.mapping.len()) };
        if end <= self.len.load(Ordering::Relaxed).min(mapped_end) {
            return self.store(offset, bytes);
        }
        // Until `len` has them, so that nobody cuts them off for zeros.
        let alone = alone();
        if end > mapped_end {
            return self.write_unmapped(&alone, offset, bytes).map(|written| (written, None));
        }
        let bytes = self.make_room(&alone, offset, bytes)?;
        let (written, fault) = self.store(offset, bytes)?;
        if written > 0 {
            let len = self.len.load(Ordering::Relaxed).max(offset + widen(written));
            self.len.store(len, Ordering::Relaxed);
        }
        Ok((written, fault))
    }

    /// Writes bytes that are not all mapped, where a mapping does not grow with its file: by the file, which grows by
    /// itself. Others see them in both at once, as the system keeps one copy of each page.
    fn write_unmapped(&self, alone: &Alone<'_>, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if self.mapping.mode() == MapMode::ReadOnly {
            return Err(not_for_writing());
        }
        if offset.checked_add(widen(bytes.len())).is_none_or(|end| end > self.capacity()) {
            return Err(self.no_room(offset));
        }
        let written = sys::write_at(descriptor::of(self), bytes, offset)?;
        self.believe(alone)?;
        Ok(written)
    }

    /// Maps what the file has got since it was mapped, where a mapping does not grow with it, unless that is less than
    /// there was: so a file that is written in small pieces is mapped only a few times. Where it fails, all goes on as
    /// it was.
    fn catch_up(&mut self, least: CatchUp) {
        if sys::GROWS_IN_PLACE || !self.resizable {
            return;
        }
        let mapped = widen(self.mapping.len());
        let needed = if least == CatchUp::Much { mapped.saturating_mul(2).max(STEP_BYTES.0) } else { mapped + 1 };
        if self.len.load(Ordering::Relaxed) < needed {
            return;
        }
        if let Ok(len) = self.len()
            && let Ok(len) = usize::try_from(len)
        {
            let _ = self.mapping.resize(len);
        }
    }

    /// Stores bytes that the file should reach to; answers how many it has now, and what stopped it.
    fn store(&self, offset: u64, bytes: &[u8]) -> io::Result<(usize, Option<Fault>)> {
        let start = usize::try_from(offset).map_err(|_| self.no_room(offset))?;
        match self.mapping.view().write_all_at(start, bytes) {
            Ok(()) if self.reaches(offset + widen(bytes.len()))? => Ok((bytes.len(), None)),
            // Cut on the page that we have written to, which nobody will see.
            Ok(()) => Ok((0, Some(Fault { offset: start, kind: CUT, access: Access::Write }))),
            // What was stored behind the new end, on its page, is lost.
            Err(fault @ Fault { kind: FaultKind::Truncated { .. }, .. }) => {
                let left = sys::file_len(descriptor::of(self))?.saturating_sub(offset);
                Ok((usize::try_from(left).unwrap_or(usize::MAX).min(fault.offset - start), Some(fault)))
            }
            Err(fault) => Ok((fault.offset - start, Some(fault))),
        }
    }

    /// Makes sure that the file reaches to where `buf` ends at `offset`, with space on the disk for what is new.
    /// Answers the part of `buf` that there is room for: all of it, unless the disk is full.
    fn make_room<'b>(&self, alone: &Alone<'_>, offset: u64, buf: &'b [u8]) -> io::Result<&'b [u8]> {
        let end = offset + widen(buf.len());
        if end <= self.allocated.load(Ordering::Relaxed) {
            return Ok(buf);
        }
        if self.mapping.mode() == MapMode::ReadOnly {
            return Err(not_for_writing());
        }
        if end > self.capacity() || !self.resizable {
            return Err(self.no_room(end));
        }
        let len = self.believe(alone)?;
        let allocated = self.allocated.load(Ordering::Relaxed);
        if end <= allocated {
            return Ok(buf);
        }
        let reached = self.grow(allocated, offset, end, len)?;
        Ok(&buf[..usize::try_from(reached.min(end) - offset).unwrap_or(buf.len())])
    }

    /// Makes the file longer, to behind `end` if the disk has room, at least to behind `offset`. Answers how long it is
    /// now.
    fn grow(&self, allocated: u64, offset: u64, end: u64, len: u64) -> io::Result<u64> {
        let page = widen(sys::page_bytes());
        // A hole in front of the bytes stays a hole.
        let start = allocated.max(offset - offset % page);
        let step = len.clamp(STEP_BYTES.0, STEP_BYTES.1).next_power_of_two();
        let far = end.saturating_add(1).next_multiple_of(step).min(self.capacity());
        // Beyond this a signal kills; only a write that itself goes beyond it may meet that, as with any file.
        let far = far.min(sys::most_file_bytes()).max(end);
        let first_page = (offset + 1).next_multiple_of(page).min(end);
        let mut error = None;
        let targets = [far, end, first_page].into_iter().filter(|&target| target > start);
        for target in targets.cycle().take(TRIES) {
            match sys::grow(descriptor::of(self), start, target) {
                Ok(reached) if reached > offset => {
                    self.allocated.store(reached, Ordering::Relaxed);
                    if offset == len && sys::is_in_memory(descriptor::of(self)) {
                        // The next bytes will come here: their pages are cheaper together.
                        self.populate(start, reached);
                    }
                    return Ok(reached);
                }
                // It has grown, and somebody has cut it at once.
                Ok(_) => {}
                Err(failed) if !errno::is_too_long(&failed) => return Err(failed),
                Err(failed) if target == first_page => {
                    error = Some(failed);
                    break;
                }
                Err(failed) => error = Some(failed),
            }
        }
        // Zeros may have been added before the disk was full, and there may have been some before.
        let reached = sys::file_len(descriptor::of(self))?;
        self.allocated.store(reached, Ordering::Relaxed);
        if reached > offset {
            return Ok(reached);
        }
        Err(error.unwrap_or_else(|| io::ErrorKind::StorageFull.into()))
    }

    /// Brings pages in for writing, as far as they can be had; who writes to the others learns why not.
    fn populate(&self, start: u64, end: u64) {
        let range = usize::try_from(start).and_then(|start| Ok(start..usize::try_from(end)?));
        if let Ok(range) = range
            && let Ok(view) = self.mapping.view().slice(range)
        {
            let _ = view.populate(Access::Write);
        }
    }

    /// Cuts the file to its length (F2), unless somebody else has changed it meanwhile. What others have written among
    /// the zeros is the file's from then on.
    fn trim(&self) -> io::Result<()> {
        let alone = self.lock_growing();
        if self.allocated.load(Ordering::Relaxed) == self.len.load(Ordering::Relaxed) {
            return Ok(());
        }
        // The zeros belong to the process that has added them, not to a child that has inherited this object.
        if self.owner != std::process::id() {
            return Ok(());
        }
        let len = self.believe(&alone)?;
        let allocated = self.allocated.load(Ordering::Relaxed);
        if allocated > len {
            let len = self.end_of_bytes(len, allocated);
            sys::set_len(descriptor::of(self), len)?;
            self.allocated.store(len, Ordering::Relaxed);
            self.len.store(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Where the last byte between `len` and `allocated` ends that is not zero; `len` if all are.
    fn end_of_bytes(&self, len: u64, allocated: u64) -> u64 {
        let range = usize::try_from(len).and_then(|len| Ok(len..usize::try_from(allocated)?));
        let Ok(added) = range.map(|range| range.start..range.end.min(self.mapping.len())) else { return len };
        let mut buffer = [0; 4096];
        let mut end = added.end;
        while end > added.start {
            let start = end.saturating_sub(buffer.len()).max(added.start);
            let part = &mut buffer[..end - start];
            // A page that can't be read has nothing that could be kept.
            if self.mapping.view().read_exact_at(start, part).is_ok()
                && let Some(at) = part.iter().rposition(|&byte| byte != 0)
            {
                return widen(start + at + 1);
            }
            end = start;
        }
        len
    }

    fn no_room(&self, offset: u64) -> io::Error {
        let room = self.capacity();
        let reason = match self.resizable {
            true => {
                format!("byte {offset} lies behind the address space of {room} bytes that the file was opened with")
            }
            false => format!("byte {offset} lies behind the end of the device of {room} bytes"),
        };
        io::Error::new(io::ErrorKind::FileTooLarge, reason)
    }

    /// Makes the next `fill_buf` read again. A load alone, most of the time.
    fn outdate_buffer(&self) {
        if !self.buffer_is_stale.load(Ordering::Relaxed) {
            self.buffer_is_stale.store(true, Ordering::Relaxed);
        }
    }

    fn advance(&mut self, len: usize) {
        self.position = self.position.saturating_add(widen(len));
    }
}

impl Read for MappedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.catch_up(CatchUp::Much);
        let read = self.read_at(self.position, buf)?;
        self.advance(read);
        Ok(read)
    }
}

impl BufRead for MappedFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // Taken out, since reading needs the rest of `self`.
        let mut buffer = std::mem::take(&mut self.buffer);
        if self.buffer_is_stale.swap(false, Ordering::Relaxed) {
            buffer.forget();
        }
        let filled = buffer.fill(self.position, |bytes| self.read_at(self.position, bytes)).map(<[u8]>::len);
        self.buffer = buffer;
        filled?;
        self.buffer.fill(self.position, |_| Ok(0))
    }

    fn consume(&mut self, amount: usize) {
        self.advance(amount);
    }
}

impl Write for MappedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.appends {
            // Where the end is, the kernel knows when it writes: so no two who append write to the same place.
            self.outdate_buffer();
            self.trim()?;
            let written = sys::append(descriptor::of(self), buf)?;
            self.position = self.believe(&Alone::Borrowed)?;
            return Ok(written);
        }
        let end = self.position.saturating_add(widen(buf.len()));
        if end > self.capacity() && self.resizable && self.mapping.mode() == MapMode::ReadWrite {
            let bytes = usize::try_from(end).ok().and_then(|end| end.checked_mul(2));
            // If there are no such addresses, the write says so.
            let _ = bytes.map(|bytes| self.mapping.resize(bytes));
        }
        // Nobody else has a reference.
        let written = self.write_attempts(self.position, buf, || Alone::Borrowed)?;
        self.advance(written);
        self.catch_up(CatchUp::Much);
        Ok(written)
    }

    /// Cuts the file to its length, so that others see where it ends. What was written they have seen before; for the
    /// disk there is [`sync_all`](Self::sync_all).
    ///
    /// On Windows it maps what the file has got since it was mapped, so that [`view`](MappedFile::view) has it.
    fn flush(&mut self) -> io::Result<()> {
        self.catch_up(CatchUp::Any);
        self.trim()
    }
}

impl Seek for MappedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = if matches!(to, SeekFrom::End(_)) { self.len()? } else { 0 };
        self.position = seek(to, self.position, end)?;
        self.buffer.forget();
        Ok(self.position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }
}

crate::lend_descriptor!(MappedFile, |file| descriptor::of(&file.mapping));

impl Drop for MappedFile {
    fn drop(&mut self) {
        // Nobody is left to be told; `close` tells.
        let _ = self.trim();
    }
}

/// Maps a file and as much behind its end as there are addresses for, up to `room_bytes`.
fn map_with_room(file: OwnedDescriptor, mode: MapMode, len: u64, room_bytes: u64) -> Result<Mapping, Error> {
    let mut room = room_bytes;
    loop {
        let bytes = usize::try_from(len.saturating_add(room)).unwrap_or(usize::MAX);
        match MapOptions::new(mode).len(bytes).no_reserve().map(&file) {
            // Fewer addresses may still do: the process's address space may be limited (setrlimit(2), RLIMIT_AS).
            // By steps that leave most of what there is to others.
            Err(Error::Os { source, .. }) if room > 0 && errno::is_out_of_memory(&source) => room /= 16,
            answer => return answer,
        }
    }
}

fn not_for_writing() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the file was not opened for writing")
}

fn os_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Os { operation, object: path.display().to_string(), offset: 0, len: 0, source }
}

fn widen(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
