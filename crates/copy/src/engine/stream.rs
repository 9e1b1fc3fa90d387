//! Streams: pipes, terminals and devices, which have no offsets, as source, as destination, or as both.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use super::read_write::first_run;
use super::reflink;
use super::work::{Job, Outcome};
use super::{NamedFile, Transferred, Workspace, file_bytes};
use crate::error::Error;
use crate::meter::Meter;
use crate::plan::{Engine, Holes, Plan, Reflink};
use crate::status::Status;
use crate::sys;

/// How long a stream is waited for before the next look whether the copy was stopped.
const NAP: Duration = Duration::from_millis(100);

/// Copies from the source's position to its end, to the destination's position, by read(2) and write(2): for pipes,
/// terminals, sockets and devices, on either side. Blocks until the source ends.
///
/// Of the plan, the buffer counts; and [`Holes::Made`], if the destination is a regular file: what lies behind its
/// position must then be empty. Where bytes are left out, a device would keep what it had. A source that keeps silent
/// can be stopped; a destination that takes nothing can't.
///
/// # Errors
/// [`Error::Os`] for what could not be read or written, or shared with [`Reflink::Always`]; [`Error::Cancelled`] after
/// [`Meter::stop`]. What has been read by then is lost, or written.
pub fn transfer_stream(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    plan: &Plan,
    meter: &Meter,
    workspace: &mut Workspace,
) -> Result<Transferred, Error> {
    let job = Job::new(source, destination, 0, 0, plan, meter);
    if plan.reflink == Reflink::Always {
        // There is nothing to share, and the system says so.
        if let Outcome::Done = reflink::share(&job)? {
            return Ok(job.transferred(Engine::Reflink));
        }
    }
    if plan.engine != Engine::ReadWrite {
        job.fall_back("pipes and devices are read and written".to_owned());
    }
    let buffer = workspace.buffer(plan.buffer_bytes.get(), destination)?;
    let makes_holes = plan.holes == Holes::Made && is_regular(&job)?;
    let mut ends_in_hole = false;
    loop {
        let step = meter.step_bytes(buffer.len());
        let read = read(&job, &mut buffer[..step])?;
        if read == 0 {
            break;
        }
        meter.pass(read, || false);
        let bytes = &buffer[..read];
        if makes_holes {
            ends_in_hole = write_around_zeros(&job, bytes)?;
        } else {
            write_all(&job, bytes)?;
        }
    }
    if ends_in_hole {
        end_here(&job)?;
    }
    meter.add_files(1);
    Ok(job.transferred(Engine::ReadWrite))
}

/// Whether the destination is a file that may have holes.
fn is_regular(job: &Job<'_>) -> Result<bool, Error> {
    job.meter.add_calls(1);
    let NamedFile { file, name } = job.destination;
    // Not by `File::metadata`, which knows no pipes on Windows.
    let status = Status::of(file).map_err(|errno| Error::os("cannot fstat", name)(errno.into()))?;
    Ok(status.is_regular())
}

/// Reads once. 0 is the end.
fn read(job: &Job<'_>, buffer: &mut [u8]) -> Result<usize, Error> {
    loop {
        wait_for(job)?;
        job.meter.add_calls(1);
        match (&mut &*job.source.file).read(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            read => return read.map_err(Error::os("error reading", job.source.name)),
        }
    }
}

/// Waits until the source has something, has ended or has failed; or until the copy is stopped.
fn wait_for(job: &Job<'_>) -> Result<(), Error> {
    loop {
        job.check_stopped()?;
        job.meter.add_calls(1);
        if sys::wait_readable(job.source.file, NAP) {
            return Ok(());
        }
    }
}

/// Writes bytes, or leaves out what is zero; answers whether it has left out the last ones.
fn write_around_zeros(job: &Job<'_>, mut bytes: &[u8]) -> Result<bool, Error> {
    let mut ends_in_hole = false;
    while !bytes.is_empty() {
        let (run, is_zero) = first_run(bytes, 0);
        if is_zero {
            skip(job, run)?;
        } else {
            write_all(job, &bytes[..run])?;
        }
        ends_in_hole = is_zero;
        bytes = &bytes[run..];
    }
    Ok(ends_in_hole)
}

/// Moves the destination's position on.
fn skip(job: &Job<'_>, bytes: usize) -> Result<(), Error> {
    job.meter.add_calls(1);
    let by = i64::try_from(bytes).unwrap_or_else(|_| unreachable!("a part of a buffer"));
    let moved = (&mut &*job.destination.file).seek(SeekFrom::Current(by));
    moved.map_err(Error::os("seeking in", job.destination.name))?;
    job.add_hole(file_bytes(bytes));
    Ok(())
}

/// Makes the destination end at its position, behind bytes that were left out.
fn end_here(job: &Job<'_>) -> Result<(), Error> {
    job.meter.add_calls(2);
    let NamedFile { file, name } = job.destination;
    let end = (&mut &*file).stream_position().map_err(Error::os("seeking in", name))?;
    file.set_len(end).map_err(Error::os("making room in", name))
}

fn write_all(job: &Job<'_>, mut bytes: &[u8]) -> Result<(), Error> {
    let failed = |error| Error::os("error writing", job.destination.name)(error);
    while !bytes.is_empty() {
        job.meter.add_calls(1);
        match (&mut &*job.destination.file).write(bytes) {
            Ok(0) => return Err(failed(ErrorKind::WriteZero.into())),
            Ok(written) => {
                job.add_bytes(file_bytes(written));
                bytes = &bytes[written..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => job.check_stopped()?,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}
