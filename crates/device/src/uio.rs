//! Devices that the kernel hands to programs: /dev/uioN (Linux's Documentation/driver-api/uio-howto.rst).
//!
//! A small driver in the kernel knows the device's addresses and takes its interrupt; all else is done here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::bus::{Mmio, PortFile};
use crate::error::Error;
use crate::interrupt::{Interrupt, wait_readable};
use crate::pci::header::Header;
use crate::system::{self, System, unexpected};

/// What is read of a PCI device that does not answer.
const ABSENT: u16 = u16::MAX;

/// A UIO device, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UioDevice {
    /// N of /dev/uioN.
    pub number: usize,
    /// What its driver calls it.
    pub name: String,
    /// The driver's version.
    pub version: String,
    /// Memory that it has.
    pub maps: Vec<UioMap>,
    /// Ports that it has.
    pub ports: Vec<UioPorts>,
    folder: PathBuf,
    path: PathBuf,
}

/// Memory of a UIO device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UioMap {
    /// Which of the maps.
    pub index: usize,
    /// What the driver calls it; may be empty.
    pub name: String,
    /// The physical address, of a page.
    pub addr: u64,
    /// Bytes from there on.
    pub size: u64,
    /// Where in them the device begins.
    pub offset: u64,
}

/// Ports of a UIO device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UioPorts {
    /// Which of the ranges.
    pub index: usize,
    /// What the driver calls it; may be empty.
    pub name: String,
    /// The first port.
    pub start: u64,
    /// How many.
    pub count: u64,
    /// What kind of ports: `port_x86`, for example.
    pub kind: String,
}

/// All UIO devices, by number.
///
/// # Errors
/// [`Error::Os`], [`Error::Unexpected`] where the kernel tells what can't be read.
pub fn devices(system: &System) -> Result<Vec<UioDevice>, Error> {
    let found = system::numbered(&system.path("/sys/class/uio"), "uio")?.into_iter();
    found.filter_map(|(number, folder)| system::still_there(&folder, UioDevice::find(system, number))).collect()
}

impl UioDevice {
    /// The device of this number.
    ///
    /// # Errors
    /// [`Error::NotFound`], and as [`devices`].
    pub fn find(system: &System, number: usize) -> Result<Self, Error> {
        let folder = system.path(format!("/sys/class/uio/uio{number}"));
        if !folder.is_dir() {
            return Err(Error::NotFound { object: format!("/dev/uio{number}") });
        }
        Ok(Self {
            number,
            name: system::text(&folder.join("name"))?,
            version: system::text(&folder.join("version"))?,
            maps: numbered(&folder.join("maps"), "map", |index, map| {
                Ok(UioMap {
                    index,
                    name: system::text_if_any(&map.join("name"))?.unwrap_or_default(),
                    addr: system::number(&map.join("addr"))?,
                    size: system::number(&map.join("size"))?,
                    offset: system::number(&map.join("offset"))?,
                })
            })?,
            ports: numbered(&folder.join("portio"), "port", |index, port| {
                Ok(UioPorts {
                    index,
                    name: system::text_if_any(&port.join("name"))?.unwrap_or_default(),
                    start: system::number(&port.join("start"))?,
                    count: system::number(&port.join("size"))?,
                    kind: system::text(&port.join("porttype"))?,
                })
            })?,
            path: system.path(format!("/dev/uio{number}")),
            folder,
        })
    }

    /// Opens it, which enables it.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn open(self) -> Result<Uio, Error> {
        // Without waiting: which of several handles gets an interrupt is known when one has read it.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&self.path);
        let file = opened.map_err(|source| Error::os("opening", self.path.display().to_string(), source))?;
        Ok(Uio { device: self, file: Arc::new(file) })
    }
}

/// What is made of each numbered folder in a folder.
fn numbered<T>(folder: &Path, prefix: &str, make: impl Fn(usize, &Path) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    system::numbered(folder, prefix)?.into_iter().map(|(index, path)| make(index, &path)).collect()
}

/// An open UIO device.
#[derive(Debug)]
pub struct Uio {
    device: UioDevice,
    file: Arc<File>,
}

