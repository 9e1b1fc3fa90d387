//! A bus on which byte-wide registers stand further apart.

use crate::bus::{RegisterIo, check, refused};
use crate::error::Error;
use crate::width::Width;

/// Byte-wide registers that stand `stride` bytes apart, and are accessed by a width of their own, as a bus on which
/// they are bytes side by side: what device trees call `reg-shift` and `reg-io-width`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Memory, Simulated};

    #[test]
    fn registers_are_bytes_side_by_side_whatever_stands_between() {
        for (stride, width) in [1, 2, 3, 4, 8].into_iter().flat_map(|stride| Width::ALL.map(|width| (stride, width))) {
            let len = 7 * stride + width.bytes();
            let memory: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let bus = Strided::new(Simulated::new(Memory::new(memory.clone())), stride, width);
            if !stride.is_multiple_of(width.bytes()) {
                assert!(matches!(bus, Err(Error::Invalid { .. })), "{stride} {width}");
                continue;
            }
            let bus = bus.expect("a stride");
            assert_eq!(bus.len(), 8, "{stride} {width}");
            let mut wanted = memory;
            for register in 0..8 {
                let place = register * stride;
                assert_eq!(bus.read(register, Width::U8).expect("inside"), u64::from(wanted[place]));
                // Of what is written, the lowest byte, in an access of the whole width.
                bus.write(register, Width::U8, 0x1234_5600 | u64::try_from(register).expect("a few")).expect("inside");
                wanted[place..][..width.bytes()].fill(0);
                wanted[place] = u8::try_from(register).expect("a few");
            }
            assert_eq!(bus.bus.model().bytes(), wanted, "{stride} {width}");
            for offset in [8, usize::MAX] {
                assert!(matches!(bus.read(offset, Width::U8), Err(Error::OutOfBounds { len: 8, .. })), "{offset}");
                assert!(matches!(bus.write(offset, Width::U8, 0), Err(Error::OutOfBounds { len: 8, .. })), "{offset}");
            }
            assert!(matches!(bus.read(0, Width::U16), Err(Error::Refused { .. })));
        }
    }

    #[test]
    fn a_bus_that_ends_inside_of_an_access_has_no_register_there() {
        for (bytes, wanted) in [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2), (31, 7), (32, 8)] {
            let bus = Strided::new(Simulated::new(Memory::new(vec![0; bytes])), 4, Width::U32).expect("a stride");
            assert_eq!(bus.len(), wanted, "{bytes}");
        }
        assert!(Strided::new(Simulated::new(Memory::new(vec![0; 8])), 0, Width::U8).is_err());
    }
}
