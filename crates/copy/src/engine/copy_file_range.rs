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

/// Copies the start of a piece, and answers how much; or why it can't be done in this way.
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
        Err(errno) if is_refusal(errno) => Ok(Err(format!("copy_file_range: {errno}"))),
        Err(errno) => Err(Error::os("copying to", job.destination.name)(errno.into())),
    }
}

/// Whether only this call can't do it, so that reading and writing may. By copy_file_range(2), and cp's experience.
fn is_refusal(errno: Errno) -> bool {
    match errno {
        // Not these files, or the destination is open for appending.
        Errno::INVAL | Errno::BADF
        // The file system can't, or the kernel.
        | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY
        // The destination is immutable, or a filter of system calls does not know the call.
        | Errno::PERM
        // One of them is swapped to.
        | Errno::TXTBSY
        // Two file systems.
        | Errno::XDEV
        // SMB: servers that do not allow it, or do not find the other file, if it is on another share.
        | Errno::ACCESS | Errno::NOENT => true,
        // No other way of writing would do better.
        Errno::FBIG | Errno::IO | Errno::ISDIR | Errno::NOMEM | Errno::NOSPC | Errno::OVERFLOW => false,
        _ => false,
    }
}

/// Whether the source has no byte where the piece starts.
fn is_ended(job: &Job<'_>, piece: Piece) -> Result<bool, Error> {
    let metadata = job.source.file.metadata().map_err(Error::os("cannot fstat", job.source.name))?;
    Ok(metadata.len() <= piece.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_will_not_copy_is_no_reason_to_fail_and_a_full_disk_is() {
        for errno in [Errno::OPNOTSUPP, Errno::XDEV, Errno::INVAL, Errno::PERM, Errno::NOENT, Errno::ACCESS] {
            assert!(is_refusal(errno), "{errno}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::NOMEM, Errno::STALE] {
            assert!(!is_refusal(errno), "{errno}");
        }
    }
}