impl Uio {
    /// Opens `/dev/uioN`, or what a symbolic link to it leads to.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another path; [`Error::NotFound`], [`Error::Os`], [`Error::Unexpected`] where the
    /// kernel tells what can't be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        // A path that leads nowhere is looked at as it is: of the device there is more than its file.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = target.strip_prefix("/dev").ok().and_then(Path::to_str);
        let number = name.and_then(|name| name.strip_prefix("uio")).and_then(system::digits);
        let wrong =
            || Error::invalid(path.display().to_string(), "it is not the name of a UIO device, such as /dev/uio0");
        UioDevice::find(&System::default(), number.ok_or_else(wrong)?)?.open()
    }

    /// What is known of it.
    #[must_use]
    pub fn device(&self) -> &UioDevice {
        &self.device
    }

    /// Maps its memory: the part where the device is.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Map`]; [`Error::Unexpected`] if the device would begin behind the memory's end.
    pub fn map(&self, index: usize) -> Result<Mmio, Error> {
        let path = &self.device.path;
        let map = self.device.maps.iter().find(|map| map.index == index);
        let map = map.ok_or_else(|| Error::NotFound { object: format!("{}, map {index}", path.display()) })?;
        // The index is told to mmap(2) as the number of a page.
        let page = u64::try_from(rustix::param::page_size()).ok();
        let start = u64::try_from(index).ok().and_then(|index| index.checked_mul(page?));
        let range = start.and_then(|start| Some(start..start.checked_add(map.size)?));
        let part = usize::try_from(map.offset).ok().zip(usize::try_from(map.size).ok());
        let (Some(range), Some((offset, size))) = (range, part.filter(|(offset, size)| offset < size)) else {
            let told = format!("map {index} has {:#x} bytes, and begins at {:#x}", map.size, map.offset);
            return Err(unexpected(&self.device.folder, told));
        };
        Mmio::open(path, range)?.part(offset..size)
    }

    /// Its interrupt, armed.
    ///
    /// # Errors
    /// [`Error::Os`]: `EIO` if it has none.
    pub fn interrupt(&self) -> Result<UioInterrupt, Error> {
        let name = self.device.path.display().to_string();
        let rearm = match enable_interrupt(&self.file) {
            Ok(()) => Rearm::Enable,
            // The driver has no such control.
            Err(Errno::NOSYS) => match self.masked_by_command()? {
                Some(header) => Rearm::Command(header),
                None => Rearm::Nothing,
            },
            Err(source) => return Err(Error::os("arming the interrupt of", name, source)),
        };
        // Interrupts before now are nobody's.
        let seen = system::text_if_any(&self.device.folder.join("event"))?.and_then(|count| system::parse(&count));
        let mut interrupt = UioInterrupt { file: Arc::clone(&self.file), name, seen, rearm };
        interrupt.rearm()?;
        Ok(interrupt)
    }

    /// The header with the bit that keeps the interrupt down, if it is that of `uio_pci_generic`.
    fn masked_by_command(&self) -> Result<Option<Header<PortFile>>, Error> {
        let device = self.device.folder.join("device");
        if system::link(&device.join("driver")).as_deref() != Some(crate::pci::UIO_DRIVER) {
            return Ok(None);
        }
        let config = device.join("config");
        Header::new(PortFile::open(config, 0..0x40)?).map(Some)
    }
}

/// The interrupt of a UIO device.
#[derive(Debug)]
pub struct UioInterrupt {
    file: Arc<File>,
    name: String,
    /// The kernel's count when it was last looked at.
    seen: Option<u32>,
    rearm: Rearm,
}

/// How the next interrupt is let through.
#[derive(Debug)]
enum Rearm {
    /// By writing 1.
    Enable,
    /// By a bit of the PCI command register, which `uio_pci_generic` has set.
    Command(Header<PortFile>),
    /// Nothing needs to be done.
    Nothing,
}

/// Writes the number that lets interrupts through: 1, of 32 bits, as the processor has them.
fn enable_interrupt(file: &File) -> Result<(), Errno> {
    match rustix::io::retry_on_intr(|| rustix::io::write(file, &1_u32.to_ne_bytes()))? {
        4 => Ok(()),
        _ => Err(Errno::IO),
    }
}

