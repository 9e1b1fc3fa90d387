//! Two mappings and a copy between them: no buffer, hardly a system call, and a page fault for each page.

use mapio_map::{Access, MapOptions, Mapping};

use super::{NamedFile, Range};
use crate::error::Error;
use crate::meter::Meter;

/// Bytes that are mapped at a time: enough that mapping costs nothing beside the page faults, and little enough for any
/// address space.
const WINDOW_BYTES: usize = 64 << 20;
/// Bytes that are copied between two looks at the meter and at the other threads.
const STEP_BYTES: usize = 4 << 20;

/// Copies a range by mapping window after window of both files. The destination must have its length already.
pub(super) fn copy(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    range: Range<'_>,
    meter: &Meter,
) -> Result<(), Error> {
    let mut start = range.start;
    while let Some(len) = range.step(start, WINDOW_BYTES) {
        // For each file a descriptor, a mapping and the end of both (fcntl, mmap, munmap, close), and one fstat.
        meter.add_calls(9);
        let from = source.map(MapOptions::read_only().offset(start).len(len))?;
        let to = destination.map(MapOptions::read_write().offset(start).len(len))?;
        copy_window(source, destination, &from, &to, range, meter)?;
        // Behind the end of a file its last page reads as zeros: nothing may be made up.
        from.view().check_backed().map_err(|fault| source.faulted(&from, 0, fault))?;
        start = from.file_offset_of(len);
    }
    Ok(())
}

/// Copies between two mappings of the same offset and length.
fn copy_window(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    from: &Mapping,
    to: &Mapping,
    range: Range<'_>,
    meter: &Meter,
) -> Result<(), Error> {
    let mut done = 0;
    while done < from.len() {
        let start = from.file_offset_of(done);
        let Some(step) = range.step(start, STEP_BYTES.min(from.len() - done)) else { break };
        let window = done..done + step;
        let copied =
            from.view().slice(window.clone()).and_then(|from| to.view().slice(window).and_then(|to| from.copy_to(&to)));
        copied.map_err(|fault| match fault.access {
            Access::Read => source.faulted(from, done, fault),
            Access::Write => destination.faulted(to, done, fault),
        })?;
        done += step;
        meter.add_bytes(from.file_offset_of(done) - start);
    }
    Ok(())
}
