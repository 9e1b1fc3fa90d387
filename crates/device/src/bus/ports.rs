//! Ports: the registers of x86 that are not at memory addresses.
#![expect(unsafe_code, reason = "accesses to ports that the kernel has allowed")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use super::{RegisterIo, alignment_of, check, refused};
use crate::arch;
use crate::error::Error;
use crate::width::Width;

/// Ports of an x86 processor, accessed by its `in` and `out` instructions.
///
/// An access is one instruction, in order with all others: ports are not cached, and the processor waits for each
/// (Intel SDM volume 1, 19.6 "Ordering I/O"). There are no accesses of 64 bits, and none at ports that are no multiple
/// of the width, which the processor may split (the same, 19.3 "I/O Address Space").
///
/// The kernel allows ports to a thread, so this can't be sent to, or used by, another. What was allowed stays allowed
/// when this is dropped, because another `Ports` of the same thread may have some of the same ports.
///
/// ```no_run
/// use mapio_device::{Ports, RegisterIo, Width};
///
/// let uart = Ports::open(0x2f8..0x300)?;
/// uart.write(3, Width::U8, 0x03)?; // Bytes of 8 bits.
/// # Ok::<(), mapio_device::Error>(())
/// ```
///
/// Invariant: this thread is allowed `first..first + len`, and the end of that is at most 0x10000.
pub struct Ports {
    first: u16,
    len: usize,
    name: String,
    /// Keeps it in its thread.
    thread: PhantomData<*const ()>,
}

impl Ports {
    /// Asks the kernel for ports, of 0 to 0xffff: `0x3f8..0x400` for the first serial port. See ioperm(2).
    ///
    /// # Errors
    /// [`Error::Os`]: `EPERM` without `CAP_SYS_RAWIO`, or while the kernel is locked down; `ENOSYS` from kernels
    /// without it. [`Error::Invalid`] for a range that is empty or ends behind 0x10000.
    ///
    /// # Platforms
    /// x86-64; elsewhere [`Error::Os`] with `Unsupported`.
    pub fn open(ports: Range<u32>) -> Result<Self, Error> {
        let name = format!("ports {:#x}..{:#x}", ports.start, ports.end);
        let outside = || Error::invalid(&*name, "ports are numbered from 0 to 0xffff, and at least one is needed");
        if ports.is_empty() || ports.end > 0x1_0000 {
            return Err(outside());
        }
        let first = u16::try_from(ports.start).map_err(|_| outside())?;
        let len = usize::try_from(ports.end - ports.start).map_err(|_| outside())?;
        arch::allow_ports(&ports).map_err(|source| Error::os("asking for", &*name, source))?;
        Ok(Self { first, len, name, thread: PhantomData })
    }

    /// The port of an access that lies inside, of a width that ports have.
    fn port(&self, offset: usize, width: Width) -> Result<u16, Error> {
        check(self, offset, width)?;
        if width == Width::U64 {
            return Err(refused(self, offset, width, "ports have at most 32 bits"));
        }
        let port = u16::try_from(offset).ok().and_then(|offset| self.first.checked_add(offset));
        Ok(port.unwrap_or_else(|| unreachable!("by the invariant, the last port is 0xffff")))
    }
}

impl RegisterIo for Ports {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn alignment(&self) -> usize {
        alignment_of(u64::from(self.first))
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        let port = self.port(offset, width)?;
        // SAFETY:
        // 1. `port` has checked that all bytes of the access lie inside, which this thread is allowed by the
        //    invariant; it is that thread, because `Ports` is neither `Send` nor `Sync`.
        // 2. Devices are driven at the word of who opened them, as with /dev/mem: to make one write to this process's
        //    memory takes an address of it, and the kernel hands out none but to its administrator.
        Ok(unsafe { arch::port_read(port, width) })
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        let port = self.port(offset, width)?;
        // SAFETY: as in `read`.
        unsafe { arch::port_write(port, width, value) };
        Ok(())
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("first", &self.first).field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use super::Ports;
    use crate::bus::RegisterIo;
    use crate::error::Error;
    use crate::width::Width;

    #[test]
    fn a_port_is_a_multiple_of_the_width_wherever_the_range_begins() {
        for (first, widest) in [(0x3f8, 4), (0x3f9, 1), (0x3fa, 2), (0x3fc, 4), (0, 4), (0xfff7, 1)] {
            // Nothing is accessed, so the kernel need not be asked.
            let ports = Ports { first, len: 8, name: "ports".to_owned(), thread: PhantomData };
            assert!(ports.alignment() <= 8 && usize::from(first).is_multiple_of(ports.alignment()), "{first:#x}");
            for width in [Width::U8, Width::U16, Width::U32] {
                let port = ports.port(4, width);
                if width.bytes() <= widest {
                    assert_eq!(port.expect("aligned"), first + 4, "{width} from {first:#x}");
                } else {
                    assert!(matches!(port, Err(Error::Misaligned { .. })), "{width} from {first:#x}");
                }
            }
        }
    }
}
