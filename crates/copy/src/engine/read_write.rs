//! read(2) into a buffer, write(2) from it, by offset. What no other engine can do, this one does.

use std::io::ErrorKind;

use super::work::{Job, Outcome, Piece, Work};
use super::{NamedFile, Workspace, ended_early, file_bytes, read};
use crate::error::Error;
use crate::meter::Meter;
use crate::plan::{Engine, Holes};
use crate::sys;

/// Bytes of the buffer, at most, of copies that were planned for another engine, or that may be of no bytes at all.
const FALLBACK_BYTES: usize = 1 << 20;
/// Zeros become a hole in blocks of this many bytes, which no file system's blocks are smaller than by default.
const HOLE_BYTES: usize = 4096;

/// Copies through one buffer.
pub(super) fn copy(work: &mut Work<'_>, workspace: &mut Workspace) -> Result<Outcome, Error> {
    let job = work.job;
    let planned = job.plan.buffer_bytes.get();
    // What is planned for another engine may be far too much for this one.
    let most = work.at_most(if job.plan.engine == Engine::ReadWrite { planned } else { planned.min(FALLBACK_BYTES) });
    let buffer = workspace.buffer(most, job.destination)?;
    while let Some(piece) = work.next(most)? {
        copy_piece(job, piece, buffer)?;
    }
    Ok(Outcome::Done)
}

/// Copies a piece through a buffer of any length.
pub(super) fn copy_piece(job: &Job<'_>, piece: Piece, buffer: &mut [u8]) -> Result<(), Error> {
    let mut offset = piece.offset;
    let mut rest = piece.len;
    while rest > 0 {
        let step = rest.min(buffer.len());
        let read = read(job.source, &mut buffer[..step], offset, job.meter)?;
        if read == 0 {
            return Err(ended_early(job.source, offset));
        }
        put(job, &buffer[..read], offset)?;
        offset += file_bytes(read);
        rest -= read;
    }
    Ok(())
}

/// Copies everything up to the end, whatever the file says of its length.
pub(super) fn copy_to_end(job: &Job<'_>, workspace: &mut Workspace) -> Result<(), Error> {
    let planned = job.plan.buffer_bytes.get();
    let buffer = workspace.buffer(planned.min(FALLBACK_BYTES), job.destination)?;
    let mut offset = 0;
    loop {
        job.check_stopped()?;
        let step = job.meter.step_bytes(buffer.len());
        match read(job.source, &mut buffer[..step], offset, job.meter)? {
            0 => break,
            read => {
                job.meter.pass(read, || false);
                put(job, &buffer[..read], offset)?;
                offset += file_bytes(read);
            }
        }
    }
    if job.plan.holes == Holes::Made && offset > 0 {
        // Its last bytes may have been left out.
        job.meter.add_calls(1);
        job.destination.file.set_len(offset).map_err(Error::os("making room in", job.destination.name))?;
    }
    Ok(())
}

/// Brings bytes to where they belong in the destination: all of them, or all that are not to be a hole.
fn put(job: &Job<'_>, bytes: &[u8], offset: u64) -> Result<(), Error> {
    if job.plan.holes != Holes::Made {
        write_all(job.destination, bytes, offset, job.meter)?;
        job.add_bytes(file_bytes(bytes.len()));
        return Ok(());
    }
    let mut offset = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (run, is_hole) = first_run(rest, offset);
        if is_hole {
            job.add_hole(file_bytes(run));
        } else {
            write_all(job.destination, &rest[..run], offset, job.meter)?;
            job.add_bytes(file_bytes(run));
        }
        offset += file_bytes(run);
        rest = &rest[run..];
    }
    Ok(())
}

/// The length of the bytes at the start that go one way, at least one block or all that there is, and whether they are
/// to be a hole. `offset` is where they are in the file.
pub(super) fn first_run(bytes: &[u8], offset: u64) -> (usize, bool) {
    let mut run = 0;
    let mut kind = None;
    while run < bytes.len() {
        let within = usize::try_from((offset + file_bytes(run)) % file_bytes(HOLE_BYTES)).unwrap_or(0);
        let block = &bytes[run..bytes.len().min(run + HOLE_BYTES - within)];
        let is_zero = is_zero(block);
        if *kind.get_or_insert(is_zero) != is_zero {
            break;
        }
        run += block.len();
    }
    (run, kind == Some(true))
}

/// Whether all bytes are zero: the first is, and each is the one before, which memcmp finds out fast.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|&first| first == 0 && bytes[1..] == bytes[..bytes.len() - 1])
}

fn write_all(destination: NamedFile<'_>, mut bytes: &[u8], mut offset: u64, meter: &Meter) -> Result<(), Error> {
    while !bytes.is_empty() {
        meter.add_calls(1);
        let written = match sys::write_at(destination.file, bytes, offset) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            written => written,
        };
        let written = written.map_err(Error::os("error writing", destination.name))?;
        bytes = &bytes[written..];
        offset += file_bytes(written);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_zeros_are_found_in_blocks_of_the_file() {
        let mut bytes = vec![0; 3 * HOLE_BYTES];
        assert_eq!(first_run(&bytes, 0), (3 * HOLE_BYTES, true));
        bytes[HOLE_BYTES] = 1;
        assert_eq!(first_run(&bytes, 0), (HOLE_BYTES, true));
        assert_eq!(first_run(&bytes[HOLE_BYTES..], 4096), (HOLE_BYTES, false));
        // Blocks are those of the file, not of the buffer.
        assert_eq!(first_run(&bytes, 4095), (1, true));
        assert_eq!(first_run(&[0, 0, 1], 7), (3, false));
        assert_eq!(first_run(&[0], u64::from(u32::MAX)), (1, true));
        assert_eq!(first_run(&[1, 1], 0), (2, false));
        assert!(is_zero(&[]) && is_zero(&[0]) && !is_zero(&[1]) && !is_zero(&[0, 0, 1]) && !is_zero(&[1, 1]));
    }
}
