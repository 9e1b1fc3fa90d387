//! read(2) straight into a mapping of the destination: one copy of the bytes less than with a buffer of ours.

use std::io::{ErrorKind, Seek, SeekFrom};

use mapio_map::{Fault, MapOptions, Mapping};

use super::mapped::{STEP_BYTES, WINDOW_BYTES};
use super::work::{Job, Outcome, Work};
use super::{ended_early, file_bytes, refusal_of_map};
use crate::error::Error;

/// Copies window after window of the destination, which must have its length already. Uses the source's position, so
/// only one thread can.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    while let Some(piece) = work.next(WINDOW_BYTES)? {
        // fcntl, mmap, munmap, close, fstat; and lseek.
        job.meter.add_calls(6);
        let to = match job.destination.map(MapOptions::read_write().offset(piece.offset).len(piece.len)) {
            Ok(to) => to,
            Err(error) => {
                let reason = refusal_of_map(error)?;
                work.give_back(piece);
                return Ok(Outcome::Refused(reason));
            }
        };
        let position = SeekFrom::Start(piece.offset);
        (&mut &*job.source.file).seek(position).map_err(Error::os("seeking in", job.source.name))?;
        read_window(job, &to)?;
    }
    Ok(Outcome::Done)
}

/// Fills a mapping from the source's position.
fn read_window(job: &Job<'_>, to: &Mapping) -> Result<(), Error> {
    let mut done = 0;
    while done < to.len() {
        job.check_stopped()?;
        let view = to.view().slice(done..to.len().min(done + STEP_BYTES));
        let view = view.map_err(|fault| job.destination.faulted(to, 0, fault))?;
        job.meter.add_calls(1);
        match view.read_from(job.source.file) {
            Ok(0) => return Err(ended_early(job.source, to.file_offset_of(done))),
            Ok(read) => {
                done += read;
                job.add_bytes(file_bytes(read));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
                Some(fault) => return Err(job.destination.faulted(to, done, *fault)),
                None => return Err(Error::os("error reading", job.source.name)(error)),
            },
        }
    }
    Ok(())
}
