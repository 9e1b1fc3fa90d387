//! copy_file_range(2): the kernel copies, or the file system shares blocks, or the server copies by itself.

use rustix::io::Errno;

use super::ended_early;
use super::file_bytes;
use super::work::{Job, Outcome, Piece, Work};
use crate::error::Error;

/// Bytes of a call, at most: beyond 2 GiB, counts have been wrong between C libraries and kernels.
const CALL_BYTES: usize = 1 << 30;

/// Copies piece by piece.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    let most = job.plan.buffer_bytes.get().min(CALL_BYTES);
    while let Some(mut piece) = work.next(most)? {
        while piece.len > 0 {
            match call(job, piece)? {
                Ok(copied) => {
                    job.add_bytes(file_bytes(copied));
                    piece.advance(copied);
                }
                Err(reason) => {
                    work.give_back(piece);
                    return Ok(Outcome::Refused(reason));
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// Copies the start of a piece, and answers how much; or why it can't be done in this way. Every errno is that of
/// copy_file_range(2).
fn call(job: &Job<'_>, piece: Piece) -> Result<Result<usize, String>, Error> {
    let (mut from, mut to) = (piece.offset, piece.offset);
    job.meter.add_calls(1);
    let copied = rustix::io::retry_on_intr(|| {
        rustix::fs::copy_file_range(job.source.file, Some(&mut from), job.destination.file, Some(&mut to), piece.len)
    });
    match copied {
        // Either the file has ended, or it is one that the kernel makes up when it is read.
        Ok(0) if is_ended(job, piece)? => Err(ended_early(job.source, piece.offset)),
        Ok(0) => Ok(Err("copy_file_range has copied nothing".to_owned())),
        Ok(copied) => Ok(Ok(copied)),
        Err(errno @ (Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM | Errno::TXTBSY | Errno::XDEV | Errno::NOSYS)) => {
            Ok(Err(format!("copy_file_range: {errno}")))
        }
        // EBADF, EFBIG, EIO, EISDIR, ENOMEM, ENOSPC, EOVERFLOW: no other way of writing would do better.
        Err(errno) => Err(Error::os("copying to", job.destination.name)(errno.into())),
    }
}

/// Whether the source has no byte where the piece starts.
fn is_ended(job: &Job<'_>, piece: Piece) -> Result<bool, Error> {
    let metadata = job.source.file.metadata().map_err(Error::os("cannot fstat", job.source.name))?;
    Ok(metadata.len() <= piece.offset)
}
