//! Parallel ports through the kernel: /dev/parportN (Linux's Documentation/driver-api/parport-lowlevel.rst,
//! drivers/char/ppdev.c).
#![expect(unsafe_code, reason = "ioctl(2)")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, ioctl, opcode};

use crate::bus::{RegisterIo, check, refused};
use crate::error::Error;
use crate::interrupt::{Interrupt, wait_readable};
use crate::width::Width;

// Linux's include/uapi/linux/ppdev.h.
const PPRSTATUS: Opcode = opcode::read::<u8>(b'p', 0x81);
const PPRCONTROL: Opcode = opcode::read::<u8>(b'p', 0x83);
const PPWCONTROL: Opcode = opcode::write::<u8>(b'p', 0x84);
const PPRDATA: Opcode = opcode::read::<u8>(b'p', 0x85);
const PPWDATA: Opcode = opcode::write::<u8>(b'p', 0x86);
const PPCLAIM: Opcode = opcode::none(b'p', 0x8b);
const PPDATADIR: Opcode = opcode::write::<i32>(b'p', 0x90);
const PPCLRIRQ: Opcode = opcode::read::<i32>(b'p', 0x93);

/// The registers, at the offsets of the real port.
const DATA: usize = 0;
const STATUS: usize = 1;
const CONTROL: usize = 2;

/// Bits of the control register that are lines.
const CONTROL_LINES: u8 = 0x0f;
/// The bit that lets the real port interrupt.
const CONTROL_INTERRUPT: u8 = 0x10;
/// The bit that turns the data lines around: they are read then.
const CONTROL_INPUT: u8 = 0x20;

/// A parallel port that the kernel drives: data, status and control at offsets 0, 1 and 2, as at the real port's.
///
/// An access is an ioctl(2). Of the control register, bits 4 (interrupt) and 5 (data lines are inputs) are read as
/// they were last written: bit 5 is passed on, and the kernel lets interrupts through whatever bit 4 says. Writing to
/// status is refused.
///
/// It is claimed as long as this or its interrupt is there.
///
/// ```no_run
/// use mapio_device::ppdev::Ppdev;
/// use mapio_device::{RegisterIo, Width};
///
/// let port = Ppdev::open("/dev/parport0")?;
/// port.write(0, Width::U8, 0x55)?;
/// let is_busy = port.read(1, Width::U8)? & 0x80 == 0;
/// # Ok::<(), mapio_device::Error>(())
/// ```
#[derive(Debug)]
pub struct Ppdev {
    file: Arc<File>,
    name: String,
    /// Bits 4 and 5 of the control register. Written and read by those who access it; publishes nothing.
    control: AtomicU8,
}

impl Ppdev {
    /// Opens `/dev/parportN` and claims it. Waits while a driver of the kernel, such as a printer's, is using the port.
    ///
    /// # Errors
    /// [`Error::Os`]: `ENOENT` and `ENXIO` where there is no port, `ENOTTY` for what is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|source| Error::os("opening", &*name, source))?;
        // SAFETY: PPCLAIM has no argument.
        let claim = unsafe { NoArg::<PPCLAIM>::new() };
        // SAFETY: the opcode and the absence of an argument are those of ppdev.h; to what is no parallel port the
        // number means nothing, as its letter belongs to ppdev (Linux's
        // Documentation/userspace-api/ioctl/ioctl-number.rst).
        unsafe { ioctl(&file, claim) }.map_err(|source| Error::os("claiming", &*name, source))?;
        Ok(Self { file: Arc::new(file), name, control: AtomicU8::new(0) })
    }

    /// The interrupt of its acknowledge line, armed.
    #[must_use]
    pub fn interrupt(&self) -> PpdevInterrupt {
        PpdevInterrupt { file: Arc::clone(&self.file), name: self.name.clone() }
    }

    fn get<const OPCODE: Opcode>(&self) -> Result<u8, Error> {
        // SAFETY: the callers name opcodes of ppdev.h that store one byte.
        let get = unsafe { Getter::<OPCODE, u8>::new() };
        // SAFETY: as above; `open` has found by PPCLAIM that this is ppdev's.
        unsafe { ioctl(&self.file, get) }.map_err(|source| Error::os("reading", &*self.name, source))
    }

    fn set<const OPCODE: Opcode, T>(&self, value: T) -> Result<(), Error> {
        // SAFETY: the callers name opcodes of ppdev.h that take one `T`.
        let set = unsafe { Setter::<OPCODE, T>::new(value) };
        // SAFETY: as above; `open` has found by PPCLAIM that this is ppdev's.
        unsafe { ioctl(&self.file, set) }.map_err(|source| Error::os("writing", &*self.name, source))
    }

    /// Checks the place; and parallel ports have nothing but bytes.
    fn check(&self, offset: usize, width: Width) -> Result<(), Error> {
        check(self, offset, width)?;
        if width == Width::U8 { Ok(()) } else { Err(refused(self, offset, width, "its registers have 8 bits")) }
    }
}

