//! Registers at memory addresses: a part of a mapped device.
#![expect(unsafe_code, reason = "accesses to registers whose place was checked before")]

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use mapio_map::{Fault, MapOptions, Mapping, OwnedView};

use super::{RegisterIo, alignment_of, check};
use crate::arch;
use crate::error::Error;
use crate::width::Width;

/// Registers at memory addresses, in a part of a mapping: /dev/mem, a PCI device's `resourceN`, /dev/uioN, /dev/fb0.
///
/// An access is one load or store instruction of its width. Where the hardware refuses, and the processor says so, the
/// access is an [`Error::Fault`], where others are killed by a signal.
///
/// On x86-64, [`read`](RegisterIo::read) and [`write`](RegisterIo::write) are ordered by the processor, and so are the
/// relaxed forms; write-combining memory ([`flush`](Self::flush)) is not. On aarch64 `dmb oshld` follows a read and
/// `dmb oshst` precedes a write, as in Linux.
///
/// # Platforms
/// x86-64 and aarch64. Elsewhere accesses would be system calls, which the kernel refuses for devices, and making one
/// answers `Unsupported`.
#[derive(Clone)]
pub struct Mmio {
    view: OwnedView,
    /// What the address of the first byte is a multiple of; at most that of the widest access.
    alignment: usize,
    name: Arc<str>,
}

impl Mmio {
    /// Maps bytes of a file that stands for a device, for reading and writing: `range` counts from the start of it, for
    /// /dev/mem from address 0. Nothing but the range is accessible through it, though whole pages are mapped. It is
    /// opened with `O_SYNC`, by which /dev/mem maps uncached what would be cached otherwise.
    ///
    /// # Errors
    /// [`Error::Os`] when it can't be opened: `EACCES` and `EPERM` for those who may not. [`Error::Map`] with what
    /// mmap(2) says: `EPERM` from a kernel that keeps programs away from a device that it drives itself
    /// (`iomem=relaxed`), `EINVAL` for I/O ports that are not in memory.
    pub fn open(path: impl AsRef<Path>, range: Range<u64>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let len = range.end.checked_sub(range.start).and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| Error::invalid(&*name, "the range ends before it begins, or is too long"))?;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(libc::O_SYNC).open(path);
        let file = opened.map_err(|source| Error::os("opening", &*name, source))?;
        let mapped = MapOptions::read_write().offset(range.start).len(len).map(&file);
        let mapping = mapped.map_err(|source| Error::Map { object: name.clone(), source })?;
        Self::new(mapping, &name)
    }

    /// All of a mapping; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Os`] `Unsupported` on other processors.
    pub fn new(mapping: Mapping, name: &str) -> Result<Self, Error> {
        if !arch::HAS_MMIO {
            return Err(Error::os("mapping", name, io::Error::from(io::ErrorKind::Unsupported)));
        }
        Ok(Self::of(OwnedView::from(mapping), name.into()))
    }

    /// A part of it, whose first byte has offset 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a part outside.
    pub fn part(&self, range: Range<usize>) -> Result<Self, Error> {
        let outside = || Error::invalid(&*self.name, format!("there are no bytes {range:?}, it has {}", self.len()));
        Ok(Self::of(self.view.part(range.clone()).map_err(|_| outside())?, Arc::clone(&self.name)))
    }

    fn of(view: OwnedView, name: Arc<str>) -> Self {
        // A mapping keeps the place in the page, so the address is aligned as the offset in the file is.
        let alignment = alignment_of(view.mapping().file_offset_of(view.view().offset()));
        Self { view, alignment, name }
    }

    /// Waits until what was written has left the processor: for write-combining memory, as of `resourceN_wc`, whose
    /// stores may wait for each other and change places.
    pub fn flush(&self) {
        arch::flush_writes();
    }

    #[cold]
    #[inline(never)]
    fn fault(&self, offset: usize, width: Width, source: Fault) -> Error {
        Error::Fault { object: self.name.to_string(), offset, width, source }
    }
}

impl RegisterIo for Mmio {
    #[inline(always)]
    fn len(&self) -> usize {
        self.view.len()
    }

    fn name(&self) -> &str {
        &self.name
    }

    #[inline(always)]
    fn alignment(&self) -> usize {
        self.alignment
    }

    #[inline(always)]
    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        check(self, offset, width)?;
        // SAFETY: 1: `check` has found it inside.
        unsafe { self.read_unchecked(offset, width) }
    }

    #[inline(always)]
    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        check(self, offset, width)?;
        // SAFETY: as in `read`.
        unsafe { self.write_unchecked(offset, width, value) }
    }

    #[inline(always)]
    fn read_relaxed(&self, offset: usize, width: Width) -> Result<u64, Error> {
        check(self, offset, width)?;
        // SAFETY: as in `read`.
        unsafe { self.load(offset, width) }
    }

    #[inline(always)]
    fn write_relaxed(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        check(self, offset, width)?;
        // SAFETY: as in `read`.
        unsafe { self.store(offset, width, value) }
    }

    #[inline(always)]
    unsafe fn read_unchecked(&self, offset: usize, width: Width) -> Result<u64, Error> {
        // SAFETY: by duty 1 of this function.
        let value = unsafe { self.load(offset, width) };
        // Orders the load before all that comes after it, such as looking at what the device has written by DMA.
        arch::after_read();
        value
    }

    #[inline(always)]
    unsafe fn write_unchecked(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        // Orders what was stored before, such as what the device is to read by DMA, before the store.
        arch::before_write();
        // SAFETY: by duty 1 of this function.
        unsafe { self.store(offset, width, value) }
    }
}

impl Mmio {
    /// # Safety
    /// 1. The bytes lie inside.
    #[inline(always)]
    unsafe fn load(&self, offset: usize, width: Width) -> Result<u64, Error> {
        let view = self.view.view();
        let loaded = match width {
            // SAFETY: 1: by duty 1 of this function.
            Width::U8 => unsafe { view.load_unchecked::<u8>(offset) }.map(u64::from),
            // SAFETY: as above.
            Width::U16 => unsafe { view.load_unchecked::<u16>(offset) }.map(u64::from),
            // SAFETY: as above.
            Width::U32 => unsafe { view.load_unchecked::<u32>(offset) }.map(u64::from),
            // SAFETY: as above.
            Width::U64 => unsafe { view.load_unchecked::<u64>(offset) },
        };
        match loaded {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.fault(offset, width, fault)),
        }
    }

    /// # Safety
    /// 1. The bytes lie inside.
    #[inline(always)]
    #[expect(clippy::as_conversions, reason = "it cuts off, as `write` says")]
    unsafe fn store(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        let view = self.view.view();
        let stored = match width {
            // SAFETY: 1: by duty 1 of this function.
            Width::U8 => unsafe { view.store_unchecked(offset, value as u8) },
            // SAFETY: as above.
            Width::U16 => unsafe { view.store_unchecked(offset, value as u16) },
            // SAFETY: as above.
            Width::U32 => unsafe { view.store_unchecked(offset, value as u32) },
            // SAFETY: as above.
            Width::U64 => unsafe { view.store_unchecked(offset, value) },
        };
        match stored {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.fault(offset, width, fault)),
        }
    }
}

impl fmt::Debug for Mmio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mmio").field("name", &self.name).field("len", &self.len()).finish_non_exhaustive()
    }
}
