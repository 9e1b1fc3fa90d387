//! ioctl_ficlone(2): both files have the same blocks, until one of them is written to. Moves no byte.

use rustix::io::Errno;

use super::ended_early;
use super::work::{Job, Outcome};
use crate::error::Error;
use crate::plan::Reflink;

/// Makes the destination share the source's blocks, if the file system can.
pub(super) fn share(job: &Job<'_>) -> Result<Outcome, Error> {
    job.meter.add_calls(1);
    match rustix::io::retry_on_intr(|| rustix::fs::ioctl_ficlone(job.destination.file, job.source.file)) {
        Ok(()) => {
            keep_len(job)?;
            Ok(Outcome::Done)
        }
        Err(errno) if job.plan.reflink != Reflink::Always && is_refusal(errno) => {
            Ok(Outcome::Refused(format!("ioctl FICLONE: {errno}")))
        }
        Err(errno) => Err(Error::os("failed to clone", job.destination.name)(errno.into())),
    }
}

/// Whether the file system does not share these blocks, so that copying them may work. By ioctl_ficlone(2); all other
/// errors, such as `EIO`, `ENOSPC` and `EDQUOT`, a copy would meet too.
fn is_refusal(errno: Errno) -> bool {
    match errno {
        // The source's file system can't, or the destination is open for appending.
        Errno::BADF
        // Not these ranges, or a device, a pipe or a socket.
        | Errno::INVAL
        // The file system can't.
        | Errno::OPNOTSUPP
        // The destination is immutable.
        | Errno::PERM
        // One of them is swapped to.
        | Errno::TXTBSY
        // Two file systems.
        | Errno::XDEV
        // Kernels and file systems that do not know the call; servers that do not allow it.
        | Errno::NOTTY | Errno::NOSYS | Errno::ACCESS => true,
        Errno::ISDIR => false,
        _ => false,
    }
}

/// The whole file was shared: it must be as long as what was asked for.
fn keep_len(job: &Job<'_>) -> Result<(), Error> {
    job.meter.add_calls(1);
    let destination = job.destination;
    let len = destination.file.metadata().map_err(Error::os("cannot fstat", destination.name))?.len();
    match job.len {
        0 => job.add_bytes(len),
        asked if len < asked => return Err(ended_early(job.source, len)),
        asked => {
            if len > asked {
                super::set_len(job)?;
            }
            job.add_bytes(asked);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fails_or_is_full_is_no_reason_to_copy() {
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ISDIR, Errno::NOMEM, Errno::FBIG] {
            assert!(!is_refusal(errno), "{errno}");
        }
        for errno in [Errno::OPNOTSUPP, Errno::XDEV, Errno::INVAL, Errno::NOTTY, Errno::BADF, Errno::TXTBSY] {
            assert!(is_refusal(errno), "{errno}");
        }
    }
}