impl RegisterIo for Ppdev {
    fn len(&self) -> usize {
        3
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.check(offset, width)?;
        let value = match offset {
            DATA => self.get::<PPRDATA>()?,
            STATUS => self.get::<PPRSTATUS>()?,
            _ => (self.get::<PPRCONTROL>()? & CONTROL_LINES) | self.control.load(Ordering::Relaxed),
        };
        Ok(u64::from(value))
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.check(offset, width)?;
        let [value, ..] = value.to_le_bytes();
        match offset {
            DATA => self.set::<PPWDATA, u8>(value),
            CONTROL => {
                let others = value & (CONTROL_INTERRUPT | CONTROL_INPUT);
                let before = self.control.swap(others, Ordering::Relaxed);
                if (before ^ others) & CONTROL_INPUT != 0 {
                    self.set::<PPDATADIR, i32>(i32::from(others & CONTROL_INPUT != 0))?;
                }
                self.set::<PPWCONTROL, u8>(value & CONTROL_LINES)
            }
            _ => Err(refused(self, offset, width, "the status register can't be written")),
        }
    }
}

/// The interrupt of a parallel port, which the kernel counts.
#[derive(Debug)]
pub struct PpdevInterrupt {
    file: Arc<File>,
    name: String,
}

impl Interrupt for PpdevInterrupt {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let fail = |source: Errno| Error::os("waiting for the interrupt of", &*self.name, source);
        loop {
            if !wait_readable(&self.file, end).map_err(fail)? {
                return Ok(0);
            }
            // SAFETY: PPCLRIRQ stores an `int`, and makes it 0 in the kernel.
            let take = unsafe { Getter::<PPCLRIRQ, i32>::new() };
            // SAFETY: as above; `Ppdev::open` has found by PPCLAIM that this is ppdev's.
            let count = unsafe { ioctl(&self.file, take) }.map_err(fail)?;
            // 0 if another handle was faster.
            if let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) {
                return Ok(count);
            }
        }
    }

    fn rearm(&mut self) -> Result<(), Error> {
        // The kernel goes on counting by itself.
        Ok(())
    }
}

impl AsFd for PpdevInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_parallel_port_is_refused() {
        let refused = Ppdev::open("/dev/null").expect_err("it is none");
        assert_eq!(refused.to_string(), "claiming /dev/null");
        let missing = Ppdev::open("/dev/parport-missing").expect_err("there is none");
        assert_eq!(missing.to_string(), "opening /dev/parport-missing");
    }

    #[test]
    fn opcodes_are_those_of_the_kernel() {
        // As a C compiler makes them of ppdev.h on x86-64.
        assert_eq!([PPCLAIM, PPRSTATUS, PPWCONTROL], [0x708b, 0x8001_7081, 0x4001_7084]);
        assert_eq!([PPRDATA, PPWDATA, PPRCONTROL], [0x8001_7085, 0x4001_7086, 0x8001_7083]);
        assert_eq!([PPDATADIR, PPCLRIRQ], [0x4004_7090, 0x8004_7093]);
    }

    #[test]
    fn registers_are_three_bytes() {
        let file = Arc::new(File::open("/dev/null").expect("it is there"));
        let port = Ppdev { file, name: "/dev/parport7".to_owned(), control: AtomicU8::new(0) };
        for (offset, width) in [(0, Width::U8), (2, Width::U8)] {
            assert!(port.check(offset, width).is_ok(), "{offset} {width}");
        }
        assert!(matches!(port.read(3, Width::U8), Err(Error::OutOfBounds { len: 3, .. })));
        assert!(matches!(port.read(0, Width::U16), Err(Error::Refused { .. })));
        assert!(matches!(port.write(0, Width::U32, 0), Err(Error::OutOfBounds { .. })));
        let error = port.write(1, Width::U8, 0).expect_err("it is the printer's").to_string();
        assert_eq!(error, "accessing 8 bits at offset 0x1 of /dev/parport7: the status register can't be written");
    }
}