impl Interrupt for UioInterrupt {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let fail = |source: Errno| Error::os("waiting for the interrupt of", &*self.name, source);
        loop {
            if !wait_readable(&self.file, end).map_err(fail)? {
                return Ok(0);
            }
            let mut count = [0; 4];
            match rustix::io::read(&self.file, &mut count) {
                Ok(4) => {}
                Ok(bytes) => {
                    let reason = format!("its count of interrupts came to {bytes} instead of 4 bytes");
                    return Err(Error::Unexpected { object: self.name.clone(), reason });
                }
                // Another handle of the same interrupt was faster.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(source) => return Err(fail(source)),
            }
            let count = u32::from_ne_bytes(count);
            let seen = self.seen.replace(count).unwrap_or(count.wrapping_sub(1));
            // One that has come between making this and looking at the count is in both.
            return Ok(u64::from(count.wrapping_sub(seen)).max(1));
        }
    }

    fn rearm(&mut self) -> Result<(), Error> {
        match &self.rearm {
            Rearm::Enable => enable_interrupt(&self.file)
                .map_err(io::Error::from)
                .map_err(|source| Error::os("arming the interrupt of", &*self.name, source)),
            Rearm::Command(header) => {
                let command = header.command().read()?;
                if u16::from(command) == ABSENT {
                    let reason = "its configuration space does not answer: it is gone, or without power".to_owned();
                    return Err(Error::Unexpected { object: self.name.clone(), reason });
                }
                header.command().write(command.with_interrupt_disable(0))
            }
            Rearm::Nothing => Ok(()),
        }
    }
}

impl AsFd for UioInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// An interrupt whose kernel is the other end of a socket.
    fn interrupt(seen: Option<u32>, rearm: Rearm) -> (UioInterrupt, UnixStream) {
        let (ours, kernel) = UnixStream::pair().expect("a socket");
        ours.set_nonblocking(true).expect("a socket");
        let file = Arc::new(File::from(OwnedFd::from(ours)));
        (UioInterrupt { file, name: "/dev/uio7".to_owned(), seen, rearm }, kernel)
    }

    #[test]
    fn waiting_answers_how_many_have_come_since() {
        let (mut interrupt, mut kernel) = interrupt(Some(4), Rearm::Nothing);
        for (count, wanted) in [(5_u32, 1), (6, 1), (9, 3), (u32::MAX, u64::from(u32::MAX - 9)), (1, 2), (1, 1)] {
            assert_eq!(interrupt.wait(Some(Duration::ZERO)).expect("a socket"), 0);
            kernel.write_all(&count.to_ne_bytes()).expect("a socket");
            assert_eq!(interrupt.wait(Some(Duration::MAX)).expect("a socket"), wanted, "{count}");
        }
        interrupt.rearm().expect("nothing to be done");
    }

    #[test]
    fn the_first_one_counts_once_if_nothing_was_known_before() {
        let (mut interrupt, mut kernel) = interrupt(None, Rearm::Nothing);
        kernel.write_all(&70_u32.to_ne_bytes()).expect("a socket");
        assert_eq!(interrupt.wait(None).expect("a socket"), 1);
        assert_eq!(interrupt.wait(Some(Duration::from_millis(1))).expect("a socket"), 0);
    }

    #[test]
    fn what_is_no_count_is_an_error() {
        let (mut short, mut kernel) = interrupt(None, Rearm::Nothing);
        kernel.write_all(&[1, 0]).expect("a socket");
        let error = short.wait(None).expect_err("it is no count").to_string();
        assert_eq!(error, "/dev/uio7: its count of interrupts came to 2 instead of 4 bytes");
        let (mut gone, kernel) = interrupt(None, Rearm::Enable);
        drop(kernel);
        assert!(matches!(gone.wait(None), Err(Error::Unexpected { .. })));
        assert_eq!(gone.rearm().expect_err("nobody reads").to_string(), "arming the interrupt of /dev/uio7");
    }

    #[test]
    fn rearming_writes_a_one_or_clears_the_bit_that_keeps_the_line_down() {
        let (mut enabled, mut kernel) = interrupt(None, Rearm::Enable);
        enabled.rearm().expect("a socket");
        let mut written = [0; 4];
        kernel.read_exact(&mut written).expect("a socket");
        assert_eq!(u32::from_ne_bytes(written), 1);
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config");
        let mut bytes = [0xff; 0x40];
        bytes[4] = 0xef;
        fs::write(&config, bytes).expect("room");
        let header = Header::new(PortFile::open(&config, 0..0x40).expect("a file")).expect("room");
        let (mut masked, _kernel) = interrupt(None, Rearm::Command(header));
        masked.rearm().expect("a file");
        let bytes = fs::read(&config).expect("a file");
        assert_eq!((&bytes[..4], &bytes[4..6], &bytes[6..]), (&[0xff; 4][..], &[0xef, 0xfb][..], &[0xff; 0x3a][..]));
        fs::write(&config, [0xff; 0x40]).expect("room");
        assert!(matches!(masked.rearm(), Err(Error::Unexpected { .. })), "it is gone");
    }
}
