//! What is to be copied, handed out in pieces: the part that all engines have in common.
//!
//! Invariant: the pieces of all works of a job, and the holes between them, make up the file; no byte is in two of
//! them, unless a piece was given back.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::read_write::first_run;
use super::{Fallback, NamedFile, Transferred, allocate, at_most, ended_early, file_bytes, read};
use crate::error::Error;
use crate::meter::Meter;
use crate::plan::{Engine, Holes, Plan};
use crate::sys::{self, Errno};

/// Bytes that are read at a time of what is called a hole, where that may not be one.
const LOOK_BYTES: usize = 256 << 10;

/// A copy of one file, shared by its threads.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) source: NamedFile<'a>,
    pub(super) destination: NamedFile<'a>,
    /// The first byte to copy; what is before it is there.
    pub(super) start: u64,
    /// Behind the last byte to copy.
    pub(super) len: u64,
    pub(super) plan: &'a Plan,
    pub(super) meter: &'a Meter,
    /// Set by the thread that has failed, read by the others at each piece. It publishes nothing, so relaxed accesses
    /// do.
    pub(super) failed: AtomicBool,
    /// Bytes copied, holes included. Added to by all threads, read when they have ended, which publishes it.
    bytes: AtomicU64,
    /// Bytes of `bytes` that were left out. As `bytes`.
    hole_bytes: AtomicU64,
    /// Why the engine of the plan is not used any more: the first reason.
    fallback: Mutex<Option<Fallback>>,
}

/// What an engine says when it returns without an error.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There is no work left.
    Done,
    /// The engine can't do it, for this reason, and has given back the piece that it was about to copy.
    Refused(String),
}

/// A range of bytes that holds data, to be copied as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// First byte in both files.
    pub(super) offset: u64,
    /// Bytes; never 0.
    pub(super) len: usize,
}

/// The part of a job that one thread does.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) job: &'a Job<'a>,
    /// The first byte that was not handed out yet.
    offset: u64,
    /// Behind the last byte of the part.
    end: u64,
    /// Behind the last byte that is known to be data, if that is behind `offset`.
    data_end: u64,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        source: NamedFile<'a>,
        destination: NamedFile<'a>,
        start: u64,
        len: u64,
        plan: &'a Plan,
        meter: &'a Meter,
    ) -> Self {
        Self {
            source,
            destination,
            start,
            len,
            plan,
            meter,
            failed: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            hole_bytes: AtomicU64::new(0),
            fallback: Mutex::new(None),
        }
    }

    /// The engine to use: the planned one, unless it has refused.
    pub(super) fn engine(&self) -> Engine {
        if self.fallback.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Engine::ReadWrite;
        }
        self.plan.engine
    }

    /// Does without the planned engine from now on.
    pub(super) fn fall_back(&self, reason: String) {
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        fallback.get_or_insert(Fallback { from: self.plan.engine, reason });
    }

    /// Counts bytes that the destination has now.
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.meter.add_bytes(bytes);
    }

    /// Bytes that the destination has now.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that were left out, because they are zeros.
    pub(super) fn add_hole(&self, bytes: u64) {
        self.hole_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.add_bytes(bytes);
    }

    /// Fails once the meter was told to stop.
    pub(super) fn check_stopped(&self) -> Result<(), Error> {
        self.destination.check_stopped(self.meter)
    }

    /// What has been done, by which engine.
    pub(super) fn transferred(&self, engine: Engine) -> Transferred {
        Transferred {
            bytes: self.bytes(),
            hole_bytes: self.hole_bytes.load(Ordering::Relaxed),
            engine,
            fallback: self.fallback.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(job: &'a Job<'a>, range: Range<u64>) -> Self {
        Self { job, offset: range.start, end: range.end, data_end: range.start }
    }

    /// The length of what is left, but at most this.
    pub(super) fn at_most(&self, most: usize) -> usize {
        at_most(self.end - self.offset, most)
    }

    /// The next piece of data, of at most `most` bytes; `None` at the end, or when another thread has failed. Waits if
    /// a limit says so.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<Piece>, Error> {
        self.job.check_stopped()?;
        if self.offset >= self.data_end {
            self.find_data()?;
        }
        if self.offset == self.end || self.job.failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let piece =
            Piece { offset: self.offset, len: at_most(self.data_end - self.offset, self.job.meter.step_bytes(most)) };
        self.job.meter.pass(piece.len, || self.job.failed.load(Ordering::Relaxed));
        self.offset = piece.end();
        Ok(Some(piece))
    }

    /// Takes back the piece that was handed out last, or the end of it, of which nothing was counted.
    pub(super) fn give_back(&mut self, piece: Piece) {
        debug_assert_eq!(self.offset, piece.end(), "the last piece");
        self.offset = piece.offset;
    }

    /// Goes on to the next data, and finds out how far it reaches.
    fn find_data(&mut self) -> Result<(), Error> {
        let job = self.job;
        if self.offset == self.end {
            return Ok(());
        }
        (self.offset, self.data_end) = match job.plan.holes {
            Holes::Absent | Holes::Filled => (self.offset, self.end),
            Holes::Kept | Holes::Made => {
                let room = next_data(job, self.offset)?.map_or(self.end, |data| data.min(self.end));
                let stored = if sys::KNOWS_HOLES { None } else { bytes_in_hole(job, self.offset..room)? };
                match stored {
                    Some(bytes) => {
                        job.add_hole(bytes.start - self.offset);
                        (bytes.start, bytes.end)
                    }
                    None => {
                        job.add_hole(room - self.offset);
                        (room, if room < self.end { next_hole(job, room)?.min(self.end) } else { room })
                    }
                }
            }
        };
        if job.plan.preallocate && job.plan.holes == Holes::Kept && self.offset < self.data_end {
            allocate(job, self.offset..self.data_end)?;
        }
        Ok(())
    }
}

