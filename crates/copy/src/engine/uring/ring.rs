//! A ring with two files and some buffers, which the kernel knows by number.
//!
//! Invariant: R1. The kernel accesses the buffers only for operations that are counted in `in_flight`, and the memory
//! is not given back before there are none. This process never looks at the bytes.
#![expect(unsafe_code, reason = "operations and buffers that the kernel uses after the call")]

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, squeue, types};
use mapio_map::AnonMap;

/// The number of the file that is read.
const SOURCE: types::Fixed = types::Fixed(0);
/// The number of the file that is written.
const DESTINATION: types::Fixed = types::Fixed(1);

/// How many buffers there are, and of what size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffers {
    pub(super) slots: usize,
    /// Bytes of each.
    pub(super) slot_bytes: usize,
}

/// Who waits for what an operation needs, if it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    /// Whoever the kernel finds right.
    Any,
    /// A thread of the kernel's, from the start. Old kernels, such as 5.10, let nobody else wait for a file with
    /// `O_NONBLOCK`: a page that is not in the cache is EAGAIN there, however often it is asked for.
    Thread,
}

/// A ring, its files and its buffers.
pub(super) struct Ring {
    ring: IoUring,
    /// Of the buffers, one after the other. Given back by `Drop`, by R1.
    memory: ManuallyDrop<AnonMap>,
    /// The first byte of `memory`, which is reached by this only.
    base: *mut u8,
    buffers: Buffers,
    /// Operations that were queued and have not answered.
    in_flight: usize,
}

impl Ring {
    /// Makes a ring for two files.
    pub(super) fn new(source: BorrowedFd<'_>, destination: BorrowedFd<'_>, buffers: Buffers) -> io::Result<Self> {
        let Buffers { slots, slot_bytes } = buffers;
        let entries = u32::try_from(slots).map_err(io::Error::other)?;
        let all_bytes = slots.checked_mul(slot_bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let ring = IoUring::new(entries.next_power_of_two())?;
        let mut memory = ManuallyDrop::new(AnonMap::new(all_bytes).map_err(io::Error::other)?);
        let base = memory.as_mut_ptr();
        // From here on, `Drop` gives the memory back.
        let ring = Self { ring, memory, base, buffers, in_flight: 0 };
        let known: Vec<_> = (0..slots)
            .map(|slot| libc::iovec { iov_base: ring.address(slot * slot_bytes).cast(), iov_len: slot_bytes })
            .collect();
        ring.ring.submitter().register_files(&[source.as_raw_fd(), destination.as_raw_fd()])?;
        // SAFETY: the buffers must stay valid until they are unregistered or the ring is gone: they are parts of
        // `memory`, which `Drop` gives back when no operation uses them any more (R1). The kernel pins their pages.
        unsafe { ring.ring.submitter().register_buffers(&known) }?;
        Ok(ring)
    }

    /// Operations that have not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Begins to read into a part of a buffer.
    pub(super) fn read(&mut self, slot: usize, part: Range<usize>, offset: u64, waiter: Waiter) -> io::Result<()> {
        let (number, address, len) = self.part(slot, part)?;
        self.queue(&opcode::ReadFixed::new(SOURCE, address, len, number).offset(offset).build(), slot, waiter)
    }

    /// Begins to write a part of a buffer.
    pub(super) fn write(&mut self, slot: usize, part: Range<usize>, offset: u64, waiter: Waiter) -> io::Result<()> {
        let (number, address, len) = self.part(slot, part)?;
        self.queue(&opcode::WriteFixed::new(DESTINATION, address, len, number).offset(offset).build(), slot, waiter)
    }

    /// Waits for one of the operations in flight; answers which buffer's, and with what result.
    pub(super) fn wait(&mut self) -> io::Result<(usize, io::Result<usize>)> {
        loop {
            if let Some(done) = self.ring.completion().next() {
                self.in_flight -= 1;
                let slot = usize::try_from(done.user_data()).map_err(io::Error::other)?;
                let result = usize::try_from(done.result()).map_err(|_| io::Error::from_raw_os_error(-done.result()));
                return Ok((slot, result));
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// The number, the address and the length of a part of a buffer, which must be inside it.
    fn part(&self, slot: usize, part: Range<usize>) -> io::Result<(u16, *mut u8, u32)> {
        let Buffers { slots, slot_bytes } = self.buffers;
        if slot >= slots || part.start > part.end || part.end > slot_bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let number = u16::try_from(slot).map_err(io::Error::other)?;
        let len = u32::try_from(part.len()).map_err(io::Error::other)?;
        Ok((number, self.address(slot * slot_bytes + part.start), len))
    }

    /// The address of a byte of the memory. Nothing is accessed by it here.
    fn address(&self, at: usize) -> *mut u8 {
        self.base.wrapping_add(at)
    }

    /// Queues an operation on a part of buffer `slot`.
    fn queue(&mut self, operation: &squeue::Entry, slot: usize, waiter: Waiter) -> io::Result<()> {
        let number = u64::try_from(slot).map_err(io::Error::other)?;
        let flags = if waiter == Waiter::Thread { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
        let operation = operation.clone().user_data(number).flags(flags);
        // SAFETY: what the operation uses must stay valid until it has answered: its file and its buffer are
        // registered, its range is inside the buffer (`part`), and the memory stays until then (R1).
        let queued = unsafe { self.ring.submission().push(&operation) };
        queued.map_err(io::Error::other)?;
        self.in_flight += 1;
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            if self.wait().is_err() {
                // The kernel may still use the memory, so it must never be given back.
                return;
            }
        }
        // A ring is taken apart some time after it is closed, and until then a destination would be a file that is open
        // for writing: it could not be run, nor its file system unmounted. An error means that none are registered.
        let _ = self.ring.submitter().unregister_files();
        // SAFETY: it is not used again: this runs once, and the kernel is done with it (R1).
        unsafe { ManuallyDrop::drop(&mut self.memory) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn operations_are_done_whoever_waits() {
        let (source, destination) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        source.write_all_at(b"bytes", 0).unwrap();
        let buffers = Buffers { slots: 1, slot_bytes: 5 };
        let Ok(mut ring) = Ring::new(source.as_fd(), destination.as_fd(), buffers) else {
            return mapio_testkit::skip("operations_are_done_whoever_waits", "there is no io_uring");
        };
        for (waiter, offset) in [(Waiter::Any, 0), (Waiter::Thread, 5)] {
            ring.read(0, 0..5, 0, waiter).unwrap();
            assert_eq!(ring.wait().unwrap().1.unwrap(), 5);
            ring.write(0, 0..5, offset, waiter).unwrap();
            assert_eq!(ring.wait().unwrap().1.unwrap(), 5);
        }
        let mut copied = [0; 10];
        destination.read_exact_at(&mut copied, 0).unwrap();
        assert_eq!(&copied, b"bytesbytes");
    }
}
