//! write(2) straight from a mapping of the source: one copy of the bytes less than with a buffer of ours.

use std::io::{ErrorKind, Seek, SeekFrom};

use mapio_map::{Fault, MapOptions, Mapping};

use super::mapped::{STEP_BYTES, WINDOW_BYTES};
use super::work::{Job, Outcome, Work};
use super::{file_bytes, refusal_of_map};
use crate::error::Error;

/// Copies window after window of the source. Uses the destination's position, so only one thread can.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    while let Some(piece) = work.next(WINDOW_BYTES)? {
        // fcntl, mmap, munmap, close, two fstat; and lseek.
        job.meter.add_calls(7);
        let from = match job.source.map(MapOptions::read_only().offset(piece.offset).len(piece.len)) {
            Ok(from) => from,
            Err(error) => {
                let reason = refusal_of_map(error)?;
                work.give_back(piece);
                return Ok(Outcome::Refused(reason));
            }
        };
        let position = SeekFrom::Start(piece.offset);
        (&mut &*job.destination.file).seek(position).map_err(Error::os("seeking in", job.destination.name))?;
        write_window(job, &from)?;
        // Behind the end of a file its last page reads as zeros: nothing may be made up.
        from.view().check_backed().map_err(|fault| job.source.faulted(&from, 0, fault))?;
    }
    Ok(Outcome::Done)
}

/// Writes a mapping to the destination's position.
fn write_window(job: &Job<'_>, from: &Mapping) -> Result<(), Error> {
    let mut done = 0;
    while done < from.len() {
        job.check_stopped()?;
        let view = from.view().slice(done..from.len().min(done + STEP_BYTES));
        let view = view.map_err(|fault| job.source.faulted(from, 0, fault))?;
        job.meter.add_calls(1);
        match view.write_to(job.destination.file) {
            Ok(0) => return Err(Error::os("error writing", job.destination.name)(ErrorKind::WriteZero.into())),
            Ok(written) => {
                done += written;
                job.add_bytes(file_bytes(written));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
                Some(fault) => return Err(job.source.faulted(from, done, *fault)),
                None => return Err(Error::os("error writing", job.destination.name)(error)),
            },
        }
    }
    Ok(())
}
