//! splice(2): pages go from the source into a pipe, and from the pipe into the destination. No byte passes through this
//! process, but the kernel copies each into the destination.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};

use super::work::{Job, Outcome, Piece, Work};
use super::{ended_early, file_bytes};
use crate::error::Error;

/// Nothing is asked for but the copy.
const FLAGS: SpliceFlags = SpliceFlags::empty();

/// A pipe, empty between two pieces.
#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes that it holds.
    bytes: usize,
}

/// Copies through a pipe.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    let pipe = match Pipe::new(job.plan.buffer_bytes.get()) {
        Ok(pipe) => pipe,
        // Too many descriptors, or too many pages in pipes: pipe(2).
        Err(errno) => return Ok(Outcome::Refused(format!("pipe: {errno}"))),
    };
    job.meter.add_calls(3);
    while let Some(mut piece) = work.next(pipe.bytes)? {
        while piece.len > 0 {
            match pipe.pass(job, piece)? {
                Ok(copied) => {
                    job.add_bytes(file_bytes(copied));
                    piece.advance(copied);
                }
                Err(reason) => {
                    // What is in the pipe is still in the source.
                    work.give_back(piece);
                    return Ok(Outcome::Refused(reason));
                }
            }
        }
    }
    Ok(Outcome::Done)
}

impl Pipe {
    /// A pipe that holds this many bytes, or as many as the system allows.
    fn new(bytes: usize) -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // A pipe of any size will do: fcntl(2), F_SETPIPE_SZ.
        let bytes = fcntl_setpipe_size(&write, bytes).or_else(|_| fcntl_getpipe_size(&write))?;
        Ok(Self { read, write, bytes })
    }

    /// Copies the start of a piece, and answers how much; or why it can't be done in this way.
    fn pass(&self, job: &Job<'_>, piece: Piece) -> Result<Result<usize, String>, Error> {
        let (mut from, mut to) = (piece.offset, piece.offset);
        let entered = retry(job, || splice(job.source.file, Some(&mut from), &self.write, None, piece.len, FLAGS));
        let entered = match entered {
            Ok(0) => return Err(ended_early(job.source, piece.offset)),
            Ok(entered) => entered,
            Err(errno) => {
                return refused(errno)
                    .map(Err)
                    .ok_or_else(|| Error::os("error reading", job.source.name)(errno.into()));
            }
        };
        let mut left = 0;
        while left < entered {
            let rest = entered - left;
            match retry(job, || splice(&self.read, None, job.destination.file, Some(&mut to), rest, FLAGS)) {
                Ok(0) => {
                    return Err(Error::os("error writing", job.destination.name)(std::io::ErrorKind::WriteZero.into()));
                }
                Ok(bytes) => left += bytes,
                Err(errno) => {
                    let fatal = || Error::os("error writing", job.destination.name)(errno.into());
                    return refused(errno).map(Err).ok_or_else(fatal);
                }
            }
        }
        Ok(Ok(entered))
    }
}

/// Calls until no signal interrupts.
fn retry(job: &Job<'_>, mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        job.meter.add_calls(1);
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Why splice can't do it, if that is what the errno means, by splice(2): the file system has no splicing. `EAGAIN`,
/// `EBADF`, `ENOMEM` and `ESPIPE`, and what reading and writing say, are errors.
fn refused(errno: Errno) -> Option<String> {
    matches!(errno, Errno::INVAL | Errno::NOSYS).then(|| format!("splice: {errno}"))
}