impl Piece {
    /// Behind its last byte.
    pub(super) fn end(self) -> u64 {
        self.offset + file_bytes(self.len)
    }

    /// Leaves out its first bytes, which have been copied.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.offset += file_bytes(bytes);
        self.len -= bytes;
    }
}

/// The first byte from `offset` on that may be data; `None` if there is a hole up to the end.
fn next_data(job: &Job<'_>, offset: u64) -> Result<Option<u64>, Error> {
    job.meter.add_calls(1);
    match sys::next_data(job.source.file, offset) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => {
            // Behind the end is no data either: nothing may be made up.
            let len = job.source.file.metadata().map_err(Error::os("cannot fstat", job.source.name))?.len();
            if len < job.len { Err(ended_early(job.source, len)) } else { Ok(None) }
        }
        // The file system does not know its holes: lseek(2).
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(offset)),
        Err(errno) => Err(Error::os("looking for holes in", job.source.name)(errno.into())),
    }
}

/// The first bytes that are not zeros of what the system calls a hole, from a block's start on; `None` if there are
/// none. What follows them may be zeros. Reads up to there.
fn bytes_in_hole(job: &Job<'_>, hole: Range<u64>) -> Result<Option<Range<u64>>, Error> {
    let mut buffer = vec![0; at_most(hole.end - hole.start, job.meter.step_bytes(LOOK_BYTES))];
    let mut offset = hole.start;
    while offset < hole.end && !job.failed.load(Ordering::Relaxed) {
        job.check_stopped()?;
        let step = at_most(hole.end - offset, buffer.len());
        job.meter.pass(step, || job.failed.load(Ordering::Relaxed));
        let read = read(job.source, &mut buffer[..step], offset, job.meter)?;
        if read == 0 {
            return Err(ended_early(job.source, offset));
        }
        match first_run(&buffer[..read], offset) {
            (zeros, true) => offset += file_bytes(zeros),
            // All that was read is copied: so a file is read twice at most, however zeros and others take turns.
            (_, false) => return Ok(Some(offset..offset + file_bytes(read))),
        }
    }
    Ok(None)
}

/// The first byte of a hole behind the data at `offset`; that may be the end of the file.
fn next_hole(job: &Job<'_>, offset: u64) -> Result<u64, Error> {
    job.meter.add_calls(1);
    match sys::next_hole(job.source.file, offset, job.len) {
        Ok(hole) if hole > offset => Ok(hole),
        // It has become a hole since, or the file has ended; reading tells.
        Ok(_) | Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(job.len),
        Err(errno) => Err(Error::os("looking for holes in", job.source.name)(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;
    use std::path::Path;

    use super::*;
    use crate::plan::{Facts, Request};

    /// A file of zeros, but for these bytes.
    fn with_ones(len: u64, ones: &[u64]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        for &one in ones {
            assert_eq!(sys::write_at(&file, &[1], one).unwrap(), 1);
        }
        file
    }

    #[test]
    fn bytes_that_were_stored_in_a_hole_are_found() {
        const LEN: u64 = 3 << 20;
        let look = file_bytes(LOOK_BYTES);
        let plan = Plan::new(Request::default(), Facts::new(LEN));
        let meter = Meter::new();
        for (ones, hole, found) in [
            (&[][..], 0..LEN, None),
            (&[0], 0..LEN, Some(0..look)),
            (&[0], 4096..LEN, None),
            (&[4095], 4000..LEN, Some(4000..4000 + look)),
            (&[5000], 0..LEN, Some(4096..4096 + look)),
            (&[5000], 0..5000, None),
            (&[5000], 0..5001, Some(4096..5001)),
            (&[LEN - 1], 0..LEN, Some(LEN - 4096..LEN)),
            (&[look, 2 * look], 10..LEN, Some(look..2 * look)),
        ] {
            let file = with_ones(LEN, ones);
            let file = NamedFile::new(&file, Path::new("file"));
            let job = Job::new(file, file, 0, LEN, &plan, &meter);
            assert_eq!(bytes_in_hole(&job, hole.clone()).unwrap(), found, "{ones:?} in {hole:?}");
        }
    }

    #[test]
    fn a_hole_behind_the_end_is_an_error() {
        let plan = Plan::new(Request::default(), Facts::new(9000));
        let (file, meter) = (with_ones(5000, &[]), Meter::new());
        let file = NamedFile::new(&file, Path::new("file"));
        let job = Job::new(file, file, 0, 9000, &plan, &meter);
        let refused = bytes_in_hole(&job, 0..9000);
        let is_end = |source: &std::io::Error| source.kind() == ErrorKind::UnexpectedEof;
        assert!(matches!(&refused, Err(Error::Os { source, .. }) if is_end(source)), "{refused:?}");
        meter.stop();
        assert!(matches!(bytes_in_hole(&job, 0..5000), Err(Error::Cancelled { .. })));
    }
}
