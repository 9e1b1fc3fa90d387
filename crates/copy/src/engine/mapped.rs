//! Two mappings and a copy between them: no buffer, hardly a system call, and a page fault for each page.

use mapio_map::{Access, MapOptions, Mapping};

use super::work::{Job, Outcome, Work};
use super::{NamedFile, refusal_of_map};
use crate::error::Error;

/// Bytes that are mapped at a time: enough that mapping costs nothing beside the page faults, and little enough for any
/// address space.
pub(super) const WINDOW_BYTES: usize = 64 << 20;
/// Bytes that are copied between two looks at the meter.
pub(super) const STEP_BYTES: usize = 4 << 20;

/// Copies by mapping window after window of both files. The destination must have its length already.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    while let Some(piece) = work.next(WINDOW_BYTES)? {
        // For each file a descriptor, a mapping and the end of both (fcntl, mmap, munmap, close), and one fstat.
        job.meter.add_calls(9);
        let map = |named: NamedFile<'_>, options: MapOptions| named.map(options.offset(piece.offset).len(piece.len));
        let mapped = map(job.source, MapOptions::read_only())
            .and_then(|from| Ok((from, map(job.destination, MapOptions::read_write())?)));
        let (from, to) = match mapped {
            Ok(mapped) => mapped,
            Err(error) => {
                let reason = refusal_of_map(error)?;
                work.give_back(piece);
                return Ok(Outcome::Refused(reason));
            }
        };
        copy_window(job, &from, &to)?;
        // Behind the end of a file its last page reads as zeros: nothing may be made up.
        from.view().check_backed().map_err(|fault| job.source.faulted(&from, 0, fault))?;
    }
    Ok(Outcome::Done)
}

/// Copies between two mappings of the same offset and length.
fn copy_window(job: &Job<'_>, from: &Mapping, to: &Mapping) -> Result<(), Error> {
    let mut done = 0;
    while done < from.len() {
        job.check_stopped()?;
        let window = done..from.len().min(done + STEP_BYTES);
        let copied = from
            .view()
            .slice(window.clone())
            .and_then(|from| to.view().slice(window.clone()).and_then(|to| from.copy_to(&to)));
        copied.map_err(|fault| match fault.access {
            Access::Read => job.source.faulted(from, done, fault),
            Access::Write => job.destination.faulted(to, done, fault),
        })?;
        job.add_bytes(from.file_offset_of(window.end) - from.file_offset_of(done));
        done = window.end;
    }
    Ok(())
}
