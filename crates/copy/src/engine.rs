//! Engines: the ways to move bytes from one open file to another, each in a file of its own.
//!
//! ```text
//! transfer -> share blocks? -> make room -> a thread for each range -> an engine -> pieces from `Work`
//! ```
//! Every engine is one loop: take the next piece of data from the [`Work`], move it, until there is none. What they
//! have in common is behind that: holes, limits, being stopped, allocating ahead. An engine that finds out at a piece
//! that it can't do it gives the piece back, and `read_write` goes on.

#[cfg_attr(windows, path = "engine/windows/copy_file_range.rs")]
mod copy_file_range;
mod direct;
mod mapped;
mod mapped_destination;
mod mapped_source;
mod read_write;
#[cfg_attr(windows, path = "engine/windows/reflink.rs")]
mod reflink;
#[cfg_attr(windows, path = "engine/windows/splice.rs")]
mod splice;
mod stream;
#[cfg_attr(windows, path = "engine/windows/uring.rs")]
#[cfg_attr(
    not(any(
        windows,
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "powerpc64"
    )),
    path = "engine/no_uring.rs"
)]
mod uring;
mod work;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use mapio_map::{Access, AnonMap, Fault, FaultKind, MapOptions, Mapping};

use crate::error::Error;
use crate::meter::Meter;
use crate::place::Place;
use crate::plan::{Engine, Holes, Plan, Reflink};
use crate::sys::{self, Errno};
pub use stream::transfer_stream;
use work::{Job, Outcome, Work};

/// Ranges of threads have a multiple of this many bytes, so that no two threads share a page; nor a huge one, unless
/// the copy goes on in the middle of it.
const RANGE_ALIGN: u64 = 2 << 20;

/// Bytes of a buffer, at least, so that it does not grow with each file of many. Memory is used as far as it is
/// touched.
const LEAST_BUFFER_BYTES: usize = 256 << 10;

/// An open file and the name that messages call it by.
#[derive(Debug, Clone, Copy)]
pub struct NamedFile<'a> {
    /// Open for what is to be done with it.
    pub file: &'a File,
    pub(crate) name: Name<'a>,
}

/// A name for messages: a path, or what one is made from when it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name<'a> {
    Path(&'a Path),
    Place(Place<'a>),
}

impl From<Name<'_>> for PathBuf {
    fn from(name: Name<'_>) -> Self {
        match name {
            Name::Path(path) => path.to_owned(),
            Name::Place(place) => place.path(),
        }
    }
}

impl<'a> NamedFile<'a> {
    /// Puts a file and its path together.
    #[must_use]
    pub fn new(file: &'a File, path: &'a Path) -> Self {
        Self { file, name: Name::Path(path) }
    }

    /// The same for a name in an open folder.
    pub(crate) fn at(file: &'a File, place: Place<'a>) -> Self {
        Self { file, name: Name::Place(place) }
    }
}

impl NamedFile<'_> {
    /// Fails once the meter was told to stop what is copied to this file.
    pub(crate) fn check_stopped(&self, meter: &Meter) -> Result<(), Error> {
        if meter.is_stopped() { Err(Error::Cancelled { path: self.name.into() }) } else { Ok(()) }
    }

    /// Maps a part of it.
    pub(crate) fn map(&self, options: MapOptions) -> Result<Mapping, Error> {
        options.map(self.file).map_err(|source| Error::Map { path: self.name.into(), source })
    }

    /// The error of a fault in a window that starts at byte `start` of a mapping of it.
    pub(crate) fn faulted(&self, mapping: &Mapping, start: usize, fault: Fault) -> Error {
        let offset = mapping.file_offset_of(start + fault.offset);
        match (fault.access, fault.kind) {
            (Access::Read, FaultKind::Truncated { .. }) => ended_early(*self, offset),
            (access, kind) => Error::Fault { path: self.name.into(), offset, access, kind },
        }
    }
}

/// Room that engines need on the calling thread. It grows as needed; who copies many files keeps it.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Of engines with a buffer. It begins at a page: the kernel copies to an odd address at half the speed.
    buffer: Option<AnonMap>,
}

impl Workspace {
    /// Has no room yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` bytes, if there is memory for it; what it holds does not matter.
    fn buffer(&mut self, len: usize, destination: NamedFile<'_>) -> Result<&mut [u8], Error> {
        if self.buffer.as_ref().is_none_or(|buffer| buffer.len() < len) {
            self.buffer = None;
            let failed = |_| io::Error::new(ErrorKind::OutOfMemory, format!("no memory for a buffer of {len} bytes"));
            let buffer = AnonMap::new(len.max(LEAST_BUFFER_BYTES)).map_err(failed);
            self.buffer = Some(buffer.map_err(Error::os("copying to", destination.name))?);
        }
        Ok(&mut self.buffer.as_deref_mut().unwrap_or_default()[..len])
    }
}

