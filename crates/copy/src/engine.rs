//! Engines: the ways to move bytes from one open file to another, each in a file of its own.

mod mapped;
mod read_write;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mapio_map::{Access, Fault, FaultKind, MapOptions, Mapping};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::error::Error;
use crate::meter::Meter;
use crate::plan::{Engine, Plan};

/// Ranges of threads start at multiples of this many bytes, so that no two threads share a page, or a huge one.
const RANGE_ALIGN: u64 = 2 << 20;

/// An open file and the name that messages call it by.
#[derive(Debug, Clone, Copy)]
pub struct NamedFile<'a> {
    /// Open for what is to be done with it.
    pub file: &'a File,
    /// For messages only.
    pub path: &'a Path,
}

impl NamedFile<'_> {
    /// Maps a part of it.
    pub(crate) fn map(&self, options: MapOptions) -> Result<Mapping, Error> {
        options.map(self.file).map_err(|source| Error::Map { path: self.path.to_owned(), source })
    }

    /// The error of a fault in a window that starts at byte `start` of a mapping of it.
    pub(crate) fn faulted(&self, mapping: &Mapping, start: usize, fault: Fault) -> Error {
        let offset = mapping.file_offset_of(start + fault.offset);
        match (fault.access, fault.kind) {
            (Access::Read, FaultKind::Truncated { .. }) => ended_early(*self, offset),
            (access, kind) => Error::Fault { path: self.path.to_owned(), offset, access, kind },
        }
    }
}

/// Copies the first `len` bytes of `source` to the start of `destination` as planned, and answers how many that were.
///
/// A `len` of 0 means "to the end", wherever that is: files of /proc claim to have no bytes, and have some. Both files
/// are accessed by offset; their positions do not matter and do not change. The destination must be open for reading
/// and writing, and empty. `meter` counts along. `buffer` is room for the engines that need it on the calling thread;
/// it grows as needed, and who copies often keeps it.
///
/// # Errors
/// [`Error::Os`], [`Error::Map`] or [`Error::Fault`] for what could not be done; a source that ends before `len` is an
/// [`Error::Os`] of kind `UnexpectedEof`. The destination then has some of the bytes. A limit of file sizes
/// (setrlimit(2), `RLIMIT_FSIZE`) raises `SIGXFSZ`, which kills unless the program ignores it.
pub fn transfer(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    len: u64,
    plan: &Plan,
    meter: &Meter,
    buffer: &mut Vec<u8>,
) -> Result<u64, Error> {
    if len == 0 {
        let buffer = read_write::sized(buffer, plan.buffer_bytes.get(), destination)?;
        return read_write::copy_to_end(source, destination, buffer, meter);
    }
    if plan.preallocate {
        preallocate(destination, len, meter)?;
    }
    let stop = AtomicBool::new(false);
    let copy = |start: u64, end: u64, buffer: &mut Vec<u8>| {
        let range = Range { start, end, stop: &stop };
        let copied = match plan.engine {
            Engine::Mapped => mapped::copy(source, destination, range, meter),
            Engine::ReadWrite => read_write::sized(buffer, range.at_most(plan.buffer_bytes.get()), destination)
                .and_then(|buffer| read_write::copy(source, destination, range, buffer, meter)),
        };
        if copied.is_err() {
            // A copy that has failed is not worth finishing: the other threads stop at their next step.
            stop.store(true, Ordering::Relaxed);
        }
        copied
    };
    let threads = u64::try_from(plan.threads.get()).unwrap_or(u64::MAX);
    let per_thread = len.div_ceil(threads).checked_next_multiple_of(RANGE_ALIGN).unwrap_or(len);
    let mut starts = (0..threads).filter_map(|i| i.checked_mul(per_thread)).take_while(|&start| start < len);
    // The first range is this thread's own; so is every one that no thread can be had for.
    let mut own: Vec<u64> = starts.next().into_iter().collect();
    let end = |start: u64| start.saturating_add(per_thread).min(len);
    thread::scope(|scope| {
        let mut running = Vec::new();
        for start in starts {
            let copy = &copy;
            match thread::Builder::new().spawn_scoped(scope, move || copy(start, end(start), &mut Vec::new())) {
                Ok(thread) => running.push(thread),
                Err(_) => own.push(start),
            }
        }
        let copied = own.into_iter().try_for_each(|start| copy(start, end(start), buffer));
        running.into_iter().map(join).fold(copied, Result::and)
    })?;
    Ok(len)
}

