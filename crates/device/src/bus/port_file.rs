//! Registers behind a file: the kernel makes an access of each read and write of it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use super::{RegisterIo, alignment_of, check, refused};
use crate::error::Error;
use crate::width::Width;

/// Registers behind a file of which each pread(2) and pwrite(2) is an access: /dev/port, where ports have their
/// numbers as offsets; `resourceN` of a PCI device whose BAR has ports; `config`, the configuration space of a PCI
/// device.
///
/// It takes a system call an access, and goes where [`Ports`](super::Ports) does not: to other threads, and into
/// programs that may open the file and nothing else. It has the widths that the kernel passes on as they are: one
/// byte for /dev/port, which takes anything wider apart (`read_port` in Linux's drivers/char/mem.c), up to 32 bits
/// for those of PCI.
pub struct PortFile {
    file: File,
    name: String,
    /// The offset in the file where the first register is.
    start: u64,
    len: usize,
    widest: Width,
    can_write: bool,
}

impl PortFile {
    /// Opens a part of a file for reading and writing; `range` counts from the start of the file.
    ///
    /// A character device is taken for /dev/port, everything else for one of PCI's.
    ///
    /// # Errors
    /// [`Error::Os`]: `EACCES` and `EPERM` for those who may not, `ENOENT` where the kernel has no /dev/port.
    /// [`Error::Invalid`] for a range that ends before it begins.
    pub fn open(path: impl AsRef<Path>, range: Range<u64>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), range, true)
    }

    /// The same for reading alone: writes are refused.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_read_only(path: impl AsRef<Path>, range: Range<u64>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), range, false)
    }

    fn open_as(path: &Path, range: Range<u64>, can_write: bool) -> Result<Self, Error> {
        let name = path.display().to_string();
        let len = range.end.checked_sub(range.start).and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| Error::invalid(&*name, "the range ends before it begins, or is too long"))?;
        let opened = OpenOptions::new().read(true).write(can_write).open(path);
        let file = opened.map_err(|source| Error::os("opening", &*name, source))?;
        let kind = file.metadata().map_err(|source| Error::os("looking at", &*name, source))?.file_type();
        let widest = if kind.is_char_device() { Width::U8 } else { Width::U32 };
        Ok(Self { file, name, start: range.start, len, widest, can_write })
    }

    /// Where in the file the access is.
    fn place(&self, offset: usize, width: Width) -> Result<u64, Error> {
        check(self, offset, width)?;
        if width > self.widest {
            let reason = match self.widest {
                Width::U8 => "the kernel would take it apart into bytes",
                _ => "there are at most 32 bits",
            };
            return Err(refused(self, offset, width, reason));
        }
        let place = u64::try_from(offset).ok().and_then(|offset| self.start.checked_add(offset));
        Ok(place.unwrap_or_else(|| unreachable!("the range that was opened ends at a u64")))
    }

    /// What an access of `width` that has moved so many bytes comes to.
    fn whole(
        &self,
        operation: &'static str,
        place: u64,
        width: Width,
        moved: impl FnOnce() -> io::Result<usize>,
    ) -> Result<(), Error> {
        let object = || format!("{width} at {place:#x} of {}", self.name);
        match moved() {
            Ok(bytes) if bytes == width.bytes() => Ok(()),
            Ok(bytes) => {
                let reason = format!("{operation} came to {bytes} instead of {} bytes", width.bytes());
                Err(Error::Unexpected { object: object(), reason })
            }
            Err(source) => Err(Error::os(operation, object(), source)),
        }
    }
}

impl RegisterIo for PortFile {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn alignment(&self) -> usize {
        alignment_of(self.start)
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        let place = self.place(offset, width)?;
        let mut bytes = [0; 8];
        self.whole("reading", place, width, || self.file.read_at(&mut bytes[..width.bytes()], place))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        let place = self.place(offset, width)?;
        if !self.can_write {
            return Err(refused(self, offset, width, "it is open for reading only"));
        }
        let bytes = value.to_le_bytes();
        self.whole("writing", place, width, || self.file.write_at(&bytes[..width.bytes()], place))
    }
}

impl fmt::Debug for PortFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortFile").field("name", &self.name).field("len", &self.len).finish_non_exhaustive()
    }
}