/// What was transferred, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transferred {
    /// Bytes that the destination has now.
    pub bytes: u64,
    /// Of these, bytes that were not written, so that they read as zeros and take no room.
    pub hole_bytes: u64,
    /// The engine that has moved the bytes; [`Engine::Reflink`] if they are shared.
    pub engine: Engine,
    /// Why it is not the engine of the plan.
    pub fallback: Option<Fallback>,
}

/// An engine that could not do it, so that `read-write` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Which.
    pub from: Engine,
    /// Why: part of a sentence.
    pub reason: String,
}

/// Copies the first `len` bytes of `source` to the start of `destination` as planned.
///
/// A `len` of 0 means "to the end", wherever that is: files of /proc claim to have no bytes, and have some. The
/// destination must be empty, and open for reading and writing: holes are where nothing is written. The positions of
/// both files do not matter, and may be anywhere afterwards. `meter` counts along, and may stop it. Blocks until done.
///
/// A file that fits the buffer, and has no holes, takes one read(2) and one write(2).
///
/// # Errors
/// [`Error::Os`], [`Error::Map`] or [`Error::Fault`] for what could not be done; a source that ends before `len` is an
/// [`Error::Os`] of kind `UnexpectedEof`; [`Error::Cancelled`] after [`Meter::stop`]. The destination then has some of
/// the bytes. A limit of file sizes (setrlimit(2), `RLIMIT_FSIZE`) raises `SIGXFSZ`, which kills unless the program
/// ignores it.
pub fn transfer(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    len: u64,
    plan: &Plan,
    meter: &Meter,
    workspace: &mut Workspace,
) -> Result<Transferred, Error> {
    transfer_from(0, source, destination, len, plan, meter, workspace)
}

/// Goes on at byte `start`, up to which the destination holds what the source does, and where it ends.
pub(crate) fn transfer_from(
    start: u64,
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    len: u64,
    plan: &Plan,
    meter: &Meter,
    workspace: &mut Workspace,
) -> Result<Transferred, Error> {
    // What must be shared is shared as a whole.
    let start = if plan.reflink == Reflink::Always { 0 } else { start };
    let job = Job::new(source, destination, start, len, plan, meter);
    job.add_bytes(start);
    let engine = if start == 0 && is_shared(&job)? {
        Engine::Reflink
    } else if len == 0 {
        read_write::copy_to_end(&job, workspace)?;
        if job.bytes() > 0 && plan.engine != Engine::ReadWrite {
            job.fall_back("the file does not tell its length".to_owned());
        }
        Engine::ReadWrite
    } else if start == len {
        job.engine()
    } else {
        make_room(&job)?;
        copy_ranges(&job, workspace)?;
        job.engine()
    };
    meter.add_files(1);
    Ok(job.transferred(engine))
}

/// Shares the blocks, if that is planned and possible. Afterwards the job's engine is one that can do it.
fn is_shared(job: &Job<'_>) -> Result<bool, Error> {
    let Plan { engine, reflink, holes, .. } = *job.plan;
    if reflink == Reflink::Never && !engine.can_do(holes) {
        job.fall_back("it can't treat holes as was asked for".to_owned());
    } else if job.len == 0 && reflink != Reflink::Always {
        // Whatever the engine, only reading tells where it ends.
    } else if reflink != Reflink::Never || engine == Engine::Reflink {
        match reflink::share(job)? {
            Outcome::Done => return Ok(true),
            Outcome::Refused(reason) if engine == Engine::Reflink => job.fall_back(reason),
            // It was worth a try.
            Outcome::Refused(_) => {}
        }
    }
    Ok(false)
}

/// Shares the work between threads.
fn copy_ranges(job: &Job<'_>, workspace: &mut Workspace) -> Result<(), Error> {
    let len = job.len;
    let threads = u64::try_from(job.plan.threads.get()).unwrap_or(u64::MAX);
    let per_thread = (len - job.start).div_ceil(threads).checked_next_multiple_of(RANGE_ALIGN).unwrap_or(len);
    if per_thread >= len - job.start {
        return copy_range(Work::new(job, job.start..len), workspace);
    }
    let start = |i: u64| i.checked_mul(per_thread).and_then(|bytes| job.start.checked_add(bytes));
    let mut starts = (0..threads).filter_map(start).take_while(|&start| start < len);
    // The first range is this thread's own; so is every one that no thread can be had for.
    let mut own: Vec<u64> = starts.next().into_iter().collect();
    let work = |start: u64| Work::new(job, start..start.saturating_add(per_thread).min(len));
    thread::scope(|scope| {
        let mut running = Vec::new();
        for start in starts {
            let copy = move || copy_range(work(start), &mut Workspace::new());
            match thread::Builder::new().spawn_scoped(scope, copy) {
                Ok(thread) => running.push(thread),
                Err(_) => own.push(start),
            }
        }
        let copied = own.into_iter().try_for_each(|start| copy_range(work(start), workspace));
        running.into_iter().map(join).fold(copied, Result::and)
    })
}

