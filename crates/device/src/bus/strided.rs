//! A bus on which byte-wide registers stand further apart.

use crate::bus::{RegisterIo, check, refused};
use crate::error::Error;
use crate::width::Width;

/// Byte-wide registers that stand `stride` bytes apart, and are accessed by a width of their own, as a bus on which they
/// are bytes side by side: what device trees call `reg-shift` and `reg-io-width`.
#[derive(Debug)]
pub struct Strided<B> {
    bus: B,
    stride: usize,
    width: Width,
    len: usize,
}

impl<B: RegisterIo> Strided<B> {
    /// The registers of a bus. `stride` is in bytes, and a multiple of the width: 4 for a `reg-shift` of 2.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not.
    pub fn new(bus: B, stride: usize, width: Width) -> Result<Self, Error> {
        if stride == 0 || !stride.is_multiple_of(width.bytes()) {
            let reason = format!("registers of {width} can't stand {stride} bytes apart");
            return Err(Error::invalid("strided registers", reason));
        }
        let len = bus.len().checked_sub(width.bytes()).map_or(0, |last| last / stride + 1);
        Ok(Self { bus, stride, width, len })
    }

    fn place(&self, offset: usize, width: Width) -> Result<usize, Error> {
        check(self, offset, width)?;
        if width != Width::U8 {
            return Err(refused(self, offset, width, "the registers are bytes that stand apart"));
        }
        Ok(offset * self.stride)
    }
}

impl<B: RegisterIo> RegisterIo for Strided<B> {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self) -> &str {
        self.bus.name()
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        Ok(self.bus.read(self.place(offset, width)?, self.width)? & Width::U8.max())
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.bus.write(self.place(offset, width)?, self.width, value & Width::U8.max())
    }
}
