//! `io_uring`: several pieces are read and written at once, each through a buffer that the kernel knows already.
//!
//! ```text
//! piece -> reading --> writing -> piece done, next piece
//!             ^-----------'   what a short read has left over is read again, likewise what a short write has
//! ```

mod ring;

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use super::work::{Job, Outcome, Piece, Work};
use super::{ended_early, file_bytes};
use crate::error::Error;
use ring::{Buffers, Ring, Waiter};

/// Pieces in flight.
const SLOTS: usize = 8;
/// Bytes of all buffers, at most: who asks for larger ones gets fewer of them.
const ALL_BYTES: usize = 64 << 20;

/// What a buffer is used for.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// What is left to copy of the piece.
    piece: Piece,
    /// Where in the buffer the bytes are that wait to be written.
    start: usize,
    /// How many these are; 0 while they are being read.
    filled: usize,
    /// Who waits for the next operation.
    waiter: Waiter,
}

/// Copies with several reads and writes in flight.
pub(super) fn copy(work: &mut Work<'_>) -> Result<Outcome, Error> {
    let job = work.job;
    let slot_bytes = work.at_most(job.plan.buffer_bytes.get().min(ALL_BYTES));
    let slots = SLOTS.min(ALL_BYTES / slot_bytes).min(work.at_most(usize::MAX).div_ceil(slot_bytes));
    job.meter.add_calls(4);
    let buffers = Buffers { slots, slot_bytes };
    let mut ring = match Ring::new(job.source.file.as_fd(), job.destination.file.as_fd(), buffers) {
        Ok(ring) => ring,
        // io_uring_setup(2), io_uring_register(2): ENOSYS, EPERM and ENOMEM, by kernels without it, administrators who
        // do not want it, and limits. Nothing has been copied, so any reason is good enough.
        Err(error) => return Ok(Outcome::Refused(format!("io_uring: {error}"))),
    };
    let mut copied = Ok(());
    let mut state = [None; SLOTS];
    for (index, slot) in state.iter_mut().enumerate().take(slots) {
        copied = copied.and_then(|()| start(work, &mut ring, index, slot, slot_bytes));
    }
    // After an error, what is in flight is waited for, and nothing follows it.
    while ring.in_flight() > 0 {
        job.meter.add_calls(1);
        let (index, result) = ring.wait().map_err(Error::os("copying to", job.destination.name))?;
        let slot = &mut state[index];
        copied = copied.and_then(|()| {
            if advance(job, &mut ring, index, slot, result)? {
                return Ok(());
            }
            start(work, &mut ring, index, slot, slot_bytes)
        });
    }
    copied.map(|()| Outcome::Done)
}

/// Begins the next piece, if there is one.
fn start(
    work: &mut Work<'_>,
    ring: &mut Ring,
    index: usize,
    slot: &mut Option<Slot>,
    slot_bytes: usize,
) -> Result<(), Error> {
    *slot = work.next(slot_bytes)?.map(|piece| Slot { piece, start: 0, filled: 0, waiter: Waiter::Any });
    slot.as_ref().map_or(Ok(()), |slot| submit(work.job, ring, index, slot))
}

/// Takes the result of a read or a write, and goes on with the piece; `false` if that is done.
fn advance(
    job: &Job<'_>,
    ring: &mut Ring,
    index: usize,
    slot: &mut Option<Slot>,
    result: io::Result<usize>,
) -> Result<bool, Error> {
    let Some(slot) = slot else { unreachable!("nothing was begun with it") };
    let is_read = slot.filled == 0;
    match result {
        Ok(0) if is_read => return Err(ended_early(job.source, slot.piece.offset)),
        Ok(0) => return Err(Error::os("error writing", job.destination.name)(ErrorKind::WriteZero.into())),
        Ok(read) if is_read => (slot.start, slot.filled) = (0, read),
        Ok(written) => {
            slot.start += written;
            slot.filled -= written;
            slot.piece.advance(written);
            job.add_bytes(file_bytes(written));
        }
        // Once more.
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => slot.waiter = Waiter::Thread,
        Err(error) if is_read => return Err(Error::os("error reading", job.source.name)(error)),
        Err(error) => return Err(Error::os("error writing", job.destination.name)(error)),
    }
    if slot.piece.len == 0 {
        return Ok(false);
    }
    submit(job, ring, index, slot)?;
    Ok(true)
}

/// Reads the rest of a piece, or writes what was read.
fn submit(job: &Job<'_>, ring: &mut Ring, index: usize, slot: &Slot) -> Result<(), Error> {
    let Slot { piece, start, filled, waiter } = *slot;
    let submitted = match filled {
        0 => ring.read(index, 0..piece.len, piece.offset, waiter),
        _ => ring.write(index, start..start + filled, piece.offset, waiter),
    };
    submitted.map_err(Error::os("copying to", job.destination.name))
}
