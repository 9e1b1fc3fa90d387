//! Parallel ports through the kernel: /dev/parportN (Linux's Documentation/driver-api/parport-lowlevel.rst,
//! drivers/char/ppdev.c).
#![expect(unsafe_code, reason = "ioctl(2)")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, ioctl, opcode};

use crate::bus::{RegisterIo, check, refused};
use crate::error::Error;
use crate::interrupt::{Interrupt, wait_readable};
use crate::system;
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

/// A character device's major number: Linux's Documentation/admin-guide/devices.txt.
const PPDEV_MAJOR: u32 = 99;

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
    /// Bits 4 and 5 of the control register, as the port has them; held while it is written.
    control: Mutex<u8>,
}

impl Ppdev {
    /// Opens `/dev/parportN` and claims it. Waits while a driver of the kernel, such as a printer's, is using the port.
    ///
    /// # Errors
    /// [`Error::Os`]: `ENOENT` and `ENXIO` where there is no port. [`Error::Invalid`] for what is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|source| Error::os("opening", &*name, source))?;
        let is_port = system::is_device(&file, PPDEV_MAJOR);
        if !is_port.map_err(|source| Error::os("looking at", &*name, source))? {
            return Err(Error::invalid(name, "it is no parallel port of the kernel's"));
        }
        // SAFETY: PPCLAIM has no argument.
        let claim = unsafe { NoArg::<PPCLAIM>::new() };
        // SAFETY: the opcode and the absence of an argument are those of ppdev.h, whose device number this is.
        unsafe { ioctl(&file, claim) }.map_err(|source| Error::os("claiming", &*name, source))?;
        Ok(Self { file: Arc::new(file), name, control: Mutex::new(0) })
    }

    /// The interrupt of its acknowledge line, armed. Interrupts before now are nobody's.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn interrupt(&self) -> Result<PpdevInterrupt, Error> {
        let interrupt = PpdevInterrupt { file: Arc::clone(&self.file), name: self.name.clone() };
        interrupt.take()?;
        Ok(interrupt)
    }

    /// Asks for a byte.
    ///
    /// # Safety
    /// The opcode is one of ppdev.h that stores one byte.
    unsafe fn get<const OPCODE: Opcode>(&self) -> Result<u8, Error> {
        // SAFETY: the caller's duty.
        let get = unsafe { Getter::<OPCODE, u8>::new() };
        // SAFETY: as above; `open` has found that the file has ppdev's device number.
        unsafe { ioctl(&self.file, get) }.map_err(|source| Error::os("reading", &*self.name, source))
    }

    /// Tells a value.
    ///
    /// # Safety
    /// The opcode is one of ppdev.h that takes one `T`.
    unsafe fn set<const OPCODE: Opcode, T>(&self, value: T) -> Result<(), Error> {
        // SAFETY: the caller's duty.
        let set = unsafe { Setter::<OPCODE, T>::new(value) };
        // SAFETY: as above; `open` has found that the file has ppdev's device number.
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
            // SAFETY: it stores a byte.
            DATA => unsafe { self.get::<PPRDATA>() }?,
            // SAFETY: so does it.
            STATUS => unsafe { self.get::<PPRSTATUS>() }?,
            _ => {
                let others = self.control.lock().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: so does it.
                (unsafe { self.get::<PPRCONTROL>() }? & CONTROL_LINES) | *others
            }
        };
        Ok(u64::from(value))
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.check(offset, width)?;
        let [value, ..] = value.to_le_bytes();
        match offset {
            // SAFETY: it takes a byte.
            DATA => unsafe { self.set::<PPWDATA, u8>(value) },
            CONTROL => {
                let mut kept = self.control.lock().unwrap_or_else(PoisonError::into_inner);
                let others = value & (CONTROL_INTERRUPT | CONTROL_INPUT);
                if (*kept ^ others) & CONTROL_INPUT != 0 {
                    // SAFETY: it takes an `int`.
                    unsafe { self.set::<PPDATADIR, i32>(i32::from(others & CONTROL_INPUT != 0)) }?;
                }
                *kept = others;
                // SAFETY: it takes a byte.
                unsafe { self.set::<PPWCONTROL, u8>(value & CONTROL_LINES) }
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

impl PpdevInterrupt {
    /// Takes the kernel's count, which is 0 then.
    fn take(&self) -> Result<u64, Error> {
        // SAFETY: PPCLRIRQ stores an `int`, and makes it 0 in the kernel.
        let take = unsafe { Getter::<PPCLRIRQ, i32>::new() };
        // SAFETY: as above; `Ppdev::open` has found that the file has ppdev's device number.
        let count = unsafe { ioctl(&self.file, take) }.map_err(|source| self.failed(source))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn failed(&self, source: Errno) -> Error {
        Error::os("waiting for the interrupt of", &*self.name, source)
    }
}

impl Interrupt for PpdevInterrupt {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if !wait_readable(&self.file, end).map_err(|source| self.failed(source))? {
                return Ok(0);
            }
            // 0 if another handle was faster.
            let count = self.take()?;
            if count > 0 {
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
        // A file that answers every ioctl(2) by 0, as one of FUSE may, would otherwise pass, and store nothing.
        let refused = Ppdev::open("/dev/null").expect_err("it is none");
        assert_eq!(refused.to_string(), "/dev/null: it is no parallel port of the kernel's");
        let file = tempfile::NamedTempFile::new().expect("room");
        assert!(matches!(Ppdev::open(file.path()), Err(Error::Invalid { .. })));
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
        let port = Ppdev { file, name: "/dev/parport7".to_owned(), control: Mutex::new(0) };
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