/// Copies one range: by the engine, and what that can't by `read_write`.
fn copy_range(mut work: Work<'_>, workspace: &mut Workspace) -> Result<(), Error> {
    let job = work.job;
    let copied = copy_by(job.engine(), &mut work, workspace).and_then(|outcome| match outcome {
        Outcome::Done => Ok(()),
        Outcome::Refused(reason) => {
            job.fall_back(reason);
            read_write::copy(&mut work, workspace).map(drop)
        }
    });
    if copied.is_err() {
        // A copy that has failed is not worth finishing: the other threads stop at their next step.
        job.failed.store(true, Ordering::Relaxed);
    }
    copied
}

fn copy_by(engine: Engine, work: &mut Work<'_>, workspace: &mut Workspace) -> Result<Outcome, Error> {
    match engine {
        Engine::ReadWrite => read_write::copy(work, workspace),
        Engine::Mapped => mapped::copy(work),
        Engine::MappedSource => mapped_source::copy(work),
        Engine::MappedDestination => mapped_destination::copy(work),
        Engine::CopyFileRange => copy_file_range::copy(work),
        Engine::Splice => splice::copy(work),
        Engine::Direct => direct::copy(work, workspace),
        Engine::Uring => uring::copy(work),
        Engine::Reflink => Ok(Outcome::Refused("the blocks could not be shared".to_owned())),
    }
}

fn join(thread: thread::ScopedJoinHandle<'_, Result<(), Error>>) -> Result<(), Error> {
    // A panic of a thread is one of ours: it goes on in the caller's.
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Gives the destination its length, where it is needed before the bytes come, and its space, as planned.
fn make_room(job: &Job<'_>) -> Result<(), Error> {
    match job.plan.holes {
        // Only the data gets space, when its turn comes. What is left out is a hole.
        Holes::Kept | Holes::Made => {
            sys::make_sparse(job.destination.file);
            set_len(job)
        }
        Holes::Absent | Holes::Filled if job.plan.preallocate => allocate(job, job.start..job.len),
        Holes::Absent | Holes::Filled => Ok(()),
    }
}

/// Gives a range of the destination space, where the file system can, so that a full disk is an error now; in any case
/// the file reaches to the end of the range.
fn allocate(job: &Job<'_>, range: Range<u64>) -> Result<(), Error> {
    let destination = job.destination;
    job.meter.add_calls(1);
    match sys::allocate(destination.file, range) {
        Ok(()) => Ok(()),
        // The file system cannot allocate ahead (fallocate(2)): the length alone still lets the file be mapped, and a
        // full disk is then met by the write or the store that needs the space.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => set_len(job),
        Err(errno) => Err(Error::os("making room in", destination.name)(errno.into())),
    }
}

fn set_len(job: &Job<'_>) -> Result<(), Error> {
    job.meter.add_calls(1);
    job.destination.file.set_len(job.len).map_err(Error::os("making room in", job.destination.name))
}

/// A number of bytes of a file that are handled in memory: as many as there are, but at most this.
pub(crate) fn at_most(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))
}

/// A number of bytes in memory as one of bytes in a file.
pub(crate) fn file_bytes(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or_else(|_| unreachable!("memory is not larger than files can be"))
}

/// Reads once from an offset, as often as a signal interrupts that. 0 is the end of the file.
pub(crate) fn read(source: NamedFile<'_>, buffer: &mut [u8], offset: u64, meter: &Meter) -> Result<usize, Error> {
    loop {
        meter.add_calls(1);
        match sys::read_at(source.file, buffer, offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Error::os("error reading", source.name)),
        }
    }
}

/// Why a mapping is impossible, if it will always be.
pub(crate) fn refusal_of_map(error: Error) -> Result<String, Error> {
    let Error::Map { source: mapio_map::Error::Os { source, .. }, .. } = &error else { return Err(error) };
    if sys::is_refusal_of_map(source) { Ok(format!("mmap: {source}")) } else { Err(error) }
}

/// The source has ended early: what read(2) tells by a count of 0.
fn ended_early(source: NamedFile<'_>, offset: u64) -> Error {
    let reason = format!("the file ends at byte {offset}");
    Error::os("error reading", source.name)(io::Error::new(ErrorKind::UnexpectedEof, reason))
}

#[cfg(test)]
mod tests;
