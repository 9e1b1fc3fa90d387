//! Engines: the ways to move bytes from one open file to another, each in a file of its own.

mod mapped;
mod read_write;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

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

/// Copies the first `len` bytes of `source` to the start of `destination` as planned, and answers how many that were.
///
/// A `len` of 0 means "to the end", wherever that is: files of /proc claim to have no bytes, and have some. Both files are
/// accessed by offset; their positions do not matter and do not change. The destination must be open for reading and
/// writing, and empty. `meter` counts along.
///
/// # Errors
/// [`Error::Os`], [`Error::Map`] or [`Error::Fault`] for what could not be done; a source that ends before `len` is an
/// `UnexpectedEof` of one of them. The destination then has some of the bytes.
pub fn transfer(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    len: u64,
    plan: &Plan,
    meter: &Meter,
) -> Result<u64, Error> {
    if len == 0 {
        return read_write::copy_to_end(source, destination, plan.buffer_bytes, meter);
    }
    if plan.preallocate {
        preallocate(destination, len, meter)?;
    }
    let stop = AtomicBool::new(false);
    let copy = |start: u64, end: u64| {
        let range = Range { start, end, stop: &stop };
        let copied = match plan.engine {
            Engine::Mapped => mapped::copy(source, destination, range, meter),
            Engine::ReadWrite | Engine::Auto => read_write::copy(source, destination, range, plan.buffer_bytes, meter),
        };
        if copied.is_err() {
            // A copy that has failed is not worth finishing: the other threads stop at their next step.
            stop.store(true, Ordering::Relaxed);
        }
        copied
    };
    let threads = u64::try_from(plan.threads.get()).unwrap_or(u64::MAX);
    let per_thread = len.div_ceil(threads).next_multiple_of(RANGE_ALIGN);
    if per_thread >= len {
        copy(0, len)?;
        return Ok(len);
    }
    thread::scope(|scope| {
        let starts = (0..threads).map(|i| i * per_thread).take_while(|&start| start < len);
        let running: Vec<_> =
            starts.map(|start| scope.spawn(move || copy(start, (start + per_thread).min(len)))).collect();
        running.into_iter().map(join).fold(Ok(()), Result::and)
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
    /// Bytes of the next step from `offset`, at most `most`; `None` at the end, or when another thread has failed.
    fn step(&self, offset: u64, most: usize) -> Option<usize> {
        let rest = self.end.checked_sub(offset).filter(|&rest| rest > 0 && !self.stop.load(Ordering::Relaxed))?;
        Some(usize::try_from(rest).map_or(most, |rest| rest.min(most)))
    }
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

/// The source has ended early: what read(2) tells by a count of 0.
pub(crate) fn ended_early(source: NamedFile<'_>, offset: u64) -> Error {
    let reason = format!("the file ends at byte {offset}");
    Error::os("reading", source.path)(io::Error::new(io::ErrorKind::UnexpectedEof, reason))
}