/// The part of a file that one thread copies.
#[derive(Debug, Clone, Copy)]
struct Range<'a> {
    /// First byte.
    start: u64,
    /// Behind the last byte.
    end: u64,
    /// Set when another thread has failed. It publishes nothing, so relaxed accesses do.
    stop: &'a AtomicBool,
}

impl Range<'_> {
    /// The length of the range, but at most this.
    fn at_most(&self, most: usize) -> usize {
        at_most(self.end - self.start, most)
    }

    /// Bytes of the next step from `offset`, at most `most`; `None` at the end, or when another thread has failed.
    fn step(&self, offset: u64, most: usize) -> Option<usize> {
        let rest = self.end.checked_sub(offset).filter(|&rest| rest > 0 && !self.stop.load(Ordering::Relaxed))?;
        Some(at_most(rest, most))
    }
}

/// A number of bytes of a file that are handled in memory: as many as there are, but at most this.
pub(crate) fn at_most(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))
}

/// A number of bytes in memory as one of bytes in a file.
pub(crate) fn file_bytes(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or_else(|_| unreachable!("memory is not larger than files can be"))
}

fn join(thread: thread::ScopedJoinHandle<'_, Result<(), Error>>) -> Result<(), Error> {
    // A panic of a thread is one of ours: it goes on in the caller's.
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Gives the destination its length and, where the file system can, its space, so that a full disk is an error now.
fn preallocate(destination: NamedFile<'_>, len: u64, meter: &Meter) -> Result<(), Error> {
    meter.add_calls(1);
    let allocated =
        rustix::io::retry_on_intr(|| rustix::fs::fallocate(destination.file, FallocateFlags::empty(), 0, len));
    match allocated {
        Ok(()) => Ok(()),
        // The file system cannot allocate ahead (fallocate(2)): the length alone still lets the file be mapped, and a
        // full disk is then met by the store that needs the space.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            meter.add_calls(1);
            destination.file.set_len(len).map_err(Error::os("making room in", destination.path))
        }
        Err(errno) => Err(Error::os("making room in", destination.path)(errno.into())),
    }
}

/// Reads once from an offset, as often as a signal interrupts that. 0 is the end of the file.
pub(crate) fn read(source: NamedFile<'_>, buffer: &mut [u8], offset: u64, meter: &Meter) -> Result<usize, Error> {
    loop {
        meter.add_calls(1);
        match source.file.read_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Error::os("reading", source.path)),
        }
    }
}

/// The source has ended early: what read(2) tells by a count of 0.
fn ended_early(source: NamedFile<'_>, offset: u64) -> Error {
    let reason = format!("the file ends at byte {offset}");
    Error::os("reading", source.path)(io::Error::new(ErrorKind::UnexpectedEof, reason))
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::plan::{Facts, FileSystem, Request};

    /// What is asked for and is not there is never made up.
    #[test]
    fn more_bytes_than_the_source_has_are_an_error_with_every_engine() {
        let (source, path) = (tempfile::tempfile().unwrap(), Path::new("file"));
        source.write_all_at(b"short", 0).unwrap();
        for engine in [Engine::ReadWrite, Engine::Mapped] {
            for (len, kinds) in [
                (6, &[ErrorKind::UnexpectedEof][..]),
                (10_000, &[ErrorKind::UnexpectedEof]),
                // So large a file can't be made, or has no such bytes.
                (u64::MAX, &[ErrorKind::UnexpectedEof, ErrorKind::InvalidInput, ErrorKind::FileTooLarge]),
            ] {
                let request = Request { engine: Some(engine), buffer_bytes: None };
                let facts = Facts { len, file_system: FileSystem::Other, processors: NonZero::<usize>::MIN };
                let mut plan = Plan::new(request, facts);
                plan.buffer_bytes = NonZero::new(64).unwrap();
                let destination = tempfile::tempfile().unwrap();
                let (from, to) = (NamedFile { file: &source, path }, NamedFile { file: &destination, path });
                match transfer(from, to, len, &plan, &Meter::new(), &mut Vec::new()) {
                    Err(Error::Os { source, .. }) => {
                        assert!(kinds.contains(&source.kind()), "{engine} {len}: {source}")
                    }
                    other => panic!("{engine} {len}: {other:?}"),
                }
            }
        }
    }
}
