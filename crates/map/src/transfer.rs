//! Between a view and a file descriptor: read(2) and write(2) straight from and to the mapped bytes, without a buffer
//! of ours.
#![expect(unsafe_code, reason = "read and write on mapped bytes")]

use std::io;

use crate::descriptor::{self, AsDescriptor};
use crate::fault::Access;
use crate::sys::{self, errno};
use crate::view::View;

impl View<'_> {
    /// Writes the view's bytes to a descriptor by one write(2), at its own position: a file, a pipe, a socket. Answers
    /// how many were taken, which may be fewer; 0 only for an empty view. Blocks as the descriptor does.
    ///
    /// The kernel copies from the mapping itself, so no byte passes through a buffer of this process.
    ///
    /// # Errors
    /// What write(2) says, `Interrupted` by a signal included; or the [`Fault`](crate::Fault) of the first byte, as an
    /// `io::Error`.
    #[doc(alias = "write")]
    pub fn write_to(&self, file: impl AsDescriptor) -> io::Result<usize> {
        // SAFETY: the bytes are a part of the view's (V1 in `view.rs`), and the kernel checks them itself.
        self.transfer(Access::Read, |part| unsafe { sys::write(descriptor::of(&file), part.address(0), part.len()) })
    }

    /// Writes all the view's bytes to a descriptor.
    ///
    /// # Errors
    /// As [`write_to`](Self::write_to); an unknown part has then been written.
    pub fn write_all_to(&self, file: impl AsDescriptor) -> io::Result<()> {
        let file = descriptor::of(&file);
        let mut rest = *self;
        while !rest.is_empty() {
            match rest.write_to(file) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.slice(written..)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads from a descriptor into the view by one read(2), at its own position. Answers how many bytes came: 0 at the
    /// end, or for an empty view. Blocks as the descriptor does.
    ///
    /// # Errors
    /// What read(2) says, `Interrupted` by a signal included; or the [`Fault`](crate::Fault) of the first byte, as an
    /// `io::Error`.
    #[doc(alias = "read")]
    pub fn read_from(&self, file: impl AsDescriptor) -> io::Result<usize> {
        // SAFETY: as in `write_to`; the bytes are foreign memory, which anybody may change.
        self.transfer(Access::Write, |part| unsafe { sys::read(descriptor::of(&file), part.address(0), part.len()) })
    }

    /// Makes a system call on the view's bytes; where the kernel can't access them all, on those that it can.
    fn transfer(&self, access: Access, call: impl Fn(&Self) -> io::Result<usize>) -> io::Result<usize> {
        let mut part = *self;
        let mut faulted = false;
        loop {
            match call(&part) {
                // The kernel says neither which byte it was nor why; touching the pages tells. If none faults any more,
                // once more.
                Err(error) if errno::is_bad_address(&error) && !faulted => {
                    faulted = true;
                    match part.touch_pages(access) {
                        Err(fault) if fault.offset > 0 => part = part.slice(..fault.offset)?,
                        touched => touched?,
                    }
                }
                answer => return answer,
            }
        }
    }
}
