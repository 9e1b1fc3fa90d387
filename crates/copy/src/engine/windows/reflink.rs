//! `FSCTL_DUPLICATE_EXTENTS_TO_FILE`: both files have the same blocks, until one of them is written to. Moves no byte.
//! ReFS can.

use super::ended_early;
use super::work::{Job, Outcome};
use crate::error::Error;
use crate::plan::Reflink;
use crate::sys::{self, Errno};

/// Makes the destination share the source's blocks, if the file system can.
pub(super) fn share(job: &Job<'_>) -> Result<Outcome, Error> {
    let source = job.source.file.metadata().map_err(Error::os("cannot fstat", job.source.name))?;
    if source.len() < job.len {
        return Err(ended_early(job.source, source.len()));
    }
    let len = if job.len == 0 { source.len() } else { job.len };
    job.meter.add_calls(2);
    match sys::share_blocks(job.source.file, job.destination.file, len) {
        Ok(()) => {
            job.add_bytes(len);
            Ok(Outcome::Done)
        }
        Err(errno) if job.plan.reflink == Reflink::Always => {
            Err(Error::os("failed to clone", job.destination.name)(errno.into()))
        }
        Err(Errno::OPNOTSUPP) => Ok(Outcome::Refused("the file system shares no blocks; ReFS does".to_owned())),
        Err(errno) => {
            // What was shared before it failed is copied again.
            job.destination.file.set_len(0).map_err(Error::os("cannot truncate", job.destination.name))?;
            Ok(Outcome::Refused(format!("FSCTL_DUPLICATE_EXTENTS_TO_FILE: {errno}")))
        }
    }
}
