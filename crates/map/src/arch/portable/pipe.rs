//! Copies through a pipe, where a process may not read itself by `process_vm_readv(2)`: in sandboxes and under
//! emulators.
//!
//! write(2) answers `EFAULT` where the source can't be read, and read(2) where the destination can't be written to.
//! Each thread keeps a pipe, once it needs one. A signal handler that interrupts a copy, and copies itself, makes
//! another for itself; so does the child of a fork, for which its parent's would be shared.
//!
//! Invariant: a pipe is empty between copies.
#![expect(unsafe_code, reason = "read(2) and write(2) on mapped bytes")]

use std::cell::Cell;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsRawFd;

/// Bytes that a pipe takes at once or not at all, on every system: `PIPE_BUF` of pipe(7).
const MOST_BYTES: usize = 4096;

/// A pipe of this process and no other.
#[derive(Debug)]
struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    /// The process that has made it.
    process: u32,
}

thread_local! {
    /// The thread's pipe, while nobody copies through it.
    static PIPE: Cell<Option<Pipe>> = const { Cell::new(None) };
}

/// Copies up to `len` bytes through a pipe; answers how many.
///
/// # Errors
/// `EFAULT` for bytes that can't be accessed; what pipe2(2) says, as `EMFILE`.
///
/// # Safety
/// 1. The first `len` bytes of either range are on one page, in an address range reserved for a mapping of ours, or a
///    Rust object valid for the access.
pub(super) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> io::Result<usize> {
    // In a thread that is ending there may be none to keep.
    let kept = PIPE.try_with(Cell::take).ok().flatten().filter(|pipe| pipe.process == std::process::id());
    let pipe = kept.map_or_else(Pipe::new, Ok)?;
    // SAFETY: the same duty.
    let copied = unsafe { pipe.copy(dst, src, len.min(MOST_BYTES)) };
    let _ = PIPE.try_with(|kept| kept.set(Some(pipe)));
    copied
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer, process: std::process::id() })
    }

    /// # Safety
    /// The duty of [`copy`], for at most [`MOST_BYTES`].
    unsafe fn copy(&self, dst: *mut u8, src: *const u8, len: usize) -> io::Result<usize> {
        // Neither call waits: so many bytes have room in an empty pipe, and are there when they are read.
        // SAFETY: the kernel reads the caller's range, and checks each address.
        let written = unsafe { libc::write(self.writer.as_raw_fd(), src.cast(), len) };
        let written = usize::try_from(written).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: the kernel writes to the start of the caller's range, and checks each address.
        let read = unsafe { libc::read(self.reader.as_raw_fd(), dst.cast(), written) };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error());
        let left = written - read.as_ref().map_or(0, |&read| read);
        // What the destination did not take must not be the start of the next copy. The bytes are there, so it can't
        // fail.
        let _ = rustix::io::read(&self.reader, &mut [0; MOST_BYTES][..left]);
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapOptions, Protection};

    /// Copies, and answers the errno if it fails.
    fn copied(dst: *mut u8, src: *const u8, len: usize) -> Result<usize, i32> {
        // SAFETY: the callers' ranges are locals, or of a mapping that lives.
        unsafe { copy(dst, src, len) }.map_err(|error| error.raw_os_error().unwrap())
    }

    #[test]
    fn bytes_are_copied_and_an_address_that_is_not_there_is_an_error_after_which_the_pipe_is_empty() {
        let mut mapping = MapOptions::read_write().len(4096).memfd("pipe").unwrap();
        let (there, bytes) = (mapping.view().as_ptr(), mapio_testkit::pattern(4096));
        assert_eq!(copied(there, bytes.as_ptr(), 4096), Ok(4096));
        mapping.protect(0..4096, Protection::ReadOnly).unwrap();
        let mut seen = vec![0; 4096];
        for _ in 0..20 {
            assert_eq!(copied(there, bytes.as_ptr(), 100), Err(libc::EFAULT), "it can't be written to");
        }
        assert_eq!((copied(seen.as_mut_ptr(), there, 4096), &seen), (Ok(4096), &bytes));
        mapping.protect(0..4096, Protection::None).unwrap();
        assert_eq!(copied(seen.as_mut_ptr(), there, 1), Err(libc::EFAULT), "it can't be read");
        assert_eq!((copied(seen.as_mut_ptr(), bytes[7..].as_ptr(), 1), seen[0]), (Ok(1), bytes[7]));
        assert_eq!(copied(seen.as_mut_ptr(), bytes.as_ptr(), 0), Ok(0));
    }

    #[test]
    fn every_thread_has_its_own_pipe() {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for turn in 0..1000 {
                        let (from, mut to) = ([thread; 9], [9; 9]);
                        let len = usize::from(thread) + 1;
                        assert_eq!(copied(to.as_mut_ptr(), from.as_ptr(), len), Ok(len));
                        assert!(to[..len] == from[..len] && to[len..].iter().all(|&byte| byte == 9), "turn {turn}");
                    }
                });
            }
        });
    }
}
